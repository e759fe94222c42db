//! What a session stands on, deleted behind its back: the cluster, devk's kubeconfig, the namespace.

use std::process::Command;

use crate::support::followed::Followed;
use crate::support::knocker::Knocker;
use crate::support::machine::{CLUSTER, cluster, machine, nodes_of, run};
use crate::support::project::Project;
use crate::support::tell;
use crate::support::wire::get;

#[test]
fn a_cluster_deleted_behind_devks_back_is_told_and_made_anew_behind_the_same_listeners() {
    const GONE: &str = "devk-e2e-gone";
    let project = Project::pair_on(GONE, "cluster-gone");
    project.devk(&["up", "-d"]).well();
    let port = project.port("left");
    let pid = project.session()["pid"].clone();
    let knocker = Knocker::at(port);
    let aside = tempfile::tempdir().unwrap();
    let kubeconfig = aside.path().join("kubeconfig");
    run(Command::new("kind")
        .args(["delete", "cluster", "--name", GONE, "--kubeconfig"])
        .arg(kubeconfig));

    let status = project.devk(&["status"]).well().document();
    assert_eq!(
        (&status["cluster"]["state"], &status["session"]["pid"]),
        (&"absent".into(), &pid),
        "{status}"
    );
    let again = project.devk(&["up", "-d"]).well();
    tell(
        "up after the cluster was deleted behind its back",
        again.took,
    );
    assert_eq!(again.verdict("image.build/left"), "skipped");
    assert_eq!(
        (project.session()["pid"].clone(), project.port("left")),
        (pid, port)
    );
    assert_eq!(get(port, "/index.html").unwrap().well(), "this is left\n");
    knocker.was_never_refused();
    // It is devk's still, and goes with the last project.
    assert_eq!(
        project.devk(&["down", "--delete"]).well().document()["ending"],
        "delete-cluster"
    );
    assert!(nodes_of(GONE).is_empty());
    assert!(!machine().state().join("clusters").join(GONE).exists());
}

#[test]
fn a_kubeconfig_that_was_emptied_or_deleted_is_fetched_again() {
    cluster();
    let project = Project::pair("kubeconfig");
    project.devk(&["up", "-d"]).well();
    let port = project.port("left");
    let file = machine().kubeconfig(CLUSTER);
    // kind writes it in another order.
    let server = || {
        let text = std::fs::read_to_string(&file).unwrap();
        text.lines()
            .find(|line| line.contains("server: "))
            .map(str::trim)
            .map(str::to_owned)
    };
    let whole = server().unwrap();
    std::fs::write(&file, "").unwrap();
    let status = project.devk(&["status"]).well().document();
    assert_eq!(status["cluster"]["error"]["hint"], "devk up", "{status}");
    assert_eq!(get(port, "/index.html").unwrap().well(), "this is left\n");
    let up = project.devk(&["up", "-d"]).well();
    assert_eq!(up.verdict("release.apply/pair"), "skipped");
    assert_eq!(server(), Some(whole));
    assert!(cluster().has_namespace("kubeconfig"));
    let status = project.devk(&["status"]).well().document();
    assert_eq!(status["cluster"]["created_by_devk"], true, "{status}");

    std::fs::remove_file(&file).unwrap();
    project.devk(&["down", "--delete"]).well();
    assert!(
        !cluster().has_namespace("kubeconfig"),
        "`down --delete` left the namespace"
    );
}

#[test]
fn a_namespace_deleted_by_hand_is_made_and_filled_again() {
    let pair = Followed::pair("namespace-gone");
    let port = pair.project.port("left");
    pair.save("index.html", "saved before\n");
    pair.settled();
    let knocker = Knocker::at(port);
    cluster().kubectl(
        CLUSTER,
        &["delete", "namespace", "namespace-gone", "--wait=false"],
    );
    let up = pair.project.devk(&["up", "-d"]).well();
    tell("up after the namespace was deleted", up.took);
    assert_eq!(get(port, "/index.html").unwrap().well(), "saved before\n");
    knocker.was_never_refused();
    pair.save("index.html", "saved after\n");
    pair.is_equal();
}
