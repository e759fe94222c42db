//! What helm has installed is the truth: charts that render something else each time, and charts that ask what the
//! cluster has.

use serde_json::Value;

use crate::support::machine::{CLUSTER, cluster};
use crate::support::project::Project;
use crate::support::wire::get;

fn revision(project: &Project) -> Value {
    let status = project.devk(&["status"]).well().document();
    status["releases"][0]["revision"].clone()
}

/// What `devk doctor` says if the score of the chart fell with what `up` installed last.
fn fallen_score(project: &Project) -> Option<String> {
    let document = project.devk(&["doctor"]).document();
    let checks = document["checks"].as_array().unwrap();
    let score = checks.iter().find(|check| check["id"] == "charts.score");
    let score = score.filter(|score| score["status"] != "ok");
    score.map(ToString::to_string)
}

#[test]
fn names_by_revision_chance_or_clock_are_those_that_helm_has_installed() {
    cluster();
    let project = Project::new("tests/e2e/fixtures/installed", "installed", CLUSTER);
    project.devk(&["up", "-d"]).well();
    let port = project.port("web");
    let page = || get(port, "/").unwrap().well();
    assert_eq!(page(), "one\n");

    assert_eq!(fallen_score(&project), None);
    project.edit("values-dev.yaml", "one", "two");
    let plain =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\ndata: {password: hunter2}\n";
    project.write("chart/templates/plain.yaml", plain);
    let second = project.devk(&["up", "-d"]).well();
    assert_eq!(second.verdict("release.ready/shop"), "done");
    assert_eq!((revision(&project), page()), (2.into(), "two\n".to_owned()));
    let fallen = fallen_score(&project).unwrap();
    assert!(fallen.contains("secret.config-map"), "{fallen}");

    for _ in 0..2 {
        let again = project.devk(&["up", "-d"]).well();
        assert_eq!(again.verdict("release.apply/shop"), "skipped", "{again:?}");
    }
    assert_eq!(revision(&project), 2, "nothing counts as deleted by hand");

    cluster().kubectl(CLUSTER, &["-n", &project.name, "delete", "job/shop-seed-2"]);
    let config = ["-n", &project.name, "delete", "configmap/shop-config-2"];
    cluster().kubectl(CLUSTER, &config);
    project.devk(&["up", "-d"]).well();
    assert_eq!(
        revision(&project),
        3,
        "what was installed and is gone comes back"
    );
}

/// The rules of upgrades that find something in what is installed, with the objects.
fn refused_upgrades(project: &Project) -> Vec<(String, String)> {
    let document = project.devk(&["chart", "check"]).exits(3).document();
    let findings = document["charts"][0]["findings"].as_array().unwrap().iter();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let found = findings.map(|finding| (text(finding, "rule"), text(finding, "object")));
    let is_met =
        |rule: &str| rule.starts_with("upgrade.immutable") || rule == "upgrade.job-template";
    found.filter(|(rule, _)| is_met(rule)).collect()
}

#[test]
fn an_upgrade_that_would_fail_is_found_before_it_is_made() {
    const MORE: &str = "apiVersion: batch/v1
kind: Job
metadata: {name: fixed}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: \"busybox:1\", command: [echo, one]}]}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: store}
spec:
  replicas: 0
  serviceName: store
  selector: {matchLabels: {app: store}}
  template: {metadata: {labels: {app: store}}, spec: {containers: [{name: a, image: \"busybox:1\"}]}}
  volumeClaimTemplates:
    - {metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}
";
    cluster();
    let project = Project::new("tests/e2e/fixtures/installed", "would-fail", CLUSTER);
    project.write("chart/templates/more.yaml", MORE);
    project.devk(&["up", "-d"]).well();
    // Another Job: its name has the revision.
    project.edit("values-dev.yaml", "one", "two");
    assert_eq!(refused_upgrades(&project), []);

    let labels = "{app: web, tier: front}";
    project.edit(
        "chart/templates/web.yaml",
        "matchLabels: {app: web}",
        &format!("matchLabels: {labels}"),
    );
    project.edit(
        "chart/templates/web.yaml",
        "labels: {app: web}",
        &format!("labels: {labels}"),
    );
    project.edit("chart/templates/more.yaml", "echo, one", "echo, two");
    project.edit("chart/templates/more.yaml", "1Gi", "2Gi");
    let expected = [
        ("upgrade.immutable-field", "StatefulSet/store"),
        ("upgrade.immutable-selector", "Deployment/web"),
        ("upgrade.job-template", "Job/fixed"),
    ];
    let expected = expected.map(|(rule, object)| (rule.to_owned(), object.to_owned()));
    assert_eq!(refused_upgrades(&project), expected);
    let up = project.devk(&["up", "-d"]).exits(1);
    assert_eq!(up.settled()["failed"][0], "release.apply/shop", "{up:?}");
}

#[test]
fn charts_see_the_clusters_version_and_what_the_releases_before_them_bring() {
    let machine = cluster();
    let project = Project::new("tests/e2e/fixtures/asks", "asks", CLUSTER);
    let definitions = || {
        let list = ["get", "crds", "--output", "name"];
        machine
            .kubectl(CLUSTER, &list)
            .contains(".asks.example.com")
    };
    assert!(!definitions());
    let alone = ["--file", "devk.alone.yaml", "up", "--dry-run"];
    let refused = project.devk(&alone);
    assert_eq!(refused.error()["code"], "chart.render", "{refused:?}");
    assert!(refused.stderr.contains("gadgets are not there"));

    project.devk(&["up", "-d"]).well();
    let show = [
        "-n",
        &project.name,
        "get",
        "configmap/version",
        "-o",
        "jsonpath={.data.version}",
    ];
    let node = machine.kubectl(
        CLUSTER,
        &[
            "get",
            "nodes",
            "-o",
            "jsonpath={.items[0].status.nodeInfo.kubeletVersion}",
        ],
    );
    assert_eq!(machine.kubectl(CLUSTER, &show), node);
    let again = project.devk(&["up", "-d"]).well();
    assert_eq!(again.verdict("release.apply/app"), "skipped");
    // Now the cluster itself says so.
    project.devk(&alone).well();

    project.devk(&["down", "--delete"]).well();
    // helm never removes what a `crds` folder brought.
    machine.kubectl(CLUSTER, &["delete", "crd/gadgets.asks.example.com"]);
    assert!(!definitions());
}
