//! `provider: existing`: a cluster of the user's own, by a context of the user's own kubeconfig.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::machine::{CLUSTER, cluster, docker_list, images_of, nodes_of, run};
use crate::support::project::Project;
use crate::support::wire::get;
use crate::support::{eventually, tell};

/// A project on the shared cluster as if it were the user's own: by a kubeconfig made by hand, whose current context
/// leads to nobody.
struct Brought {
    project: Project,
    kubeconfig: PathBuf,
    written: String,
    context: String,
}

impl Brought {
    fn new(name: &str, context: &str) -> Self {
        cluster();
        let mut project = Project::pair(name);
        let kubeconfig = project.path("kubeconfig");
        let written = run(Command::new("kind").args(["get", "kubeconfig", "--name", CLUSTER]))
            .replace(&format!("kind-{CLUSTER}"), context)
            .replace(
                &format!("current-context: {context}"),
                "current-context: of-somebody-else",
            );
        assert!(
            written.contains("current-context: of-somebody-else"),
            "{written}"
        );
        std::fs::write(&kubeconfig, &written).unwrap();
        project.set("KUBECONFIG", &kubeconfig);
        project.set("XDG_CONFIG_HOME", project.path("config"));
        project.edit(
            "devk.yaml",
            &format!("{{provider: kind, name: {CLUSTER}}}"),
            &names(context),
        );
        Self {
            project,
            kubeconfig,
            written,
            context: context.to_owned(),
        }
    }

    fn kubeconfig_is_untouched(&self) {
        assert_eq!(
            std::fs::read_to_string(&self.kubeconfig).unwrap(),
            self.written
        );
    }

    fn state(&self, context: &str) -> PathBuf {
        cluster()
            .state()
            .join("clusters")
            .join(format!("existing.{context}"))
    }
}

impl Drop for Brought {
    /// Other projects of devk's live on the cluster, so what devk knows of it by this context stays.
    fn drop(&mut self) {
        self.project.devk(&["down", "--delete"]);
        let _ = std::fs::remove_dir_all(self.state(&self.context));
    }
}

fn names(context: &str) -> String {
    format!("{{provider: existing, context: {context}}}")
}

/// Everything on the cluster that is not this project's.
fn others(project: &str) -> Vec<String> {
    let all = cluster().kubectl(
        CLUSTER,
        &[
            "get",
            "deployments,statefulsets,namespaces",
            "-A",
            "--no-headers",
            "-o",
            "custom-columns=:metadata.namespace,:kind,:metadata.name,:spec.replicas",
        ],
    );
    all.lines()
        .filter(|line| {
            let mut words = line.split_whitespace();
            !words.any(|word| word.starts_with(project))
        })
        .map(str::to_owned)
        .collect()
}

fn running_nodes() -> std::collections::BTreeSet<String> {
    let label = format!("label=io.x-k8s.kind.cluster={CLUSTER}");
    docker_list(&["ps", "--filter", &label, "--format", "{{.Names}}"])
}

#[test]
fn a_cluster_of_the_users_own_is_used_and_left_as_it_was() {
    let brought = Brought::new("brought", "mine");
    let project = &brought.project;
    let before = others("brought");
    let nodes = nodes_of(CLUSTER);

    let up = project.devk(&["up", "-d"]).well();
    tell("up on an existing cluster", up.took);
    assert_eq!(
        up.verdict("image.load/left"),
        "done",
        "its nodes are containers: {up:?}"
    );
    assert_eq!(
        get(project.port("left"), "/index.html").unwrap().well(),
        "this is left\n"
    );
    let relay = || project.session()["relay"]["serves"] == true;
    eventually("no relay in the node", Duration::from_secs(20), relay);
    let status = project.devk(&["status"]).well().document();
    assert_eq!(status["cluster"]["name"], "mine");
    assert_eq!(
        (
            &status["cluster"]["pinned"],
            &status["cluster"]["created_by_devk"]
        ),
        (&true.into(), &false.into())
    );

    let second = project.devk(&["up", "-d"]).well();
    for step in [
        "cluster.create",
        "image.build/left",
        "image.load/right",
        "release.apply/pair",
    ] {
        assert_eq!(second.verdict(step), "skipped", "{second:?}");
    }

    changes_are_shown_and_done_only_where_the_user_says_so(project);
    made_by_a_change();
    let down = project.devk(&["down"]).well().document();
    assert!(down["ending"]["sleep"].is_object(), "{down}");
    assert_eq!(of_made("{.spec.replicas}"), "0");
    assert_eq!(
        (others("brought"), running_nodes()),
        (before.clone(), nodes.clone())
    );
    project.devk(&["up", "--once"]).well();
    assert_eq!(of_made("{.spec.replicas}"), "2");

    let down = project.devk(&["down", "--delete"]).well().document();
    assert!(down["ending"]["delete-namespace"].is_object(), "{down}");
    assert!(!cluster().has_namespace("brought"));
    assert!(!cluster().has_namespace("brought-made"));
    assert_eq!((others("brought"), running_nodes()), (before, nodes));
    brought.kubeconfig_is_untouched();
}

/// Everything by which somebody could have rights in the project's namespace.
fn given_rights() -> String {
    let kinds = "serviceaccounts,roles,rolebindings";
    cluster().kubectl(CLUSTER, &["get", kinds, "-n", "brought", "-o", "name"])
}

/// On a cluster that devk did not make a plan is shown, and carried out only if the user says so of that context.
fn changes_are_shown_and_done_only_where_the_user_says_so(project: &Project) {
    let object = json!({"kind": "Deployment", "namespace": "brought", "name": "pair-left"});
    let scale = json!({"verb": "scale", "object": object, "replicas": 2});
    let plan = |step: &Value| {
        let plan = json!({"version": 1, "steps": [step]});
        project.write("plan.json", &plan.to_string());
    };
    plan(&scale);
    let before = given_rights();
    let shown = project.devk(&["change", "plan.json", "--dry-run"]).well();
    let preview = &shown.document()["preview"];
    assert_eq!(preview["role"], "viewer");
    assert_eq!(preview["steps"][0]["diff"][0]["after"], "2", "{preview}");
    let command = "kubectl scale deployment/pair-left --replicas=2";
    project.devk(&["change", "--explain", command]).well();
    // Its own rights would do; those of an operator would not.
    let secret = json!({"kind": "Secret", "namespace": "brought", "name": "sh"});
    plan(&json!({"verb": "delete", "object": secret}));
    let hidden = project.devk(&["change", "plan.json", "--dry-run"]).exits(2);
    assert_eq!(hidden.error()["code"], "change.forbidden");
    plan(&scale);
    let refused = project.devk(&["change", "plan.json", "--yes"]).exits(2);
    assert_eq!(refused.error()["code"], "change.forbidden");
    let hint = refused.error()["hint"].as_str().unwrap().to_owned();
    let line = "ask: {contexts: {\"mine\": operator}}";
    assert!(hint.ends_with(line), "{hint}");
    assert_eq!(given_rights(), before);

    let file = hint
        .strip_prefix("in ")
        .unwrap()
        .split(": ask")
        .next()
        .unwrap();
    std::fs::create_dir_all(std::path::Path::new(file).parent().unwrap()).unwrap();
    std::fs::write(file, format!("{line}\n")).unwrap();
    let screen = project.answered(&["change", "plan.json"], "[y/N]", "y\n");
    assert!(screen.contains("devk:brought:operator"), "{screen}");
    let bound = given_rights();
    assert!(
        bound.contains("rolebinding.rbac.authorization.k8s.io/devk-operator"),
        "{bound}"
    );
    std::fs::remove_file(file).unwrap();
}

/// A namespace as a change of the project makes it, with a workload of no release.
fn made_by_a_change() {
    let machine = cluster();
    machine.kubectl(CLUSTER, &["create", "namespace", "brought-made"]);
    machine.kubectl(
        CLUSTER,
        &[
            "label",
            "namespace",
            "brought-made",
            "devk.dev/made-for=brought",
        ],
    );
    let create = [
        "create",
        "deployment",
        "idle",
        "--image=none.invalid/idle",
        "--replicas=2",
    ];
    machine.kubectl(CLUSTER, &[&create[..], &["-n", "brought-made"]].concat());
}

fn of_made(path: &str) -> String {
    let path = format!("jsonpath={path}");
    let get = [
        "get",
        "deployment",
        "idle",
        "-n",
        "brought-made",
        "-o",
        &path,
    ];
    cluster().kubectl(CLUSTER, &get)
}

#[test]
fn a_context_that_is_not_there_is_refused_with_nothing_touched() {
    let brought = Brought::new("misnamed", "yours");
    brought
        .project
        .edit("devk.yaml", &names("yours"), &names("your"));
    let error = brought.project.devk(&["up", "-d"]).exits(2).error();
    assert_eq!(error["code"], "cluster.context");
    assert_eq!(error["evidence"][1], "contexts there: yours");
    assert!(
        error["hint"]
            .as_str()
            .unwrap()
            .starts_with("did you mean `yours`?"),
        "{error}"
    );
    assert!(
        !brought.state("your").exists()
            && !cluster().has_namespace("misnamed")
            && images_of("misnamed").is_empty()
    );
    brought.kubeconfig_is_untouched();
}

#[test]
fn a_cluster_that_is_not_the_pinned_one_is_refused_with_nothing_written_to_it() {
    let brought = Brought::new("re-made", "ours");
    let endpoint = brought
        .written
        .lines()
        .find_map(|line| line.trim().strip_prefix("server: "))
        .unwrap();
    let pin = serde_json::json!({"version": 1, "uid": "of-another-cluster", "endpoint": format!("{endpoint}/"),
        "node": "", "created": false, "network_created": false});
    std::fs::create_dir_all(brought.state("ours")).unwrap();
    std::fs::write(brought.state("ours").join("pin.json"), pin.to_string()).unwrap();
    for command in [["up", "-d"].as_slice(), &["down"], &["down", "--delete"]] {
        let error = brought.project.devk(command).exits(2).error();
        assert_eq!(error["code"], "cluster.pin", "{error}");
    }
    assert!(!cluster().has_namespace("re-made") && images_of("re-made").is_empty());
    assert!(!brought.state("ours").join("kubeconfig").exists());
    brought.kubeconfig_is_untouched();
}
