//! Paths that have to be read again, since what was sent of them may not be what is there.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::reading::{Batch, Read};
use super::{FIRST_RETRY_DELAY, Worker};
use crate::sync::journal::Seen;
use crate::sync::stream::Applied;

/// How long a path is sent again that is never as the intake saw it.
const RECHECK_TIMEOUT: Duration = Duration::from_secs(20);

/// A path that the worker read at another moment than the intake, and that may have been as it was before ever
/// since: no new generation would bring it then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doubt {
    /// What the container has; None if nobody knows.
    pub(super) sent: Option<Seen>,
    pub(super) since: Instant,
    pub(super) tried: Instant,
}

impl Worker {
    /// What is to be read once more. What the intake has seen meanwhile as it was sent is settled.
    pub(super) fn doubted(&mut self, now: Instant) -> Vec<PathBuf> {
        let state = self.shared.state();
        self.doubts
            .retain(|path, doubt| doubt.sent.is_none() || doubt.sent != state.journal.seen(path));
        let due = self
            .doubts
            .iter()
            .filter(|(_, doubt)| now >= doubt.tried + FIRST_RETRY_DELAY);
        due.map(|(path, _)| path.clone()).collect()
    }

    /// Compares what was sent with what the intake saw.
    pub(super) fn doubt(&mut self, read: &Read, batch: &Batch, applied: &Applied) {
        let now = Instant::now();
        let sent = read.sent(applied);
        if sent.is_some() && sent == self.shared.state().journal.seen(&read.path) {
            self.doubts.remove(&read.path);
            return;
        }
        let before = self
            .doubts
            .get(&read.path)
            .filter(|_| !batch.new.contains(&read.path));
        let since = before.map_or(now, |doubt| doubt.since);
        // A file that is written all the time, and never closed, is never the same twice.
        if now < since + RECHECK_TIMEOUT {
            self.doubts.insert(
                read.path.clone(),
                Doubt {
                    sent,
                    since,
                    tried: now,
                },
            );
        } else {
            self.doubts.remove(&read.path);
        }
    }
}
