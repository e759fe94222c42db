//! The controller: one loop that owns the session. Clients and watches put requests into its queue, and nothing else
//! changes the session.
//!
//! The loop serves clients' requests in the order of their arrival, and before changes. The reconcile that serves a
//! client's `up` also brings a change live that sync cannot serve; a newer change or request overtakes the reconcile of
//! a change. A client's `up` is overtaken only while it waits for the cluster, and then starts again: a fix of the
//! thing it waits for must not wait for it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::control::Lifetime;
use crate::error::{Code, Error, Errors};
use crate::paths::Paths;
use crate::session::Session;
use crate::session::change::{Change, Changes, names, reasons};
use crate::session::outcome::Outcome;
use crate::session::sync::Verifier;
use crate::session::view::Purpose;
use crate::ui::event::Step;
use crate::up::{self, Overtaken, UpRequest};

/// How often a client's `up` starts again for newer changes: a program that always writes into a build context must not
/// keep the client from its answer.
const MAX_OVERTAKES: usize = 10;

/// The outcome of an `up`, or why nothing was touched.
pub(super) type Ended = Result<Outcome, Errors>;

/// A request in the queue. A request whose client is gone is dropped, even while it is being served.
#[derive(Debug)]
pub(super) enum Queued {
    Up {
        /// The number of the request in the session's view.
        number: u64,
        request: Arc<UpRequest>,
        lifetime: Lifetime,
        answer: oneshot::Sender<Ended>,
    },
    /// Answered between two reconciles.
    Verifier { answer: oneshot::Sender<Verifier> },
    /// Answered when no change is pending, with the errors for which the last plan was refused.
    Live {
        answer: oneshot::Sender<Option<Errors>>,
    },
}

/// Brings a session to the state that a request asks for.
pub(super) trait Reconcile {
    /// As [`up::up`].
    async fn reconcile(
        &self,
        session: &mut Session,
        request: &UpRequest,
        changes: Option<&BTreeSet<Change>>,
        overtaken: &Overtaken,
    ) -> Ended;
}

/// The reconcile of the real devk.
#[derive(Debug)]
pub(super) struct BringUp {
    pub(super) paths: Paths,
}

impl Reconcile for BringUp {
    async fn reconcile(
        &self,
        session: &mut Session,
        request: &UpRequest,
        changes: Option<&BTreeSet<Change>>,
        overtaken: &Overtaken,
    ) -> Ended {
        up::up(session, &self.paths, request, changes, overtaken).await
    }
}

pub(super) struct Controller<R> {
    session: Session,
    reconciler: R,
    /// The active request, with which changes are brought live: the last request that settled.
    active: Option<Arc<UpRequest>>,
    requests: mpsc::UnboundedReceiver<Queued>,
    /// Requests that arrived while changes were being brought live.
    waiting: VecDeque<Queued>,
    changes: Changes,
    /// Changes that are yet to be brought live.
    pending: BTreeSet<Change>,
    /// Those who wait until no change is pending.
    asking: Vec<oneshot::Sender<Option<Errors>>>,
    /// Why the last reconcile made no plan.
    refused: Option<Errors>,
    /// Somebody asks who came after the refusal: its cause may be gone, and nothing told so.
    is_asked_again: bool,
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
            asking: vec![],
            refused: None,
            is_asked_again: false,
            end,
        }
    }

    /// Serves requests and changes until the session ends, and closes it. A reconcile that is at work then is dropped.
    pub(super) async fn run(mut self) {
        // A session whose loop is gone, for whatever reason, ends.
        let _end = self.end.clone().drop_guard();
        let end = self.end.clone();
        end.run_until_cancelled(self.work()).await;
        // Clients that wait for an answer see now that none will come.
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
                Next::Serve(Queued::Live { answer }) => {
                    self.is_asked_again |= self.refused.is_some();
                    self.asking.push(answer);
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
        self.answer_if_live();
        let active = self.active.as_deref();
        tokio::select! {
            biased;
            Some(queued) = self.requests.recv() => Next::Serve(queued),
            () = burst(&mut self.pending, &mut self.changes, active) => {
                Next::BringLive(std::mem::take(&mut self.pending))
            }
        }
    }

    /// Every change that was told before a question is in the channel when the question is here.
    fn answer_if_live(&mut self) {
        if self.asking.is_empty() {
            return;
        }
        self.changes.take_told(&mut self.pending);
        if self.active.is_none() {
            // They are forgotten, as in [`burst`].
            self.pending.clear();
        }
        if self.pending.is_empty() && self.is_asked_again {
            self.pending.insert(Change {
                what: "plan".to_owned(),
                why: "the last plan was refused, and somebody waits for it".to_owned(),
                input: None,
            });
        }
        if self.pending.is_empty() {
            for answer in self.asking.drain(..) {
                // Who does not wait any more needs no answer.
                let _ = answer.send(self.refused.clone());
            }
        }
    }

    /// Serves a client's request. Changes that arrive meanwhile are brought live by it or after it.
    async fn up(
        &mut self,
        number: u64,
        request: Arc<UpRequest>,
        lifetime: Lifetime,
        mut answer: oneshot::Sender<Ended>,
    ) {
        if answer.is_closed() {
            return;
        }
        let working = self.session.begin(Purpose::Request(number));
        let mut seen = BTreeSet::new();
        let ended = tokio::select! {
            biased;
            () = answer.closed() => None,
            ended = self.reconcile_until_current(&request, &mut seen) => Some(ended),
        };
        if ended.as_ref().is_some_and(Result::is_ok) && lifetime != Lifetime::Once {
            self.active = Some(request);
            self.refused = None;
        } else {
            // The active request brings them live.
            self.pending.append(&mut seen);
        }
        // Whoever has the answer finds a session at rest.
        drop(working);
        if let Some(ended) = ended {
            let _ = answer.send(ended);
        }
    }

    /// Serves a client's request, and the changes that arrive while the request waits for the cluster. The changes that
    /// were brought live with it are added to `seen`.
    async fn reconcile_until_current(
        &mut self,
        request: &UpRequest,
        seen: &mut BTreeSet<Change>,
    ) -> Ended {
        for _ in 0..MAX_OVERTAKES {
            let (ended, is_overtaken) = self.reconcile_request(request).await;
            if !is_overtaken || is_ready(&ended) || ended.is_err() {
                return ended;
            }
            self.changes
                .burst(&mut self.pending, &request.source.dir)
                .await;
            let step = format!("change/{}", names(&self.pending));
            let step = self.session.reporter.start(step, reasons(&self.pending));
            step.done("the waiting `up` starts again with this change");
            seen.append(&mut self.pending);
        }
        self.reconciler
            .reconcile(&mut self.session, request, None, &Overtaken::default())
            .await
    }

    /// Reconciles once. A change ends the waiting for the cluster; the second value says whether a change came.
    async fn reconcile_request(&mut self, request: &UpRequest) -> (Ended, bool) {
        let overtaken = Overtaken::default();
        let work = self
            .reconciler
            .reconcile(&mut self.session, request, None, &overtaken);
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                ended = &mut work => return (ended, overtaken.waits.is_cancelled()),
                change = self.changes.next() => {
                    overtaken.waits.cancel();
                    self.pending.insert(change);
                }
            }
        }
    }

    /// Does what `up` would. A newer change overtakes this, and so does a client's request.
    async fn bring_live(&mut self, seen: BTreeSet<Change>) {
        self.is_asked_again = false;
        let Some(request) = self.active.clone() else {
            return;
        };
        let _working = self.session.begin(Purpose::Changes(names(&seen)));
        let step = self
            .session
            .reporter
            .start(format!("change/{}", names(&seen)), reasons(&seen));
        let (ended, is_overtaken) = self.reconcile_changes(&request, &seen).await;
        match ended {
            // What comes next brings both live: what has changed was looked at, or is looked at then.
            _ if !self.pending.is_empty() => step.skip("newer changes came meanwhile"),
            ended if is_overtaken && !is_ready(&ended) => {
                step.skip("a newer `up` came meanwhile");
                // That one may be refused or cut off.
                self.pending = seen;
            }
            ended => {
                self.refused = ended.as_ref().err().cloned();
                report(step, ended);
            }
        }
    }

    /// Anything newer ends it; the answer is also whether a client's request did.
    async fn reconcile_changes(
        &mut self,
        request: &UpRequest,
        seen: &BTreeSet<Change>,
    ) -> (Ended, bool) {
        let overtaken = Overtaken::default();
        let mut by_request = false;
        let work = self
            .reconciler
            .reconcile(&mut self.session, request, Some(seen), &overtaken);
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                ended = &mut work => return (ended, by_request),
                change = self.changes.next() => {
                    overtaken.all();
                    self.pending.insert(change);
                }
                Some(queued) = self.requests.recv() => {
                    if matches!(queued, Queued::Up { .. }) {
                        overtaken.all();
                        by_request = true;
                    }
                    self.waiting.push_back(queued);
                }
            }
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

/// Ends the step of changes with the result of their reconcile.
fn report(step: Step, ended: Ended) {
    match ended {
        Ok(outcome) if outcome.ready => step.done("live"),
        Ok(outcome) => {
            let failed = format!("not live: {} failed", outcome.failed.join(", "));
            step.failed(
                Error::new(Code::NotLive, failed)
                    .hint("fix the file and save again; the pods that ran before keep running"),
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
