//! One call: what the disk holds is taken down, then waited for in the containers, in builds and in the pods.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::{PendingChanges, SettleFailure, SettleScope, Settler, log};
use crate::error::{Code, Error};
use crate::session::view::SessionView;
use crate::sync::containers::Containers;
use crate::sync::engine::{Attention, SyncEngine};
use crate::sync::pods::{PodState, Pods};
use crate::sync::readiness::Engines;

/// The longest time between two looks, for what no channel tells of.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// A crash this long after a save has to do with it.
const CRASH_WINDOW: Duration = Duration::from_secs(60);

/// How far a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// What is on the disk is taken down.
    Tree,
    Containers,
    Changes,
    Pods,
}

/// One call.
pub(super) struct Settling<'a> {
    pub(super) settler: &'a Settler,
    pub(super) scope: &'a SettleScope,
    since: Instant,
    /// The engines, each with the generation that has all that was saved before the call.
    positions: Vec<Position>,
    stage: Stage,
}

pub(super) struct Position {
    pub(super) engine: Arc<SyncEngine>,
    generation: u64,
    _attention: Attention,
}

impl<'a> Settling<'a> {
    pub(super) fn new(settler: &'a Settler, scope: &'a SettleScope, since: Instant) -> Self {
        Self {
            settler,
            scope,
            since,
            positions: vec![],
            stage: Stage::Tree,
        }
    }

    /// Until all is live, or there are failures.
    pub(super) async fn run(&mut self, changes: &impl PendingChanges) -> Vec<SettleFailure> {
        self.settler.now().inputs.look().await;
        loop {
            self.take_positions().await;
            self.stage = Stage::Containers;
            let broken = self.until_in_containers().await;
            if !broken.is_empty() {
                return broken;
            }
            self.stage = Stage::Changes;
            let refused = changes.live().await;
            let failures = self.failed(refused);
            if !failures.is_empty() {
                return failures;
            }
            self.stage = Stage::Pods;
            match self.until_pods_are_ready().await {
                None => {}
                Some(failures) if failures.is_empty() => return self.unready_releases().await,
                Some(failures) => return failures,
            }
        }
    }

    /// Asks every engine that was not asked yet: a build makes new ones.
    async fn take_positions(&mut self) {
        self.stage = Stage::Tree;
        loop {
            let mut changed = self.settler.now().engines;
            let engines = changed.borrow_and_update().clone();
            let is_current = |engine: &Arc<SyncEngine>| {
                !engine.is_over() && engines.iter().any(|now| Arc::ptr_eq(now, engine))
            };
            self.positions
                .retain(|position| is_current(&position.engine));
            let is_new = |engine: &&Arc<SyncEngine>| {
                !engine.is_over()
                    && !self
                        .positions
                        .iter()
                        .any(|known| Arc::ptr_eq(&known.engine, engine))
            };
            let new: Vec<_> = engines.iter().filter(is_new).cloned().collect();
            if new.is_empty() {
                return;
            }
            let taken = new.into_iter().map(|engine| async move {
                Position {
                    generation: engine.taken_down().await,
                    _attention: engine.attend(),
                    engine,
                }
            });
            tokio::select! {
                taken = futures::future::join_all(taken) => self.positions.extend(taken),
                // An engine that waits for a build that is given up is asked no more.
                Ok(()) = changed.changed() => {}
            }
        }
    }

    /// Waits until every container runs what was saved. The answer is what is broken.
    async fn until_in_containers(&self) -> Vec<SettleFailure> {
        loop {
            let mut view = self.settler.now();
            let (containers, pods) = view.borrow_and_update();
            let mut is_open = false;
            let mut failures = vec![];
            for position in self.relevant(&pods) {
                let unreadable = position.engine.unreadable();
                failures.extend(unreadable.into_iter().map(unread));
                let lacking = position.engine.lacking(position.generation, &containers);
                is_open |= lacking.iter().any(|lacking| !lacking.is_broken);
                for lacking in lacking.into_iter().filter(|lacking| lacking.is_broken) {
                    let message = format!("pod `{}`: {}", lacking.pod, lacking.why);
                    let namespace = containers
                        .values()
                        .find(|container| container.place.pod == lacking.pod)
                        .map(|container| container.place.namespace.clone());
                    let edited = position.engine.last_change();
                    let mut failure = failure(&lacking.pod, message);
                    failure.log = log::since(
                        &view,
                        &namespace.unwrap_or_default(),
                        (&lacking.pod, &lacking.container),
                        edited.unwrap_or(self.since),
                    )
                    .await;
                    failures.push(failure);
                }
            }
            if !is_open || !failures.is_empty() {
                return failures;
            }
            view.changed().await;
        }
    }

    /// Waits until the pods are Ready. None if something else is to be waited for first.
    async fn until_pods_are_ready(&self) -> Option<Vec<SettleFailure>> {
        loop {
            let mut view = self.settler.now();
            let (containers, pods) = view.borrow_and_update();
            let engines = view.engines.borrow().clone();
            let is_asked = |engine: &Arc<SyncEngine>| {
                engine.is_over()
                    || self
                        .positions
                        .iter()
                        .any(|known| Arc::ptr_eq(&known.engine, engine))
            };
            let is_lacking = |position: &Position| {
                !position
                    .engine
                    .lacking(position.generation, &containers)
                    .is_empty()
            };
            if !engines.iter().all(is_asked) || self.relevant(&pods).any(is_lacking) {
                return None;
            }
            let relevant = pods
                .iter()
                .filter(|pod| !pod.is_job && self.scope.covers(pod, &engines));
            let mut is_open = false;
            let mut failures = vec![];
            for pod in relevant {
                match self.crashed(pod, &engines) {
                    Some((container, message)) => {
                        let mut failure = failure(&pod.name, message);
                        let container = (pod.name.as_str(), container.as_str());
                        let edited = self.edited(pod, &engines).unwrap_or(self.since);
                        failure.log = log::since(&view, &pod.namespace, container, edited).await;
                        failures.push(failure);
                    }
                    None => is_open |= !pod.is_ready,
                }
            }
            if !failures.is_empty() || !is_open {
                return Some(failures);
            }
            view.changed().await;
        }
    }

    /// The container of a pod that does not run, or crashed after the save, with what happened.
    fn crashed(&self, pod: &PodState, engines: &Engines) -> Option<(String, String)> {
        let edited = self.edited(pod, engines);
        pod.containers.iter().find_map(|container| {
            let crash = container.crash.as_ref();
            let is_after = |edited: Option<Instant>| {
                let with = |edited| {
                    crash
                        .is_some_and(|crash| crash.at >= edited && crash.at < edited + CRASH_WINDOW)
                };
                edited.is_some_and(with) || crash.is_some_and(|crash| crash.at >= self.since)
            };
            let happened = match (&container.stuck, crash) {
                // It may run again with what was saved since.
                (Some(_), Some(crash)) if edited.is_some_and(|edited| crash.at < edited) => None,
                (Some(stuck), _) => Some(stuck.clone()),
                (None, Some(crash)) if is_after(edited) => Some(format!(
                    "it crashed after the save with exit code {} ({})",
                    crash.code, crash.reason
                )),
                _ => None,
            };
            let message = happened.map(|what| format!("container `{}`: {what}", container.name));
            Some((container.name.clone(), message?))
        })
    }

    /// When a file of an image of the pod was saved last.
    fn edited(&self, pod: &PodState, engines: &Engines) -> Option<Instant> {
        let of_pod = engines.iter().filter(|engine| {
            let reference = &engine.settings().reference;
            pod.containers
                .iter()
                .any(|container| container.image == *reference)
        });
        of_pod.filter_map(|engine| engine.last_change()).max()
    }

    pub(super) fn relevant(&self, pods: &Pods) -> impl Iterator<Item = &Position> {
        let covered = |position: &&Position| self.scope.covers_image(&position.engine, pods);
        self.positions.iter().filter(covered)
    }

    /// What is open, in words for the user.
    pub(super) fn open(&self, view: &SessionView) -> Vec<String> {
        let (engines, pods) = (view.engines.borrow(), view.pods.borrow());
        let containers = view.containers.borrow();
        let tree = engines.iter().flat_map(|engine| engine.open());
        let work = view.status().reconcile.map(|work| {
            let seconds = jiff::Timestamp::now().as_second() - work.since.as_second();
            format!("`{}` has been at work for {seconds} s", work.what)
        });
        let lacking = self.relevant(&pods).flat_map(|position| {
            let lacking = position.engine.lacking(position.generation, &containers);
            lacking.into_iter().map(|lacking| {
                format!(
                    "pod `{}`, container `{}`: {}",
                    lacking.pod, lacking.container, lacking.why
                )
            })
        });
        let unready = pods
            .iter()
            .filter(|pod| !pod.is_job && !pod.is_ready && self.scope.covers(pod, &engines))
            .map(|pod| format!("pod `{}` is not Ready", pod.name));
        let mut open: Vec<_> = tree.chain(work).chain(lacking).chain(unready).collect();
        if open.is_empty() {
            open.push(match self.stage {
                Stage::Tree => "the look at the working tree".to_owned(),
                _ => "a change that is about to be brought live".to_owned(),
            });
        }
        open
    }
}

fn unread(why: String) -> SettleFailure {
    SettleFailure {
        step: "watch/files".to_owned(),
        error: Error::new(Code::NotLive, why)
            .hint("make the file readable for you and save it again"),
        log: vec![],
    }
}

fn failure(pod: &str, message: String) -> SettleFailure {
    SettleFailure {
        step: format!("pod/{pod}"),
        error: Error::new(Code::ProgramEnded, message)
            .hint("fix the file and save again; `devk settle` then waits for that"),
        log: vec![],
    }
}

impl SessionView {
    /// The containers and pods now; later changes count as changes of the view.
    fn borrow_and_update(&mut self) -> (Containers, Pods) {
        self.engines.mark_unchanged();
        self.progress.mark_unchanged();
        let containers = self.containers.borrow_and_update().clone();
        (containers, self.pods.borrow_and_update().clone())
    }

    /// Waits until something of the session may be another.
    async fn changed(&mut self) {
        tokio::select! {
            Ok(()) = self.engines.changed() => {}
            Ok(()) = self.progress.changed() => {}
            Ok(()) = self.containers.changed() => {}
            Ok(()) = self.pods.changed() => {}
            () = sleep(LOOK_INTERVAL) => {}
        }
    }
}
