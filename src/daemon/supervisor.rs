//! The supervisor: one process per project that holds the session; every `up` is its client. The supervisor
//! talks to clients, and the controller's loop serves their requests.
//!
//! The supervisor lives while the session has an owner: an attached client, or `up -d` once that has settled. The
//! supervisor holds the project's lock as long as it lives, so that a project never has two.

mod answers;

use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::control::{Connection, Lifetime, RESTART, Receiver, Reply, Request, Sender};
use super::controller::{BringUp, Controller, Queued};
use super::events::{Events, send_events};
use super::signals::termination;
use super::{memory, socket};
use crate::bridge::Bridging;
use crate::error::{Code, Error, Result};
use crate::paths::{Lock, Paths, refused};
use crate::program::Build;
use crate::session::settle::Settler;
use crate::session::status::SessionHolders;
use crate::session::view::SessionView;
use crate::session::{Session, change};
use crate::ui::{self, event::Reporter};
use crate::up::UpRequest;

/// A supervisor without a first client ends itself after this time.
const FIRST_CLIENT_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the session looks whether its lock is still at its place.
const LOCK_LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// How long the end of a session may take.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs the supervisor of project `id` until its session has no owner.
///
/// # Errors
/// [`Code::StateIo`] if the lock or the socket cannot be had, [`Code::StateForeign`] if somebody else has a hand on the
/// socket.
pub async fn supervise(paths: Paths, id: &str) -> Result<()> {
    let Some(lock) = lock(&paths.project(id)).await? else {
        return Ok(());
    };
    let listener = socket::listen(&paths, id)?;
    let (supervisor, controller) = Supervisor::new(id, paths);
    Arc::new(supervisor)
        .serve(listener, controller, &lock)
        .await;
    Ok(())
}

/// The lock, or None if another supervisor holds it: the client then connects to that supervisor.
async fn lock(dir: &Path) -> Result<Option<Lock>> {
    // A session that is ending releases its lock soon.
    let file = dir.join("supervisor.lock");
    let lock = tokio::time::timeout(END_TIMEOUT, Lock::take(&file, || {}));
    lock.await.map_or(Ok(None), |lock| {
        lock.map(Some).map_err(|e| refused("lock", &file, &e))
    })
}

struct Supervisor {
    /// The project's.
    id: String,
    paths: Paths,
    reporter: Reporter,
    /// The views of the session.
    views: watch::Receiver<SessionView>,
    settler: Settler,
    /// The queue of the controller: every change of the session goes through the queue.
    queue: mpsc::UnboundedSender<Queued>,
    /// Of the next request in the queue.
    number: AtomicU64,
    /// Attached clients, and clients whose `up` has not settled.
    owners: Mutex<Vec<SessionOwner>>,
    /// How many guards there were.
    guards: AtomicU64,
    detached: AtomicBool,
    end: CancellationToken,
}

impl Supervisor {
    /// The supervisor, and the loop that it hands requests to.
    fn new(id: &str, paths: Paths) -> (Self, Controller<BringUp>) {
        let (teller, changes) = change::channel();
        let reporter = Reporter::default();
        let session = Session::new(reporter.clone(), teller);
        let views = session.view();
        let (queue, requests) = mpsc::unbounded_channel();
        let end = CancellationToken::new();
        let bring_up = BringUp {
            paths: paths.clone(),
        };
        let controller = Controller::new(session, bring_up, requests, changes, end.clone());
        let supervisor = Self {
            id: id.to_owned(),
            paths,
            settler: Settler::new(views.clone(), reporter.clone()),
            reporter,
            views,
            queue,
            number: AtomicU64::new(0),
            owners: Mutex::default(),
            guards: AtomicU64::new(0),
            detached: AtomicBool::new(false),
            end,
        };
        (supervisor, controller)
    }

    async fn serve(
        self: Arc<Self>,
        listener: UnixListener,
        controller: Controller<BringUp>,
        lock: &Lock,
    ) {
        let conversations = TaskTracker::new();
        let controlling = tokio::spawn(controller.run());
        let lonely = tokio::time::sleep(FIRST_CLIENT_TIMEOUT);
        tokio::pin!(lonely);
        let mut signals = std::pin::pin!(termination());
        let mut look_at_lock = tokio::time::interval(LOCK_LOOK_INTERVAL);
        loop {
            tokio::select! {
                Ok((stream, _)) = listener.accept() => {
                    conversations.spawn(self.clone().converse(stream));
                }
                () = &mut lonely => {
                    if conversations.is_empty() && self.is_unowned() { break }
                    memory::give_back();
                    lonely.as_mut().reset(tokio::time::Instant::now() + FIRST_CLIENT_TIMEOUT);
                }
                _ = look_at_lock.tick() => {
                    // No client finds this session any more, and another one may start beside it.
                    if lock.is_lost() { break }
                }
                () = self.end.cancelled() => break,
                () = &mut signals => break,
            }
        }
        self.end.cancel();
        // No new client may reach a session that is ending. Where the lock is lost the socket may be another session's.
        match lock.is_lost() {
            true => ui::log(format_args!(
                "the session's folder was removed: the session ends"
            )),
            false => socket::remove(&self.paths, &self.id),
        }
        // The loop closes the session.
        if let Err(error) = controlling.await {
            ui::log(format_args!("the session's loop ended: {error}"));
        }
        conversations.close();
        let _ = tokio::time::timeout(END_TIMEOUT, conversations.wait()).await;
    }

    async fn converse(self: Arc<Self>, stream: UnixStream) {
        let pid = stream.peer_cred().ok().and_then(|peer| peer.pid());
        let Connection {
            mut read,
            mut write,
        } = stream.into();
        let ended = match read.next().await {
            Ok(Some(Request::Up { build, .. })) if build != self.views.borrow().build => {
                write
                    .send(&Reply::Refused {
                        errors: self.outdated(build).into(),
                    })
                    .await
            }
            Ok(Some(Request::Up {
                source,
                lifetime,
                bridge,
                sleep_others,
                environment,
                ..
            })) => {
                let bridging = Bridging {
                    switch: bridge,
                    once: lifetime == Lifetime::Once,
                };
                let request = UpRequest {
                    id: self.id.clone(),
                    source,
                    bridging,
                    sleep_others,
                    environment,
                };
                let owner = SessionGuard::of(&self, pid);
                let ended = self.up(request, lifetime, &mut read, &mut write).await;
                drop(owner);
                // A killed client does not get this reply.
                let _ = write
                    .send(&Reply::Left {
                        session_ends: self.end.is_cancelled(),
                    })
                    .await;
                ended
            }
            Ok(Some(Request::Status { follow: false })) => self.status(&mut write).await,
            Ok(Some(Request::Status { follow: true })) => {
                self.until_gone(&mut read, self.follow(&mut write)).await
            }
            Ok(Some(Request::Events)) => {
                let mut events = self.reporter.subscribe();
                self.until_gone(
                    &mut read,
                    send_events(&mut events, &mut write, std::future::pending()),
                )
                .await
            }
            Ok(Some(Request::Verify)) => self.until_gone(&mut read, self.verify(&mut write)).await,
            Ok(Some(Request::Settle { scope, patience })) => {
                let settled = self.settle(&scope, patience, &mut write);
                self.until_gone(&mut read, settled).await
            }
            Ok(Some(Request::Stop)) => {
                self.end.cancel();
                Ok(())
            }
            Ok(Some(Request::Leave) | None) => Ok(()),
            Err(error) => {
                write
                    .send(&Reply::Refused {
                        errors: error.into(),
                    })
                    .await
            }
        };
        if let Err(error) = ended {
            ui::log(format_args!("conversation ended: {error}"));
        }
    }

    fn outdated(&self, asks: Option<Build>) -> Error {
        let shown = |build: &Option<Build>| {
            build
                .as_ref()
                .map_or("another devk".to_owned(), ToString::to_string)
        };
        let message = format!(
            "the session of `{}` runs another build of devk, and was not changed",
            self.id
        );
        Error::new(Code::SessionOutdated, message)
            .evidence(format!(
                "the session: {}, pid {}",
                shown(&self.views.borrow().build),
                std::process::id()
            ))
            .evidence(format!("this one: {}", shown(&asks)))
            .hint(RESTART)
    }

    async fn up(
        &self,
        request: UpRequest,
        lifetime: Lifetime,
        read: &mut Receiver,
        write: &mut Sender,
    ) -> Result<()> {
        let mut events = self.reporter.subscribe();
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let await_outcome = self.await_outcome(number, request, lifetime, &mut events, write);
        let ended = self.until_gone(read, await_outcome).await;
        // The loop drops an `up` whose client has gone. The steps that were at work have failed then, and a client
        // that announced its end still gets their events.
        let mut views = self.views.clone();
        let _ = views.wait_for(|view| !view.is_at_work_for(number)).await;
        send_events(&mut events, write, std::future::ready(())).await?;
        ended
    }

    async fn await_outcome(
        &self,
        number: u64,
        request: UpRequest,
        lifetime: Lifetime,
        events: &mut Events,
        write: &mut Sender,
    ) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        self.enqueue(Queued::Up {
            number,
            request: Arc::new(request),
            lifetime,
            answer,
        });
        let mut ended = None;
        send_events(events, write, async { ended = answered.await.ok() }).await?;
        let outcome = match ended {
            Some(Ok(outcome)) => outcome,
            Some(Err(errors)) => return write.send(&Reply::Refused { errors }).await,
            None => return self.no_answer().await,
        };
        let reply = Reply::Settled {
            outcome,
            session_stays: !self.ends_with_its_client(),
        };
        write.send(&reply).await?;
        match lifetime {
            Lifetime::Detached => self.detached.store(true, Ordering::SeqCst),
            Lifetime::Attached => send_events(events, write, std::future::pending()).await?,
            Lifetime::Once => {}
        }
        Ok(())
    }

    /// Puts a request into the loop's queue. If the loop has ended, the request and its answer channel are dropped.
    fn enqueue(&self, queued: Queued) {
        let _ = self.queue.send(queued);
    }

    /// Only the end of the session leaves a request without an answer.
    async fn no_answer(&self) -> Result<()> {
        self.end.cancelled().await;
        Ok(())
    }

    /// Runs `work` until it ends, the client goes away, or the session ends.
    async fn until_gone(
        &self,
        read: &mut Receiver,
        work: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        tokio::select! {
            result = work => result,
            _ = read.next::<serde_json::Value>() => Ok(()),
            () = self.end.cancelled() => Ok(()),
        }
    }

    /// Whether the session ends when the only client that is attached goes.
    fn ends_with_its_client(&self) -> bool {
        self.owners().len() <= 1 && !self.detached.load(Ordering::SeqCst)
    }

    fn is_unowned(&self) -> bool {
        self.owners().is_empty() && !self.detached.load(Ordering::SeqCst)
    }

    fn owners(&self) -> MutexGuard<'_, Vec<SessionOwner>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who keeps the session alive.
    fn holders(&self) -> SessionHolders {
        let clients = self.owners().iter().filter_map(|owner| owner.pid).collect();
        SessionHolders {
            detached: self.detached.load(Ordering::SeqCst),
            clients,
        }
    }
}

/// A client that keeps the session alive.
#[derive(Debug)]
struct SessionOwner {
    /// Of its guard.
    number: u64,
    /// Its process, where the system tells it.
    pid: Option<i32>,
}

/// Keeps the session alive. When the last guard is dropped, the session ends, unless it is detached.
struct SessionGuard<'a> {
    supervisor: &'a Supervisor,
    number: u64,
}

impl<'a> SessionGuard<'a> {
    fn of(supervisor: &'a Supervisor, pid: Option<i32>) -> Self {
        let number = supervisor.guards.fetch_add(1, Ordering::Relaxed);
        supervisor.owners().push(SessionOwner { number, pid });
        Self { supervisor, number }
    }
}

impl Drop for SessionGuard<'_> {
    fn drop(&mut self) {
        let is_another = |owner: &SessionOwner| owner.number != self.number;
        self.supervisor.owners().retain(is_another);
        if self.supervisor.is_unowned() {
            self.supervisor.end.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::controller::tests::from;
    use super::*;
    use crate::session::status::SessionStatus;

    /// A supervisor whose loop runs.
    fn supervisor(state: &Path) -> Supervisor {
        let (supervisor, controller) = Supervisor::new("shop", Paths::below(state));
        tokio::spawn(controller.run());
        supervisor
    }

    fn conversation() -> (Connection, Connection) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (ours.into(), theirs.into())
    }

    #[tokio::test]
    async fn an_up_that_is_refused_is_answered_and_the_session_is_at_rest() {
        let dir = tempfile::tempdir().unwrap();
        let (supervisor, (mut ours, mut theirs)) = (supervisor(dir.path()), conversation());
        let mut events = supervisor.reporter.subscribe();
        let request = from(dir.path());
        supervisor
            .await_outcome(0, request, Lifetime::Attached, &mut events, &mut ours.write)
            .await
            .unwrap();
        assert!(matches!(
            theirs.read.next().await.unwrap(),
            Some(Reply::Refused { .. })
        ));
        assert!(supervisor.views.borrow().status().reconcile.is_none());
    }

    #[tokio::test]
    async fn a_follower_is_told_until_it_goes_and_another_one_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let supervisor = Arc::new(supervisor(dir.path()));
        let mut followers = vec![];
        for _ in 0..2 {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let conversation = tokio::spawn(supervisor.clone().converse(ours));
            let mut connection = Connection::from(theirs);
            let follow = Request::Status { follow: true };
            connection.write.send(&follow).await.unwrap();
            followers.push((connection, conversation));
        }
        let told = async |connection: &mut Connection| -> SessionStatus {
            match connection.read.next().await.unwrap() {
                Some(Reply::Status { status }) => *status,
                other => panic!("{other:?}"),
            }
        };
        for (connection, _) in &mut followers {
            assert!(!told(connection).await.busy);
        }
        let (connection, conversation) = followers.remove(0);
        drop(connection);
        conversation.await.unwrap();
        supervisor.end.cancel();
        let (mut connection, conversation) = followers.remove(0);
        conversation.await.unwrap();
        let ended = connection.read.next::<Reply>().await.unwrap();
        assert!(ended.is_none(), "{ended:?}");
    }
}
