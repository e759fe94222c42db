//! Every case of `cases/`: devk's answer, the recorded one and the real one are the same.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::answer::Answer;
use crate::case::{Case, topics};
use crate::real;

fn is_set(name: &str) -> bool {
    std::env::var(name).is_ok_and(|value| value == "1")
}

/// `work` for each item, on a few threads; the results in the items' order.
pub(crate) fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(items.len()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(4, |n| n.get() * 2) {
            scope.spawn(|| {
                while let Some(item) = { items.get(next.load(Ordering::Relaxed)) } {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let _ = item;
                    let Some(item) = items.get(at) else { break };
                    let result = work(item);
                    results.lock().unwrap().push((at, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

#[test]
fn update() {
    if !is_set("UPDATE") {
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    for mut topic in topics() {
        let real = in_parallel(&topic.cases, |case| {
            case.lay_out(parent.path());
            real::ask(case, parent.path())
        });
        for (case, (answer, said)) in topic.cases.iter_mut().zip(real) {
            if case.answer.as_ref() != Some(&answer) {
                println!("{}: {}\n    {}\n    {}", case.topic, case.name, answer.record(true).replace('\n', "\n    "), said.trim());
            }
            case.answer = Some(answer);
        }
        topic.write();
    }
}
