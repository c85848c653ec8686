//! A coordinator that stands by until it is chosen: `minimal <store URL> <host:port>`
use coordha::config::keys;
use coordha::session::Session;
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
    let (mut sigterm, stopped) = (signal(SignalKind::terminate())?, session.clone());
    tokio::spawn(async move { sigterm.recv().await.map(|()| stopped.request_stop()) });
    let serve = session.run(|term| async move {
        // Load what the active one needs. An error here is a failed activation.
        term.ready()?; // from now on session.is_active() is true
        term.ending().await; // asked to end: finish what runs, while term.held(). A lost term drops all of this
        Ok(()) // nothing of this term runs any more
    });
    Ok(serve.await?)
}
