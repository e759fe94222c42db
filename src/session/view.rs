//! The view of a session: a snapshot behind a watch channel. Any number of readers compute the status from the view or
//! follow it, at any moment, so the status never waits for an `up`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::Session;
use super::outcome::Outcome;
use super::relay;
use super::stats::ForwardCounters;
use super::status::{ForwardStatus, ReconcileStatus, RelayStatus, SessionHolders, SessionStatus};
use super::sync;
use crate::inputs::InputLooks;
use crate::ports::Forward;
use crate::program::Build;
use crate::sync::containers::Containers;
use crate::sync::pods::Pods;
use crate::sync::readiness::Engines;

/// The least time between two statuses that a follower gets.
const STATUS_INTERVAL: Duration = Duration::from_millis(100);

/// A session as it is seen from outside. It is cheap to clone: what changes by itself is behind receivers and
/// shared counters, and is read when a status is computed.
#[derive(Clone)]
pub struct SessionView {
    pub build: Option<Build>,
    /// The project's folder, as the last plan was made in it.
    pub(super) root: Option<PathBuf>,
    pub(super) outcome: Option<Outcome>,
    /// The forwards that are held, in the order of the table.
    pub(super) forwards: Vec<(Forward, Arc<ForwardCounters>)>,
    pub(super) at_work: Option<AtWork>,
    pub(super) relay: watch::Receiver<relay::RelayState>,
    pub(super) engines: watch::Receiver<Engines>,
    /// Changes whenever the status of an engine may have changed.
    pub(super) progress: watch::Receiver<()>,
    pub(super) containers: watch::Receiver<Containers>,
    pub(super) pods: watch::Receiver<Pods>,
    pub(super) clients: watch::Receiver<Option<Client>>,
    pub(super) inputs: InputLooks,
}

impl Session {
    pub fn status(&self) -> SessionStatus {
        let view = self.view.borrow().clone();
        view.status()
    }

    /// Shows in which folder the project is: it was renamed, if that is another one than before.
    pub fn show_root(&self, root: &Path) {
        self.view
            .send_modify(|view| view.root = Some(root.to_owned()));
    }
}

/// A reconcile that is at work.
#[derive(Debug, Clone)]
pub(super) struct AtWork {
    since: jiff::Timestamp,
    purpose: Purpose,
}

/// What a reconcile is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// The request of a client, by its number.
    Request(u64),
    /// Changes that are not live yet, by the names of images, or `plan`.
    Changes(String),
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(_) => write!(f, "up"),
            Self::Changes(names) => write!(f, "change/{names}"),
        }
    }
}

impl fmt::Debug for SessionView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionView")
            .field("outcome", &self.outcome)
            .field("at_work", &self.at_work)
            .finish_non_exhaustive()
    }
}

impl SessionView {
    /// The status at this moment, with live statistics.
    pub fn status(&self) -> SessionStatus {
        let forward = |(forward, counters): &(Forward, Arc<ForwardCounters>)| ForwardStatus {
            forward: forward.clone(),
            stats: counters.stats(),
        };
        let reconcile = self.at_work.as_ref().map(|at_work| ReconcileStatus {
            since: at_work.since,
            what: at_work.purpose.to_string(),
        });
        let engines = self.engines.borrow().clone();
        let why = self.relay.borrow().as_ref().err().cloned();
        SessionStatus {
            pid: std::process::id(),
            root: self.root.clone(),
            build: self.build.clone(),
            busy: reconcile.is_some(),
            reconcile,
            outcome: self.outcome.clone(),
            forwards: self.forwards.iter().map(forward).collect(),
            relay: RelayStatus {
                serves: why.is_none(),
                why,
            },
            sync: sync::status(&engines),
            // The supervisor knows them.
            holders: SessionHolders::default(),
        }
    }

    /// Whether the reconcile that is at work is for the request of this number.
    pub fn is_at_work_for(&self, number: u64) -> bool {
        let purpose = self.at_work.as_ref().map(|at_work| &at_work.purpose);
        purpose == Some(&Purpose::Request(number))
    }
}

/// Shows a reconcile as being at work until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Working(watch::Sender<SessionView>);

impl Working {
    pub(super) fn begin(view: watch::Sender<SessionView>, purpose: Purpose) -> Self {
        let at_work = AtWork {
            since: jiff::Timestamp::now(),
            purpose,
        };
        view.send_modify(|view| view.at_work = Some(at_work));
        Self(view)
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.send_modify(|view| view.at_work = None);
    }
}

/// Follows the status of a session for one reader.
#[derive(Debug)]
pub struct Follower {
    views: watch::Receiver<SessionView>,
    relay: watch::Receiver<relay::RelayState>,
    engines: watch::Receiver<Engines>,
    progress: watch::Receiver<()>,
    /// The last status that the follower got, without its traffic.
    told: Option<SessionStatus>,
    /// The moment from which on the follower may get the next status.
    next: Instant,
}

impl Follower {
    pub fn new(views: watch::Receiver<SessionView>) -> Self {
        let view = views.borrow().clone();
        Self {
            views,
            relay: view.relay,
            engines: view.engines,
            progress: view.progress,
            told: None,
            next: Instant::now(),
        }
    }

    /// The status now the first time, and then whenever it has changed; the counters of traffic alone are no change.
    /// Several changes within [`STATUS_INTERVAL`] come as one. After the end of the session the call pends for ever.
    pub async fn next(&mut self) -> SessionStatus {
        loop {
            sleep_until(self.next).await;
            let status = self.status();
            self.next = Instant::now() + STATUS_INTERVAL;
            let without_traffic = status.without_traffic();
            if self.told.as_ref() != Some(&without_traffic) {
                self.told = Some(without_traffic);
                return status;
            }
            self.changed().await;
        }
    }

    /// The status; later changes count as changes of it.
    fn status(&mut self) -> SessionStatus {
        self.relay.mark_unchanged();
        self.engines.mark_unchanged();
        self.progress.mark_unchanged();
        let view = self.views.borrow_and_update().clone();
        view.status()
    }

    /// Waits until the status may have changed.
    async fn changed(&mut self) {
        tokio::select! {
            Ok(()) = self.views.changed() => {}
            Ok(()) = self.relay.changed() => {}
            Ok(()) = self.engines.changed() => {}
            Ok(()) = self.progress.changed() => {}
            else => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::super::{Session, change};
    use super::*;
    use crate::ui::event::Reporter;

    #[tokio::test]
    async fn every_follower_is_told_of_a_change_once_and_of_traffic_never() {
        let session = Session::new(Reporter::default(), change::channel().0);
        let counters = Arc::new(ForwardCounters::default());
        let forward = Forward {
            name: "api".into(),
            namespace: "shop".into(),
            service: "api".into(),
            remote: 80,
            local: 8080,
            url: String::new(),
            moved: None,
        };
        session
            .view
            .send_modify(|view| view.forwards = vec![(forward, counters.clone())]);
        let mut followers = [(); 2].map(|()| Follower::new(session.view()));
        for follower in &mut followers {
            assert!(!follower.next().await.busy);
        }
        let connection = counters.opened();
        for follower in &mut followers {
            let told = tokio::time::timeout(STATUS_INTERVAL * 2, follower.next()).await;
            assert!(told.is_err(), "{told:?}");
        }
        let working = session.begin(Purpose::Changes("api+web".to_owned()));
        for follower in &mut followers {
            let status = follower.next().await;
            let reconcile = status.reconcile.unwrap();
            assert_eq!((status.busy, &*reconcile.what), (true, "change/api+web"));
            assert_eq!(status.forwards[0].stats.open, 1, "statistics are live");
        }
        drop((connection, working));
        for follower in &mut followers {
            assert!(!follower.next().await.busy);
            assert!(follower.next().now_or_never().is_none());
        }
    }

    #[tokio::test]
    async fn a_follower_is_told_of_many_changes_at_a_time_and_of_the_last_one() {
        let session = Session::new(Reporter::default(), change::channel().0);
        let mut follower = Follower::new(session.view());
        let since = Instant::now();
        let mut told = 0;
        for number in 0..50 {
            let working = session.begin(Purpose::Request(number));
            let next = tokio::time::timeout(Duration::from_millis(5), follower.next()).await;
            told += usize::from(next.is_ok());
            drop(working);
        }
        let most =
            usize::try_from(since.elapsed().as_millis() / STATUS_INTERVAL.as_millis()).unwrap() + 1;
        assert!((1..=most).contains(&told), "{told} of at most {most}");
        assert!(!follower.next().await.busy);
    }
}
