//! How changes of the disk come to the journal.

use std::sync::Arc;
use std::time::Instant;

use rustix::io::Errno;
use tokio::time::sleep_until;

use super::{REMOVAL_DELAY, Shared};
use crate::sync::watch::{ChangedPaths, Watch};

pub(super) async fn intake(shared: Arc<Shared>, watch: Watch) {
    // What is to be looked at again: what is gone, and since when.
    let mut later = ChangedPaths::new();
    let mut check = shared.check.subscribe();
    // Something may wait already.
    check.mark_changed();
    loop {
        let due = later.values().map(|change| change.at + REMOVAL_DELAY).min();
        let changes = tokio::select! {
            changes = watch.next() => changes,
            () = until(due) => Ok(ChangedPaths::new()),
            // The engine has the other end.
            _ = check.changed() => Ok(ChangedPaths::new()),
        };
        let changes = match changes {
            Ok(changes) => changes,
            Err(error) => {
                shared.state().trouble = Some(error.to_string());
                shared.progress.send_replace(());
                continue;
            }
        };
        let taking = (shared.clone(), std::mem::take(&mut later));
        // Long files are read for their hash.
        let taken = tokio::task::spawn_blocking(move || taking.0.take(changes, taking.1));
        later = taken.await.unwrap_or_default();
        shared.progress.send_replace(());
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// Nothing tells when it is over: too many open files, of the process or the machine, or no memory.
pub(super) fn is_passing(error: &std::io::Error) -> bool {
    let passing = [Errno::MFILE, Errno::NFILE, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|error| passing.contains(&error))
}
