//! Names that change while the session runs: of a Service, a chart, a release, the project itself.

use std::time::Duration;

use serde_json::Value;

use crate::support::eventually;
use crate::support::followed::{Followed, change, events};
use crate::support::machine::{cluster, git, listens};
use crate::support::project::Project;
use crate::support::wire::get;

const SERVICE: &str = "kind: Service\nmetadata:\n  name: {{ $.Release.Name }}-{{ $name }}\n";

#[test]
fn a_forward_goes_to_the_renamed_service_and_the_old_listener_is_closed() {
    let pair = Followed::pair("service-renamed");
    let old = pair.project.port("left");
    let mut events = events(&pair);
    let renamed = SERVICE.replace("{{ $name }}", "{{ $name }}-web");
    pair.project
        .edit("chart/templates/pair.yaml", SERVICE, &renamed);
    // Nothing has this name any more.
    let told = change(&mut events);
    assert_eq!(
        (&told["status"], &told["error"]["code"]),
        (&"failed".into(), &"forward.target".into()),
        "{told}"
    );
    assert_eq!(get(old, "/index.html").unwrap().well(), "this is left\n");

    // Of the same name it stays where it is.
    pair.project.edit(
        "devk.yaml",
        "  left: 2480\n",
        "  left: {service: pair-left-web, port: 2480}\n",
    );
    pair.project.edit(
        "devk.yaml",
        "  right: 2481\n",
        "  right: {service: pair-right-web, port: 2481}\n",
    );
    let live =
        || pair.project.session()["ready"] == true && pair.project.session()["busy"] == false;
    let leads = |name: &str| {
        let forwards = pair.project.devk(&["status"]).well().document()["forwards"].clone();
        forwards
            .as_array()
            .unwrap()
            .iter()
            .find(|forward| forward["name"] == name)
            .cloned()
            .unwrap_or(Value::Null)
    };
    eventually(
        "the forward does not follow",
        Duration::from_secs(60),
        || {
            leads("left")["service"] == "pair-left-web"
                && leads("right")["service"] == "pair-right-web"
                && live()
        },
    );
    assert_eq!(leads("left")["local"], old);
    assert_eq!(get(old, "/index.html").unwrap().well(), "this is left\n");

    // Of another name and port it is another one.
    pair.project
        .write("values-dev.yaml", "left: {port: 2490}\n");
    pair.project.edit(
        "devk.yaml",
        "  left: {service: pair-left-web, port: 2480}",
        "  west: {service: pair-left-web, port: 2490}",
    );
    eventually("there is no new forward", Duration::from_secs(60), || {
        leads("west")["local"].is_u64() && live()
    });
    assert!(!listens(old), "the old listener is held");
    assert_eq!(
        get(pair.project.port("west"), "/index.html")
            .unwrap()
            .well(),
        "this is left\n"
    );
    pair.is_equal();
}

#[test]
fn a_renamed_chart_is_the_same_release_and_a_renamed_release_is_another_one_beside_the_old() {
    cluster();
    let project = Project::pair("release-renamed");
    project.devk(&["up", "-d"]).well();
    let port = project.port("left");
    std::fs::rename(project.path("chart"), project.path("stack")).unwrap();
    project.edit("stack/Chart.yaml", "name: pair", "name: stack");
    project.edit("devk.yaml", "chart: ./chart", "chart: ./stack");
    project.devk(&["up", "-d"]).well();
    assert_eq!(get(port, "/index.html").unwrap().well(), "this is left\n");

    project.edit("devk.yaml", "- name: pair\n", "- name: couple\n");
    let up = project.devk(&["up", "-d"]).well();
    let told = up.end_of("release.left/pair");
    let detail = told["detail"].as_str().unwrap();
    assert!(
        told["status"] == "skipped"
            && detail.contains("helm uninstall pair --namespace release-renamed"),
        "{told}"
    );
    // The usual port may have become free: another test had it.
    let port = project.port("left");
    assert_eq!(get(port, "/index.html").unwrap().well(), "this is left\n");
    // Neither is forgotten in the end.
    let down = project.devk(&["down", "--delete"]).well();
    assert_eq!(
        [
            down.verdict("release.uninstall/pair"),
            down.verdict("release.uninstall/couple")
        ],
        ["done", "done"]
    );
    assert!(!cluster().has_namespace("release-renamed"));
}

#[test]
fn a_branch_with_another_devk_yaml_is_followed_there_and_back_and_one_of_another_project_is_not() {
    let pair = Followed::pair_not_up("branches");
    let root = pair.project.path("");
    let git = |words: &[&str]| git(&root, words);
    let commit = |branch: &str| {
        git(&["checkout", "-q", "-b", branch]);
        git(&["add", "."]);
        git(&["commit", "-q", "-m", branch]);
    };
    git(&["init", "-q", "-b", "start"]);
    commit("main");
    pair.project.edit(
        "devk.yaml",
        "  right: 2481\n",
        "  again: {service: pair-right, port: 2481}\n",
    );
    pair.save("index.html", "this is the branch\n");
    commit("other");
    pair.project.edit(
        "devk.yaml",
        "name: branches\n",
        "name: branches-elsewhere\n",
    );
    commit("foreign");
    git(&["checkout", "-q", "main"]);
    let pair = pair.up();
    let left = pair.project.port("left");
    let right = pair.project.port("right");
    let mut events = events(&pair);
    let pid = pair.project.session()["pid"].clone();
    let page = |text: &str| get(left, "/index.html").is_ok_and(|answer| answer.body == text);

    git(&["checkout", "-q", "other"]);
    assert_eq!(change(&mut events)["status"], "done");
    assert_eq!(
        get(pair.project.port("again"), "/index.html")
            .unwrap()
            .well(),
        "this is right\n"
    );
    eventually(
        "the branch's file is not live",
        Duration::from_secs(60),
        || page("this is the branch\n"),
    );

    git(&["checkout", "-q", "foreign"]);
    let told = change(&mut events);
    assert_eq!(
        (&told["status"], &told["error"]["code"]),
        (&"failed".into(), &"session.project".into()),
        "{told}"
    );
    assert!(page("this is the branch\n"), "what ran does not go on");
    assert!(!cluster().has_namespace("branches-elsewhere"));

    git(&["checkout", "-q", "main"]);
    assert_eq!(change(&mut events)["status"], "done");
    eventually("main's file is not live", Duration::from_secs(60), || {
        page("this is left\n")
    });
    assert_eq!(
        (pair.project.port("left"), pair.project.port("right")),
        (left, right)
    );
    assert_eq!(get(right, "/index.html").unwrap().well(), "this is right\n");
    assert_eq!(pair.project.session()["pid"], pid);
    pair.is_equal();
}
