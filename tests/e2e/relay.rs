//! The relay in the node: taken where it serves, and missed by nobody while it does not.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::machine::{CLUSTER, NODE, cluster, docker, relays, run};
use crate::support::project::{Project, port_of};
use crate::support::tell;
use crate::support::wire::get;

/// The sockets by which relays are reached without the network.
fn sockets() -> Vec<String> {
    let folder = docker(&["exec", NODE, "ls", "/devk"]);
    let sockets = folder.lines().filter(|file| file.ends_with(".sock"));
    sockets.map(str::to_owned).collect()
}

fn relay_serves(project: &Project, wanted: bool) {
    let since = Instant::now();
    while project.session()["relay"]["serves"] != wanted {
        assert!(
            since.elapsed() < Duration::from_secs(60),
            "{}",
            project.session()
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn connections_go_through_the_relay_and_over_the_api_server_when_it_dies() {
    cluster();
    let before = relays();
    let others = sockets();
    let project = Project::pair("relayed");
    project.devk(&["up", "-d"]).well();
    relay_serves(&project, true);
    let own = || {
        sockets()
            .into_iter()
            .filter(|socket| !others.contains(socket))
            .collect::<Vec<_>>()
    };
    let [first] = &own()[..] else {
        panic!("{:?}", own())
    };
    let port = project.port("left");
    get(port, "/").unwrap().well();

    // Killed under a loop of requests: what is asked for afterwards is answered all the same.
    docker(&["exec", NODE, "pkill", "-9", "-f", "^/proc/self/fd/3 relay"]);
    for _ in 0..50 {
        get(port, "/").unwrap().well();
    }
    let since = Instant::now();
    relay_serves(&project, true);
    tell("a killed relay is back", since.elapsed());
    assert!(
        own().len() == 1 && own()[0] != *first,
        "{first}, then {:?}",
        own()
    );
    get(port, "/").unwrap().well();

    project.devk(&["down"]).well();
    let since = Instant::now();
    while relays() > before {
        assert!(
            since.elapsed() < Duration::from_secs(10),
            "the relay outlives its session"
        );
    }
    assert!(own().is_empty(), "{:?}", own());
    assert_eq!(
        docker(&["exec", NODE, "find", "/usr/local", "-name", ".devk*"]),
        ""
    );
}

#[test]
fn a_killed_supervisor_takes_its_relay_with_it() {
    let machine = cluster();
    let project = Project::pair("relay-killed");
    project.devk(&["up", "-d"]).well();
    relay_serves(&project, true);
    let with = relays();
    let with_sockets = sockets();
    let pids = machine.supervisors(&project.name);
    run(Command::new("kill")
        .arg("-9")
        .args(pids.iter().map(ToString::to_string)));
    let since = Instant::now();
    while relays() >= with {
        assert!(
            since.elapsed() < Duration::from_secs(10),
            "the relay outlives its supervisor"
        );
    }
    assert_eq!(sockets().len(), with_sockets.len() - 1);
}

/// The folder that the node shares with the host, out of the node's sight: a cluster that was not made by devk.
struct NoFolder;

impl NoFolder {
    fn new() -> Self {
        docker(&[
            "exec", NODE, "mount", "-t", "tmpfs", "-o", "ro", "tmpfs", "/devk",
        ]);
        Self
    }
}

impl Drop for NoFolder {
    fn drop(&mut self) {
        docker(&["exec", NODE, "umount", "/devk"]);
    }
}

#[test]
fn a_node_without_a_shared_folder_is_reached_over_its_network() {
    cluster();
    let project = Project::pair("unshared");
    let _unshared = NoFolder::new();
    project.devk(&["up", "-d"]).well();
    relay_serves(&project, true);
    get(project.port("left"), "/").unwrap().well();
}

/// A firewall that keeps this machine from everything in the node but the API server.
struct Wall;

impl Wall {
    fn new() -> Self {
        Self::rule("-I");
        Self
    }

    fn rule(verb: &str) {
        let words = [
            "INPUT",
            "-i",
            "eth0",
            "-p",
            "tcp",
            "!",
            "--dport",
            "6443",
            "-m",
            "conntrack",
            "--ctstate",
            "NEW",
        ];
        docker(
            &[
                &["exec", NODE, "iptables", verb][..],
                &words,
                &["-j", "REJECT"],
            ]
            .concat(),
        );
    }
}

impl Drop for Wall {
    fn drop(&mut self) {
        Self::rule("-D");
    }
}

#[test]
fn a_firewall_between_host_and_node_leaves_the_shared_folder_and_else_the_api_server() {
    cluster();
    let project = Project::pair("walled");
    let unshared = NoFolder::new();
    let wall = Wall::new();
    let up = project.devk(&["up", "-d"]);
    let answer = up.code.map(|_| get(project.port("left"), "/"));
    let session = project.session();
    drop(unshared);
    // It is tried again by itself.
    relay_serves(&project, true);
    drop(wall);
    assert_eq!(up.code, Some(0));
    answer.unwrap().unwrap().well();
    assert_eq!(session["relay"]["serves"], false);
    assert!(
        session["relay"]["why"]
            .as_str()
            .unwrap()
            .contains("cannot be reached"),
        "{session}"
    );
}

#[test]
fn a_program_on_the_pods_loopback_answers_through_the_relay_as_over_the_api_server() {
    cluster();
    let project = Project::new("tests/e2e/fixtures/services", "loopback", CLUSTER);
    let answers = || {
        let forwards = project.forwards();
        for name in ["v4", "v6", "web"] {
            let page = get(port_of(&forwards, name), "/").unwrap().well();
            assert_eq!(page, format!("{name}\n"));
        }
    };
    project.devk(&["up", "-d"]).well();
    relay_serves(&project, true);
    answers();
    let (_unshared, _wall) = (NoFolder::new(), Wall::new());
    project.devk(&["up", "-d", "--restart"]).well();
    relay_serves(&project, false);
    answers();
}
