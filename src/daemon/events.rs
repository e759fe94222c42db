//! The session's events on their way to a client.

use tokio::sync::broadcast::error::RecvError;

use super::control::{Reply, Sender};
use crate::error::Result;
use crate::ui::event::Event;

pub(super) type Events = tokio::sync::broadcast::Receiver<Event>;

/// Sends events until `until` ends, including all events from before its end. Events that a client reads too slowly are
/// dropped, and the client gets their number: the session does not buffer events without limit.
pub(super) async fn send_events(
    events: &mut Events,
    write: &mut Sender,
    until: impl Future<Output = ()>,
) -> Result<()> {
    let mut until = std::pin::pin!(until);
    loop {
        tokio::select! {
            biased;
            event = events.recv() => match event {
                Ok(event) => write.send(&Reply::Event { event }).await?,
                Err(RecvError::Lagged(count)) => write.send(&Reply::Event { event: Event::missed(count) }).await?,
                Err(RecvError::Closed) => return Ok(()),
            },
            () = &mut until => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixStream;

    use super::*;
    use crate::daemon::control::Connection;
    use crate::ui::event::Reporter;

    #[tokio::test]
    async fn a_client_that_is_too_slow_is_told_that_it_missed_something() {
        let reporter = Reporter::default();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (mut ours, mut theirs) = (Connection::from(ours), Connection::from(theirs));
        let mut events = reporter.subscribe();
        (0..5000).for_each(|n| reporter.skipped(format!("step/{n}"), ""));
        let send = async {
            let sent = send_events(&mut events, &mut ours.write, std::future::ready(())).await;
            drop(ours);
            sent
        };
        let hear = async {
            let mut heard = vec![];
            while let Some(Reply::Event { event }) = theirs.read.next().await.unwrap() {
                heard.push(event);
            }
            heard
        };
        let (sent, heard) = tokio::join!(send, hear);
        sent.unwrap();
        assert_eq!(
            (heard[0].step.as_str(), heard.len()),
            ("session.events", 1 + 4096)
        );
        assert!(
            heard[0].detail.contains("904 events"),
            "{}",
            heard[0].detail
        );
    }
}
