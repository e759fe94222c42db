//! A build that fails: what the reader sees, and what goes on beside it.

use std::time::Duration;

use crate::support::eventually;
use crate::support::machine::{CLUSTER, cluster};
use crate::support::project::Project;
use crate::support::wire::get;

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_failing_build_shows_its_instruction_and_output_and_the_other_image_arrives() {
    cluster();
    let project = Project::pair("builds");
    project.write(
        "left/Dockerfile",
        "FROM busybox:1\nCOPY www /www\nRUN echo the reason it fails && exit 7\n",
    );
    let up = project.devk(&["up", "--once"]).exits(1);

    let failed = up.end_of("image.build/left");
    let error = &failed["error"];
    assert_eq!(
        (failed["status"].as_str(), error["code"].as_str()),
        (Some("failed"), Some("image.build")),
        "{failed}"
    );
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("RUN echo the reason"),
        "{failed}"
    );
    assert!(
        error["file"].as_str().unwrap().ends_with("left/Dockerfile") && error["line"] == 3,
        "{failed}"
    );
    let evidence = error["evidence"].to_string();
    assert!(
        evidence.contains("the reason it fails") && evidence.contains("exit code: 7"),
        "{failed}"
    );

    assert_eq!(up.verdict("image.load/right"), "done", "{up:?}");
    for blocked in [
        "image.load/left",
        "release.apply/pair",
        "forward.open/right",
    ] {
        assert_eq!(up.verdict(blocked), "skipped", "{up:?}");
    }
    assert_eq!(
        up.settled()["failed"],
        serde_json::json!(["image.build/left"])
    );
    // The namespace is there from the start, so that nobody else ends the cluster under a build.
    let installed = cluster().kubectl(
        CLUSTER,
        &[
            "-n",
            "builds",
            "get",
            "all,secrets,configmaps",
            "-o",
            "name",
        ],
    );
    let own = installed
        .lines()
        .filter(|line| *line != "configmap/kube-root-ca.crt");
    assert_eq!(
        own.collect::<Vec<_>>(),
        [""; 0],
        "nothing is installed by halves"
    );
}

#[test]
fn a_base_image_is_built_first_and_its_change_reaches_what_is_built_from_it() {
    cluster();
    let project = Project::pair("base-image");
    std::fs::create_dir(project.path("base")).unwrap();
    project.write(
        "base/Dockerfile",
        "FROM busybox:1\nCOPY shared.html /www/shared.html\n",
    );
    project.write("base/shared.html", "of the base\n");
    let left = std::fs::read_to_string(project.path("left/Dockerfile")).unwrap();
    project.write(
        "left/Dockerfile",
        &left.replace("FROM busybox:1", "ARG BASE\nFROM ${BASE}"),
    );
    project.edit(
        "devk.yaml",
        "  left: {context: ./left}\n",
        "  left: {context: ./left, args: {BASE: \"${image.base.reference}\"}}\n  base: {context: ./base}\n",
    );
    let up = project.devk(&["up", "-d"]).well();
    assert_eq!(up.verdict("image.build/base"), "done", "{up:?}");
    let loads = up.events();
    assert!(
        loads.iter().all(|event| event["step"] != "image.load/base"),
        "{up:?}"
    );
    let page = || get(project.port("left"), "/shared.html").map(|answer| answer.body);
    assert_eq!(page().unwrap(), "of the base\n");

    project.write("base/shared.html", "changed\n");
    eventually("the change of the base is not live", PATIENCE, || {
        page().is_ok_and(|body| body == "changed\n")
    });
    let again = project.devk(&["up", "-d"]).well();
    for image in ["base", "left", "right"] {
        let step = format!("image.build/{image}");
        assert_eq!(again.verdict(&step), "skipped", "{again:?}");
    }
}
