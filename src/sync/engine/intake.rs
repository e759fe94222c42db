//! How changes of the disk come to the journal.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use rustix::io::Errno;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;

use super::{REMOVAL_DELAY, Shared};
use crate::sync::batch::{Wanted, look};
use crate::sync::journal::Seen;
use crate::sync::rules::Verdict;
use crate::sync::watch::{ChangedPaths, PathChange, Watch, all_known, merge};
use crate::sync::worker::NO_RELOADER;

/// Why the removal of a path is for a build to answer.
const NAMED: &str = "a COPY of the Dockerfile names it, and it is gone";

/// Where the generation is told once all that was saved before the question is taken down.
pub(super) type Asked = oneshot::Sender<u64>;

pub(super) async fn intake(
    shared: Arc<Shared>,
    watch: Watch,
    mut asking: mpsc::UnboundedReceiver<Asked>,
) {
    // What is to be looked at again: what is gone, and since when.
    let mut later = ChangedPaths::new();
    let mut check = shared.check.subscribe();
    // Something may wait already.
    check.mark_changed();
    // Those who wait for what had changed at a moment.
    let mut waiting = vec![];
    loop {
        let due = later.values().map(|change| change.at + REMOVAL_DELAY).min();
        let changes = tokio::select! {
            changes = watch.next() => changes,
            Some(answer) = asking.recv() => {
                let mut changes = watch.look().await;
                let now = Instant::now();
                shared.add_all(&mut changes, now);
                waiting.push((now, answer));
                Ok(changes)
            }
            () = until(due) => Ok(ChangedPaths::new()),
            // The engine has the other end.
            _ = check.changed() => Ok(ChangedPaths::new()),
        };
        let changes = match changes {
            Ok(changes) => changes,
            Err(error) => {
                shared.state().trouble = Some(error.to_string());
                shared.progress.send_replace(());
                ChangedPaths::new()
            }
        };
        let taking = (shared.clone(), std::mem::take(&mut later));
        // Long files are read for their hash.
        let taken = tokio::task::spawn_blocking(move || taking.0.take(changes, taking.1));
        later = taken.await.unwrap_or_default();
        answer(&shared, &later, &mut waiting);
        shared.progress.send_replace(());
    }
}

/// Answers those before whose moment nothing is open any more.
fn answer(shared: &Shared, later: &ChangedPaths, waiting: &mut Vec<(Instant, Asked)>) {
    let state = shared.state();
    let open = later.values().chain(state.undecided.values());
    let first = open.map(|change| change.at).min();
    let is_open = |(at, _): &(Instant, Asked)| first.is_some_and(|first| first <= *at);
    let answered = std::mem::take(waiting);
    let (still, answered): (Vec<_>, Vec<_>) = answered.into_iter().partition(is_open);
    *waiting = still;
    for (_, answer) in answered {
        // Who does not wait any more needs no answer.
        let _ = answer.send(state.journal.generation());
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// Nothing tells when it is over: too many open files, of the process or the machine, or no memory.
fn is_passing(error: &std::io::Error) -> bool {
    let passing = [Errno::MFILE, Errno::NFILE, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|error| passing.contains(&error))
}

impl Shared {
    /// Takes changes down. The answer is what is to be looked at again.
    pub(super) fn take(&self, mut changes: ChangedPaths, later: ChangedPaths) -> ChangedPaths {
        let now = Instant::now();
        if changes.remove(Path::new("")).is_some() {
            self.recheck_all(&mut changes, now);
        }
        let decided = self.decided();
        for (path, change) in &decided {
            merge(&mut changes, path.clone(), *change);
        }
        let is_due = |(path, change): &(PathBuf, PathChange)| {
            now >= change.at + REMOVAL_DELAY || changes.contains_key(path)
        };
        let (mut all, mut later): (ChangedPaths, ChangedPaths) =
            later.into_iter().partition(is_due);
        changes
            .into_iter()
            .for_each(|(path, change)| merge(&mut all, path, change));
        self.add_below(&mut all, now);
        for (path, change) in all {
            match self.verdict(&path) {
                None => merge(&mut self.state().undecided, path, change),
                Some(Verdict::Ignore(_)) => {}
                Some(Verdict::Rebuild(_)) if self.came_and_went(&path, change) => {}
                Some(Verdict::Rebuild(why)) => self.rebuild(Some(path), why),
                Some(Verdict::Sync(to)) => {
                    if to.rule.is_none() && self.is_unserved() {
                        self.rebuild(Some(path.clone()), NO_RELOADER.to_owned());
                    }
                    later.extend(self.note(&path, change, now).map(|again| (path, again)));
                }
            }
        }
        let mut state = self.state();
        state
            .undecided
            .retain(|path, _| !decided.contains_key(path));
        later
    }

    /// Adds what is known below the paths: a folder may have been another one when that was looked at, and have gone
    /// before the watch knew it.
    fn add_below(&self, changes: &mut ChangedPaths, now: Instant) {
        let state = self.state();
        let below = changes
            .keys()
            .flat_map(|folder| state.journal.present_below(folder));
        let below: Vec<_> = below.map(Path::to_owned).collect();
        all_known(changes, below, now);
    }

    /// Adds all that was taken down.
    fn add_all(&self, changes: &mut ChangedPaths, now: Instant) {
        let state = self.state();
        all_known(changes, state.journal.present().map(Path::to_owned), now);
    }

    /// Nothing runs, and nothing is expected to, that would notice a file.
    fn is_unserved(&self) -> bool {
        let state = self.state();
        state.containers.is_empty()
            && state.serving.is_empty()
            && !self.settings.rules.expects_reloader()
    }

    /// The watch sees all of the tree again, and does not know what happened meanwhile.
    fn recheck_all(&self, changes: &mut ChangedPaths, now: Instant) {
        let withheld = {
            let mut state = self.state();
            state.trouble = None;
            std::mem::take(&mut state.withheld)
        };
        all_known(changes, withheld.into_keys(), now);
        self.add_all(changes, now);
    }

    /// Takes down what is at a path. Some if it is to be looked at again: it is gone and may come back in a moment,
    /// or the machine has no room to read it now.
    fn note(&self, path: &Path, change: PathChange, now: Instant) -> Option<PathChange> {
        let found = look(&self.settings.context.join(path));
        if matches!(found, Ok(Wanted::Gone)) && now < change.at + REMOVAL_DELAY {
            return Some(change);
        }
        if matches!(found, Ok(Wanted::Gone)) && self.is_away() {
            merge(&mut self.state().withheld, path.to_owned(), change);
            return None;
        }
        // Long files take their time: nobody shall wait for the state, nor small files for long ones.
        let found = found.and_then(|wanted| wanted.seen());
        let mut state = self.state();
        match found {
            // Nobody ever had it, as the name that an editor writes under.
            Ok(Seen::Gone) if !change.known && state.journal.seen(path).is_none() => {
                drop(state.unreadable.remove(path))
            }
            Ok(seen) => {
                state.unreadable.remove(path);
                if let Some(generation) = state.journal.note(path, seen) {
                    state.timed(generation, change.at);
                    self.generation.send_replace(generation);
                    if seen == Seen::Gone && self.settings.rules.names(path) {
                        self.rebuild(Some(path.to_owned()), NAMED.to_owned());
                    }
                }
            }
            Err(why) => {
                state.unreadable.insert(path.to_owned(), why.to_string());
                return is_passing(&why).then_some(PathChange { at: now, ..change });
            }
        }
        None
    }
}
