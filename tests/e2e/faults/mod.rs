//! What breaks on a laptop, done from outside to a session that runs: its listeners stay, and the containers
//! come to have the working tree.

mod build;
mod by_hand;
mod cluster;
mod container;
mod disk;
mod engine;
mod hostile;
mod limits;
mod lost;
mod renamed;
mod secrets;
mod session;
mod upgrade;

use std::time::{Duration, Instant};

use crate::support::followed::Followed;
use crate::support::knocker::Knocker;
use crate::support::wire::get;
use crate::support::{eventually, tell};

/// How long a node may take to run pods again.
const NODE_BACK: Duration = Duration::from_secs(180);

/// Does something to the cluster while it saves and knocks, and looks whether all is well afterwards.
fn survives(pair: &Followed, what: &str, fault: impl FnOnce()) {
    let port = pair.project.port("left");
    pair.save("before", "before");
    pair.settled();
    let knocker = Knocker::at(port);
    fault();
    pair.save("after", "after");
    let since = Instant::now();
    let page = || get(port, "/after").is_ok_and(|answer| answer.body == "after");
    eventually("the save does not come live by itself", NODE_BACK, page);
    tell(&format!("{what}, until a save is served through the old listener"), since.elapsed());
    let (refused, knocks) = knocker.counted();
    assert!(refused == 0 && knocks > 5, "{refused} of {knocks} connections were refused");
    pair.is_equal();
}
