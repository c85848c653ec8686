//! A coordinator that stands by until it is chosen: `minimal <store URL> <host:port>`
use coordha::config::keys;
use coordha::session::{EventKind, Session, Until};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt::init(); // the library logs what becomes of it
    let mut arguments = std::env::args().skip(1);
    let session = Session::builder()
        .set(keys::STORE_URL, arguments.next().ok_or("no store URL")?)
        .set(keys::ADDRESS, arguments.next().ok_or("no address")?)
        .set(keys::ROLE, "rootcoord")
        .set(keys::ACTIVE_STANDBY_ENABLED, true)
        .start()?;
    let (mut events, mut sigterm) = (session.events(), signal(SignalKind::terminate())?);
    loop {
        tokio::select! {
            _ = sigterm.recv() => session.request_stop(),
            event = events.next() => match event.as_ref().map(|event| (event.kind(), event.token())) {
                // Load what the active one needs. From "done" on, session.is_active() is true.
                Some((EventKind::Activate, token)) => drop(session.activation_done(token, Ok(()))),
                // Finish what runs where event.held(), else stop at once. Then nothing of this term runs any more.
                Some((EventKind::Deactivate, token)) => session.deactivation_done(token)?,
                Some(_) => {}
                None => return Ok(session.wait_async(Until::Ended, None).await?),
            }
        }
    }
}
