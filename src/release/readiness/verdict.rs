//! Whether waiting is of no use.

use std::collections::HashMap;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

use super::refused_pods;
use super::snapshot::Assessment;
use crate::release::crash::{PodFailure, Reason};
use crate::release::workload::WorkloadState;

/// What is missing may be created by another part of the release a moment later.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(10);
/// A volume is made and bound within this time where all goes well.
const BINDING_TIMEOUT: Duration = Duration::from_secs(4);
/// A node that has just started is not ready for a moment.
const NODE_TIMEOUT: Duration = Duration::from_secs(3);

/// A condition that has to last: which workload, which container, why (None: it is missing).
pub(super) type Lasting = (String, Option<(Option<String>, Reason)>);

/// Since when each condition lasts.
#[derive(Debug)]
pub(super) struct Conditions {
    since: HashMap<Lasting, Instant>,
    /// When the wait began: a controller tries again after growing pauses, so what it said long before may be over.
    began: Timestamp,
}

impl Conditions {
    pub(super) fn new() -> Self {
        Self {
            since: HashMap::new(),
            began: Timestamp::now(),
        }
    }

    /// Keeps the first moment of every condition that still holds.
    pub(super) fn remember(&mut self, assessments: &[Assessment<'_>], now: Instant) {
        let lasting: Vec<Lasting> = assessments.iter().flat_map(lasting).collect();
        self.since.retain(|key, _| lasting.contains(key));
        for key in lasting {
            self.since.entry(key).or_insert(now);
        }
    }

    fn lasts(&self, key: &Lasting, time: Duration, now: Instant) -> bool {
        let since = self.since.get(key);
        since.is_some_and(|start| now.duration_since(*start) >= time)
    }

    /// Whether a failure is trouble, and not what every start goes through.
    pub(super) fn is_trouble(&self, workload: &str, failure: &PodFailure, now: Instant) -> bool {
        let time = match failure.reason {
            Reason::Unbound => BINDING_TIMEOUT,
            Reason::Unschedulable if failure.detail.contains("untolerated taint") => NODE_TIMEOUT,
            _ => return true,
        };
        self.lasts(&of_failure(workload, failure), time, now)
    }

    /// A failure that lasts, and that was seen since the wait began.
    fn stays(&self, workload: &str, failure: &PodFailure, now: Instant) -> bool {
        let is_fresh = failure
            .at
            .is_none_or(|at| self.began.duration_since(at).as_secs() <= 10);
        is_fresh && self.lasts(&of_failure(workload, failure), SETTLE_TIMEOUT, now)
    }

    /// True if waiting is of no use. A crash loop, or a pod that is refused for something that may pass, counts only
    /// when everything that is not ready is like that: a program may crash until its database is there.
    pub(super) fn are_hopeless(&self, assessments: &[Assessment<'_>], now: Instant) -> bool {
        let mut waiting = assessments.iter().filter(|a| !a.is_ready()).peekable();
        assessments.iter().any(|a| self.is_certain(a, now))
            || (waiting.peek().is_some() && waiting.all(|a| a.loops() || self.is_held(a, now)))
    }

    fn is_certain(&self, assessment: &Assessment<'_>, now: Instant) -> bool {
        let name = assessment.workload.name.as_str();
        match &assessment.state {
            WorkloadState::Ready => false,
            WorkloadState::Failed(_) if !is_gone(assessment) => true,
            WorkloadState::Failed(_) | WorkloadState::Missing => {
                self.lasts(&(name.to_owned(), None), SETTLE_TIMEOUT, now)
            }
            WorkloadState::Waiting { .. } => assessment.failures.iter().any(|f| match f.reason {
                Reason::InvalidImage => true,
                Reason::ImagePull => crate::image::is_built(&f.image),
                Reason::Config => self.stays(name, f, now),
                Reason::NoPod | Reason::Claim => is_missing(f) && self.stays(name, f, now),
                _ => false,
            }),
        }
    }

    /// It lacks a pod or a volume, and another workload might change that.
    fn is_held(&self, assessment: &Assessment<'_>, now: Instant) -> bool {
        let is_held = |f: &PodFailure| {
            matches!(f.reason, Reason::NoPod | Reason::Claim)
                && self.stays(&assessment.workload.name, f, now)
        };
        assessment.failures.iter().any(is_held)
    }
}

fn is_missing(failure: &PodFailure) -> bool {
    match failure.reason {
        Reason::Claim => {
            failure.detail.ends_with(" not found")
                || failure.detail.contains("no storage class is set")
        }
        _ => refused_pods::is_certain(&failure.detail),
    }
}

fn of_failure(workload: &str, failure: &PodFailure) -> Lasting {
    let what = (failure.container.clone(), failure.reason);
    (workload.to_owned(), Some(what))
}

fn lasting(assessment: &Assessment<'_>) -> Vec<Lasting> {
    let name = &assessment.workload.name;
    let failures = assessment.failures.iter().map(|f| of_failure(name, f));
    failures
        .chain(is_gone(assessment).then(|| (name.clone(), None)))
        .collect()
}

/// There is no such object, or no event that says how it ended. An expired Job's last event may be of an earlier run,
/// and that of the last run be on its way.
fn is_gone(assessment: &Assessment<'_>) -> bool {
    match assessment.state {
        WorkloadState::Missing => true,
        WorkloadState::Failed(_) => assessment.workload.expires,
        WorkloadState::Ready | WorkloadState::Waiting { .. } => false,
    }
}
