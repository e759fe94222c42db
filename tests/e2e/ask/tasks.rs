//! The kinds of tasks of a benchmark of language models on Kubernetes (k8s-ai-bench, 24 of them), made again with images of this
//! machine, and done without a model: by questions, and by requests whose plans are approved; those that words are not enough for, by
//! plans of a scripted model. What is done shows the cluster.

use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;

use super::{ask, proposed};
use crate::support::eventually;
use crate::support::machine::{CLUSTER, cluster};
use crate::support::project::Project;

pub(super) const NAME: &str = "tasks";
/// What is planted has become what it is to be.
const PLANTED: Duration = Duration::from_secs(90);
/// What kube-proxy and the controllers do after a change.
pub(super) const FOLLOWED: Duration = Duration::from_secs(30);
/// So many tasks are done at once.
const AT_ONCE: usize = 4;

/// A task, and how it is done by words alone.
struct Task {
    name: &'static str,
    /// Questions, each with a cell of the table, a piece of evidence or the sentence of its answer, or a part of it.
    asked: &'static [(&'static str, &'static str)],
    /// Arguments of kubectl, and what they print before a change: the question is about that.
    before: &'static [(&'static [&'static str], &'static str)],
    /// Requests for changes, each approved as it is shown.
    changes: &'static [&'static str],
    /// Arguments of kubectl, and what they print when the task is done.
    shows: &'static [(&'static [&'static str], &'static str)],
}

const IMAGE: &str = "jsonpath={.spec.template.spec.containers[0].image}";
const REPLICAS: &str = "jsonpath={.spec.replicas}";
pub(super) const READY: &str = "jsonpath={.status.readyReplicas}";
const LIMITS: &str = "jsonpath={.spec.containers[0].resources.limits} {.status.phase}";
const BOUNDS: &str = "jsonpath={.spec.scaleTargetRef.name} {.spec.minReplicas} {.spec.maxReplicas} {.spec.metrics[0].resource.target.averageUtilization}";
const BEHIND: &str = "jsonpath={.items[*].endpoints[*].targetRef.name}";

/// Those that words are enough for.
const DONE: &[Task] = &[
    Task {
        name: "scale-deployment",
        asked: &[],
        before: &[],
        changes: &["scale orders to 2"],
        shows: &[(&["get", "deployment", "orders", "-o", READY], "2")],
    },
    Task {
        name: "scale-down-deployment",
        asked: &[("how many replicas does carts have", "`carts`, replicas: 2,")],
        before: &[(&["get", "deployment", "carts", "-o", REPLICAS], "2")],
        changes: &["scale down carts by 1"],
        shows: &[(&["get", "deployment", "carts", "-o", READY], "1")],
    },
    Task {
        name: "rolling-update-deployment",
        asked: &[("which image does prices run", "busybox:1")],
        before: &[],
        changes: &["update the image of prices to busybox:1.36"],
        shows: &[(
            &["get", "deployment", "prices", "-o", IMAGE],
            "busybox:1.36",
        )],
    },
    Task {
        name: "list-images-for-pods",
        asked: &[("images of all pods", "redis:7")],
        before: &[],
        changes: &[],
        shows: &[],
    },
    Task {
        name: "debug-app-logs",
        asked: &[(
            "errors in the logs of ledger",
            "no connection to books:5432",
        )],
        before: &[],
        changes: &[],
        shows: &[],
    },
    Task {
        name: "fix-image-pull",
        asked: &[("why is mails not ready", "busybox:none")],
        before: &[],
        changes: &["set image of mails to busybox:1"],
        shows: &[(&["get", "deployment", "mails", "-o", READY], "1")],
    },
    Task {
        name: "fix-crashloop",
        asked: &[("why does basket crash", "QUEUE_URL is not set")],
        before: &[],
        changes: &["set QUEUE_URL=redis://queue on basket"],
        shows: &[(&["get", "deployment", "basket", "-o", READY], "1")],
    },
    Task {
        name: "fix-pending-pod",
        asked: &[("why is stock pending", "Insufficient cpu")],
        before: &[],
        changes: &["lower the cpu request of stock to 10m"],
        shows: &[(&["get", "deployment", "stock", "-o", READY], "1")],
    },
    Task {
        name: "fix-service-routing",
        asked: &[("why does service gate have no endpoints", "app=lobby")],
        before: &[],
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
        before: &[],
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
        before: &[],
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
        before: &[],
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
        before: &[],
        changes: &["create pod guard with image redis:7, memory limit 64Mi and cpu limit 100m"],
        shows: &[(
            &["get", "pod", "guard", "-o", LIMITS],
            "{\"cpu\":\"100m\",\"memory\":\"64Mi\"} Running",
        )],
    },
    Task {
        name: "horizontal-pod-autoscaler",
        asked: &[],
        before: &[],
        changes: &["autoscale press from 1 to 3 replicas at 50% cpu"],
        shows: &[(&["get", "hpa", "press", "-o", BOUNDS], "press 1 3 50")],
    },
    Task {
        name: "statefulset-lifecycle",
        asked: &[("is vault ready", "Yes")],
        before: &[],
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

/// Those of which devk makes no plan from words: what is said instead has to be the refusal of a change, which
/// leaves all as it is.
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
    approved(project, &shown["preview"], &["ask", words]);
}

/// Has a person approve a preview, and devk do what was shown.
pub(super) fn approved(project: &Project, preview: &Value, command: &[&str]) {
    let hash = preview["hash"].as_str().unwrap();
    let (question, answer) = match preview["risk"].as_str() {
        Some("destructive") => {
            let name = preview["steps"][0]["object"]["name"].as_str().unwrap();
            ("to go on: ", name)
        }
        _ => ("[y/N]", "y"),
    };
    project.answered(&["approve", hash], question, &format!("{answer}\n"));
    let done = project
        .devk(&[command, &["--approve", hash]].concat())
        .well();
    assert_eq!(done.document()["state"], "done", "{command:?}");
}

/// What an answer says of the cluster, text by text: not the question, nor the commands and hints beside it.
fn said(answer: &Value) -> Vec<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let cells = list(&answer["rows"]);
    let cells = cells.iter().flat_map(list);
    let evidence = list(&answer["evidence"]);
    let evidence = evidence.into_iter().map(|one| one["text"].clone());
    cells
        .chain(evidence)
        .chain([answer["text"].clone()])
        .filter_map(|text| text.as_str().map(str::to_owned))
        .collect()
}

fn does(project: &Project, task: &Task) {
    for (question, says) in task.asked {
        let answer: Value = ask(project, question);
        assert!(
            said(&answer).iter().any(|text| text.contains(says)),
            "{question}: {answer}"
        );
    }
    for (args, shown) in task.before {
        assert_eq!(project.kubectl(args).trim(), *shown, "{}", task.name);
    }
    for words in task.changes {
        change(project, words);
    }
    for (args, shown) in task.shows {
        let is_shown = || match *shown {
            "" => project.kubectl(args).trim().is_empty(),
            // A name of a pod goes on; everything else is said whole.
            shown if shown.ends_with('-') => project.kubectl(args).trim().starts_with(shown),
            shown => project.kubectl(args).trim() == shown,
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

/// Does all of them, some at once; the answers are in no order.
fn at_once<T: Sync, R: Send>(tasks: &[T], does: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let done = Mutex::new(vec![]);
    let next = Mutex::new(tasks.iter());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(task) = next.lock().unwrap().next() else {
                        return;
                    };
                    let one = does(task);
                    done.lock().unwrap().push(one);
                }
            });
        }
    });
    done.into_inner().unwrap()
}

/// How many of the others a model's plans do. Roles and namespaces are an administrator's.
fn proposed_by_a_model(project: &Project) -> usize {
    project.user_asks("{role: admin}");
    let wrong = [
        "create",
        "role",
        "watcher",
        "--verb=get",
        "--resource=services",
    ];
    project.kubectl(&wrong);
    let proposed = proposed::all();
    let mut names = at_once(&proposed, |task| {
        task.is_done(project);
        task.name
    });
    names.sort_unstable();
    let owed = NOT_DONE.iter().map(|(name, _)| *name);
    // The class of the cluster's volumes does not let them grow, whoever asks.
    let owed: Vec<_> = owed.filter(|name| *name != "resize-pvc").collect();
    assert_eq!(names, owed);
    names.len()
}

#[test]
fn tasks_are_done_by_words_alone_or_by_a_models_plan() {
    cluster();
    let mut project = Project::new("tests/e2e/fixtures/tasks", NAME, CLUSTER);
    project.set("XDG_CONFIG_HOME", project.path("config"));
    project.devk(&["up", "--once"]).well();
    planted(&project);

    let why = said(&ask(&project, "why is quotes not ready")).join("\n");
    assert!(why.contains("9999"), "the cause is found, too: {why}");
    for (name, words) in NOT_DONE {
        let refused = project.devk(&["ask", words]).exits(2);
        assert_eq!(refused.error()["code"], "ask.change", "{name}");
    }

    let mut done = at_once(DONE, |task| {
        does(&project, task);
        task.name
    });
    let mut owed: Vec<_> = DONE.iter().map(|task| task.name).collect();
    let mut table = owed.clone();
    table.extend(NOT_DONE.iter().map(|(name, _)| *name));
    table.sort_unstable();
    owed.sort_unstable();
    done.sort_unstable();
    for name in &table {
        let is_done = if done.contains(name) {
            "done"
        } else {
            "not done"
        };
        println!("{name:<36}{is_done}");
    }
    println!("{} of {} without a model", done.len(), table.len());
    let proposed = proposed_by_a_model(&project);
    println!("{} of {} with one", done.len() + proposed, table.len());
    assert_eq!(table.len(), 24);
    // Each task once, under a name of its own.
    table.dedup();
    assert_eq!(table.len(), 24);
    assert_eq!(done, owed);
}
