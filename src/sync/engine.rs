//! The engine of one image: from changed paths to the containers that run it.
//!
//! The intake takes down in the journal what is at each changed path. Every container has a worker that
//! chases the journal: what it lacks is read from the disk when it is its turn, so a file that is saved
//! 300 times a second is sent as often as the container can take it, the last state always, and a new
//! container gets all of the journal by the same way. What a worker has sent is compared with what the intake
//! sees in the end: a file that both saw at different moments is sent again.

mod checking;
mod intake;
mod settling;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use kube::Client;
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use super::checked::Checked;
use super::containers::Containers;
use super::journal::Journal;
use super::reload::AtRest;
use super::rules::Rules;
use super::served_by::ServedBy;
use super::status::{ContainerStatus, Covered, SyncStatus};
use super::trace::Traces;
use super::watch::{Baseline, ChangedPaths, Watch};
use super::worker;
use crate::error::{Result, internal};
use crate::ui::event::Reporter;
use checking::{Looking, RulesCheck};
use intake::{Asked, intake};
pub use settling::{Attention, Lacking};

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
    asked: mpsc::UnboundedSender<Asked>,
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
    /// How many wait for what was saved: programs are looked at for them.
    pub(super) attention: watch::Sender<usize>,
    /// A newer image takes its place.
    retired: AtomicBool,
}

#[derive(Debug, Default)]
pub(super) struct EngineState {
    pub(super) journal: Journal,
    /// Changes that wait for the check.
    undecided: ChangedPaths,
    /// What was missing while the build context itself was gone. Whether it is, is known when the context is back.
    withheld: ChangedPaths,
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
    /// What runs in the pods of an owner while nothing is saved.
    pub(super) at_rest: BTreeMap<String, AtRest>,
    /// Kinds of files for which no program has restarted.
    pub(super) passed_over: BTreeSet<String>,
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
        let (asked, asking) = mpsc::unbounded_channel();
        let intake = tokio::spawn(intake(shared.clone(), watch, asking));
        let workers = tokio::spawn(worker::keep(shared.clone(), clients, containers));
        Ok(Self {
            shared,
            looking: OnceLock::new(),
            asked,
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
        let is_shown = !state.containers.is_empty() || !state.serving.is_empty();
        let builds = self.shared.settings.rules.builds();
        SyncStatus {
            builds: builds.filter(|_| !is_shown),
            image: self.shared.settings.image.clone(),
            reference: self.shared.settings.reference.clone(),
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
            attention: watch::Sender::new(0),
            retired,
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, EngineState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
