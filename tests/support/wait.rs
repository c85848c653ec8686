//! The one way to wait for a condition that has no event: ask again, soon and for long.

use std::time::{Duration, Instant};

/// How often a condition is asked for.
const PAUSE: Duration = Duration::from_millis(10);

/// How often it is asked in all: with the pauses alone a minute, on a busy machine more.
const TRIES: u32 = 6_000;

/// No question is asked later than that: one that takes a second itself would else be asked for hours.
const LIMIT: Duration = Duration::from_secs(300);

/// Asks until there is an answer, and panics with `what` where there is none in a minute. Blocks its thread.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    for _ in 0..TRIES {
        if let Some(answer) = ask() {
            return answer;
        }
        if start.elapsed() > LIMIT {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    panic!("waited in vain: {what}");
}

/// The same for an async test. Each question may take its time.
pub async fn until_async<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    for _ in 0..TRIES {
        if let Some(answer) = ask().await {
            return answer;
        }
        if start.elapsed() > LIMIT {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("waited in vain: {what}");
}
