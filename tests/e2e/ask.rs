//! `devk ask` on a real cluster with planted states: its answers are those of kubectl, and it writes nothing.

mod proposed;
mod tasks;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use crate::support::machine::{CLUSTER, cluster};
use crate::support::project::Project;
use crate::support::{eventually, tell};

/// What a container needs to crash, to be started again, and to crash.
const CRASHED: Duration = Duration::from_secs(60);

fn kubectl(project: &Project, words: &str) -> String {
    project.kubectl(&words.split(' ').collect::<Vec<_>>())
}

/// The answer to a question; docs/ask.md has the figures of a machine that is not busy with other tests.
fn ask(project: &Project, question: &str) -> Value {
    let ran = project.devk(&["ask", question]).well();
    tell(&format!("devk ask {question}"), ran.took);
    ran.document()["answer"].clone()
}

/// The first column of a table.
fn names(answer: &Value) -> BTreeSet<String> {
    let rows = answer["rows"].as_array().unwrap();
    rows.iter()
        .map(|row| row[0].as_str().unwrap().to_owned())
        .collect()
}

fn lines(text: &str) -> BTreeSet<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn answers_are_those_of_kubectl_and_no_question_writes() {
    cluster();
    let project = Project::new("tests/e2e/fixtures/asked", "asked", CLUSTER);
    project.devk(&["up", "--once"]).well();
    let planted = project.path("planted.yaml");
    kubectl(&project, &format!("apply -f {}", planted.display()));
    eventually("the planted worker does not crash", CRASHED, || {
        let restarts = "get pods --selector app=worker -o jsonpath={.items[*].status.containerStatuses[*].restartCount}";
        let state = "get pods --selector app=mailer -o jsonpath={.items[*].status.containerStatuses[*].state.waiting.reason}";
        kubectl(&project, restarts).trim() > "0"
            && kubectl(&project, state).contains("ErrImageNeverPull")
    });
    let before = written(&project);

    let name = "-o jsonpath={.items[*].metadata.name}";
    let pods = ask(&project, "list pods");
    assert_eq!(
        names(&pods),
        lines(&kubectl(&project, &format!("get pods {name}")))
    );
    let pending = ask(&project, "which pods are pending");
    assert_eq!(
        names(&pending),
        lines(&kubectl(
            &project,
            &format!("get pods --field-selector status.phase=Pending {name}")
        ))
    );
    let images = ask(&project, "which image does web run");
    let image = kubectl(
        &project,
        "get deployment asked-web -o jsonpath={.spec.template.spec.containers[0].image}",
    );
    assert_eq!(images["rows"][0][2], image.trim(), "{images}");
    let endpoints = ask(&project, "services without endpoints");
    assert_eq!(names(&endpoints), ["search".to_owned()].into());

    let worker = ask(&project, "why is worker not ready");
    assert!(
        worker["text"].as_str().unwrap().contains("exit code 3"),
        "{worker}"
    );
    assert!(
        worker["evidence"]
            .to_string()
            .contains("QUEUE_URL is not set"),
        "{worker}"
    );
    let logs = ask(&project, "logs of worker");
    assert!(
        logs["rows"]
            .to_string()
            .contains("fatal: QUEUE_URL is not set"),
        "{logs}"
    );
    let claim = ask(&project, "why is uploads not bound");
    assert!(
        claim["text"]
            .as_str()
            .unwrap()
            .contains("StorageClass `fast` is not there"),
        "{claim}"
    );
    let search = ask(&project, "what is wrong with service search");
    assert!(
        search["text"].as_str().unwrap().contains("`app=web`"),
        "the nearest label: {search}"
    );
    assert_eq!(ask(&project, "is nightly suspended")["yes"], true);
    let clients = ask(&project, "who talks to web");
    assert!(
        clients["rows"]
            .to_string()
            .contains("Deployment asked/worker"),
        "{clients}"
    );
    let keys = ask(&project, "keys of secret keys");
    assert!(
        keys.to_string().contains("SMTP_PASSWORD") && !keys.to_string().contains("never-to-be"),
        "{keys}"
    );
    let used = ask(&project, "memory usage of web");
    assert_eq!(used["count"], 1, "{used}");

    let unclear = project.devk(&["ask", "why is wroker broken"]).exits(2);
    assert_eq!(unclear.error()["code"], "ask.unclear");
    let after = written(&project);
    assert_eq!(after.by_people, before.by_people);
    // What nobody looks after did not move at all.
    let still = before.at.iter().filter(|(name, _)| !before.moves(name));
    let moved: Vec<_> = still
        .clone()
        .filter(|(name, at)| after.at.get(*name) != Some(*at))
        .collect();
    assert!(moved.is_empty(), "{moved:?}");
    assert!(still.count() >= 8, "{:?}", before.at);
    // A change is shown, and waits.
    let change = project.devk(&["ask", "scale web to 3"]).exits(4);
    assert_eq!(change.error()["code"], "change.unapproved");
    assert!(
        change.document().to_string().contains("asked-web"),
        "{change:?}"
    );
    // For a preview devk binds its role, and does nothing else.
    let mut shown = written(&project).by_people;
    shown.retain(|name, _| !name.starts_with("RoleBinding/devk"));
    assert_eq!(shown, after.by_people);
    // A write would be seen.
    kubectl(&project, "label service search seen=yes");
    let labelled = written(&project);
    assert_ne!(labelled.by_people, after.by_people);
    assert_ne!(labelled.at["Service/search"], after.at["Service/search"]);
}

/// What is in the namespace, but for events and leases, and who wrote it.
struct Written {
    /// Every object's resourceVersion.
    at: BTreeMap<String, String>,
    /// Every object with what others than the parts of Kubernetes wrote into it, and when.
    by_people: BTreeMap<String, Vec<Value>>,
}

impl Written {
    /// Pods that crash, and what counts them, are written by the kubelet and the controllers all the time.
    fn moves(&self, name: &str) -> bool {
        let kind = name.split('/').next().unwrap_or_default();
        [
            "Pod",
            "ReplicaSet",
            "Deployment",
            "EndpointSlice",
            "Endpoints",
        ]
        .contains(&kind)
    }
}

fn written(project: &Project) -> Written {
    const OF_KUBERNETES: &[&str] = &["kubelet", "kube-controller-manager", "kube-scheduler"];
    let kinds = kubectl(project, "api-resources --verbs=list --namespaced -o name");
    let kinds = kinds
        .lines()
        .filter(|kind| !kind.starts_with("events") && !kind.starts_with("leases."));
    let kinds = kinds.collect::<Vec<_>>().join(",");
    let all = format!("get {kinds} --show-managed-fields -o json");
    let all: Value = serde_json::from_str(&kubectl(project, &all)).unwrap();
    let mut found = Written {
        at: BTreeMap::new(),
        by_people: BTreeMap::new(),
    };
    for object in all["items"].as_array().unwrap() {
        let about = &object["metadata"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = format!("{}/{}", text(&object["kind"]), text(&about["name"]));
        let writes = about["managedFields"].as_array().into_iter().flatten();
        let by_people = writes.filter(|write| {
            let manager = write["manager"].as_str().unwrap_or_default();
            !OF_KUBERNETES.contains(&manager)
        });
        found
            .by_people
            .insert(name.clone(), by_people.cloned().collect());
        found.at.insert(name, text(&about["resourceVersion"]));
    }
    found
}
