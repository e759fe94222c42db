//! `devk status` and `devk status --watch` while an `up` is at work.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::machine::{CLUSTER, cluster, machine};
use crate::support::project::Project;
use crate::support::run::Running;
use crate::support::{eventually, tell};

/// How often the status is asked for.
const ASKED: usize = 100;
/// Longer than one answer takes on a machine that is busy with other tests, and shorter than the build.
const ANSWER: Duration = Duration::from_secs(15);

/// Waits for a document of `devk status --watch` with such a session.
fn sees(watch: &mut Running, is_so: impl Fn(&Value) -> bool) -> Value {
    loop {
        let line = watch.wait_for(&["\"session\":{"]);
        let document: Value = serde_json::from_str(&line).unwrap();
        if is_so(&document["session"]) {
            return document;
        }
    }
}

#[test]
fn the_status_is_there_at_any_moment_of_an_up_and_whoever_follows_it_sees_the_end() {
    cluster();
    let project = Project::pair("status");
    let dockerfile = std::fs::read_to_string(project.path("left/Dockerfile")).unwrap();
    // So that the `up` is at work for as long as the first of them ask.
    project.write("left/Dockerfile", &format!("{dockerfile}RUN sleep 20\n"));
    let mut up = project.start(&["up", "-d"]);
    up.wait_for(&["\"step\":\"image.build/left\"", "\"status\":\"started\""]);
    let mut watches = [(); 2].map(|()| project.start(&["status", "--watch"]));
    for watch in &mut watches {
        let session = sees(watch, |session| session["busy"] == true)["session"].clone();
        assert_eq!(session["reconcile"]["what"], "up", "{session}");
    }

    let asked: Vec<_> = (0..ASKED)
        .map(|_| project.devk(&["status"]).well())
        .collect();
    let slowest = asked.iter().map(|ran| ran.took).max().unwrap();
    tell("the slowest `devk status` during an `up`", slowest);
    let first = asked[0].document();
    assert_eq!(first["session"]["busy"], true, "{first}");
    assert_eq!(first["forwards"].as_array().unwrap().len(), 2, "{first}");
    for ran in &asked {
        assert!(ran.took < ANSWER, "{ran:?}");
        assert!(ran.document()["session"].is_object(), "{ran:?}");
    }

    up.ended().well();
    for watch in &mut watches {
        let is_settled = |session: &Value| session["busy"] == false && session["ready"] == true;
        let document = sees(watch, is_settled);
        assert!(document["session"]["reconcile"].is_null(), "{document}");
    }
    let [interrupted, ended] = watches;
    interrupted.interrupt();
    interrupted.ended().exits(0);
    project.devk(&["down"]).well();
    let ended = ended.ended().well();
    assert!(ended.document()["session"].is_null(), "the last: {ended:?}");
}

/// It is ready once somebody says so.
const LATE: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: late}
spec:
  selector: {matchLabels: {app: late}}
  template:
    metadata: {labels: {app: late}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: late
          image: busybox:1
          command: [sleep, "86400"]
          readinessProbe: {exec: {command: [test, -f, /tmp/ready]}, periodSeconds: 1}
"#;

#[test]
fn a_release_that_became_ready_after_its_time_is_not_told_as_failed() {
    cluster();
    let project = Project::new("tests/e2e/fixtures/fixed", "late-ready", CLUSTER);
    project.write("chart/templates/writer.yaml", LATE);
    project.edit("devk.yaml", "timeout: 90s", "timeout: 5s");
    project.devk(&["up", "-d"]).exits(1);
    let session = || project.devk(&["status"]).well().document()["session"].clone();
    assert_eq!(session()["failed"], json!(["release.ready/writer"]));
    assert_eq!(session()["ready"], false);

    let touch = [
        "-n",
        "late-ready",
        "exec",
        "deployment/late",
        "--",
        "touch",
        "/tmp/ready",
    ];
    machine().kubectl(CLUSTER, &touch);
    eventually(
        "the release counts as failed",
        Duration::from_secs(30),
        || session()["failed"] == json!([]) && session()["ready"] == true,
    );
}
