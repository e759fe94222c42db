//! Events: every step reports through a [`Step`], and a step that is dropped without a verdict has failed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::error::{Code, Error};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Started,
    Progress,
    Done,
    Failed,
    Skipped,
}

/// One line of `devk events` (docs/errors.md).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    pub time: jiff::Timestamp,
    /// `image.build/api`.
    pub step: String,
    pub status: Status,
    pub detail: String,
    /// Since the step started.
    pub ms: u64,
    pub error: Option<Error>,
}

impl Event {
    /// Stands for events that a listener was too slow for.
    pub fn missed(count: u64) -> Self {
        let error = Error::new(
            Code::SessionMissed,
            format!("{count} events are missing: the client did not read them in time"),
        )
        .hint("devk status    # shows the state now");
        let step = "session.events".to_owned();
        let detail = error.to_string();
        Self {
            time: jiff::Timestamp::now(),
            step,
            status: Status::Failed,
            detail,
            ms: 0,
            error: Some(error),
        }
    }
}

/// Where steps report to. Cheap to clone; nobody listening is fine.
#[derive(Debug, Clone)]
pub struct Reporter {
    events: broadcast::Sender<Event>,
    /// The errors of the steps that failed when they ran last, by step.
    failures: Arc<Mutex<BTreeMap<String, Error>>>,
}

impl Default for Reporter {
    fn default() -> Self {
        Self {
            events: broadcast::channel(4096).0,
            failures: Arc::default(),
        }
    }
}

impl Reporter {
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Why a step failed when it ran last; None if it did not.
    pub fn failure(&self, step: &str) -> Option<Error> {
        self.failures().get(step).cloned()
    }

    fn failures(&self) -> MutexGuard<'_, BTreeMap<String, Error>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a step; the handle must be ended by `done`, `skipped` or `failed`.
    pub fn start(&self, id: impl Into<String>, detail: impl Into<String>) -> Step {
        let step = Step {
            id: id.into(),
            reporter: self.clone(),
            since: Instant::now(),
            open: true,
        };
        step.send(Status::Started, detail.into(), None);
        step
    }

    /// A step that has nothing to do.
    pub fn skipped(&self, id: impl Into<String>, why: impl Into<String>) {
        let mut step = Step {
            id: id.into(),
            reporter: self.clone(),
            since: Instant::now(),
            open: true,
        };
        step.end(Status::Skipped, why.into(), None);
    }
}

/// A running step. Dropped without a verdict it reports `failed`.
#[derive(Debug)]
pub struct Step {
    id: String,
    reporter: Reporter,
    since: Instant,
    open: bool,
}

impl Step {
    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn progress(&self, detail: impl Into<String>) {
        self.send(Status::Progress, detail.into(), None);
    }

    /// Something failed that may yet recover: shown in full, and the step goes on.
    pub fn trouble(&self, error: Error) {
        self.send(Status::Progress, error.to_string(), Some(error));
    }

    pub fn done(mut self, detail: impl Into<String>) {
        self.end(Status::Done, detail.into(), None);
    }

    pub fn skip(mut self, why: impl Into<String>) {
        self.end(Status::Skipped, why.into(), None);
    }

    pub fn failed(mut self, error: Error) {
        self.end(Status::Failed, error.to_string(), Some(error));
    }

    fn end(&mut self, status: Status, detail: String, error: Option<Error>) {
        self.open = false;
        let mut failures = self.reporter.failures();
        match &error {
            Some(error) => failures.insert(self.id.clone(), error.clone()),
            None => failures.remove(&self.id),
        };
        drop(failures);
        self.send(status, detail, error);
    }

    fn send(&self, status: Status, detail: String, error: Option<Error>) {
        let ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let event = Event {
            time: jiff::Timestamp::now(),
            step: self.id.clone(),
            status,
            detail,
            ms,
            error,
        };
        // Nobody may be listening; events are a report, not a queue.
        let _ = self.reporter.events.send(event);
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if self.open {
            let error = Error::new(
                Code::Interrupted,
                format!("`{}` was stopped before it ended", self.id),
            );
            self.end(Status::Failed, error.to_string(), Some(error));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_step_dropped_without_a_verdict_has_failed() {
        let reporter = Reporter::default();
        let mut events = reporter.subscribe();
        drop(reporter.start("image.build/api", ""));
        assert_eq!(events.recv().await.unwrap().status, Status::Started);
        assert_eq!(events.recv().await.unwrap().status, Status::Failed);
        let failure = reporter.failure("image.build/api").unwrap();
        assert_eq!(failure.code, Code::Interrupted);
        reporter.start("image.build/api", "").done("");
        assert_eq!(reporter.failure("image.build/api"), None);
    }
}
