//! Brings changes live that sync cannot serve: what they make anew is what `up` would do.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::supervisor::Supervisor;
use crate::error::{Code, Error, Errors};
use crate::session::change::{Change, Changes};
use crate::session::outcome::Outcome;
use crate::ui::event::Step;
use crate::up;

impl Supervisor {
    /// Takes changes until the session ends. Nothing is done before an `up` of a client has settled.
    pub(super) async fn renew(self: Arc<Self>, mut changes: Changes) {
        loop {
            let mut seen = BTreeSet::from([changes.next().await]);
            while !seen.is_empty() {
                let Some(asked) = self.goes_by.now() else {
                    break;
                };
                changes.burst(&mut seen, &asked.source.dir).await;
                seen = self.bring_live(&seen, &mut changes).await;
            }
        }
    }

    /// The answer is what came meanwhile, and made this out of date.
    async fn bring_live(&self, seen: &BTreeSet<Change>, changes: &mut Changes) -> BTreeSet<Change> {
        let stale = CancellationToken::new();
        let mut newer = BTreeSet::new();
        // Whoever has the session now may change what there is to do, and what it goes by.
        let mut session = self.session.lock().await;
        let Some(asked) = self.goes_by.now() else {
            return newer;
        };
        let step = self
            .reporter
            .start(format!("change/{}", named(seen)), reasons(seen));
        let work = up::up(&mut session, &self.paths, &asked, &stale);
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
    let first = seen
        .first()
        .map(|change| change.why.clone())
        .unwrap_or_default();
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
mod tests {
    use super::super::request::tests::from;
    use super::*;
    use crate::paths::Paths;
    use crate::session::change;

    #[tokio::test]
    async fn a_change_is_brought_live_by_what_the_session_goes_by_when_it_is_free() {
        let (teller, mut changes) = change::channel();
        let [state, cache, data] =
            ["state", "cache", "data"].map(|folder| format!("/nowhere/{folder}").into());
        let supervisor = Supervisor::new("shop", Paths { state, cache, data }, teller);
        let mut events = supervisor.reporter.subscribe();
        supervisor.goes_by.try_out(from("/nowhere/before")).pass();
        let seen = BTreeSet::from([Change {
            what: "plan".to_owned(),
            why: String::new(),
        }]);
        let session = supervisor.session.lock().await;
        let up = async {
            supervisor.goes_by.try_out(from("/nowhere/after")).pass();
            drop(session);
        };
        tokio::join!(supervisor.bring_live(&seen, &mut changes), up);
        let ended = events.recv().await.and(events.recv().await).unwrap();
        assert!(ended.detail.contains("/nowhere/after"), "{}", ended.detail);
    }

    #[test]
    fn many_changes_are_told_in_one_line() {
        let change = |what: &str, why: &str| Change {
            what: what.to_owned(),
            why: why.to_owned(),
        };
        let seen = BTreeSet::from([change("web", "c"), change("api", "b"), change("api", "a")]);
        assert_eq!(
            (named(&seen).as_str(), reasons(&seen).as_str()),
            ("api+web", "a, and 2 more")
        );
    }
}
