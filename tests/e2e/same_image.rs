//! What is not changed stays: an image whose build gives what was there before, and one that was not saved.

use serde_json::Value;

use crate::support::followed::{Followed, change, events};
use crate::support::machine::{CLUSTER, cluster, images_of};
use crate::support::project::Project;
use crate::support::run::Ran;
use crate::support::wire::get;

/// What a rollout would change: the pods of the namespace and the release's revision; and the references.
fn running(project: &Project) -> (String, Value, Value) {
    let pods = [
        "-n",
        &project.name,
        "get",
        "pods",
        "-o",
        "jsonpath={.items[*].metadata.uid}",
    ];
    let status = project.devk(&["status"]).well().document();
    (
        cluster().kubectl(CLUSTER, &pods),
        status["releases"][0]["revision"].clone(),
        status["images"].clone(),
    )
}

/// How the first of the builds ended.
fn built(up: &Ran) -> Value {
    let events = up.events();
    let is_build =
        |event: &&Value| event["step"] == "image.build/left" && event["status"] == "done";
    events.iter().find(is_build).cloned().unwrap_or_default()
}

#[test]
fn a_file_that_no_copy_takes_is_built_once_and_rolls_nothing_out() {
    let pair = Followed::pair("same-image");
    let before = running(&pair.project);
    let images = images_of("same-image");
    pair.project.write("left/README.md", "read me\n");
    let up = pair.project.devk(&["up", "-d"]).well();
    let detail = built(&up)["detail"].to_string();
    assert!(
        detail.contains("it is the same image as `devk.local/same-image/left:"),
        "{up:?}"
    );
    let rolled_out = ["image.load/left", "release.apply/pair"].map(|step| up.verdict(step));
    assert_eq!(rolled_out, ["skipped", "skipped"], "{up:?}");
    assert_eq!(running(&pair.project), before);
    assert_eq!(images_of("same-image"), images);

    let again = pair.project.devk(&["up", "-d"]).well();
    assert_eq!(built(&again), Value::Null, "{again:?}");
    assert_eq!(running(&pair.project), before);

    // What is saved from now on is synced into the same pods.
    pair.save("index.html", "synced\n");
    pair.is_equal();
    let page = get(pair.project.port("left"), "/index.html")
        .unwrap()
        .well();
    assert_eq!(page, "synced\n");
    assert_eq!(running(&pair.project).0, before.0);
}

#[test]
fn a_session_that_comes_later_knows_which_image_is_the_same() {
    cluster();
    let project = Project::pair("same-later");
    project.devk(&["up", "--once"]).well();
    let before = running(&project);
    project.write("left/README.md", "read me\n");
    let up = project.devk(&["up", "--once"]).well();
    assert!(
        built(&up)["detail"]
            .to_string()
            .contains("it is the same image as"),
        "{up:?}"
    );
    let again = project.devk(&["up", "--once"]).well();
    assert_eq!(built(&again), Value::Null, "{again:?}");
    assert_eq!(running(&project), before);

    // It is the image that counts: what COPY takes is built and rolled out.
    project.write("left/www/index.html", "new\n");
    project.devk(&["up", "-d"]).well();
    assert_ne!(running(&project).0, before.0);
    let page = get(project.port("left"), "/index.html").unwrap().well();
    assert_eq!(page, "new\n");
}

#[test]
fn a_build_of_one_image_leaves_the_pods_of_another_and_what_was_synced_into_them() {
    let pair = Followed::pair("one-of-two");
    let mut events = events(&pair);
    pair.save("index.html", "synced\n");
    pair.settled();
    let pods = pair.pods();
    pair.project.edit(
        "right/Dockerfile",
        "COPY www /www\n",
        "COPY www /www\nRUN echo built >/www/built\n",
    );
    let told = change(&mut events);
    assert_eq!(told["status"], "done", "{told}");
    let right = pair.project.port("right");
    assert_eq!(get(right, "/built").unwrap().well(), "built\n");
    assert_eq!(pair.pods(), pods);
    pair.save("index.html", "synced again\n");
    pair.is_equal();
    assert_eq!(pair.pods(), pods);

    // Nor does a plan that has nothing to do with it.
    pair.project
        .edit("values-dev.yaml", "{}", "{right: {ready: /built}}");
    let told = change(&mut events);
    assert_eq!(told["status"], "done", "{told}");
    assert_eq!(pair.pods(), pods);
    let left = pair.project.port("left");
    assert_eq!(get(left, "/index.html").unwrap().well(), "synced again\n");
}
