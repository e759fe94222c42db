//! Runs steps as a graph: a step starts when all steps that it needs have succeeded; a failure stops only the steps
//! that depend on the failed one.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use futures::stream::{FuturesUnordered, StreamExt};

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepVerdict {
    Ok,
    Failed,
    /// Something it needs did not end well.
    Blocked,
}

/// A node of the graph: `(id, ids it needs)`.
pub type GraphNode = (String, Vec<String>);

/// Runs `run(id)` for every node whose needs ended well and `blocked(id, need)` for the others.
/// A need that is no node counts as unmet. Dropping the future stops everything.
pub async fn run<F, R>(
    nodes: &[GraphNode],
    mut run: F,
    mut blocked: impl FnMut(&str, &str),
) -> BTreeMap<String, StepVerdict>
where
    F: FnMut(String) -> R,
    R: Future<Output = bool>,
{
    let mut verdicts = BTreeMap::new();
    let mut waiting: BTreeSet<usize> = (0..nodes.len()).collect();
    let mut running = FuturesUnordered::new();
    loop {
        while let Some((at, decision)) = waiting
            .iter()
            .find_map(|&at| Some((at, decide(&nodes[at], nodes, &verdicts)?)))
        {
            waiting.remove(&at);
            let id = nodes[at].0.clone();
            match decision {
                Decision::Start => running.push(supervised(id.clone(), run(id))),
                Decision::Block(need) => {
                    blocked(&id, &need);
                    verdicts.insert(id, StepVerdict::Blocked);
                }
            }
        }
        let Some((id, verdict)) = running.next().await else {
            return verdicts;
        };
        verdicts.insert(id, verdict);
    }
}

enum Decision {
    Start,
    Block(String),
}

fn decide(
    (_, needs): &GraphNode,
    nodes: &[GraphNode],
    verdicts: &BTreeMap<String, StepVerdict>,
) -> Option<Decision> {
    let unmet = |need: &&String| match verdicts.get(*need) {
        Some(verdict) => *verdict != StepVerdict::Ok,
        None => !nodes.iter().any(|(id, _)| id == *need),
    };
    if let Some(need) = needs.iter().find(unmet) {
        return Some(Decision::Block(need.clone()));
    }
    needs
        .iter()
        .all(|need| verdicts.contains_key(need))
        .then_some(Decision::Start)
}

/// A step that panics has failed; its neighbours go on.
async fn supervised(id: String, step: impl Future<Output = bool>) -> (String, StepVerdict) {
    match AssertUnwindSafe(step).catch_unwind().await {
        Ok(true) => (id, StepVerdict::Ok),
        Ok(false) | Err(_) => (id, StepVerdict::Failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    fn nodes(edges: &[(&str, &[&str])]) -> Vec<GraphNode> {
        edges
            .iter()
            .map(|(id, needs)| {
                (
                    (*id).to_owned(),
                    needs.iter().map(ToString::to_string).collect(),
                )
            })
            .collect()
    }

    #[tokio::test]
    async fn a_failure_stops_what_depends_on_it_and_not_its_neighbours() {
        let nodes = nodes(&[
            ("a", &[]),
            ("b", &["a"]),
            ("c", &["b"]),
            ("d", &[]),
            ("e", &["d"]),
        ]);
        let blocked = Mutex::new(vec![]);
        let note = |id: &str, need: &str| blocked.lock().unwrap().push(format!("{id} for {need}"));
        let verdicts = run(&nodes, |id| async move { id != "a" }, note).await;
        assert_eq!(verdicts["a"], StepVerdict::Failed);
        assert_eq!(verdicts["c"], StepVerdict::Blocked);
        assert_eq!(verdicts["e"], StepVerdict::Ok);
        assert_eq!(*blocked.lock().unwrap(), ["b for a", "c for b"]);
    }

    #[tokio::test]
    async fn steps_that_do_not_need_each_other_run_at_once() {
        let meet = tokio::sync::Barrier::new(2);
        let nodes = nodes(&[("a", &[]), ("b", &[])]);
        let both = run(
            &nodes,
            |_| async {
                meet.wait().await;
                true
            },
            |_, _| {},
        );
        let verdicts = tokio::time::timeout(std::time::Duration::from_secs(5), both)
            .await
            .unwrap();
        assert!(verdicts.values().all(|v| *v == StepVerdict::Ok));
    }

    #[tokio::test]
    async fn a_cycle_ends_instead_of_hanging() {
        let nodes = nodes(&[("a", &["b"]), ("b", &["a"]), ("c", &[])]);
        let verdicts = run(&nodes, |_| async { true }, |_, _| {}).await;
        assert_eq!(verdicts.len(), 1);
    }

    #[tokio::test]
    async fn a_step_that_panics_has_failed() {
        let nodes = nodes(&[("a", &[]), ("b", &["a"])]);
        let verdicts = run(&nodes, |_| async { panic!("on purpose") }, |_, _| {}).await;
        assert_eq!(
            (verdicts["a"], verdicts["b"]),
            (StepVerdict::Failed, StepVerdict::Blocked)
        );
    }
}
