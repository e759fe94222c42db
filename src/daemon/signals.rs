//! The signals that end a session.

use tokio::signal::unix::{SignalKind, signal};

/// Ends on SIGTERM or SIGINT. SIGHUP is taken and ignored: a closed terminal does not end `up -d`.
pub(super) async fn termination() {
    let streams = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
        signal(SignalKind::hangup()),
    );
    let (Ok(mut terminate), Ok(mut interrupt), Ok(_hangup)) = streams else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
