//! A devk or a helm that is killed in the middle of an installation: the next `up` waits for the helm that was
//! left, or cleans up after one that died.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::machine::{CLUSTER, Machine, cluster};
use crate::support::project::Project;
use crate::support::run::{Running, kill};
use crate::support::wire::get;
use crate::support::{eventually, tell};

/// Helm waits for it, and so stands in the middle of an installation meanwhile.
const SLOW_HOOK: &str = r#"
apiVersion: batch/v1
kind: Job
metadata:
  name: slow
  annotations: {helm.sh/hook: "pre-install,pre-upgrade", helm.sh/hook-delete-policy: before-hook-creation}
spec:
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 0
      containers:
        - {name: slow, image: "busybox:1", command: [sleep, "5"]}
"#;

/// Starts `up` and waits until helm waits for the hook.
fn in_the_middle(name: &str) -> (Project, Running, &'static Machine) {
    let machine = cluster();
    let project = Project::pair(name);
    project.write("chart/templates/slow.yaml", SLOW_HOOK);
    let up = project.start(&["up", "-d"]);
    let begun = || {
        machine.has_namespace(name)
            && !machine
                .kubectl(CLUSTER, &["-n", name, "get", "jobs"])
                .is_empty()
    };
    eventually(
        "helm does not reach the hook",
        Duration::from_secs(60),
        begun,
    );
    (project, up, machine)
}

/// Kills the session then.
fn killed_in_the_middle(name: &str) -> (Project, &'static Machine) {
    let (project, up, machine) = in_the_middle(name);
    machine
        .supervisors(name)
        .into_iter()
        .for_each(|pid| kill(pid, Signal::KILL));
    up.ended().exits(1);
    (project, machine)
}

fn comes_up(project: &Project) {
    let up = project.devk(&["up", "-d"]).well();
    tell("up after a killed installation", up.took);
    assert_eq!(
        get(project.port("left"), "/index.html").unwrap().well(),
        "this is left\n"
    );
}

#[test]
fn up_waits_for_the_helm_that_a_killed_devk_left_running() {
    let (project, machine) = killed_in_the_middle("left-helm");
    assert_ne!(
        machine.processes("helm upgrade"),
        [0; 0],
        "helm has outlived its devk"
    );
    comes_up(&project);
}

#[test]
fn up_cleans_up_after_a_helm_that_was_killed_with_its_devk() {
    let (project, machine) = killed_in_the_middle("killed-helm");
    machine
        .processes("helm upgrade")
        .into_iter()
        .for_each(|pid| kill(pid, Signal::KILL));
    comes_up(&project);
}

#[test]
fn up_cleans_up_after_a_helm_that_was_killed_alone() {
    let (project, up, machine) = in_the_middle("helm-alone");
    machine
        .processes("helm upgrade")
        .into_iter()
        .for_each(|pid| kill(pid, Signal::KILL));
    let failed = up.ended().exits(1).end_of("release.apply/pair");
    assert!(
        failed["error"]["message"]
            .as_str()
            .unwrap()
            .contains("signal: 9"),
        "{failed}"
    );
    comes_up(&project);
}
