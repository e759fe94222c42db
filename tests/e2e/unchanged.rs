//! A second `up` of an unchanged project: no program runs, nothing is built, loaded or installed.

use std::time::Duration;

use crate::support::machine::{CLUSTER, cluster};
use crate::support::programs::Recorder;
use crate::support::project::Project;
use crate::support::{eventually, tell};

#[test]
fn a_second_up_builds_nothing_loads_nothing_and_starts_no_program() {
    cluster();
    let recorder = Recorder::of(&["helm", "kind", "docker", "kubectl"]);
    let mut project = Project::pair("unchanged");
    project.prefer(recorder.folder());
    project.devk(&["up", "-d"]).well();
    let calls = recorder.calls();
    assert!(
        calls
            .iter()
            .any(|call| call.starts_with("helm upgrade --install")),
        "the recorder records: {calls:?}"
    );

    let second = project.devk(&["up", "-d"]).well();
    tell("devk up -d with nothing changed", second.took);
    assert_eq!(recorder.calls(), [""; 0]);
    let work = [
        "cluster.create",
        "image.build/left",
        "image.load/right",
        "release.apply/pair",
    ];
    for step in work.iter().chain(&["image.build/right", "image.load/left"]) {
        assert_eq!(second.verdict(step), "skipped", "{second:?}");
    }

    // Nor has a new session anything to do: the state stands in Docker and in the cluster.
    let revision = |project: &Project| {
        project.devk(&["status"]).well().document()["releases"][0]["revision"].clone()
    };
    let before = revision(&project);
    project.devk(&["up", "--once"]).well();
    assert_eq!(recorder.calls(), [""; 0]);
    assert_eq!(revision(&project), before);
}

const JOB: &str = r#"
apiVersion: batch/v1
kind: Job
metadata: {name: migrate}
spec:
  ttlSecondsAfterFinished: 1
  template:
    spec:
      restartPolicy: Never
      containers:
        - {name: migrate, image: "{{ .Values.left.image.repository }}:{{ .Values.left.image.tag }}", command: ["true"]}
"#;

#[test]
fn a_job_that_kubernetes_removed_when_it_was_done_is_done() {
    cluster();
    let project = Project::pair("expired");
    project.write("chart/templates/job.yaml", JOB);
    project.devk(&["up", "-d"]).well();
    eventually("the Job does not expire", Duration::from_secs(60), || {
        cluster()
            .kubectl(CLUSTER, &["-n", "expired", "get", "jobs", "-o", "name"])
            .is_empty()
    });
    let second = project.devk(&["up", "-d"]).well();
    let verdicts = ["release.apply/pair", "release.ready/pair"].map(|step| second.verdict(step));
    assert_eq!(verdicts, ["skipped", "done"], "{second:?}");
}

#[test]
fn an_edited_file_rebuilds_its_image_and_no_other() {
    cluster();
    let project = Project::pair("edited");
    // Without a session, which would bring it live by itself.
    project.devk(&["up", "--once"]).well();
    project.write("left/www/index.html", "this is the new left\n");
    let second = project.devk(&["up", "-d"]).well();
    let verdicts = [
        "image.build/left",
        "image.build/right",
        "release.apply/pair",
    ]
    .map(|step| second.verdict(step));
    assert_eq!(verdicts, ["done", "skipped", "done"], "{second:?}");
    let page = crate::support::wire::get(project.port("left"), "/index.html")
        .unwrap()
        .well();
    assert_eq!(page, "this is the new left\n");
}
