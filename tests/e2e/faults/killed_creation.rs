//! Whoever is killed while the cluster is made: the next `up` makes it anew, and `down --delete` leaves nothing of
//! it. On clusters of their own.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::killed::{At, comes_up, half_on, started_by};
use crate::support::leftovers::Snapshot;
use crate::support::machine::{machine, nodes_of};
use crate::support::project::Project;
use crate::support::run::{Running, kill};
use crate::support::{eventually, tell};

const STARTED: At = At::Told("cluster.create", "started");
const DONE: At = At::Told("cluster.create", "done");

/// Waits until kind has begun to make a node of this cluster.
fn node_begun(cluster: &str) {
    let begun = || {
        !machine()
            .processes(&format!("io.x-k8s.kind.cluster={cluster} "))
            .is_empty()
    };
    eventually("kind makes no node", Duration::from_secs(60), begun);
}

/// Waits until kind starts the control plane.
fn control_plane_begun(up: &mut Running) {
    up.wait_for(&["\"cluster.create\"", "Starting control-plane"]);
}

/// Begins `up` with these words, does something to it, brings the project up, and removes it.
fn recovers(name: &str, what: &str, words: &[&str], fault: impl FnOnce(&Project, Running)) {
    let cluster = format!("devk-e2e-{name}");
    let before = Snapshot::of(&[name]);
    let project = half_on(&cluster, name);
    fault(&project, project.start(words));
    comes_up(&project, what);
    let down = project.devk(&["down", "--delete"]).well().document();
    assert_eq!(down["ending"], "delete-cluster", "{down}");
    assert!(nodes_of(&cluster).is_empty());
    before.leaves_nothing(what);
}

fn session_killed(project: &Project, up: Running) {
    let session = machine().supervisors(&project.name);
    assert_eq!(session.len(), 1);
    kill(session[0], Signal::KILL);
    up.ended().exits(1);
}

#[test]
fn a_session_killed_before_kind_has_made_a_node() {
    recovers(
        "cut-start",
        "session killed at `cluster.create started`",
        &["up", "-d"],
        |project, mut up| {
            STARTED.reached(project, &mut up);
            session_killed(project, up);
        },
    );
}

#[test]
fn a_session_killed_while_kind_makes_a_node() {
    recovers(
        "cut-node",
        "session killed while kind makes a node",
        &["up", "-d"],
        |project, up| {
            node_begun("devk-e2e-cut-node");
            session_killed(project, up);
        },
    );
}

#[test]
fn a_session_killed_when_the_cluster_has_just_been_made() {
    recovers(
        "cut-done",
        "session killed at `cluster.create done`",
        &["up", "-d"],
        |project, mut up| {
            DONE.reached(project, &mut up);
            session_killed(project, up);
        },
    );
}

#[test]
fn a_client_killed_while_kind_starts_the_control_plane() {
    recovers(
        "cut-client",
        "client killed while kind starts the control plane",
        &["up"],
        |_, mut up| {
            control_plane_begun(&mut up);
            up.kill();
            assert_eq!(up.ended().code, None);
        },
    );
}

#[test]
fn a_kind_killed_while_it_makes_a_node() {
    recovers(
        "cut-kind",
        "kind killed while it makes a node",
        &["up", "-d"],
        |project, up| {
            node_begun("devk-e2e-cut-kind");
            let session = machine().supervisors(&project.name)[0];
            kill(started_by(session, "kind create cluster"), Signal::KILL);
            let failed = up.ended().exits(1).end_of("cluster.create");
            assert_eq!(failed["error"]["code"], "command.killed", "{failed}");
        },
    );
}

/// As docs/lifecycle.md promises.
const CTRL_C: Duration = Duration::from_secs(2);

/// Begins `up`, waits for a moment of it, and ends it by Ctrl-C.
fn interrupted(name: &str, what: &str, until: impl FnOnce(&Project, &mut Running)) {
    let cluster = format!("devk-e2e-{name}");
    let before = Snapshot::of(&[name]);
    let project = half_on(&cluster, name);
    let mut up = project.start(&["up"]);
    until(&project, &mut up);
    let since = Instant::now();
    up.interrupt();
    let ran = up.ended().exits(130);
    let took = since.elapsed();
    tell(&format!("Ctrl-C {what}, until `up` has ended"), took);
    assert!(took < CTRL_C, "{took:?}; {ran:?}");
    project.devk(&["down", "--delete"]).well();
    // The Engine would finish what it was asked for, if devk did not wait for that.
    assert_eq!(machine().processes(&cluster), [0; 0]);
    assert!(nodes_of(&cluster).is_empty());
    before.leaves_nothing(what);
}

#[test]
fn ctrl_c_while_kind_makes_a_node() {
    interrupted("int-node", "while kind makes a node", |_, _| {
        node_begun("devk-e2e-int-node")
    });
}

#[test]
fn ctrl_c_while_kind_starts_the_control_plane() {
    interrupted(
        "int-plane",
        "while kind starts the control plane",
        |_, up| control_plane_begun(up),
    );
}

#[test]
fn ctrl_c_when_the_cluster_has_just_been_made() {
    interrupted("int-done", "at `cluster.create done`", |project, up| {
        DONE.reached(project, up)
    });
}
