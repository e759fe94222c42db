//! Whether what was saved is live, for whoever waits for it: a coding agent, a test, a person.
//!
//! "Saved" is what the disk holds at the call: devk looks at the trees themselves, so no save before the call is missed.
//! "Live" is what is seen: each container has the files, its program has started again with them, a build that serves
//! the save is through, and the pods are Ready and have not crashed.

mod call;
mod log;
mod scope;
mod services;
mod steps;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::timeout;

use super::view::SessionView;
use crate::error::{Error, Errors};
use crate::ui::event::Reporter;
use call::Settling;
pub use scope::SettleScope;
pub use services::{How, SettledService};
use services::{ServiceStates, seen, settled_services};

/// What came of waiting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settlement {
    /// All that was saved before the call is live.
    pub settled: bool,
    /// Since the call.
    pub ms: u64,
    /// By namespace and name.
    pub services: Vec<SettledService>,
    /// What is open still, in words for the user; empty unless the time was up.
    pub waiting_for: Vec<String>,
    /// Why it will not be live by itself.
    pub failures: Vec<SettleFailure>,
}

/// One thing that keeps a save from being live.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SettleFailure {
    /// The step that failed, or `pod/NAME`.
    pub step: String,
    #[serde(flatten)]
    pub error: Error,
    /// What the container printed since the save; the last lines.
    pub log: Vec<String>,
}

/// Waits for what was saved, for any number of callers at once.
#[derive(Debug)]
pub struct Settler {
    views: watch::Receiver<SessionView>,
    reporter: Reporter,
    /// What the last caller found live: what is another now came live since then.
    before: Mutex<Option<ServiceStates>>,
}

/// Tells when every change that was told before is brought live or has failed, and with which errors a plan was refused.
pub trait PendingChanges {
    fn live(&self) -> impl Future<Output = Option<Errors>> + Send;
}

impl Settler {
    pub fn new(views: watch::Receiver<SessionView>, reporter: Reporter) -> Self {
        Self {
            views,
            reporter,
            before: Mutex::default(),
        }
    }

    /// Waits until all that was saved before the call is live, until it is known that it will not be, or until the time
    /// is up.
    pub async fn settle(
        &self,
        scope: &SettleScope,
        patience: Duration,
        changes: &impl PendingChanges,
    ) -> Settlement {
        let since = Instant::now();
        let start = self.now();
        self.before()
            .get_or_insert_with(|| seen(&start.engines.borrow(), &start.pods.borrow()));
        let mut settling = Settling::new(self, scope, since);
        let ended = timeout(patience, settling.run(changes)).await;
        let waiting_for = match &ended {
            Ok(_) => vec![],
            Err(_) => settling.open(&self.now()),
        };
        let failures = ended.unwrap_or_default();
        let now = self.now();
        let (engines, pods) = (now.engines.borrow().clone(), now.pods.borrow().clone());
        let current = seen(&engines, &pods);
        let settled = waiting_for.is_empty() && failures.is_empty();
        let mut before = self.before();
        let services = settled_services(
            before.as_ref(),
            &current,
            |pod| scope.covers(pod, &engines),
            &pods,
        );
        if settled {
            *before = Some(current);
        }
        Settlement {
            settled,
            ms: since.elapsed().as_millis().try_into().unwrap_or(u64::MAX),
            services,
            waiting_for,
            failures,
        }
    }

    fn before(&self) -> MutexGuard<'_, Option<ServiceStates>> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> SessionView {
        self.views.borrow().clone()
    }
}
