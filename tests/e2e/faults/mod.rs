//! What breaks on a laptop, done from outside: the listeners of a session that runs stay, and the containers
//! come to have the working tree; what was killed comes up again, and is removed without a trace.

mod at_once;
mod build;
mod by_hand;
mod cluster;
mod container;
mod disk;
mod engine;
mod hostile;
mod killed;
mod killed_creation;
mod limits;
mod lost;
mod renamed;
mod secrets;
mod session;
mod two_users;
mod upgrade;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::followed::Followed;
use crate::support::knocker::Knocker;
use crate::support::wire::get;
use crate::support::{eventually, tell};

/// How long a node may take to run pods again.
const NODE_BACK: Duration = Duration::from_secs(180);

/// Between two saves while the fault lasts.
const SAVE: Duration = Duration::from_millis(100);

/// Does something to the cluster or the session while it saves and knocks, and looks whether all is well afterwards.
fn survives(pair: &Followed, what: &str, fault: impl FnOnce()) {
    let port = pair.project.port("left");
    pair.save("before", "before");
    pair.settled();
    let knocker = Knocker::at(port);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                pair.save("hot", format!("{number}"));
                pair.save(format!("f{}", number % 20), format!("{number}"));
                std::thread::sleep(SAVE);
                if over.load(Ordering::SeqCst) {
                    return;
                }
            }
        });
        // Ended with the fault even if that ends the test: the scope would wait for the saver.
        let _over = Ends(&over);
        fault();
    });
    pair.save("after", "after");
    let since = Instant::now();
    let page = || get(port, "/after").is_ok_and(|answer| answer.body == "after");
    eventually("the save does not come live by itself", NODE_BACK, page);
    tell(
        &format!("{what}, until a save is served through the old listener"),
        since.elapsed(),
    );
    knocker.was_never_refused();
    pair.becomes_equal();
    controllers_work(pair);
}

/// Waits until a new pod stands behind its Service: Kubernetes' controllers may come back later than its API server does,
/// and the next test's forwards need them.
fn controllers_work(pair: &Followed) {
    let old = pair.pod();
    pair.kubectl(&["delete", "pod", &old, "--wait=false"]);
    let is_new = |name: &str| name.starts_with(pair.deployment) && name != old;
    eventually("no new pod stands behind its Service", NODE_BACK, || {
        let slices = pair.kubectl(&["get", "endpointslices", "-o", "json"]);
        let slices = serde_json::from_str(&slices).unwrap();
        ready_targets(&slices).any(is_new)
    });
}

/// The names of the pods that EndpointSlices have as ready. A slice of a Service without pods has `endpoints: null`.
fn ready_targets(slices: &Value) -> impl Iterator<Item = &str> {
    let endpoints = slices["items"].as_array().into_iter().flatten();
    endpoints
        .flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten())
        .filter(|endpoint| endpoint["conditions"]["ready"] == true)
        .filter_map(|endpoint| endpoint["targetRef"]["name"].as_str())
}

/// Says that it is over when it is dropped.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
