//! Paths that are read and sent again, since the content that was sent may not be the one on disk.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::reading::{Batch, Read};
use super::{FIRST_RETRY_DELAY, Worker};
use crate::sync::journal::Seen;
use crate::sync::stream::Applied;

/// How long a path is sent again whose sent content never equals what the intake saw.
const RESEND_TIMEOUT: Duration = Duration::from_secs(20);

/// A path whose sent content differs from what the intake saw. It is sent again until both agree, since no later
/// generation may bring it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unverified {
    /// What the container has; None if nobody knows.
    pub(super) sent: Option<Seen>,
    pub(super) since: Instant,
    pub(super) tried: Instant,
}

impl Worker {
    /// The paths to read once more. A path is settled once the intake has seen the content that was sent.
    pub(super) fn due_for_resending(&mut self, now: Instant) -> Vec<PathBuf> {
        let state = self.shared.state();
        self.unverified
            .retain(|path, entry| entry.sent.is_none() || entry.sent != state.journal.seen(path));
        let due = self
            .unverified
            .iter()
            .filter(|(_, entry)| now >= entry.tried + FIRST_RETRY_DELAY);
        due.map(|(path, _)| path.clone()).collect()
    }

    /// Tells when all that was sent is what the intake saw.
    pub(super) fn tell_unverified(&self) {
        let is_unverified = !self.unverified.is_empty();
        let mut state = self.shared.state();
        let status = state.containers.get_mut(&self.id);
        let is_told = status.is_none_or(|status| {
            std::mem::replace(&mut status.unverified, is_unverified) == is_unverified
        });
        drop(state);
        if !is_told {
            self.shared.progress.send_replace(());
        }
    }

    /// Compares the content that was sent with what the intake saw.
    pub(super) fn verify_sent(&mut self, read: &Read, batch: &Batch, applied: &Applied) {
        let now = Instant::now();
        let sent = read.sent(applied);
        if sent.is_some() && sent == self.shared.state().journal.seen(&read.path) {
            self.unverified.remove(&read.path);
            return;
        }
        let before = self
            .unverified
            .get(&read.path)
            .filter(|_| !batch.new.contains(&read.path));
        let since = before.map_or(now, |entry| entry.since);
        // A file that is written all the time, and never closed, is never the same twice.
        if now < since + RESEND_TIMEOUT {
            self.unverified.insert(
                read.path.clone(),
                Unverified {
                    sent,
                    since,
                    tried: now,
                },
            );
        } else {
            self.unverified.remove(&read.path);
        }
    }
}
