//! Brings changes live that sync cannot serve: what they make anew is what `up` would do.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use tokio_util::sync::CancellationToken;

use super::change::{Change, Changes};
use super::supervisor::Supervisor;
use crate::error::{Code, Error, Errors};
use crate::session::control::Outcome;
use crate::ui::event::Step;
use crate::up::{self, Asked};

impl Supervisor {
    /// Takes changes until the session ends. Nothing is done before an `up` of a client has settled.
    pub(super) async fn renew(self: Arc<Self>, mut changes: Changes) {
        loop {
            let mut seen = BTreeSet::from([changes.next().await]);
            let Some(asked) = self.asked() else { continue };
            while !seen.is_empty() {
                changes.burst(&mut seen, &asked.source.dir).await;
                seen = self.bring_live(&asked, &seen, &mut changes).await;
            }
        }
    }

    fn asked(&self) -> Option<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The answer is what came meanwhile, and made this out of date.
    async fn bring_live(&self, asked: &Asked, seen: &BTreeSet<Change>, changes: &mut Changes) -> BTreeSet<Change> {
        let (stale, mut newer) = (CancellationToken::new(), BTreeSet::new());
        // Whoever has the session now may change what there is to do.
        let mut session = self.session.lock().await;
        let step = self.reporter.start(format!("change/{}", named(seen)), reasons(seen));
        let work = up::up(&mut session, &self.paths, asked, &stale);
        let mut work = std::pin::pin!(work);
        let ended = loop {
            tokio::select! {
                ended = &mut work => break ended,
                change = changes.next() => {
                    stale.cancel();
                    newer.insert(change);
                }
            }
        };
        tell(step, ended, !newer.is_empty());
        newer
    }
}

/// What is made anew.
fn named(seen: &BTreeSet<Change>) -> String {
    let names: BTreeSet<_> = seen.iter().map(|change| change.what.as_str()).collect();
    names.into_iter().collect::<Vec<_>>().join("+")
}

/// Why; of many reasons the first.
fn reasons(seen: &BTreeSet<Change>) -> String {
    let first = seen.first().map(|change| change.why.clone()).unwrap_or_default();
    match seen.len() {
        0 | 1 => first,
        more => format!("{first}, and {} more", more - 1),
    }
}

fn tell(step: Step, ended: Result<Outcome, Errors>, is_stale: bool) {
    match ended {
        _ if is_stale => step.skip("newer changes came meanwhile"),
        Ok(outcome) if outcome.ready => step.done("live"),
        Ok(outcome) => {
            let failed = format!("not live: {} failed", outcome.failed.join(", "));
            step.failed(Error::new(Code::NotLive, failed).hint("mend it and save; what ran before goes on"));
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
mod tests {
    use super::*;

    #[test]
    fn many_changes_are_told_in_one_line() {
        let change = |what: &str, why: &str| Change { what: what.to_owned(), why: why.to_owned() };
        let seen = BTreeSet::from([change("web", "c"), change("api", "b"), change("api", "a")]);
        assert_eq!((named(&seen).as_str(), reasons(&seen).as_str()), ("api+web", "a, and 2 more"));
    }
}
