//! A Docker Engine that is restarted, and with it every node.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::followed::Followed;
use crate::support::knocker::Knocker;
use crate::support::machine::{docker, run};
use crate::support::wire::get;
use crate::support::{eventually, tell};

/// An Engine that systemd looks after is restarted by it, any other by the lab, which starts it as it was.
fn restart() {
    let systemd = Command::new("systemctl").args(["is-active", "--quiet", "docker"]).status();
    if systemd.is_ok_and(|status| status.success()) {
        run(Command::new("systemctl").args(["restart", "docker"]));
        return;
    }
    let pid = std::fs::read_to_string("/var/run/docker.pid").unwrap();
    run(Command::new("kill").arg(pid.trim()));
    let gone = || !std::path::Path::new("/proc").join(pid.trim()).exists();
    eventually("dockerd does not end", Duration::from_secs(60), gone);
    run(Command::new("cargo").args(["xtask", "lab", "docker"]));
    docker(&["version"]);
}

#[test]
fn a_restarted_engine_ends_no_forward_and_loses_no_file() {
    let pair = Followed::pair("engine");
    let port = pair.project.port("left");
    pair.save("before", "before");
    pair.settled();
    let knocker = Knocker::at(port);
    restart();
    pair.save("after", "after");
    let since = Instant::now();
    let page = || get(port, "/after").is_ok_and(|answer| answer.body == "after");
    eventually("the save does not come live by itself", Duration::from_secs(180), page);
    tell("Engine restarted, until a save is served through the old listener", since.elapsed());
    let (refused, knocks) = knocker.counted();
    assert!(refused == 0 && knocks > 5, "{refused} of {knocks} connections were refused");
    assert_eq!(get(port, "/before").unwrap().well(), "before");
    pair.is_equal();
}
