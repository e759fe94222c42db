//! Releases that put objects outside of the project's own namespace: devk follows them there, and says beforehand what
//! cannot be shared.

use std::time::Duration;

use serde_json::Value;

use crate::support::eventually;
use crate::support::machine::{CLUSTER, cluster};
use crate::support::project::Project;
use crate::support::wire::get;

/// The namespace that the chart makes.
const ELSEWHERE: &str = "devk-elsewhere";

fn elsewhere(name: &str) -> Project {
    Project::new("tests/e2e/fixtures/elsewhere", name, CLUSTER)
}

#[test]
fn a_release_in_a_namespace_of_its_own_is_followed_there_and_goes_with_it() {
    let machine = cluster();
    let project = elsewhere("elsewhere");
    project.devk(&["up", "-d"]).well();
    let port = project.port("app");
    let page = |port| get(port, "/").unwrap().well();
    assert_eq!(page(port), "one\n");

    let status = project.devk(&["status"]).well().document();
    let pods = status["pods"].as_array().unwrap();
    let places: Vec<_> = pods
        .iter()
        .map(|pod| (&pod["namespace"], &pod["ready"]))
        .collect();
    assert_eq!(places, [(&Value::from(ELSEWHERE), &Value::from(true))]);
    let again = project.devk(&["up", "-d"]).well();
    assert_eq!(again.verdict("release.apply/app"), "skipped");
    let logs = project.devk(&["logs", "app"]);
    assert_eq!(logs.code, Some(0), "{logs:?}");

    project.write("app/index.html", "two\n");
    eventually("the save is live", Duration::from_secs(10), || {
        page(port) == "two\n"
    });
    let verified = project.devk(&["verify"]).well().document();
    assert_eq!(verified["containers"], 1, "{verified}");

    let second = elsewhere("elsewhere-2");
    let refused = second.devk(&["up", "-d"]);
    for object in [
        format!("Namespace `{ELSEWHERE}`"),
        "ClusterRole `devk-elsewhere-reader`".to_owned(),
    ] {
        let message = format!("{object} belongs to release `app` in namespace `elsewhere`");
        assert!(refused.stderr.contains(&message), "{refused:?}");
    }
    assert_eq!(refused.code, Some(2));
    assert!(!machine.has_namespace("elsewhere-2"), "nothing was made");
    drop(second);

    project.devk(&["down"]).well();
    let replicas = [
        "-n",
        ELSEWHERE,
        "get",
        "deployment/app",
        "-o",
        "jsonpath={.spec.replicas}",
    ];
    assert_eq!(machine.kubectl(CLUSTER, &replicas), "0");
    project.devk(&["up", "-d"]).well();
    assert_eq!(machine.kubectl(CLUSTER, &replicas), "1");
    assert_eq!(page(project.port("app")), "two\n");

    project.devk(&["down", "--delete"]).well();
    assert!(!machine.has_namespace(ELSEWHERE));
}

#[test]
fn an_object_that_two_releases_render_is_told_at_both() {
    cluster();
    let project = elsewhere("rendered-twice");
    project.edit(
        "devk.yaml",
        "  - name: app\n",
        "  - {name: copy, chart: ./chart}\n  - name: app\n",
    );
    let refused = project.devk(&["up", "--dry-run"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let message = "Service `app` is rendered by release `copy` and by release `app`";
    assert!(refused.stderr.contains(message), "{refused:?}");
}
