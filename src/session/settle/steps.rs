//! The steps of the last reconcile that keep a save from being live.

use std::collections::BTreeSet;
use std::time::Duration;

use super::SettleFailure;
use super::call::Settling;
use crate::error::{Code, Error, Errors};
use crate::plan::READY;
use crate::release::manifest::Workload;
use crate::release::readiness::is_ready;
use crate::sync::pods::{PodState, Pods};

/// For the first lists of a release's objects.
const READY_PATIENCE: Duration = Duration::from_secs(3);

impl Settling<'_> {
    /// The steps of the last reconcile that failed, or why there was none.
    pub(super) fn failed(&self, refused: Option<Errors>) -> Vec<SettleFailure> {
        if let Some(errors) = refused {
            let refused = |error| SettleFailure {
                step: "change/plan".to_owned(),
                error,
                log: vec![],
            };
            return errors.0.into_iter().map(refused).collect();
        }
        let view = self.settler.now();
        let pods = view.pods.borrow().clone();
        let Some(outcome) = view.outcome else {
            return vec![];
        };
        let relevant: BTreeSet<_> = self
            .relevant(&pods)
            .map(|position| position.engine.settings().image.clone())
            .collect();
        let is_held_up = outcome.blocks_an_install() && self.lacks_an_image(&pods);
        let counts = |step: &&String| match step.split_once('/') {
            // Whether pods are ready is looked at now.
            _ if step.starts_with(READY) => false,
            Some(("forward.open", _)) => false,
            Some(("watch", "inputs")) => true,
            Some(("image.build" | "image.load" | "watch", image)) => {
                self.scope.is_all() || is_held_up || relevant.contains(image)
            }
            _ => true,
        };
        let failed = outcome.failed.iter().filter(counts);
        failed.map(|step| self.of_step(step)).collect()
    }

    /// Whether no pod runs an image of what is waited for.
    fn lacks_an_image(&self, pods: &Pods) -> bool {
        self.relevant(pods).any(|position| {
            let reference = &position.engine.settings().reference;
            !pods.iter().any(|pod| pod.runs(reference))
        })
    }

    fn of_step(&self, step: &str) -> SettleFailure {
        SettleFailure {
            step: step.to_owned(),
            error: self.settler.reporter.failure(step).unwrap_or_else(|| {
                Error::new(Code::NotLive, format!("`{step}` failed")).hint("devk up -d")
            }),
            log: vec![],
        }
    }

    /// The releases that the last reconcile waited for in vain, and that are not ready although every pod is: a Job of
    /// theirs failed, or a workload gets no pod.
    pub(super) async fn unready_releases(&self) -> Vec<SettleFailure> {
        let view = self.settler.now();
        let pods = view.pods.borrow().clone();
        let engines = view.engines.borrow().clone();
        let Some(outcome) = view.outcome else {
            return vec![];
        };
        let counts = |workload: &Workload| {
            let is_its = |pod: &PodState| {
                pod.namespace == workload.namespace && pod.workload == workload.name
            };
            let covered = |pod: &PodState| self.scope.covers(pod, &engines);
            self.scope.is_all() || pods.iter().any(|pod| is_its(pod) && covered(pod))
        };
        let client = view.clients.borrow().clone();
        let mut failures = vec![];
        for step in &outcome.failed {
            let Some(release) = step.strip_prefix(READY) else {
                continue;
            };
            let is_ready = match &client {
                Some(client) => {
                    is_ready(client, &outcome.project, release, counts, READY_PATIENCE).await
                }
                None => Ok(false),
            };
            if !matches!(is_ready, Ok(true)) {
                failures.push(self.of_step(step));
            }
        }
        failures
    }
}
