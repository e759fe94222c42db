//! The tasks for which words alone are not enough: a model that is asked proposes the plan, a person approves it, and the
//! cluster shows what came of it. The model is a script; what it says is what a good one would.

use serde_json::{Value, json};

use super::tasks::{FOLLOWED, NAME, READY, approved};
use crate::scripted::{Scripted, ScriptedModel};
use crate::support::eventually;
use crate::support::project::Project;
use crate::support::run::Running;

/// A task, what a person says, each time with the steps that the model proposes, and what shows that it is done.
pub(super) struct Proposed {
    pub(super) name: &'static str,
    said: Vec<(&'static str, Value)>,
    shows: (&'static [&'static str], &'static str),
}

impl Proposed {
    /// Has the model propose each plan, approves it, and waits until the cluster shows it.
    pub(super) fn is_done(&self, project: &Project) {
        for (words, steps) in &self.said {
            let call = json!({"name": "propose_plan", "arguments": {"steps": steps}});
            let message = json!({"content": "", "tool_calls": [{"function": call}]});
            let reply = json!({"message": message, "done": true}).to_string();
            let model =
                ScriptedModel::start(vec![Scripted::Answer(200, "application/json", "", reply)]);
            let mut command = project.bare();
            command.env("OLLAMA_HOST", &model.url).args([
                "ask",
                "--format",
                "json",
                "--model",
                "ollama/small",
                words,
            ]);
            let shown = Running::start(&mut command).ended().exits(4);
            let hint = shown.error()["hint"].as_str().unwrap().to_owned();
            let plan = hint.split(' ').find(|word| word.ends_with(".json"));
            approved(
                project,
                &shown.document()["preview"],
                &["change", plan.unwrap()],
            );
        }
        let (args, wanted) = self.shows;
        eventually(self.name, FOLLOWED, || {
            let shown = project.tried(args);
            shown.is_some_and(|shown| shown.trim() == wanted)
        });
    }
}

fn create(kind: &str, name: &str, body: Value) -> Value {
    created(NAME, kind, name, body)
}

fn created(namespace: &str, kind: &str, name: &str, body: Value) -> Value {
    let object = json!({"kind": kind, "namespace": namespace, "name": name});
    json!({"verb": "create", "object": object, "body": body})
}

fn container(name: &str, script: &str, mounts: &Value) -> Value {
    json!({"name": name, "image": "busybox:1", "command": ["sh", "-c", script], "volumeMounts": mounts})
}

fn pod(containers: &[Value], volume: Value) -> Value {
    json!({"spec": {"terminationGracePeriodSeconds": 0, "containers": containers, "volumes": [volume]}})
}

/// Reads pods.
fn reads_pods() -> Value {
    json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]})
}

pub(super) fn all() -> Vec<Proposed> {
    let labels = json!({"app": "prices-canary"});
    let canary = json!({"spec": {
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"terminationGracePeriodSeconds": 0, "containers": [container("prices", "sleep infinity", &json!([]))]},
        },
    }});
    let of = |app: &str| json!({"matchLabels": {"app": app}});
    let policy = json!({"spec": {"podSelector": of("till"), "ingress": [{"from": [{"podSelector": of("lobby")}]}]}});
    let settings = json!([{"name": "settings", "mountPath": "/etc/settings"}]);
    let reads = container(
        "reader",
        "cat /etc/settings/color; echo; sleep infinity",
        &settings,
    );
    let reader = pod(
        &[reads],
        json!({"name": "settings", "configMap": {"name": "settings"}}),
    );
    let robot = json!({
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "pod-reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": NAME}],
    });
    let data = json!([{"name": "data", "mountPath": "/data"}]);
    let writes = "echo shared >/data/begun; mv /data/begun /data/note; sleep infinity";
    let waits = "until [ -f /data/note ]; do sleep 0.2; done; cat /data/note; sleep infinity";
    let shared = pod(
        &[
            container("writer", writes, &data),
            container("reader", waits, &data),
        ],
        json!({"name": "data", "emptyDir": {}}),
    );
    let quotes = json!({"kind": "Deployment", "namespace": NAME, "name": "quotes"});
    let probe = json!({"name": "quotes", "readinessProbe": {"tcpSocket": {"port": 8080}}});
    let probed = json!({"spec": {"template": {"spec": {"containers": [probe]}}}});
    let namespace = |name: &str| json!({"verb": "create", "object": {"kind": "Namespace", "name": name}, "body": {}});
    let quota = |namespace: &str| {
        created(
            namespace,
            "ResourceQuota",
            "budget",
            json!({"spec": {"hard": {"pods": "4"}}}),
        )
    };
    let watcher = json!({"kind": "Role", "namespace": NAME, "name": "watcher"});
    vec![
        Proposed {
            name: "create-canary-deployment",
            said: vec![(
                "create a deployment prices-canary with image busybox:1 beside prices",
                json!([create("Deployment", "prices-canary", canary)]),
            )],
            shows: (&["get", "deployment", "prices-canary", "-o", READY], "1"),
        },
        Proposed {
            name: "create-network-policy",
            said: vec![(
                "create a network policy only-lobby that lets only lobby reach till",
                json!([create("NetworkPolicy", "only-lobby", policy)]),
            )],
            shows: (
                &[
                    "get",
                    "networkpolicy",
                    "only-lobby",
                    "-o",
                    "jsonpath={.spec.ingress[0].from[0].podSelector.matchLabels.app}",
                ],
                "lobby",
            ),
        },
        Proposed {
            name: "create-pod-mount-configmaps",
            said: vec![(
                "create a configmap settings with color=blue, and a pod reader with it mounted in /etc/settings",
                json!([
                    create("ConfigMap", "settings", json!({"data": {"color": "blue"}})),
                    create("Pod", "reader", reader)
                ]),
            )],
            shows: (&["logs", "reader"], "blue"),
        },
        Proposed {
            name: "create-simple-rbac",
            said: vec![(
                "create a role pod-reader that may read pods, and bind it to a new service account robot",
                json!([
                    create("ServiceAccount", "robot", json!({})),
                    create("Role", "pod-reader", reads_pods()),
                    create("RoleBinding", "pod-reader", robot)
                ]),
            )],
            shows: (
                &[
                    "auth",
                    "can-i",
                    "list",
                    "pods",
                    "--as",
                    "system:serviceaccount:tasks:robot",
                ],
                "yes",
            ),
        },
        Proposed {
            name: "fix-probes",
            said: vec![(
                "set the readiness probe of quotes to port 8080",
                json!([{"verb": "patch", "object": quotes, "patch": probed}]),
            )],
            shows: (&["get", "deployment", "quotes", "-o", READY], "1"),
        },
        Proposed {
            name: "fix-rbac-wrong-resource",
            said: vec![
                (
                    "the role watcher is about services and should be about pods, so first let the role watcher go",
                    json!([{"verb": "delete", "object": watcher}]),
                ),
                (
                    "make a role watcher that may read pods",
                    json!([create("Role", "watcher", reads_pods())]),
                ),
            ],
            shows: (
                &[
                    "get",
                    "role",
                    "watcher",
                    "-o",
                    "jsonpath={.rules[0].resources[0]}",
                ],
                "pods",
            ),
        },
        Proposed {
            name: "multi-container-pod-communication",
            said: vec![(
                "create a pod duo with two containers that share a volume",
                json!([create("Pod", "duo", shared)]),
            )],
            shows: (&["logs", "duo", "-c", "reader"], "shared"),
        },
        Proposed {
            name: "setup-dev-cluster",
            said: vec![(
                "set up the namespaces tasks-dev and tasks-staging, each with the quota budget of 4 pods",
                json!([
                    namespace("tasks-dev"),
                    namespace("tasks-staging"),
                    quota("tasks-dev"),
                    quota("tasks-staging")
                ]),
            )],
            shows: (
                &[
                    "-n",
                    "tasks-staging",
                    "get",
                    "resourcequota",
                    "budget",
                    "-o",
                    "jsonpath={.spec.hard.pods}",
                ],
                "4",
            ),
        },
    ]
}
