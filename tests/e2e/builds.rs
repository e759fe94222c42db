//! A build that fails: what the reader sees, and what goes on beside it.

use crate::support::machine::{CLUSTER, cluster};
use crate::support::project::Project;

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
