//! A Docker Engine that is restarted, and with it every node.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::survives;
use crate::support::eventually;
use crate::support::followed::Followed;
use crate::support::left_out::left_out;
use crate::support::machine::{docker, run};

/// It is the machine's own, and not the lab's.
fn is_systemds() -> bool {
    let active = Command::new("systemctl")
        .args(["is-active", "--quiet", "docker"])
        .stderr(Stdio::null())
        .status();
    active.is_ok_and(|status| status.success())
}

/// An Engine that systemd looks after is restarted by it, any other by the lab, which starts it as it was.
fn restart() {
    if is_systemds() {
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
    if is_systemds() && std::env::var_os("CI").is_none() {
        left_out("it would restart this machine's own Docker, and whatever runs there");
        return;
    }
    let pair = Followed::pair("engine");
    survives(&pair, "Engine restarted", restart);
}
