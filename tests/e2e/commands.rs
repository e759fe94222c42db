//! The commands for a stack that runs: logs, restart, sh, open; and what they do when devk.yaml or the session's folder
//! has a problem.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use crate::support::eventually;
use crate::support::machine::{CLUSTER, NODE, cluster, docker, listens};
use crate::support::project::Project;
use crate::support::wire::get;

const SOON: Duration = Duration::from_secs(20);

fn pod(project: &Project) -> String {
    let list = [
        "-n",
        &project.name,
        "get",
        "pods",
        "-l",
        "app=left",
        "-o",
        "name",
    ];
    cluster().kubectl(CLUSTER, &list)
}

#[test]
fn a_running_service_is_restarted_entered_opened_and_read() {
    cluster();
    let mut project = Project::pair("commands");
    project.devk(&["up", "-d"]).well();

    let before = pod(&project);
    let restarted = project.devk(&["restart", "left"]).well();
    assert_eq!(
        restarted.documents().last().unwrap()["restarted"][0],
        "deployment/pair-left"
    );
    assert_ne!(pod(&project), before);
    let again = project.devk(&["up", "-d"]).well();
    assert_eq!(
        again.verdict("release.apply/pair"),
        "skipped",
        "a restart is no drift"
    );
    let nothing = project.devk(&["restart", "left", "lfet"]);
    assert_eq!(nothing.error()["code"], "service.unknown");

    let said = project
        .devk(&["sh", "left", "--", "cat", "/www/index.html"])
        .well();
    assert_eq!(said.stdout, "this is left\n");
    project
        .devk(&["sh", "left", "--", "sh", "-c", "exit 7"])
        .exits(7);
    let missing = project.devk(&["sh", "left", "--", "no-such-program"]);
    assert_eq!(missing.code, Some(1), "{missing:?}");
    let container = project.devk(&["sh", "left", "-c", "lefft", "--", "true"]);
    assert_eq!(container.error()["hint"], "did you mean `left`?");

    project
        .devk(&["sh", "left", "--", "sh", "-c", "echo said >/proc/1/fd/1"])
        .well();
    let logs = project
        .devk(&["logs", "left", "-c", "left", "--since", "1h"])
        .well();
    assert_eq!(logs.document()["container"], "left");
    let none = project.devk(&["logs", "left", "--previous"]);
    assert_eq!(none.error()["code"], "logs.none");
    let own = r#"labels."io.kubernetes.pod.namespace"==commands,labels."io.kubernetes.container.name"==left"#;
    let ctr = "ctr --namespace k8s.io";
    // The container of the pod before may still be listed.
    let list = format!("{ctr} containers list --quiet '{own}'");
    let stop = format!("for id in $({list}); do {ctr} tasks kill --signal SIGKILL $id; done; true");
    docker(&["exec", NODE, "sh", "-c", &stop]);
    let said_before = || {
        let logs = project.devk(&["logs", "left", "--previous"]);
        logs.code == Some(0) && logs.stdout.contains("said")
    };
    eventually("the log before the restart is not shown", SOON, said_before);
    let unknown = project.devk(&["logs", "left", "-c", "lefft"]);
    assert_eq!(unknown.error()["hint"], "did you mean `left`?");

    let bin = project.path("bin");
    std::fs::create_dir(&bin).unwrap();
    project.write("bin/xdg-open", "#!/bin/sh\necho \"$1\" >opened\n");
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(bin.join("xdg-open"), executable).unwrap();
    project.prefer(&bin);
    project.devk(&["open", "left"]).well();
    let opened = std::fs::read_to_string(project.path("opened")).unwrap();
    assert_eq!(
        opened,
        format!("http://127.0.0.1:{}\n", project.port("left"))
    );
    let which = project.devk(&["open"]);
    assert!(
        which.error()["message"]
            .as_str()
            .unwrap()
            .ends_with("2 forwards: name one")
    );
}

#[test]
fn what_runs_is_shown_in_spite_of_a_typo_and_a_session_without_its_folder_ends() {
    let machine = cluster();
    let project = Project::pair("typo");
    project.devk(&["up", "-d"]).well();
    let port = project.port("left");
    project.edit("devk.yaml", "    timeout: 60s\n", "    timeuot: 60s\n");
    assert_eq!(
        project.devk(&["up", "-d"]).exits(2).error()["code"],
        "config.unknown-key"
    );
    let status = project.devk(&["status"]).well().document();
    assert_eq!(status["forwards"][0]["local"], port);
    project.devk(&["logs", "left"]).well();
    project.edit("devk.yaml", "    timeuot: 60s\n", "    timeout: 60s\n");

    assert_eq!(machine.supervisors("typo").len(), 1);
    std::fs::remove_dir_all(machine.state().join("projects/typo")).unwrap();
    let is_over = || machine.supervisors("typo").is_empty() && !listens(port);
    eventually("the session goes on without its folder", SOON, is_over);
    project.devk(&["up", "-d"]).well();
    assert_eq!(get(port, "/index.html").unwrap().well(), "this is left\n");
}

#[test]
fn a_command_that_only_looks_leaves_no_state() {
    let machine = cluster();
    let project = Project::pair("looks");
    project.edit(
        "devk.yaml",
        "    timeout: 60s\n",
        "    generate: {secret: hex32}\n",
    );
    for looks in [
        &["up", "--dry-run"][..],
        &["ports"],
        &["env"],
        &["status"],
        &["doctor"],
    ] {
        project.devk(looks);
        assert_eq!(machine.state_of("looks"), [""; 0], "{looks:?}");
    }
}
