use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::{broadcast, watch};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::timeout;

use super::*;
use crate::config::Source;
use crate::session::change::{self, Teller};
use crate::session::view::{Follower, SessionView};
use crate::sync::engine::Rebuild;
use crate::ui::event::{Event, Reporter};

mod overtaken;

/// Longer than anything takes here.
const SOON: Duration = Duration::from_secs(10);

/// A request from a folder.
pub(crate) fn from(dir: impl AsRef<Path>) -> UpRequest {
    let source = Source {
        dir: dir.as_ref().to_owned(),
        file: None,
        profile: None,
    };
    UpRequest {
        id: "shop".to_owned(),
        source,
        bridging: Default::default(),
        sleep_others: false,
        environment: Default::default(),
    }
}

/// A reconcile that has begun, and ends as the test says.
struct Begun {
    dir: PathBuf,
    /// The names of what is looked at again; None: everything.
    changed: Option<String>,
    /// Its builds and loads are given up.
    builds: CancellationToken,
    /// Its waiting for the cluster is.
    waits: CancellationToken,
    end: oneshot::Sender<Ended>,
}

impl Begun {
    fn ends(self, ended: Ended) {
        self.end.send(ended).unwrap();
    }

    fn ends_well(self) {
        self.ends(Ok(outcome(true)));
    }

    /// Waits until the loop has dropped it.
    async fn dropped(mut self) {
        timeout(SOON, self.end.closed()).await.unwrap();
    }
}

struct Scripted(mpsc::UnboundedSender<Begun>);

impl Reconcile for Scripted {
    async fn reconcile(
        &self,
        session: &mut Session,
        request: &UpRequest,
        changes: Option<&BTreeSet<Change>>,
        overtaken: &Overtaken,
    ) -> Ended {
        let (end, ended) = oneshot::channel();
        let begun = Begun {
            dir: request.source.dir.clone(),
            changed: changes.map(names),
            builds: overtaken.builds.clone(),
            waits: overtaken.waits.clone(),
            end,
        };
        self.0.send(begun).unwrap();
        let outcome = ended.await.unwrap()?;
        session.record_outcome(outcome.clone());
        Ok(outcome)
    }
}

fn outcome(ready: bool) -> Outcome {
    Outcome {
        ready,
        project: "shop".to_owned(),
        cluster: String::new(),
        images: vec![],
        forwards: vec![],
        left_out: vec![],
        waiting: vec![],
        bridge: None,
        ms: 0,
        steps_ms: 0,
        failed: vec![],
        blocked: vec![],
    }
}

fn refused() -> Ended {
    Err(Error::new(Code::ConfigMissing, "no devk.yaml").into())
}

/// A loop that runs, and all that its surroundings have of it.
struct Running {
    queue: mpsc::UnboundedSender<Queued>,
    teller: Teller,
    begun: mpsc::UnboundedReceiver<Begun>,
    views: watch::Receiver<SessionView>,
    events: broadcast::Receiver<Event>,
    end: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start() -> Self {
        let (teller, changes) = change::channel();
        let reporter = Reporter::default();
        let events = reporter.subscribe();
        let session = Session::new(reporter, teller.clone());
        let views = session.view();
        let (queue, requests) = mpsc::unbounded_channel();
        let (sender, begun) = mpsc::unbounded_channel();
        let end = CancellationToken::new();
        let controller = Controller::new(session, Scripted(sender), requests, changes, end.clone());
        Self {
            queue,
            teller,
            begun,
            views,
            events,
            end,
            task: tokio::spawn(controller.run()),
        }
    }

    /// A loop that goes by a request from `dir`.
    async fn up_from(dir: impl AsRef<Path>) -> Self {
        let mut running = Self::start();
        let answer = running.asks(&dir, Lifetime::Detached);
        running.begun().await.ends_well();
        answered(answer).await.unwrap();
        running
    }

    /// Puts a client's request into the queue.
    fn asks(&self, dir: impl AsRef<Path>, lifetime: Lifetime) -> oneshot::Receiver<Ended> {
        let (answer, answered) = oneshot::channel();
        let queued = Queued::Up {
            number: 0,
            request: Arc::new(from(dir)),
            lifetime,
            answer,
        };
        self.queue.send(queued).unwrap();
        answered
    }

    fn asks_whether_live(&self) -> oneshot::Receiver<Option<Errors>> {
        let (answer, answered) = oneshot::channel();
        self.queue.send(Queued::Live { answer }).unwrap();
        answered
    }

    fn changes(&self, image: &str) {
        let rebuild = Rebuild {
            image: image.to_owned(),
            path: None,
            why: "it changed".to_owned(),
        };
        self.teller.rebuilds.send(rebuild).unwrap();
    }

    async fn begun(&mut self) -> Begun {
        let begun = timeout(SOON, self.begun.recv()).await;
        begun.expect("no reconcile begins").unwrap()
    }

    /// The loop has done all that it can without anybody else.
    async fn at_rest(&self) {
        // There is one thread, and it is the loop's turn.
        for _ in 0..100 {
            yield_now().await;
        }
    }

    /// The next event, as `STEP DETAIL`.
    async fn told(&mut self) -> String {
        let event = timeout(SOON, self.events.recv()).await.unwrap().unwrap();
        format!("{} {}", event.step, event.detail)
    }
}

async fn answered<T>(answer: oneshot::Receiver<T>) -> T {
    timeout(SOON, answer).await.unwrap().unwrap()
}

#[tokio::test]
async fn requests_are_served_in_the_order_of_their_arrival() {
    let mut running = Running::start();
    let answers = ["/1", "/2", "/3"].map(|dir| running.asks(dir, Lifetime::Detached));
    for (dir, answer) in ["/1", "/2", "/3"].into_iter().zip(answers) {
        let begun = running.begun().await;
        assert_eq!(begun.dir, Path::new(dir));
        running.at_rest().await;
        assert!(running.begun.is_empty(), "one after the other");
        begun.ends_well();
        assert!(answered(answer).await.is_ok());
    }
}

#[tokio::test]
async fn a_change_is_brought_live_by_the_last_request_that_settled_and_stays() {
    let mut running = Running::up_from("/before").await;
    let up = running.asks("/active", Lifetime::Attached);
    running.begun().await.ends_well();
    answered(up).await.unwrap();

    let up = running.asks("/refused", Lifetime::Attached);
    running.begun().await.ends(refused());
    answered(up).await.unwrap_err();
    drop(running.asks("/never-begun", Lifetime::Attached));
    let up = running.asks("/cut-off", Lifetime::Attached);
    let begun = running.begun().await;
    assert_eq!(begun.dir, Path::new("/cut-off"));
    drop(up);
    begun.dropped().await;
    let up = running.asks("/once", Lifetime::Once);
    running.begun().await.ends_well();
    answered(up).await.unwrap();

    running.changes("api");
    let begun = running.begun().await;
    assert_eq!(begun.dir, Path::new("/active"));
    begun.ends_well();
    assert_eq!(running.told().await, "change/api it changed");
    assert_eq!(running.told().await, "change/api live");
}

#[tokio::test]
async fn changes_before_an_up_has_settled_are_forgotten() {
    let mut running = Running::start();
    let up = running.asks("/refused", Lifetime::Attached);
    let begun = running.begun().await;
    running.changes("early");
    begun.ends(refused());
    answered(up).await.unwrap_err();
    running.changes("early");
    running.at_rest().await;
    let up = running.asks("/shop", Lifetime::Detached);
    running.begun().await.ends_well();
    answered(up).await.unwrap();
    running.changes("late");
    running.begun().await.ends_well();
    assert_eq!(running.told().await, "change/late it changed");
}

#[tokio::test]
async fn a_request_during_a_burst_is_served_at_once_and_the_changes_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let lock = dir.path().join(".git/index.lock");
    std::fs::create_dir(dir.path().join(".git")).unwrap();
    std::fs::write(&lock, "").unwrap();
    let mut running = Running::up_from(dir.path()).await;
    running.changes("api");
    running.at_rest().await;
    let up = running.asks("/meanwhile", Lifetime::Once);
    let begun = running.begun().await;
    assert_eq!(begun.dir, Path::new("/meanwhile"));
    begun.ends_well();
    answered(up).await.unwrap();
    assert!(running.begun.is_empty(), "git is at work");
    std::fs::remove_file(&lock).unwrap();
    let begun = running.begun().await;
    assert_eq!(begun.dir, dir.path());
    begun.ends_well();
    assert_eq!(running.told().await, "change/api it changed");
}

#[tokio::test]
async fn a_verifier_waits_for_what_is_at_work_and_gives_up_nothing() {
    let mut running = Running::up_from("/shop").await;
    running.changes("api");
    let begun = running.begun().await;
    let (answer, mut verifier) = oneshot::channel();
    running.queue.send(Queued::Verifier { answer }).unwrap();
    running.at_rest().await;
    assert!(verifier.try_recv().is_err());
    assert!(!begun.builds.is_cancelled());
    begun.ends_well();
    answered(verifier).await;

    let up = running.asks("/shop", Lifetime::Detached);
    let begun = running.begun().await;
    let (answer, mut verifier) = oneshot::channel();
    running.queue.send(Queued::Verifier { answer }).unwrap();
    running.at_rest().await;
    assert!(verifier.try_recv().is_err());
    begun.ends_well();
    answered(up).await.unwrap();
    answered(verifier).await;
}

#[tokio::test]
async fn the_status_is_there_while_an_up_is_at_work_and_every_follower_sees_it_come_and_go() {
    let mut running = Running::start();
    let mut followers = [(); 2].map(|()| Follower::new(running.views.clone()));
    for follower in &mut followers {
        assert!(!follower.next().await.busy);
    }
    let up = running.asks("/shop", Lifetime::Detached);
    let begun = running.begun().await;
    for follower in &mut followers {
        let status = timeout(SOON, follower.next()).await.unwrap();
        assert_eq!(status.reconcile.unwrap().what, "up");
    }
    let status = running.views.borrow().status();
    assert!(status.busy && status.outcome.is_none());
    begun.ends_well();
    answered(up).await.unwrap();
    let status = running.views.borrow().status();
    assert!(!status.busy, "whoever has the answer finds it at rest");
    for follower in &mut followers {
        let status = timeout(SOON, follower.next()).await.unwrap();
        assert!(!status.busy && status.outcome.unwrap().ready);
    }
}

#[tokio::test]
async fn the_end_of_the_session_drops_what_is_at_work_and_what_waits() {
    let mut running = Running::start();
    let up = running.asks("/shop", Lifetime::Attached);
    let waits = running.asks("/shop", Lifetime::Attached);
    let begun = running.begun().await;
    running.end.cancel();
    begun.dropped().await;
    assert!(timeout(SOON, up).await.unwrap().is_err());
    assert!(timeout(SOON, waits).await.unwrap().is_err());
    timeout(SOON, running.task).await.unwrap().unwrap();
    assert!(!running.views.borrow().status().busy);
}

#[tokio::test]
async fn whoever_waits_for_changes_is_answered_when_those_told_before_are_through() {
    let mut running = Running::up_from("/shop").await;
    assert_eq!(
        answered(running.asks_whether_live()).await,
        None,
        "nothing is pending"
    );

    running.changes("api");
    let mut live = running.asks_whether_live();
    let begun = running.begun().await;
    let mut late = running.asks_whether_live();
    running.changes("web");
    running.at_rest().await;
    assert!(live.try_recv().is_err() && late.try_recv().is_err());
    // The newer change has overtaken the first reconcile.
    begun.ends_well();
    let begun = running.begun().await;
    assert!(live.try_recv().is_err() && late.try_recv().is_err());
    begun.ends(refused());
    let errors = answered(live).await.unwrap();
    assert_eq!(Some(errors), answered(late).await);

    running.changes("api");
    let live = running.asks_whether_live();
    running.begun().await.ends_well();
    assert_eq!(answered(live).await, None, "it is mended");
}

#[tokio::test]
async fn a_refusal_is_tried_again_for_whoever_asks_after_it() {
    let mut running = Running::up_from("/shop").await;
    running.changes("api");
    running.begun().await.ends(refused());
    running.at_rest().await;
    // Its cause stays.
    let live = running.asks_whether_live();
    running.begun().await.ends(refused());
    assert!(answered(live).await.is_some());
    running.at_rest().await;
    assert!(running.begun.is_empty(), "once for each question");
    // Its cause is gone, and nothing has told so.
    let live = running.asks_whether_live();
    running.begun().await.ends_well();
    assert_eq!(answered(live).await, None);
}
