//! The controller: one loop that owns the session. Clients and watches put requests into its queue, and nothing else
//! changes the session.
//!
//! Requests of clients are served in the order of their arrival, and before changes. A change that sync cannot serve is
//! brought live by the same reconcile that a client's `up` is; what is newer gives up its builds and loads.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::control::Keep;
use crate::error::{Code, Error, Errors};
use crate::paths::Paths;
use crate::session::Session;
use crate::session::change::{Change, Changes, names, reasons};
use crate::session::outcome::Outcome;
use crate::session::sync::Verifier;
use crate::session::view::Purpose;
use crate::ui::event::Step;
use crate::up::{self, UpRequest};

/// What an `up` came to, or why nothing was touched.
pub(super) type Ended = Result<Outcome, Errors>;

/// A request in the queue. One whose answer nobody waits for any more is dropped, even while it is being served.
#[derive(Debug)]
pub(super) enum Queued {
    Up {
        /// By which the session's view tells it from others.
        number: u64,
        request: Arc<UpRequest>,
        lifetime: Keep,
        answer: oneshot::Sender<Ended>,
    },
    /// Answered between two reconciles.
    Verifier { answer: oneshot::Sender<Verifier> },
}

/// What brings a session to what a request asks for. Builds and loads end when they are `stale`.
pub(super) trait Reconcile {
    async fn reconcile(
        &self,
        session: &mut Session,
        request: &UpRequest,
        stale: &CancellationToken,
    ) -> Ended;
}

/// The reconcile of a devk that is no test.
#[derive(Debug)]
pub(super) struct BringUp {
    pub(super) paths: Paths,
}

impl Reconcile for BringUp {
    async fn reconcile(
        &self,
        session: &mut Session,
        request: &UpRequest,
        stale: &CancellationToken,
    ) -> Ended {
        up::up(session, &self.paths, request, stale).await
    }
}

pub(super) struct Controller<R> {
    session: Session,
    reconciler: R,
    /// The request that changes are brought live by: the last one that settled, and that the session goes on with.
    active: Option<Arc<UpRequest>>,
    requests: mpsc::UnboundedReceiver<Queued>,
    /// Requests that arrived while changes were being brought live.
    waiting: VecDeque<Queued>,
    changes: Changes,
    /// Changes that are yet to be brought live.
    pending: BTreeSet<Change>,
    end: CancellationToken,
}

/// What the loop does next.
enum Next {
    Serve(Queued),
    BringLive(BTreeSet<Change>),
}

impl<R: Reconcile> Controller<R> {
    pub(super) fn new(
        session: Session,
        reconciler: R,
        requests: mpsc::UnboundedReceiver<Queued>,
        changes: Changes,
        end: CancellationToken,
    ) -> Self {
        Self {
            session,
            reconciler,
            active: None,
            requests,
            waiting: VecDeque::new(),
            changes,
            pending: BTreeSet::new(),
            end,
        }
    }

    /// Serves requests and changes until the session ends, and closes it. A reconcile that is at work then is dropped.
    pub(super) async fn run(mut self) {
        // A session whose loop is gone, for whatever reason, ends.
        let _end = self.end.clone().drop_guard();
        let end = self.end.clone();
        end.run_until_cancelled(self.work()).await;
        // Who waits for an answer hears now that there will be none.
        drop((self.requests, self.waiting));
        self.session.close().await;
    }

    async fn work(&mut self) {
        loop {
            match self.next().await {
                Next::BringLive(seen) => self.bring_live(seen).await,
                Next::Serve(Queued::Verifier { answer }) => {
                    // A client that is gone does not verify.
                    let _ = answer.send(self.session.syncing.verifier());
                }
                Next::Serve(Queued::Up {
                    number,
                    request,
                    lifetime,
                    answer,
                }) => self.up(number, request, lifetime, answer).await,
            }
        }
    }

    /// A request at once, changes when their burst is over.
    async fn next(&mut self) -> Next {
        if let Some(queued) = self.waiting.pop_front() {
            return Next::Serve(queued);
        }
        let active = self.active.as_deref();
        tokio::select! {
            biased;
            Some(queued) = self.requests.recv() => Next::Serve(queued),
            () = burst(&mut self.pending, &mut self.changes, active) => {
                Next::BringLive(std::mem::take(&mut self.pending))
            }
        }
    }

    /// Serves a client's request. Changes that arrive meanwhile are brought live after it.
    async fn up(
        &mut self,
        number: u64,
        request: Arc<UpRequest>,
        lifetime: Keep,
        mut answer: oneshot::Sender<Ended>,
    ) {
        if answer.is_closed() {
            return;
        }
        let working = self.session.begin(Purpose::Request(number));
        let never = CancellationToken::new();
        let ended = tokio::select! {
            biased;
            () = answer.closed() => return,
            ended = self.reconciler.reconcile(&mut self.session, &request, &never) => ended,
        };
        if ended.is_ok() && lifetime != Keep::Once {
            self.active = Some(request);
        }
        // Whoever has the answer finds a session at rest.
        drop(working);
        let _ = answer.send(ended);
    }

    /// Does what `up` would. A newer change makes this out of date, and so does a client's request.
    async fn bring_live(&mut self, seen: BTreeSet<Change>) {
        let Some(request) = self.active.clone() else {
            return;
        };
        let _working = self.session.begin(Purpose::Changes(names(&seen)));
        let step = self
            .session
            .reporter
            .start(format!("change/{}", names(&seen)), reasons(&seen));
        let stale = CancellationToken::new();
        let mut is_overtaken = false;
        let work = self
            .reconciler
            .reconcile(&mut self.session, &request, &stale);
        let mut work = std::pin::pin!(work);
        let ended = loop {
            tokio::select! {
                ended = &mut work => break ended,
                change = self.changes.next() => {
                    stale.cancel();
                    self.pending.insert(change);
                }
                Some(queued) = self.requests.recv() => {
                    if matches!(queued, Queued::Up { .. }) {
                        stale.cancel();
                        is_overtaken = true;
                    }
                    self.waiting.push_back(queued);
                }
            }
        };
        match ended {
            // What comes next looks at everything anew.
            _ if !self.pending.is_empty() => step.skip("newer changes came meanwhile"),
            ended if is_overtaken && !is_ready(&ended) => {
                step.skip("a newer `up` came meanwhile");
                // That one may be refused or cut off.
                self.pending = seen;
            }
            ended => tell(step, ended),
        }
    }
}

/// Waits until there are changes and their burst is over. Before an `up` of a client has settled there is nothing that
/// they could be brought live by, and they are forgotten.
async fn burst(pending: &mut BTreeSet<Change>, changes: &mut Changes, active: Option<&UpRequest>) {
    loop {
        if pending.is_empty() {
            pending.insert(changes.next().await);
        }
        match active {
            Some(request) => return changes.burst(pending, &request.source.dir).await,
            None => pending.clear(),
        }
    }
}

fn is_ready(ended: &Ended) -> bool {
    ended.as_ref().is_ok_and(|outcome| outcome.ready)
}

/// Ends the step of changes with what their reconcile came to.
fn tell(step: Step, ended: Ended) {
    match ended {
        Ok(outcome) if outcome.ready => step.done("live"),
        Ok(outcome) => {
            let failed = format!("not live: {} failed", outcome.failed.join(", "));
            step.failed(
                Error::new(Code::NotLive, failed).hint("mend it and save; what ran before goes on"),
            );
        }
        Err(mut errors) => {
            let last = errors.0.pop();
            errors.0.into_iter().for_each(|error| step.trouble(error));
            match last {
                Some(error) => step.failed(error),
                None => step.done("live"),
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
