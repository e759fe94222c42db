//! What goes wrong in a release is told within seconds: the cause, its place in the chart, and a command that works as
//! it is pasted.

use serde_json::Value;

use crate::support::machine::{CLUSTER, cluster};
use crate::support::project::Project;
use crate::support::run::Ran;
use crate::support::tell;

/// Milliseconds from the start of a step within which its trouble is told, on a busy machine, too: far below the
/// release's timeout of 60 s.
const SOON: u64 = 20_000;

/// The first event of a step that tells an error with this text; told soon.
fn told(ran: &Ran, step: &str, text: &str) -> Value {
    let events = ran.events();
    let found = events.iter().find(|event| {
        let message = event["error"]["message"].as_str().unwrap_or_default();
        let evidence = event["error"]["evidence"].to_string();
        event["step"] == step && (message.contains(text) || evidence.contains(text))
    });
    let found = found.unwrap_or_else(|| panic!("`{step}` does not tell `{text}`: {ran:?}"));
    let ms = found["ms"].as_u64().unwrap();
    assert!(ms < SOON, "`{text}` after {ms} ms");
    tell(
        &format!("`{text}` is told"),
        std::time::Duration::from_millis(ms),
    );
    found["error"].clone()
}

/// The error that a step ended with.
fn failed(ran: &Ran, step: &str) -> Value {
    let end = ran.end_of(step);
    assert_eq!(end["status"], "failed", "{ran:?}");
    end["error"].clone()
}

/// The error stands in this file of the chart, on a line with this text.
fn stands_in(project: &Project, error: &Value, file: &str, text: &str) {
    assert_eq!(
        error["file"],
        project.path(file).to_str().unwrap(),
        "{error}"
    );
    let template = std::fs::read_to_string(project.path(file)).unwrap();
    let line = usize::try_from(error["line"].as_u64().unwrap()).unwrap();
    let line = template.lines().nth(line - 1).unwrap();
    assert!(line.contains(text), "{line}: {error}");
}

/// Runs the command in an error's hint, as somebody who pastes it does.
fn paste(project: &Project, error: &Value) {
    let hint = error["hint"].as_str().unwrap();
    let start = hint.find("kubectl ").unwrap_or_else(|| panic!("{hint}"));
    let end = "\"$(devk kubeconfig)\"";
    let command = &hint[start..hint.rfind(end).unwrap() + end.len()];
    project.paste(command);
}

#[test]
fn failures_are_explained_within_seconds_and_their_hints_work() {
    cluster();
    let project = Project::new("tests/e2e/fixtures/explained", "explained", CLUSTER);
    let up = || project.devk(&["up", "-d"]);
    let shop = "chart/templates/shop.yaml";

    // What is missing: told before helm runs, and again with what Kubernetes says of it.
    let ran = up().exits(1);
    tell(
        "devk up -d until it is certain that nothing comes up",
        ran.took,
    );
    let class = told(&ran, "release.apply/shop", "wants StorageClass `gp3`");
    stands_in(&project, &class, shop, "storageClassName");
    assert!(
        class["hint"]
            .as_str()
            .unwrap()
            .contains("`db.storageClass: "),
        "{class}"
    );
    let account = told(
        &ran,
        "release.apply/shop",
        "wants ServiceAccount `deployer`",
    );
    stands_in(
        &project,
        &account,
        "chart/templates/faults.yaml",
        "serviceAccountName",
    );
    told(
        &ran,
        "release.ready/shop",
        "serviceaccount \"deployer\" not found",
    );
    told(
        &ran,
        "release.ready/shop",
        "no PriorityClass with name very-urgent",
    );
    told(
        &ran,
        "release.ready/shop",
        "storageclass.storage.k8s.io \"gp3\" not found",
    );
    let error = failed(&ran, "release.ready/shop");
    assert!(
        !error["hint"].as_str().unwrap().contains("devk logs"),
        "{error}"
    );
    let evidence = error["evidence"].to_string();
    assert!(
        evidence.contains("init container `wait` of pod `waits-"),
        "{error}"
    );
    assert!(evidence.contains("waits for `db`"), "{error}");
    assert!(evidence.contains("| db has no tables yet"), "{error}");
    let said = ran.events().into_iter().find(|event| {
        let detail = event["detail"].as_str().unwrap_or_default();
        event["step"] == "release.ready/shop"
            && detail.contains("waits for `db`: db has no tables yet")
    });
    let said = said.unwrap_or_else(|| panic!("what the init container says is not told: {ran:?}"));
    assert!(said["ms"].as_u64().unwrap() < SOON, "{said}");
    let image = told(
        &ran,
        "release.apply/shop",
        "`team/worker:latest` is nowhere",
    );
    assert!(
        image["hint"]
            .as_str()
            .unwrap()
            .contains("`replaces: [team/worker:latest]`"),
        "{image}"
    );
    let plan = project.devk(&["up", "--dry-run"]).well().document();
    let images = plan["images"].as_array().unwrap();
    let from = |reference: &str| {
        let image = images.iter().find(|image| image["reference"] == reference);
        image.unwrap_or_else(|| panic!("{plan}"))["from"].clone()
    };
    assert_eq!(from("team/worker:latest"), "registry", "{plan}");
    assert!(
        ["docker", "nodes"].contains(&from("busybox:1").as_str().unwrap()),
        "{plan}"
    );
    paste(&project, &account);

    // Whole numbers of `set:` have come to the templates, or the chart would not have rendered.
    project.write("values-dev.yaml", "db: {storageClass: standard}\n");
    let machine = cluster();
    let on = |args: &[&str]| machine.kubectl(CLUSTER, &[&["-n", "explained"], args].concat());
    // The claim of the class that does not exist would be kept.
    on(&["delete", "statefulset/db", "pvc/data-db-0"]);
    up().well();

    project.write(
        "values-dev.yaml",
        "{db: {storageClass: standard}, monitor: true}\n",
    );
    let ran = up().exits(1);
    assert!(ran.took.as_secs() < 20, "{ran:?}");
    let error = ran.error();
    assert_eq!(error["code"], "chart.kind", "{ran:?}");
    stands_in(
        &project,
        &error,
        "chart/templates/monitor.yaml",
        "kind: ServiceMonitor",
    );
    assert!(
        error["hint"].as_str().unwrap().contains("{monitor: false}"),
        "{error}"
    );
    let doctor = project.devk(&["doctor"]);
    assert!(doctor.stdout.contains("charts.requirements"), "{doctor:?}");
    assert!(
        doctor.stdout.contains("ServiceMonitor `shop`"),
        "{doctor:?}"
    );

    // helm removes this hook with its pod as soon as it has failed.
    project.write(
        "values-dev.yaml",
        "{db: {storageClass: standard}, hook: true}\n",
    );
    let ran = up().exits(1);
    told(
        &ran,
        "release.apply/shop",
        "cannot reach the billing database",
    );
    let error = failed(&ran, "release.apply/shop");
    assert!(
        error["evidence"]
            .to_string()
            .contains("cannot reach the billing database"),
        "{error}"
    );

    // What cannot be changed: the claims of a StatefulSet keep their data, a Job runs again.
    let claim = || on(&["get", "pvc", "data-db-0", "-o", "jsonpath={.metadata.uid}"]);
    let before = claim();
    project.write(
        "values-dev.yaml",
        "db: {storageClass: standard, size: 2Gi}\n",
    );
    let error = failed(&up().exits(1), "release.apply/shop");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("StatefulSet `db`"), "{error}");
    assert!(message.contains("requests.storage` (1Gi → 2Gi)"), "{error}");
    stands_in(&project, &error, shop, "storage:");
    paste(&project, &error);
    up().well();
    assert_eq!(claim(), before);

    let changed = "{db: {storageClass: standard, size: 2Gi}, job: twice}\n";
    project.write("values-dev.yaml", changed);
    let error = failed(&up().exits(1), "release.apply/shop");
    assert!(
        error["message"].as_str().unwrap().contains("Job `seed`"),
        "{error}"
    );
    assert!(
        error["hint"]
            .as_str()
            .unwrap()
            .contains("kubectl delete job.batch seed"),
        "{error}"
    );
    project.edit(
        "devk.yaml",
        "    timeout: 60s",
        "    timeout: 60s\n    replaceJobs: true",
    );
    up().well();
    assert_eq!(on(&["logs", "job/seed"]).trim(), "twice");

    // A namespace that cannot go.
    project.write(
        "values-dev.yaml",
        &changed.replace("job:", "held: true, job:"),
    );
    up().well();
    let down = project.devk(&["down", "--delete"]).exits(1);
    let error = told(
        &down,
        "namespace.delete",
        "ConfigMap `held` has the finalizer example.com/hold",
    );
    assert!(down.took.as_secs() < 90, "{down:?}");
    let status = project.devk(&["status"]).well().document();
    let going = &status["cluster"]["error"];
    assert_eq!(going["code"], "cluster.namespace-held", "{status}");
    assert_eq!(going["message"], error["message"], "{status}");
    let ran = up().exits(1);
    told(
        &ran,
        "cluster.create",
        "ConfigMap `held` has the finalizer example.com/hold",
    );
    paste(&project, &error);
    project.devk(&["down", "--delete"]).well();
}
