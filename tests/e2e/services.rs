//! Services that have no pod on purpose are held and waited for by nobody; those that have one are reached, however the
//! program in it listens.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::machine::{CLUSTER, cluster};
use crate::support::project::{Project, port_of};
use crate::support::tell;
use crate::support::wire::get;

/// The reason for which a forward waits, by `devk status`.
fn waiting(project: &Project, name: &str) -> Value {
    let status = project.devk(&["status"]).well().document();
    let forwards = status["forwards"].as_array().unwrap();
    let found = forwards.iter().find(|forward| forward["name"] == name);
    found.unwrap()["waiting"].clone()
}

#[test]
fn services_without_pods_wait_with_the_reason_and_the_others_answer() {
    cluster();
    let project = Project::new("tests/e2e/fixtures/services", "services", CLUSTER);
    let up = project.devk(&["up", "-d"]).well();
    let settled = up.settled();
    // The Job's pod may be Ready for a moment.
    let waits = |settled: &Value| {
        let mut waiting = settled["waiting"].as_array().unwrap().clone();
        waiting.retain(|forward| forward["name"] != "seed");
        Value::from(waiting)
    };
    assert_eq!(
        waits(&settled),
        json!([
            {"name": "canary", "why": "no pod: nothing in the namespace has the labels `app=web,track=canary`"},
            {"name": "legacy", "why": "no pod: the Service has no selector, and forwards lead to pods, not to 192.0.2.10"},
            {"name": "nightly", "why": "no pod: CronJob `nightly` runs by its schedule only, `0 3 1 1 *`"},
            {"name": "worker", "why": "no pod: Deployment `worker` has 0 replicas"},
        ])
    );
    assert_eq!(up.verdict("forward.open/worker"), "skipped");
    let forwards = settled["forwards"].as_array().unwrap();
    for name in ["web", "db", "v4", "v6"] {
        let page = get(port_of(forwards, name), "/").unwrap().well();
        assert_eq!(page, format!("{name}\n"));
        assert_eq!(waiting(&project, name), Value::Null, "{name}");
    }
    let again = project.devk(&["up", "-d"]).well();
    tell("an unchanged up with five forwards that wait", again.took);
    assert_eq!(waits(&again.settled()), waits(&settled));
    let why = waiting(&project, "seed");
    assert_eq!(why, "no pod: Job `seed` has ended");

    let why = waiting(&project, "worker");
    assert_eq!(why, "no pod: Deployment `worker` has 0 replicas");
    let to = [
        "-n",
        "services",
        "scale",
        "deployment/worker",
        "--replicas=1",
    ];
    cluster().kubectl(CLUSTER, &to);
    let page = get(port_of(forwards, "worker"), "/").unwrap().well();
    assert_eq!(page, "worker\n");
    eventually("it still waits", Duration::from_secs(10), || {
        waiting(&project, "worker") == Value::Null
    });
}
