//! What sync cannot serve comes live by itself all the same: by a build, an upgrade, a new plan.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::followed::{Followed, change, events};
use crate::support::machine::{CLUSTER, docker, git, images_of};
use crate::support::wire::get;
use crate::support::{eventually, tell};

const PATIENCE: Duration = Duration::from_secs(90);

fn page(port: u16) -> String {
    get(port, "/index.html")
        .map(|answer| answer.body)
        .unwrap_or_default()
}

#[test]
fn a_changed_dockerfile_is_rebuilt_and_what_was_synced_before_stays() {
    let pair = Followed::pair("dockerfile");
    let port = pair.project.port("left");
    pair.save("index.html", "synced\n");
    pair.settled();
    let pod = pair.pod();
    let mut events = events(&pair);
    let since = Instant::now();
    pair.project.edit(
        "left/Dockerfile",
        "COPY www /www\n",
        "COPY www /www\nRUN echo built >/www/built\n",
    );
    let change = change(&mut events);
    assert_eq!(change["status"], "done", "{change}");
    tell("a saved Dockerfile, until its image runs", since.elapsed());
    assert_ne!(pair.pod(), pod);
    assert_eq!(get(port, "/built").unwrap().well(), "built\n");
    assert_eq!(page(port), "synced\n");
    pair.save("index.html", "synced into the new one\n");
    eventually("the new image is not followed", PATIENCE, || {
        page(port) == "synced into the new one\n"
    });
}

/// The tags of the image in the node, as its runtime lists them.
fn in_node(project: &str) -> BTreeSet<String> {
    let list = docker(&[
        "exec",
        &format!("{CLUSTER}-control-plane"),
        "ctr",
        "-n",
        "k8s.io",
        "images",
        "ls",
        "-q",
    ]);
    list.lines()
        .filter(|name| name.starts_with(&format!("devk.local/{project}/left:")))
        .map(str::to_owned)
        .collect()
}

#[test]
fn of_what_rebuilds_replace_one_image_stays_in_docker_and_in_the_node() {
    let pair = Followed::pair("replaced");
    let mut events = events(&pair);
    let mut built = vec![];
    for number in 0..4 {
        pair.project.write("left/Dockerfile", &dockerfile(number));
        assert_eq!(change(&mut events)["status"], "done");
        pair.settled();
        let images = pair.project.devk(&["status"]).well().document()["images"].clone();
        let left = images
            .as_array()
            .unwrap()
            .iter()
            .find(|image| image["name"] == "left")
            .unwrap();
        built.push(left["reference"].as_str().unwrap().to_owned());
    }
    let last: BTreeSet<_> = built[2..].iter().cloned().collect();
    let lefts = || {
        images_of("replaced")
            .into_iter()
            .filter(|image| image.contains("/left:"))
            .collect::<BTreeSet<_>>()
    };
    eventually("Docker keeps what was replaced", PATIENCE, || {
        lefts() == last
    });
    eventually("the node keeps what was replaced", PATIENCE, || {
        in_node("replaced") == last
    });
    assert_eq!(page(pair.project.port("left")), "this is left\n");
}

fn dockerfile(number: usize) -> String {
    let text = include_str!("fixtures/pair/left/Dockerfile");
    text.replace(
        "COPY www /www\n",
        &format!("COPY www /www\nRUN echo {number} >/www/number\n"),
    )
}

#[test]
fn changed_values_are_an_upgrade_and_what_was_synced_stays() {
    let pair = Followed::pair("values");
    let port = pair.project.port("left");
    pair.save("index.html", "synced\n");
    pair.settled();
    let pod = pair.pod();
    let mut events = events(&pair);
    pair.project
        .edit("values-dev.yaml", "{}", "{left: {ready: /cgi-bin/pod}}");
    let release: Value =
        serde_json::from_str(&events.wait_for(&["release.apply/pair", "done"])).unwrap();
    assert_eq!(release["detail"], "revision 2");
    let change = change(&mut events);
    assert_eq!(change["status"], "done", "{change}");
    pair.settled();
    assert_ne!(pair.pod(), pod, "the probe is part of the pod");
    assert_eq!(page(port), "synced\n");
}

#[test]
fn a_changed_devk_yaml_is_a_new_plan_and_costs_no_listener() {
    let pair = Followed::pair("new-plan");
    let left = pair.project.port("left");
    let right = pair.project.port("right");
    let held = std::net::TcpStream::connect(("127.0.0.1", left)).unwrap();
    let mut events = events(&pair);
    pair.project.edit("devk.yaml", "  right: 2481\n", "");
    assert_eq!(change(&mut events)["status"], "done");
    eventually("the dropped forward is still held", PATIENCE, || {
        std::net::TcpStream::connect(("127.0.0.1", right)).is_err()
    });
    pair.project.edit(
        "devk.yaml",
        "  left: 2480\n",
        "  left: 2480\n  again: {service: pair-right, port: 2481}\n",
    );
    assert_eq!(change(&mut events)["status"], "done");
    assert_eq!(
        get(pair.project.port("again"), "/index.html")
            .unwrap()
            .well(),
        "this is right\n"
    );
    assert!(
        pair.project
            .forwards()
            .iter()
            .any(|forward| forward["name"] == "left" && forward["local"] == left)
    );
    // A connection that stood through both plans stands still.
    held.set_nonblocking(true).unwrap();
    assert_eq!(
        held.peek(&mut [0]).unwrap_err().kind(),
        std::io::ErrorKind::WouldBlock
    );
}

#[test]
fn a_broken_edit_is_told_and_the_next_save_mends_it() {
    let pair = Followed::pair("broken-edit");
    let port = pair.project.port("left");
    let mut events = events(&pair);
    let whole = std::fs::read_to_string(pair.project.path("devk.yaml")).unwrap();
    pair.project
        .write("devk.yaml", &format!("{whole}nonsense: 1\n"));
    let told = change(&mut events);
    assert_eq!(told["status"], "failed", "{told}");
    assert_eq!(told["error"]["line"], whole.lines().count() + 1, "{told}");
    pair.save("index.html", "synced meanwhile\n");
    eventually("sync waits for devk.yaml", PATIENCE, || {
        page(port) == "synced meanwhile\n"
    });
    pair.project.write("devk.yaml", &whole);
    assert_eq!(change(&mut events)["status"], "done");
    pair.project.edit(
        "left/Dockerfile",
        "COPY www /www\n",
        "COPY www /www\nRUN exit 3\n",
    );
    assert_eq!(change(&mut events)["status"], "failed");
    assert_eq!(page(port), "synced meanwhile\n");
    let verified = pair.project.devk(&["verify"]).exits(1).document();
    let uncompared = &verified["uncompared"][0];
    assert_eq!(uncompared["what"], "image.build/left", "{verified}");
    pair.project.edit(
        "left/Dockerfile",
        "RUN exit 3",
        "RUN echo mended >/www/mended",
    );
    assert_eq!(change(&mut events)["status"], "done");
    assert_eq!(get(port, "/mended").unwrap().well(), "mended\n");
}

#[test]
fn a_newer_change_ends_the_build_of_an_older_one() {
    let pair = Followed::pair("stale");
    let port = pair.project.port("left");
    let mut events = events(&pair);
    pair.project.edit(
        "left/Dockerfile",
        "COPY www /www\n",
        "COPY www /www\nRUN sleep 120\n",
    );
    events.wait_for(&["image.build/left", "started"]);
    std::thread::sleep(Duration::from_secs(2));
    let since = Instant::now();
    pair.project.edit(
        "left/Dockerfile",
        "RUN sleep 120",
        "RUN echo newer >/www/newer",
    );
    eventually("the newer change waits", PATIENCE, || {
        get(port, "/newer").is_ok_and(|answer| answer.status == 200)
    });
    tell(
        "a change that overtakes a build of two minutes",
        since.elapsed(),
    );
    assert!(since.elapsed() < Duration::from_secs(60));
}

#[test]
fn what_git_does_is_one_change() {
    let pair = Followed::pair_not_up("one-change");
    let git = |words: &[&str]| git(&pair.project.path(""), words);
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "one"]);
    git(&["checkout", "-q", "-b", "other"]);
    pair.project.edit(
        "left/Dockerfile",
        "COPY www /www\n",
        "COPY www /www\nRUN echo other >/www/branch\n",
    );
    pair.project
        .edit("values-dev.yaml", "{}", "{left: {ready: /cgi-bin/pod}}");
    (0..500).for_each(|number| pair.project.write(&format!("right/www/f{number}"), "x"));
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "two"]);
    git(&["checkout", "-q", "main"]);
    pair.project.devk(&["up", "-d"]).well();
    let mut events = events(&pair);
    git(&["checkout", "-q", "other"]);
    // On a busy machine the files of one checkout are noticed in two bursts: the second overtakes the first.
    let change = std::iter::repeat_with(|| change(&mut events))
        .find(|change| change["status"] != "skipped")
        .unwrap();
    assert_eq!(change["status"], "done", "{change}");
    let port = pair.project.port("left");
    assert_eq!(get(port, "/branch").unwrap().well(), "other\n");
    let revision =
        pair.project.devk(&["status"]).well().document()["releases"][0]["revision"].clone();
    assert_eq!(revision, 2, "one upgrade for all of it");
}
