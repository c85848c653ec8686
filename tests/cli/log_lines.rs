//! The form of the log lines of the command.

use std::io::{self, Write};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use tracing::subscriber::with_default;
use tracing_subscriber::fmt::MakeWriter;

use crate::lines::Lines;

static IS_MILVUS: AtomicBool = AtomicBool::new(true);
static IS_PLAIN: AtomicBool = AtomicBool::new(false);

/// What was written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Written {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The lines of what `say` says.
fn lines(is_milvus: &'static AtomicBool, say: impl FnOnce()) -> Vec<String> {
    let written = Written::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(written.clone())
        .event_format(Lines::new(is_milvus));
    with_default(subscriber.finish(), say);
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// A line without its time, which must have the right form.
fn without_time(line: &str) -> &str {
    let (time, rest) = line.strip_prefix('[').unwrap().split_once("] ").unwrap();
    let form: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(form, "0000/00/00 00:00:00.000 +00:00", "{line}");
    rest
}

#[test]
fn a_line_of_milvus_has_time_level_place_message_and_fields() {
    let said = lines(&IS_MILVUS, || {
        let _span = tracing::info_span!("session", role = "rootcoord").entered();
        tracing::info!(DELETE = "key:\"by-dev/meta/session/rootcoord\" ", "watch the ACTIVE key");
        tracing::warn!(server_id = 7, on = true, "ready");
        tracing::error!(error = %"a\nb", "it = [1] \\ 2");
        tracing::trace!(empty = "", "\u{1b}[31m");
    });
    let said: Vec<&str> = said.iter().map(|line| without_time(line)).collect();
    let place = |line: &str| {
        let (level, rest) = line.split_once(" [cli/log_lines.rs:").unwrap_or_else(|| panic!("{line}"));
        let (number, rest) = rest.split_once("] ").unwrap();
        assert!(number.parse::<u32>().is_ok(), "{line}");
        format!("{level} {rest}")
    };
    let said: Vec<String> = said.into_iter().map(place).collect();
    assert_eq!(
        said,
        [
            r#"[INFO] ["watch the ACTIVE key"] [DELETE="key:\"by-dev/meta/session/rootcoord\" "]"#,
            "[WARN] [ready] [server_id=7] [on=true]",
            r#"[ERROR] ["it = [1] \\ 2"] [error="a\nb"]"#,
            r#"[DEBUG] ["\u{1b}[31m"] [empty=""]"#,
        ]
    );
}

#[test]
fn a_plain_line_has_the_fields_of_the_session_too() {
    let said = lines(&IS_PLAIN, || {
        let _span = tracing::info_span!("session", role = "rootcoord").entered();
        tracing::info!(server_id = 7, "ready");
    });
    assert!(said[0].ends_with(r#"session{role="rootcoord"}: cli::log_lines: ready server_id=7"#), "{said:?}");
}
