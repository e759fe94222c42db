//! A server that starts at once, and leaves nothing behind.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::{Server, call};

/// The slowest of two cores with a whole test suite beside it; by itself the server takes a tenth of this.
const AT_ONCE: Duration = Duration::from_millis(500);

const SOON: Duration = Duration::from_secs(5);

/// A project whose commands wait: its Docker is a socket that takes connections and says nothing.
fn waiting(dir: &Path) -> std::os::unix::net::UnixListener {
    let yaml = "name: shop\ncluster: {provider: kind, name: devk}\nreleases:\n  - {name: shop, chart: chart}\n";
    std::fs::write(dir.join("devk.yaml"), yaml).unwrap();
    std::os::unix::net::UnixListener::bind(dir.join("docker.sock")).unwrap()
}

fn children(pid: u32) -> Vec<PathBuf> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let of_tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let of_tasks = of_tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let all: String = of_tasks.chain(list).collect::<Vec<_>>().join(" ");
    all.split_whitespace()
        .map(|pid| PathBuf::from(format!("/proc/{pid}")))
        .collect()
}

fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let since = Instant::now();
    while !reached() {
        assert!(since.elapsed() < SOON, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A server with a call that waits for Docker.
fn busy(dir: &Path) -> (Server, Vec<PathBuf>, std::os::unix::net::UnixListener) {
    let listener = waiting(dir);
    let mut command = super::devk(dir);
    command.env(
        "DOCKER_HOST",
        format!("unix://{}", dir.join("docker.sock").display()),
    );
    let mut server = Server::of(command);
    server.initialize();
    server.send(&call(1, "status", &json!({})));
    let pid = server.child.id();
    until("no command was started", || !children(pid).is_empty());
    let children = children(pid);
    (server, children, listener)
}

#[test]
fn the_server_starts_at_once_and_asks_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let since = Instant::now();
    let mut server = Server::start(dir.path());
    server.initialize();
    let took = since.elapsed();
    assert!(took < AT_ONCE, "{took:?}");
    assert_eq!(server.end().status.code(), Some(0));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_client_that_goes_in_the_middle_of_a_call_leaves_no_command_behind() {
    let dir = tempfile::tempdir().unwrap();
    let (server, children, _listener) = busy(dir.path());
    assert_eq!(server.end().status.code(), Some(0));
    until("a command is left", || {
        children.iter().all(|child| !child.exists())
    });
}

#[test]
fn a_server_that_is_asked_to_end_leaves_no_command_behind() {
    let dir = tempfile::tempdir().unwrap();
    let (server, children, _listener) = busy(dir.path());
    let pid = Pid::from_raw(server.child.id().cast_signed()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let mut server = server;
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    // The system clears a killed process away a moment later. Docker would be waited for much longer.
    until("a command is left", || {
        children.iter().all(|child| !child.exists())
    });
}

#[test]
fn two_servers_of_one_project_serve_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    let mut servers = [Server::start(dir.path()), Server::start(dir.path())];
    servers.iter_mut().for_each(Server::initialize);
    for server in &mut servers {
        server.send(&call(1, "status", &json!({})));
    }
    for server in &mut servers {
        assert_eq!(server.next()["result"]["isError"], true);
    }
}
