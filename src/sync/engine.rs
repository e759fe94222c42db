//! The engine of one image: from changed paths to the containers that run it.
//!
//! The intake takes down in the journal what is at each changed path. Every container has a worker that
//! chases the journal: what it lacks is read from the disk when it is its turn, so a file that is saved
//! 300 times a second is sent as often as the container can take it, the last state always, and a new
//! container gets all of the journal by the same way. What a worker has sent is compared with what the intake
//! sees in the end: a file that both saw at different moments is sent again.

mod checking;
mod intake;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use kube::Client;
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use super::batch::{Wanted, look};
use super::checked::Checked;
use super::containers::Containers;
use super::journal::{Journal, Seen};
use super::rules::{Rules, Verdict};
use super::served_by::ServedBy;
use super::status::{ContainerStatus, Covered, SyncStatus};
use super::trace::Traces;
use super::watch::{Baseline, ChangedPaths, PathChange, Watch, all_known, merge};
use super::worker::{self, NO_RELOADER};
use crate::error::{Result, internal};
use crate::ui::event::Reporter;
use checking::{Looking, RulesCheck};
use intake::{intake, is_passing};

/// A path that is gone is looked at again after this time: editors take a file away and put the new one in
/// its place, and no program may see it missing in between.
pub(super) const REMOVAL_DELAY: Duration = Duration::from_millis(100);

/// What an engine serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The name in devk.yaml.
    pub image: String,
    /// The id of the project.
    pub project: String,
    /// The namespaces in which it may run.
    pub namespaces: BTreeSet<String>,
    /// The reference of the image that the journal is about.
    pub reference: String,
    /// The build context, an absolute path.
    pub context: PathBuf,
    pub rules: Rules,
}

/// What an engine has to do with.
#[derive(Clone)]
pub struct Surroundings {
    pub clients: watch::Receiver<Option<Client>>,
    pub containers: watch::Receiver<Containers>,
    /// Where changes are told that sync cannot serve.
    pub rebuilds: mpsc::UnboundedSender<Rebuild>,
    /// Told whenever what an engine's status says may be another, such as when a container has come nearer to the
    /// working tree.
    pub progress: watch::Sender<()>,
    /// Hears of saves that go nowhere.
    pub reporter: Reporter,
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings")
            .field("containers", &self.containers)
            .finish_non_exhaustive()
    }
}

/// A change that sync cannot serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuild {
    /// The name in devk.yaml.
    pub image: String,
    /// Relative to the build context; None if it is about a container.
    pub path: Option<PathBuf>,
    /// In words for the user.
    pub why: String,
}

/// A running engine. Dropping it ends it.
#[derive(Debug)]
pub struct SyncEngine {
    shared: Arc<Shared>,
    /// Once the image can be looked at.
    looking: OnceLock<Looking>,
    _tasks: [AbortOnDropHandle<()>; 2],
}

/// What the intake and the workers have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    state: Mutex<EngineState>,
    /// The journal's.
    pub(super) generation: watch::Sender<u64>,
    rebuilds: mpsc::UnboundedSender<Rebuild>,
    pub(super) progress: watch::Sender<()>,
    reporter: Reporter,
    /// The rules as the image has proved them. None while it was not looked at; what changes meanwhile waits.
    pub(super) check: watch::Sender<Option<RulesCheck>>,
    /// A newer image takes its place.
    retired: AtomicBool,
}

#[derive(Debug, Default)]
pub(super) struct EngineState {
    pub(super) journal: Journal,
    /// Changes that wait for the check.
    undecided: ChangedPaths,
    /// When the last generations began and were taken down, for the trace.
    times: BTreeMap<u64, (Instant, Instant)>,
    /// By container id.
    pub(super) containers: BTreeMap<String, ContainerStatus>,
    /// By the path in the container, the template that mounts something there, as `FILE:LINE`.
    pub(super) mount_places: BTreeMap<String, String>,
    /// What was told to be covered, once for each path and mount.
    covered: BTreeSet<(PathBuf, String)>,
    /// What notices saves in the pods of an owner ([`super::containers::Container::owner`]).
    pub(super) serving: BTreeMap<String, ServedBy>,
    pub(super) traces: Traces,
    /// Paths that cannot be read, with the reason.
    unreadable: BTreeMap<PathBuf, String>,
    /// Why some of the tree is not watched.
    trouble: Option<String>,
}

/// Generations whose times are kept.
const MAX_TIMED_GENERATIONS: usize = 4096;

impl SyncEngine {
    /// Watches the build context and keeps the containers of the image current. `built` is what was in the tree
    /// no later than the image's content was taken from it.
    ///
    /// # Errors
    /// [`crate::error::Code::SyncWatch`] if the context cannot be watched.
    pub async fn start(
        settings: Settings,
        built: Arc<Baseline>,
        around: Surroundings,
    ) -> Result<Self> {
        let context = settings.context.clone();
        let scope = settings.rules.scope().clone();
        let watching =
            move || Watch::start(&context, move |folder| scope.enters(folder), Some(&built));
        let watch = tokio::task::spawn_blocking(watching)
            .await
            .map_err(|e| internal(&e))??;
        let Surroundings {
            clients,
            containers,
            rebuilds,
            progress,
            reporter,
        } = around;
        let shared = Arc::new(Shared::new(settings, rebuilds, progress, reporter));
        let intake = tokio::spawn(intake(shared.clone(), watch));
        let workers = tokio::spawn(worker::keep(shared.clone(), clients, containers));
        Ok(Self {
            shared,
            looking: OnceLock::new(),
            _tasks: [
                AbortOnDropHandle::new(intake),
                AbortOnDropHandle::new(workers),
            ],
        })
    }

    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Keeps where the charts mount something into the containers. It only names what is told of a save: another line
    /// makes no other engine.
    pub fn keep_mount_places(&self, places: BTreeMap<String, String>) {
        self.shared.state().mount_places = places;
    }

    /// Whether another engine says when the image has to be rebuilt. Its containers are kept current for as long
    /// as they run.
    pub fn retire(&self, retired: bool) {
        self.shared.retired.store(retired, Ordering::Relaxed);
    }

    /// Another engine has taken its place, and nothing runs its image any more.
    pub fn is_over(&self) -> bool {
        self.shared.retired.load(Ordering::Relaxed) && self.shared.state().containers.is_empty()
    }

    /// Nothing was synced since the image was built.
    pub fn is_pristine(&self) -> bool {
        let state = self.shared.state();
        state.journal.is_empty() && state.undecided.is_empty()
    }

    /// What runs where.
    pub fn status(&self) -> SyncStatus {
        let state = self.shared.state();
        let unreadable = state
            .unreadable
            .iter()
            .map(|(path, why)| format!("cannot read `{}`: {why}", path.display()));
        SyncStatus {
            image: self.shared.settings.image.clone(),
            generation: state.journal.generation(),
            paths: state.journal.len(),
            undecided: state.undecided.len(),
            containers: state.containers.values().cloned().collect(),
            latency: state.traces.latency(),
            troubles: state.trouble.iter().cloned().chain(unreadable).collect(),
        }
    }

    /// Whether a container has what was synced before it started. One that cannot be synced into counts as
    /// having it: only a rebuild makes it current.
    pub fn is_current(&self, container_id: &str) -> bool {
        let state = self.shared.state();
        let container = state.containers.get(container_id);
        state.undecided.is_empty() && container.is_some_and(|container| !container.is_behind())
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl EngineState {
    /// A generation was taken down now; its first event was at `at`.
    fn timed(&mut self, generation: u64, at: Instant) {
        self.times.insert(generation, (at, Instant::now()));
        if self.times.len() > MAX_TIMED_GENERATIONS {
            self.times.pop_first();
        }
    }
}

impl Shared {
    fn new(
        settings: Settings,
        rebuilds: mpsc::UnboundedSender<Rebuild>,
        progress: watch::Sender<()>,
        reporter: Reporter,
    ) -> Self {
        let state = Mutex::default();
        let generation = watch::Sender::new(0);
        let retired = AtomicBool::new(false);
        let proved = (!settings.rules.are_read()).then(|| RulesCheck::new(Ok(Checked::default())));
        let check = watch::Sender::new(proved);
        Self {
            settings,
            state,
            generation,
            rebuilds,
            progress,
            reporter,
            check,
            retired,
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, EngineState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes changes down. The answer is what is to be looked at again.
    fn take(&self, mut changes: ChangedPaths, later: ChangedPaths) -> ChangedPaths {
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

    /// Nothing runs, and nothing is expected to, that would notice a file.
    fn is_unserved(&self) -> bool {
        let state = self.state();
        state.containers.is_empty()
            && state.serving.is_empty()
            && !self.settings.rules.expects_reloader()
    }

    /// The watch sees all of the tree again, and does not know what happened meanwhile.
    fn recheck_all(&self, changes: &mut ChangedPaths, now: Instant) {
        let mut state = self.state();
        state.trouble = None;
        all_known(changes, state.journal.present().map(Path::to_owned), now);
    }

    /// Takes down what is at a path. Some if it is to be looked at again: it is gone and may come back in a moment,
    /// or the machine has no room to read it now.
    fn note(&self, path: &Path, change: PathChange, now: Instant) -> Option<PathChange> {
        let found = look(&self.settings.context.join(path));
        if matches!(found, Ok(Wanted::Gone)) && now < change.at + REMOVAL_DELAY {
            return Some(change);
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
                }
            }
            Err(why) => {
                state.unreadable.insert(path.to_owned(), why.to_string());
                return is_passing(&why).then_some(PathChange { at: now, ..change });
            }
        }
        None
    }

    pub(super) fn rebuild(&self, path: Option<PathBuf>, why: String) {
        if self.retired.load(Ordering::Relaxed) {
            return;
        }
        // A session that is ending rebuilds nothing.
        let _ = self.rebuilds.send(Rebuild {
            image: self.settings.image.clone(),
            path,
            why,
        });
    }

    /// Tells that a save goes nowhere, since the pod mounts something over the path.
    pub(super) fn tell_covered(&self, covered: &Covered) {
        let once = (covered.path.clone(), covered.mount.clone());
        if self.state().covered.insert(once) {
            let step = format!("sync.covered/{}", self.settings.image);
            self.reporter.skipped(step, covered.to_string());
        }
    }

    /// When the changes after a generation began, and when the last of them was taken down. None if there are none:
    /// a path that failed is tried again without a new generation.
    pub(super) fn began(&self, after: u64, reached: u64) -> Option<(Instant, Instant)> {
        // A range that ends before it begins is a panic.
        if reached <= after {
            return None;
        }
        let state = self.state();
        let mut times = state
            .times
            .range(after + 1..=reached)
            .map(|(_, times)| *times);
        let first = times.next()?;
        Some(times.fold(first, |a, b| (a.0.min(b.0), a.1.max(b.1))))
    }
}

#[cfg(test)]
pub(super) mod tests;
