//! A session that sleeps, as it does when the laptop does, alone or with its node.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::survives;
use crate::support::followed::Followed;
use crate::support::machine::{docker, machine};
use crate::support::run::kill;
use crate::support::wire::get;
use crate::support::{eventually, tell};

/// Longer than anything in the session waits for an answer would take too long here; what follows is the same.
const ASLEEP: Duration = Duration::from_secs(20);

#[test]
fn a_session_that_slept_catches_up_with_what_was_saved_meanwhile() {
    let pair = Followed::pair("asleep");
    let port = pair.project.port("left");
    let supervisors = machine().supervisors("asleep");
    let all = |signal| supervisors.iter().for_each(|pid| kill(*pid, signal));
    all(Signal::STOP);
    pair.save("index.html", "saved while it slept\n");
    pair.kubectl(&["delete", "pod", &pair.pod(), "--wait=false"]);
    std::thread::sleep(ASLEEP);
    all(Signal::CONT);
    let since = Instant::now();
    let page =
        || get(port, "/index.html").is_ok_and(|answer| answer.body == "saved while it slept\n");
    eventually(
        "the session does not catch up",
        Duration::from_secs(60),
        page,
    );
    tell(
        "woken, until what was saved meanwhile is served",
        since.elapsed(),
    );
    pair.is_equal();
}

/// Longer than a node may be silent before its pods are no longer Ready (40 s, kube-controller-manager's
/// `--node-monitor-grace-period`). `DEVK_E2E_ASLEEP` sets other seconds: after 300 pods are evicted from such a node.
fn night() -> Duration {
    let seconds = std::env::var("DEVK_E2E_ASLEEP").map_or(60, |seconds| seconds.parse().unwrap());
    Duration::from_secs(seconds)
}

#[test]
fn a_laptop_that_slept_ends_no_forward_and_loses_no_file() {
    let pair = Followed::frail("night");
    let node = pair.node();
    let supervisors = machine().supervisors("night");
    survives(
        &pair,
        &format!("session and node asleep for {} s", night().as_secs()),
        || {
            let all = |signal| supervisors.iter().for_each(|pid| kill(*pid, signal));
            all(Signal::STOP);
            docker(&["pause", &node]);
            std::thread::sleep(night());
            docker(&["unpause", &node]);
            all(Signal::CONT);
        },
    );
}
