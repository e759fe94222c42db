//! Who keeps a session alive, and what ends it. What is killed at the steps of `up` stands in `faults/killed.rs`.

use std::time::Duration;

use crate::support::machine::{CLUSTER, cluster, listens};
use crate::support::project::{Project, port_of};
use crate::support::run::Running;
use crate::support::wire::get;
use crate::support::{eventually, tell};

const SOON: Duration = Duration::from_secs(15);

/// Starts `up` in the foreground and waits until it has settled; the port of `left`.
fn settled(project: &Project) -> (Running, u16) {
    let mut up = project.start(&["up"]);
    let line: serde_json::Value = serde_json::from_str(&up.wait_for(&["\"settled\""])).unwrap();
    let port = port_of(line["settled"]["forwards"].as_array().unwrap(), "left");
    (up, port)
}

fn session_ends(project: &Project, port: u16) {
    let over = || cluster().supervisors(&project.name).is_empty() && !listens(port);
    eventually("the session goes on", SOON, over);
}

fn cluster_runs() {
    assert!(
        cluster()
            .kubectl(CLUSTER, &["get", "nodes"])
            .contains(" Ready ")
    );
}

#[test]
fn ctrl_c_before_settling_is_130_and_leaves_the_cluster_running() {
    cluster();
    let project = Project::pair("early");
    project.write("values-dev.yaml", "left: {ready: /never}\n");
    let mut up = project.start(&["up"]);
    up.wait_for(&["release.ready/pair", "started"]);
    let port = project.port("right");
    assert!(listens(port), "bound before it is settled");
    up.interrupt();
    up.ended().exits(130);
    session_ends(&project, port);
    cluster_runs();
}

#[test]
fn a_second_up_attaches_to_the_session_of_the_first_and_its_ctrl_c_ends_nothing() {
    cluster();
    let project = Project::pair("attached");
    project.devk(&["up", "-d"]).well();
    let pid = project.session()["pid"].clone();
    let (second, port) = settled(&project);
    assert_eq!(project.session()["pid"], pid);
    second.interrupt();
    second.ended().exits(0);
    assert_eq!(project.session()["pid"], pid);
    assert!(get(port, "/index.html").is_ok());
}

#[test]
fn a_killed_foreground_client_takes_its_session_with_it() {
    cluster();
    let project = Project::pair("orphan");
    let (up, port) = settled(&project);
    up.kill();
    session_ends(&project, port);
    cluster_runs();
}

#[test]
fn up_once_leaves_no_process_and_no_listener() {
    cluster();
    let project = Project::pair("once");
    let up = project.devk(&["up", "--once"]).well();
    session_ends(
        &project,
        port_of(up.settled()["forwards"].as_array().unwrap(), "left"),
    );
    assert!(cluster().has_namespace("once"), "what it installed stays");
}

#[test]
fn down_frees_the_machine_twice_over_and_up_brings_everything_back() {
    cluster();
    let project = Project::pair("twice");
    project.devk(&["up", "-d"]).well();
    let port = project.port("left");
    for _ in 0..2 {
        let down = project.devk(&["down"]).well().document();
        assert!(
            down["ending"]["sleep"].is_object(),
            "another project lives on the cluster: {down}"
        );
        assert!(!listens(port) && cluster().supervisors("twice").is_empty());
    }
    let no_pods = || {
        cluster()
            .kubectl(CLUSTER, &["-n", "twice", "get", "pods", "-o", "name"])
            .is_empty()
    };
    eventually("pods run after `down`", SOON, no_pods);
    let up = project.devk(&["up", "-d"]).well();
    tell("up after a down that scaled to zero", up.took);
    assert_eq!(project.port("left"), port);
    assert_eq!(get(port, "/index.html").unwrap().well(), "this is left\n");
}
