//! The kinds of tasks of a benchmark of language models on Kubernetes (k8s-ai-bench, 24 of them), made again with images of this
//! machine, and done without a model: by questions, and by requests whose plans are approved. What is done shows the cluster.

use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;

use super::ask;
use crate::support::eventually;
use crate::support::machine::{CLUSTER, cluster};
use crate::support::project::Project;

const NAME: &str = "tasks";
/// What is planted has become what it is to be.
const PLANTED: Duration = Duration::from_secs(90);
/// What kube-proxy and the controllers do after a change.
const FOLLOWED: Duration = Duration::from_secs(30);
/// So many tasks are done at once.
const AT_ONCE: usize = 4;

/// A task, and how it is done by words alone.
struct Task {
    name: &'static str,
    /// Questions, each with what its answer has to say.
    asked: &'static [(&'static str, &'static str)],
    /// Requests for changes, each approved as it is shown.
    changes: &'static [&'static str],
    /// Arguments of kubectl, and what they print when the task is done.
    shows: &'static [(&'static [&'static str], &'static str)],
}

const IMAGE: &str = "jsonpath={.spec.template.spec.containers[0].image}";
const READY: &str = "jsonpath={.status.readyReplicas}";
const LIMITS: &str = "jsonpath={.spec.containers[0].resources.limits} {.status.phase}";
const BOUNDS: &str = "jsonpath={.spec.scaleTargetRef.name} {.spec.minReplicas} {.spec.maxReplicas} {.spec.metrics[0].resource.target.averageUtilization}";
const BEHIND: &str = "jsonpath={.items[*].endpoints[*].targetRef.name}";

/// Those that words are enough for.
const DONE: &[Task] = &[
    Task {
        name: "scale-deployment",
        asked: &[],
        changes: &["scale orders to 2"],
        shows: &[(&["get", "deployment", "orders", "-o", READY], "2")],
    },
    Task {
        name: "scale-down-deployment",
        asked: &[("how many replicas does carts have", "2")],
        changes: &["scale down carts by 1"],
        shows: &[(&["get", "deployment", "carts", "-o", READY], "1")],
    },
    Task {
        name: "rolling-update-deployment",
        asked: &[("which image does prices run", "busybox:1")],
        changes: &["update the image of prices to busybox:1.36"],
        shows: &[(
            &["get", "deployment", "prices", "-o", IMAGE],
            "busybox:1.36",
        )],
    },
    Task {
        name: "list-images-for-pods",
        asked: &[("images of all pods", "redis:7")],
        changes: &[],
        shows: &[],
    },
    Task {
        name: "debug-app-logs",
        asked: &[(
            "errors in the logs of ledger",
            "no connection to books:5432",
        )],
        changes: &[],
        shows: &[],
    },
    Task {
        name: "fix-image-pull",
        asked: &[("why is mails not ready", "busybox:none")],
        changes: &["set image of mails to busybox:1"],
        shows: &[(&["get", "deployment", "mails", "-o", READY], "1")],
    },
    Task {
        name: "fix-crashloop",
        asked: &[("why does basket crash", "QUEUE_URL is not set")],
        changes: &["set QUEUE_URL=redis://queue on basket"],
        shows: &[(&["get", "deployment", "basket", "-o", READY], "1")],
    },
    Task {
        name: "fix-pending-pod",
        asked: &[("why is stock pending", "Insufficient cpu")],
        changes: &["lower the cpu request of stock to 10m"],
        shows: &[(&["get", "deployment", "stock", "-o", READY], "1")],
    },
    Task {
        name: "fix-service-routing",
        asked: &[("why does service gate have no endpoints", "app=lobby")],
        changes: &["point service gate to app=lobby"],
        shows: &[(
            &[
                "get",
                "endpointslices",
                "-l",
                "kubernetes.io/service-name=gate",
                "-o",
                BEHIND,
            ],
            "lobby-",
        )],
    },
    Task {
        name: "fix-service-with-no-endpoints",
        asked: &[("why does service depot have no endpoints", "0 replicas")],
        changes: &["scale depot to 1"],
        shows: &[(
            &[
                "get",
                "endpointslices",
                "-l",
                "kubernetes.io/service-name=depot",
                "-o",
                BEHIND,
            ],
            "depot-",
        )],
    },
    Task {
        name: "deployment-traffic-switch",
        asked: &[("which pods does service till select", "till-blue-")],
        changes: &["switch the traffic of service till to version=green"],
        shows: &[(
            &[
                "get",
                "endpointslices",
                "-l",
                "kubernetes.io/service-name=till",
                "-o",
                BEHIND,
            ],
            "till-green-",
        )],
    },
    Task {
        name: "create-pod",
        asked: &[],
        changes: &["create a pod called scout with image redis:7"],
        shows: &[(
            &[
                "get",
                "pod",
                "scout",
                "-o",
                "jsonpath={.spec.containers[0].image} {.status.phase}",
            ],
            "redis:7 Running",
        )],
    },
    Task {
        name: "create-pod-resources-limits",
        asked: &[],
        changes: &["create pod guard with image redis:7, memory limit 64Mi and cpu limit 100m"],
        shows: &[(
            &["get", "pod", "guard", "-o", LIMITS],
            "{\"cpu\":\"100m\",\"memory\":\"64Mi\"} Running",
        )],
    },
    Task {
        name: "horizontal-pod-autoscaler",
        asked: &[],
        changes: &["autoscale press from 1 to 3 replicas at 50% cpu"],
        shows: &[(&["get", "hpa", "press", "-o", BOUNDS], "press 1 3 50")],
    },
    Task {
        name: "statefulset-lifecycle",
        asked: &[("is vault ready", "Yes")],
        changes: &[
            "scale vault to 2",
            "restart vault",
            "delete statefulset vault",
        ],
        shows: &[(
            &[
                "get",
                "statefulset",
                "vault",
                "--ignore-not-found",
                "-o",
                "name",
            ],
            "",
        )],
    },
];

/// Those of which devk makes no plan from words: what is said instead has to be a refusal, which leaves all as it is.
const NOT_DONE: &[(&str, &str)] = &[
    (
        "create-canary-deployment",
        "create a deployment prices-canary with image busybox:1.36",
    ),
    (
        "create-network-policy",
        "create a network policy that lets only lobby reach till",
    ),
    (
        "create-pod-mount-configmaps",
        "create a pod reader with the configmap settings mounted in /etc/settings",
    ),
    (
        "create-simple-rbac",
        "create a role that may read pods and bind it to the service account robot",
    ),
    (
        "fix-probes",
        "set the readiness probe of quotes to port 8080",
    ),
    ("fix-rbac-wrong-resource", "change the role reader to pods"),
    (
        "multi-container-pod-communication",
        "create a pod with two containers that share a volume",
    ),
    ("resize-pvc", "grow the claim of vault to 2Gi"),
    (
        "setup-dev-cluster",
        "set up the namespaces dev and staging with quotas",
    ),
];

/// Shows a change, has a person approve exactly that, and has it done.
fn change(project: &Project, words: &str) {
    let shown = project.devk(&["ask", words]).exits(4).document();
    let preview = &shown["preview"];
    let hash = preview["hash"].as_str().unwrap();
    let (question, answer) = match preview["risk"].as_str() {
        Some("destructive") => {
            let name = preview["steps"][0]["object"]["name"].as_str().unwrap();
            ("to go on: ", name)
        }
        _ => ("[y/N]", "y"),
    };
    project.answered(&["approve", hash], question, &format!("{answer}\n"));
    let done = project.devk(&["ask", words, "--approve", hash]).well();
    assert_eq!(done.document()["state"], "done", "{words}");
}

fn does(project: &Project, task: &Task) {
    for (question, says) in task.asked {
        let answer: Value = ask(project, question);
        assert!(answer.to_string().contains(says), "{question}: {answer}");
    }
    for words in task.changes {
        change(project, words);
    }
    for (args, shown) in task.shows {
        let is_shown = || match *shown {
            "" => project.kubectl(args).trim().is_empty(),
            shown => project.kubectl(args).trim().starts_with(shown),
        };
        eventually(task.name, FOLLOWED, is_shown);
    }
}

fn planted(project: &Project) {
    let file = project.path("planted.yaml");
    project.kubectl(&["apply", "-f", file.to_str().unwrap()]);
    let of = |app: &str, path: &str| {
        let path = format!("jsonpath={{.items[*].status{path}}}");
        project.kubectl(&["get", "pods", "-l", &format!("app={app}"), "-o", &path])
    };
    let waits = ".containerStatuses[*].state.waiting.reason";
    eventually("what is planted is not as it is to be", PLANTED, || {
        let restarts = of("basket", ".containerStatuses[*].restartCount");
        restarts.trim() > "0"
            && of("mails", waits).contains("ErrImageNeverPull")
            && of("stock", ".conditions[*].reason").contains("Unschedulable")
            && of("till", ".containerStatuses[*].ready") == "true true"
            && of("vault", ".containerStatuses[*].ready") == "true"
            && of("ledger", ".containerStatuses[*].ready") == "true"
            && of("quotes", ".phase") == "Running"
    });
}

#[test]
fn tasks_are_done_by_words_alone_or_refused() {
    cluster();
    let project = Project::new("tests/e2e/fixtures/tasks", NAME, CLUSTER);
    project.devk(&["up", "--once"]).well();
    planted(&project);

    let why = ask(&project, "why is quotes not ready").to_string();
    assert!(why.contains("9999"), "the cause is found, too: {why}");
    for (name, words) in NOT_DONE {
        let refused = project.devk(&["ask", words]).exits(2);
        let code = refused.error()["code"].to_string();
        assert!(code.contains("ask."), "{name}: {code}");
    }

    let done = Mutex::new(vec![]);
    let next = Mutex::new(DONE.iter());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(task) = next.lock().unwrap().next() else {
                        return;
                    };
                    does(&project, task);
                    done.lock().unwrap().push(task.name);
                }
            });
        }
    });
    let done = done.into_inner().unwrap();
    let mut table: Vec<_> = DONE.iter().map(|task| task.name).collect();
    table.extend(NOT_DONE.iter().map(|(name, _)| *name));
    table.sort_unstable();
    for name in &table {
        let is_done = if done.contains(name) {
            "done"
        } else {
            "not done"
        };
        println!("{name:<36}{is_done}");
    }
    println!("{} of {} without a model", done.len(), table.len());
    assert_eq!(table.len(), 24);
    assert!(done.len() >= 12);
    assert_eq!(done.len(), DONE.len());
}
