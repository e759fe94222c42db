//! The supervisor: one process per project that holds the session; every `up` is its client.
//!
//! It lives while somebody owns it: an attached client, or `up -d` once that has settled. Its lock is
//! held for as long as it lives, so that there is never a second one.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::control::{Connection, Keep, RESTART, Receiver, Reply, Request, Sender};
use super::request::GoesBy;
use super::{memory, socket};
use crate::bridge::Bridging;
use crate::error::{Code, Error, Errors, Result};
use crate::paths::{Lock, Paths, refused};
use crate::program::Build;
use crate::session::change::{self, Changes, Teller};
use crate::session::outcome::Outcome;
use crate::session::status::SessionStatus;
use crate::session::{Session, sync};
use crate::sync::gate::Engines;
use crate::ui::{
    self,
    event::{Event, Reporter},
};
use crate::up::{self, Asked};

/// A supervisor that nobody talks to within this time ends itself.
const LONELY: Duration = Duration::from_secs(10);

/// How long a session that ends may take.
const ENDING: Duration = Duration::from_secs(5);

/// Runs the supervisor of project `id` until nobody owns it.
///
/// # Errors
/// [`Code::StateIo`] if the lock or the socket cannot be had, [`Code::StateForeign`] if somebody else has a hand on the
/// socket.
pub async fn supervise(paths: Paths, id: &str) -> Result<()> {
    let Some(_lock) = lock(&paths.project(id)).await? else {
        return Ok(());
    };
    let listener = socket::listen(&paths, id)?;
    let (teller, changes) = change::channel();
    let supervisor = Arc::new(Supervisor::new(id, paths, teller));
    supervisor.serve(listener, changes).await;
    Ok(())
}

/// The lock, or None if another supervisor keeps it: then the client will find that one.
async fn lock(dir: &Path) -> Result<Option<Lock>> {
    // A session that is just ending gives its lock up soon.
    let file = dir.join("supervisor.lock");
    let lock = tokio::time::timeout(ENDING, Lock::take(&file, || {}));
    lock.await.map_or(Ok(None), |lock| {
        lock.map(Some).map_err(|e| refused("lock", &file, &e))
    })
}

pub(super) struct Supervisor {
    /// The project's.
    id: String,
    pub(super) paths: Paths,
    pub(super) reporter: Reporter,
    pub(super) session: Mutex<Session>,
    pub(super) goes_by: GoesBy,
    /// Live while an `up` has the session.
    engines: watch::Receiver<Engines>,
    /// What the session told last, while an `up` has it.
    told: watch::Receiver<SessionStatus>,
    /// Attached clients, and clients whose `up` has not settled.
    owners: AtomicUsize,
    detached: AtomicBool,
    end: CancellationToken,
}

impl Supervisor {
    pub(super) fn new(id: &str, paths: Paths, teller: Teller) -> Self {
        let reporter = Reporter::default();
        let session = Session::new(reporter.clone(), teller);
        let told = session.told();
        let engines = session.syncing.engines();
        let owners = AtomicUsize::new(0);
        let detached = AtomicBool::new(false);
        let goes_by = GoesBy::default();
        let session = Mutex::new(session);
        let end = CancellationToken::new();
        Self {
            id: id.to_owned(),
            paths,
            reporter,
            session,
            goes_by,
            engines,
            told,
            owners,
            detached,
            end,
        }
    }

    async fn serve(self: Arc<Self>, listener: UnixListener, changes: Changes) {
        let conversations = TaskTracker::new();
        let renewing = self
            .end
            .clone()
            .run_until_cancelled_owned(self.clone().renew(changes));
        let renewing = tokio::spawn(renewing);
        let lonely = tokio::time::sleep(LONELY);
        tokio::pin!(lonely);
        let mut signals = std::pin::pin!(termination());
        loop {
            tokio::select! {
                Ok((stream, _)) = listener.accept() => {
                    conversations.spawn(self.clone().converse(stream));
                }
                () = &mut lonely => {
                    if conversations.is_empty() && self.is_unowned() { break }
                    memory::give_back();
                    lonely.as_mut().reset(tokio::time::Instant::now() + LONELY);
                }
                () = self.end.cancelled() => break,
                () = &mut signals => break,
            }
        }
        self.end.cancel();
        // No new client may reach a session that is ending.
        socket::remove(&self.paths, &self.id);
        // It gives the session back; that it was cut off is no news.
        let _ = renewing.await;
        self.session.lock().await.close().await;
        conversations.close();
        let _ = tokio::time::timeout(ENDING, conversations.wait()).await;
    }

    async fn converse(self: Arc<Self>, stream: UnixStream) {
        let Connection {
            mut read,
            mut write,
        } = stream.into();
        let ended = match read.next().await {
            Ok(Some(Request::Up { build, .. })) if build != self.told.borrow().build => {
                write
                    .send(&Reply::Refused {
                        errors: self.outdated(build).into(),
                    })
                    .await
            }
            Ok(Some(Request::Up {
                source,
                keep,
                bridge,
                environment,
                ..
            })) => {
                let bridging = Bridging {
                    switch: bridge,
                    once: keep == Keep::Once,
                };
                let asked = Asked {
                    id: self.id.clone(),
                    source,
                    bridging,
                    environment,
                };
                let ended = self.up(asked, keep, &mut read, &mut write).await;
                // A client that was killed does not hear this.
                let _ = write
                    .send(&Reply::Left {
                        session_ends: self.end.is_cancelled(),
                    })
                    .await;
                ended
            }
            Ok(Some(Request::Status)) => self.status(&mut write).await,
            Ok(Some(Request::Events)) => {
                let mut events = self.reporter.subscribe();
                self.until_gone(
                    &mut read,
                    send_events(&mut events, &mut write, std::future::pending()),
                )
                .await
            }
            Ok(Some(Request::Verify)) => self.until_gone(&mut read, self.verify(&mut write)).await,
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
            "the session of `{}` is another devk than this one, and was left as it is",
            self.id
        );
        Error::new(Code::SessionOutdated, message)
            .evidence(format!(
                "the session: {}, pid {}",
                shown(&self.told.borrow().build),
                std::process::id()
            ))
            .evidence(format!("this one: {}", shown(&asks)))
            .hint(RESTART)
    }

    async fn up(
        &self,
        asked: Asked,
        keep: Keep,
        read: &mut Receiver,
        write: &mut Sender,
    ) -> Result<()> {
        let _owner = Owner::of(self);
        let mut events = self.reporter.subscribe();
        let ended = self
            .until_gone(read, self.settle(asked, keep, &mut events, write))
            .await;
        // What was at work has just been cut off and has failed: a client that took its leave hears of it.
        send_events(&mut events, write, std::future::ready(())).await?;
        ended
    }

    async fn settle(
        &self,
        asked: Asked,
        keep: Keep,
        events: &mut Events,
        write: &mut Sender,
    ) -> Result<()> {
        let (done, finished) = tokio::sync::oneshot::channel::<()>();
        let work = async {
            let outcome = self.work(asked, keep).await;
            drop(done);
            outcome
        };
        let (sent, outcome) = tokio::join!(
            send_events(events, write, async { drop(finished.await) }),
            work
        );
        sent?;
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(errors) => return write.send(&Reply::Refused { errors }).await,
        };
        write.send(&Reply::Settled { outcome }).await?;
        match keep {
            Keep::Detached => self.detached.store(true, Ordering::SeqCst),
            Keep::Attached => send_events(events, write, std::future::pending()).await?,
            Keep::Once => {}
        }
        Ok(())
    }

    async fn work(&self, asked: Asked, keep: Keep) -> Result<Outcome, Errors> {
        let mut session = self.session.lock().await;
        // From the start: what changes while it is at work is brought live after it.
        let trial = (keep != Keep::Once).then(|| self.goes_by.try_out(asked.clone()));
        let outcome = up::up(&mut session, &self.paths, &asked, &CancellationToken::new()).await?;
        if let Some(trial) = trial {
            trial.pass();
        }
        Ok(outcome)
    }

    async fn status(&self, write: &mut Sender) -> Result<()> {
        let status = match self.session.try_lock() {
            Ok(session) => session.status(),
            Err(_) => SessionStatus {
                busy: true,
                sync: sync::status(&self.engines.borrow()),
                ..self.told.borrow().clone()
            },
        };
        write.send(&Reply::Status { status }).await
    }

    async fn verify(&self, write: &mut Sender) -> Result<()> {
        // An `up` that is at work ends first. Hashing takes its time: the next one does not wait for that.
        let verifier = self.session.lock().await.syncing.verifier();
        match verifier.verify().await {
            Ok(differences) => write.send(&Reply::Verified { differences }).await,
            Err(error) => {
                write
                    .send(&Reply::Refused {
                        errors: error.into(),
                    })
                    .await
            }
        }
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

    fn is_unowned(&self) -> bool {
        self.owners.load(Ordering::SeqCst) == 0 && !self.detached.load(Ordering::SeqCst)
    }
}

type Events = tokio::sync::broadcast::Receiver<Event>;

/// Sends events until `until` ends, and those that came before its end. What a client was too slow for is lost: it is
/// told how much that is, and the session does not keep what nobody may ever read.
async fn send_events(
    events: &mut Events,
    write: &mut Sender,
    until: impl Future<Output = ()>,
) -> Result<()> {
    let mut until = std::pin::pin!(until);
    loop {
        tokio::select! {
            biased;
            event = events.recv() => match event {
                Ok(event) => write.send(&Reply::Event { event }).await?,
                Err(RecvError::Lagged(count)) => write.send(&Reply::Event { event: Event::missed(count) }).await?,
                Err(RecvError::Closed) => return Ok(()),
            },
            () = &mut until => return Ok(()),
        }
    }
}

/// Somebody for whom the session lives. The last one to go ends it.
struct Owner<'a>(&'a Supervisor);

impl<'a> Owner<'a> {
    fn of(supervisor: &'a Supervisor) -> Self {
        supervisor.owners.fetch_add(1, Ordering::SeqCst);
        Self(supervisor)
    }
}

impl Drop for Owner<'_> {
    fn drop(&mut self) {
        self.0.owners.fetch_sub(1, Ordering::SeqCst);
        if self.0.is_unowned() {
            self.0.end.cancel();
        }
    }
}

/// Ends on SIGTERM or SIGINT. SIGHUP is taken and ignored: a closed terminal does not end `up -d`.
async fn termination() {
    let streams = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
        signal(SignalKind::hangup()),
    );
    let (Ok(mut terminate), Ok(mut interrupt), Ok(_hangup)) = streams else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::from;
    use super::*;

    fn supervisor(state: &Path) -> Supervisor {
        let [state, cache, data] = ["state", "cache", "data"].map(|folder| state.join(folder));
        Supervisor::new("shop", Paths { state, cache, data }, change::channel().0)
    }

    fn conversation() -> (Connection, Connection) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (ours.into(), theirs.into())
    }

    #[tokio::test]
    async fn an_up_that_is_refused_leaves_the_session_to_what_it_went_by() {
        let dir = tempfile::tempdir().unwrap();
        let (supervisor, (mut ours, mut theirs)) = (supervisor(dir.path()), conversation());
        supervisor.goes_by.try_out(from("/before")).pass();
        let mut events = supervisor.reporter.subscribe();
        supervisor
            .settle(
                from(dir.path()),
                Keep::Attached,
                &mut events,
                &mut ours.write,
            )
            .await
            .unwrap();
        assert!(matches!(
            theirs.read.next().await.unwrap(),
            Some(Reply::Refused { .. })
        ));
        assert_eq!(
            supervisor.goes_by.now().unwrap().source.dir,
            Path::new("/before")
        );
    }

    #[tokio::test]
    async fn a_client_that_is_too_slow_is_told_that_it_missed_something() {
        let (reporter, (mut ours, mut theirs)) = (Reporter::default(), conversation());
        let mut events = reporter.subscribe();
        (0..5000).for_each(|n| reporter.skipped(format!("step/{n}"), ""));
        let send = async {
            let sent = send_events(&mut events, &mut ours.write, std::future::ready(())).await;
            drop(ours);
            sent
        };
        let hear = async {
            let mut heard = vec![];
            while let Some(Reply::Event { event }) = theirs.read.next().await.unwrap() {
                heard.push(event);
            }
            heard
        };
        let (sent, heard) = tokio::join!(send, hear);
        sent.unwrap();
        assert_eq!(
            (heard[0].step.as_str(), heard.len()),
            ("session.events", 1 + 4096)
        );
        assert!(
            heard[0].detail.contains("904 events"),
            "{}",
            heard[0].detail
        );
    }
}
