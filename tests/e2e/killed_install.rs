//! A devk or a helm that is killed in the middle of an installation: the next `up` waits for the helm that was
//! left, or cleans up after one that died.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::machine::{CLUSTER, cluster, command_line};
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
fn in_the_middle(name: &str) -> (Project, Running) {
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
    (project, up)
}

/// Kills the session then.
fn killed_in_the_middle(name: &str) -> Project {
    let (project, up) = in_the_middle(name);
    cluster()
        .supervisors(name)
        .into_iter()
        .for_each(|pid| kill(pid, Signal::KILL));
    up.ended().exits(1);
    project
}

/// The helm that installs this project.
fn helms(project: &Project) -> Vec<u32> {
    let mut helms = cluster().processes("helm upgrade");
    helms.retain(|pid| command_line(*pid).contains(&project.name));
    helms
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
    let project = killed_in_the_middle("left-helm");
    assert_ne!(helms(&project), [0; 0], "helm has outlived its devk");
    comes_up(&project);
}

#[test]
fn up_cleans_up_after_a_helm_that_was_killed_with_its_devk() {
    let project = killed_in_the_middle("killed-helm");
    helms(&project)
        .into_iter()
        .for_each(|pid| kill(pid, Signal::KILL));
    comes_up(&project);
}

#[test]
fn up_cleans_up_after_a_helm_that_was_killed_alone() {
    let (project, up) = in_the_middle("helm-alone");
    helms(&project)
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
