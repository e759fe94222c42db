//! `devk change` on the real API server: shown, approved, done, verified; and refused, whoever asks.

use serde_json::{Value, json};

use crate::support::machine::{CLUSTER, cluster};
use crate::support::project::Project;
use crate::support::run::Ran;
use crate::support::terminal::OnTerminal;

const NAME: &str = "changes";

fn step(verb: &str, kind: &str, name: &str, more: Value) -> Value {
    let mut step = more;
    step["verb"] = json!(verb);
    step["object"] = json!({"kind": kind, "name": name});
    if kind != "Namespace" {
        step["object"]["namespace"] = json!(NAME);
    }
    step
}

/// A pod that the API server takes in no dry run: its ServiceAccount is missing.
fn unrunnable(namespace: &str) -> Value {
    let container = json!({"name": "c", "image": "i"});
    let pod =
        json!({"body": {"spec": {"serviceAccountName": "nobody", "containers": [container]}}});
    let mut step = step("create", "Pod", "wrong", pod);
    step["object"]["namespace"] = json!(namespace);
    step
}

fn write(project: &Project, steps: &[Value]) {
    let plan = json!({"version": 1, "steps": steps});
    project.write("plan.json", &plan.to_string());
}

/// The preview of a plan, whose approval nobody gives.
fn shown(project: &Project, steps: &[Value]) -> Value {
    write(project, steps);
    let ran = project.devk(&["change", "plan.json"]).exits(4);
    assert_eq!(ran.error()["code"], "change.unapproved");
    ran.document()["preview"].clone()
}

fn hash(preview: &Value) -> &str {
    preview["hash"].as_str().unwrap()
}

fn approve(project: &Project, preview: &Value) -> Ran {
    project.devk(&["change", "plan.json", "--approve", hash(preview)])
}

/// A person approves a preview.
fn by_a_person(project: &Project, preview: &Value) {
    let screen = project.answered(&["approve", hash(preview)], "[y/N]", "y\n");
    assert!(screen.contains("spec.replicas: 1 → 2"), "{screen}");
}

/// Shows and carries out a plan that the user leaves unasked.
fn done(project: &Project, steps: &[Value]) -> Value {
    let preview = shown(project, steps);
    let ran = approve(project, &preview).well().document();
    assert_eq!(ran["state"], "done");
    preview
}

fn kubectl(args: &[&str]) -> String {
    let all = [&["--namespace", NAME], args].concat();
    cluster().kubectl(CLUSTER, &all)
}

fn of_left(path: &str) -> String {
    let path = format!("jsonpath={{{path}}}");
    kubectl(&["get", "deployment", "pair-left", "-o", &path])
}

fn image(of: &str) -> String {
    let path = "jsonpath={.spec.template.spec.containers[0].image}";
    kubectl(&["get", "deployment", of, "-o", path])
}

fn pods() -> String {
    kubectl(&[
        "get",
        "pods",
        "-l",
        "app=left",
        "-o",
        "jsonpath={.items[*].metadata.uid}",
    ])
}

/// Everything that a plan could change, with the generations of what has them.
fn everything() -> String {
    let kinds = "deployments,statefulsets,services,configmaps,secrets,serviceaccounts,roles,rolebindings,\
                 persistentvolumeclaims,networkpolicies,jobs,namespaces";
    let each = "jsonpath={range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name} {.metadata.uid} \
                {.metadata.generation}{\"\\n\"}{end}";
    let all = kubectl(&["get", kinds, "-o", each]);
    // Namespaces of other tests come and go.
    let is_of_others = |line: &&str| {
        let name = line
            .strip_prefix("Namespace//")
            .and_then(|line| line.split(' ').next());
        name.is_some_and(|name| {
            !name.starts_with(NAME) && !name.starts_with("kube-") && name != "default"
        })
    };
    all.lines()
        .filter(|line| !is_of_others(line))
        .collect::<Vec<_>>()
        .join("\n")
}

fn typed(project: &Project, answer: &str) -> (String, Option<i32>) {
    let mut command = project.bare();
    command.args(["change", "plan.json"]);
    let mut terminal = OnTerminal::start(&command);
    // What is typed before the question is no answer to it.
    terminal.type_keys("pair-right\n");
    terminal.wait_for("hash ");
    terminal.wait_for("to go on: ");
    terminal.type_keys(answer);
    terminal.ended()
}

#[test]
fn a_change_is_shown_approved_done_and_verified() {
    let machine = cluster();
    let mut project = Project::pair(NAME);
    project.set("XDG_CONFIG_HOME", project.path("config"));
    let project = project;
    project.devk(&["up", "--once"]).well();

    // Scaled: nothing before the approval, the approval once, the way back as it is pasted.
    let scale = step(
        "scale",
        "Deployment",
        "pair-left",
        json!({"replicas": "+1"}),
    );
    let preview = shown(&project, std::slice::from_ref(&scale));
    assert_eq!(of_left(".spec.replicas"), "1");
    let first = &preview["steps"][0];
    let expected = json!([{"path": "spec.replicas", "before": "1", "after": "2"}]);
    assert_eq!(first["diff"], expected);
    assert_eq!(preview["risk"], "reversible");
    assert_eq!(first["chart"]["release"], "pair");
    // Whoever has the hash has approved nothing yet.
    let unapproved = approve(&project, &preview).exits(4).error();
    assert_eq!(unapproved["code"], "change.unapproved");
    let hash = hash(&preview);
    let hint = format!("devk approve {hash} && devk change plan.json --approve {hash}");
    assert_eq!(unapproved["hint"], hint);
    assert_eq!(of_left(".spec.replicas"), "1");
    by_a_person(&project, &preview);
    let outcome = approve(&project, &preview).well().document();
    assert_eq!(
        outcome["outcome"]["steps"][0]["found"],
        "2 of 2 replicas are ready"
    );
    let again = approve(&project, &preview).exits(2);
    assert_eq!(again.error()["code"], "change.moved");
    assert_eq!(of_left(".spec.replicas"), "2");
    project.paste(first["undo"].as_str().unwrap());
    assert_eq!(of_left(".spec.replicas"), "1");
    // All is as it was when it was approved; the approval is used up all the same.
    let used = approve(&project, &preview).exits(2);
    assert_eq!(used.error()["code"], "approval.unknown", "{used:?}");
    assert_eq!(of_left(".spec.replicas"), "1");

    // From here on the user leaves unasked what is not destructive: a script gives the hash back.
    project.user_asks("{yes: disruptive}");
    write(&project, std::slice::from_ref(&scale));
    let shown_alone = project.devk(&["change", "plan.json", "--dry-run"]).well();
    let by_script = shown_alone.document()["preview"].clone();
    assert_eq!(by_script["hash"], preview["hash"]);

    // Another image, and back; then new pods.
    let (left, right) = (image("pair-left"), image("pair-right"));
    let set = step(
        "set-image",
        "Deployment",
        "pair-left",
        json!({"image": right}),
    );
    assert_eq!(done(&project, &[set])["risk"], "disruptive");
    assert_eq!(image("pair-left"), right);
    done(
        &project,
        &[step("roll-back", "Deployment", "pair-left", json!({}))],
    );
    assert_eq!(image("pair-left"), left);
    let before = pods();
    done(
        &project,
        &[step("restart", "Deployment", "pair-left", json!({}))],
    );
    assert_ne!(pods(), before);

    // Something else changes the object between preview and approval.
    let preview = shown(&project, std::slice::from_ref(&scale));
    kubectl(&["annotate", "deployment", "pair-left", "note=by-hand"]);
    let moved = approve(&project, &preview).exits(2);
    assert_eq!(moved.error()["code"], "change.moved");
    assert_ne!(moved.document()["preview"]["hash"], preview["hash"]);
    assert_eq!(of_left(".spec.replicas"), "1");

    // One step that would be refused refuses them all. What may be secret is not shown.
    let config = step(
        "create",
        "ConfigMap",
        "made",
        json!({"body": {"data": {"a": "b"}}}),
    );
    write(&project, &[config.clone(), unrunnable(NAME)]);
    let refused = project.devk(&["change", "plan.json"]).exits(2);
    assert_eq!(refused.error()["code"], "change.refused");
    let secret = json!({"set": {"API_TOKEN": "hunter2-e2e"}});
    let preview = shown(
        &project,
        &[step("set-env", "Deployment", "pair-left", secret)],
    );
    assert!(!preview.to_string().contains("hunter2"), "{preview}");

    // What is destroyed is typed.
    write(
        &project,
        &[step("delete", "Deployment", "pair-right", json!({}))],
    );
    let (screen, code) = typed(&project, "pair-left\n");
    assert_eq!(code, Some(4), "{screen}");
    assert!(screen.contains("destructive"), "{screen}");
    assert!(!image("pair-right").is_empty());
    let (screen, code) = typed(&project, "pair-right\n");
    assert_eq!(code, Some(0), "{screen}");
    assert!(screen.contains("gone"), "{screen}");
    assert_eq!(
        kubectl(&["get", "deployments", "-o", "name"]),
        "deployment.apps/pair-left\n"
    );

    // Of these nothing is left unasked.
    project.user_asks("{role: operator}");
    nothing_hostile_happens(&project);
    project.user_asks("{yes: disruptive}");
    roles_and_yes(&project, &scale, &config);
    project.devk(&["down", "--delete"]).well();
    assert!(!machine.has_namespace("changes-made"));
}

/// What the hostile plans name: the project's own, and what is made here.
fn named_by_hostile_plans(project: &Project) -> String {
    kubectl(&["create", "configmap", "c", "--from-literal=a=b"]);
    kubectl(&["create", "secret", "generic", "db", "--from-literal=a=b"]);
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
    });
    project.write("claim.json", &claim.to_string());
    let file = project.path("claim.json");
    kubectl(&["create", "--filename", file.to_str().unwrap()]);
    include_str!("../change/hostile.json")
        .replace("\"shop\"", &format!("\"{NAME}\""))
        .replace("\"name\": \"web\"", "\"name\": \"pair-left\"")
}

fn nothing_hostile_happens(project: &Project) {
    let cases: Vec<Value> = serde_json::from_str(&named_by_hostile_plans(project)).unwrap();
    let before = everything();
    let reach_the_cluster = cases.iter().filter(|case| case["expect"] != "invalid");
    for case in reach_the_cluster {
        project.write("plan.json", &case["plan"].to_string());
        let ran = project.devk(&["change", "plan.json", "--yes"]);
        let (why, risk) = (&case["why"], &case["expect"]["risk"]);
        // An operator has no right on Secrets.
        let is_shown = risk.is_string() && !case["plan"].to_string().contains("\"Secret\"");
        let expected = if is_shown { 4 } else { 2 };
        assert_eq!(ran.code, Some(expected), "{why}: {ran:?}");
        if is_shown {
            assert_eq!(&ran.document()["preview"]["risk"], risk, "{why}");
        }
    }
    assert_eq!(everything(), before);
}

fn roles_and_yes(project: &Project, scale: &Value, config: &Value) {
    let as_is = std::fs::read_to_string(project.path("devk.yaml")).unwrap();
    let ask = |ask: &str| project.write("devk.yaml", &format!("{as_is}\nask: {ask}\n"));

    // The API server refuses what the role may not do. devk.yaml lowers it.
    ask("{role: viewer}");
    write(project, std::slice::from_ref(scale));
    let refused = project.devk(&["change", "plan.json"]).exits(2).error();
    assert_eq!(refused["code"], "change.forbidden");
    assert_eq!(
        refused["message"],
        format!("the role `viewer` lacks the right: patch deployments.apps in {NAME}")
    );
    let evidence = refused["evidence"][0].as_str().unwrap();
    assert!(
        evidence.contains(&format!(
            "User \"devk:{NAME}:viewer\" cannot patch resource \"deployments\""
        )),
        "{evidence}"
    );

    let hint = refused["hint"].as_str().unwrap();
    assert!(hint.starts_with("devk.yaml lowers the role"), "{hint}");

    // Nobody is asked up to the risk that the user names, and devk.yaml lowers.
    ask("{yes: reversible}");
    write(project, std::slice::from_ref(config));
    let made = project.devk(&["change", "plan.json", "--yes"]).well();
    assert_eq!(made.document()["state"], "done");
    write(
        project,
        &[step("restart", "Deployment", "pair-left", json!({}))],
    );
    let asked = project.devk(&["change", "plan.json", "--yes"]).exits(4);
    assert_eq!(asked.error()["code"], "change.unapproved");

    // A namespace of the project's own, which goes with the project. What could not be tried before may fail: the rest is
    // not begun, and what was done is told with its way back.
    ask("{role: admin}");
    let namespace = step("create", "Namespace", "changes-made", json!({}));
    write(project, std::slice::from_ref(&namespace));
    let refused = project.devk(&["change", "plan.json"]).exits(2).error();
    assert_eq!(refused["code"], "change.forbidden");
    let beyond =
        "devk.yaml asks for the role `admin`, and only you can give it: you give `operator`";
    assert_eq!(refused["evidence"][1], beyond, "{refused}");
    let hint = refused["hint"].as_str().unwrap();
    assert!(hint.ends_with("config.yaml: ask: {role: admin}"), "{hint}");
    project.user_asks("{role: admin, yes: disruptive}");
    let mut inside = config.clone();
    inside["object"]["namespace"] = json!("changes-made");
    let preview = shown(
        project,
        &[namespace, unrunnable("changes-made"), inside.clone()],
    );
    assert!(preview["steps"][1]["untried"].is_string(), "{preview}");
    let stopped = approve(project, &preview).exits(1);
    assert_eq!(stopped.error()["code"], "change.failed");
    let outcome = stopped.document()["outcome"].clone();
    let ends: Vec<_> = outcome["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| &step["end"])
        .collect();
    assert_eq!(ends, ["done", "failed", "not-begun"]);
    let undo = outcome["steps"][0]["undo"].as_str().unwrap();
    assert!(
        undo.starts_with("kubectl delete namespace/changes-made"),
        "{undo}"
    );
    done(project, &[inside]);
    rights_end_at_the_projects_namespaces(project);

    let log = project.devk(&["audit", "--kind", "change"]).well();
    assert!(log.stdout.contains("changes-made"), "{log:?}");
    assert!(!log.stdout.contains("hunter2"), "{log:?}");
}

/// What the API server would let the project's admin do.
fn admin_may(project: &Project, verb: &str, resource: &str, namespace: &str, name: &str) -> bool {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {
            "user": format!("devk:{NAME}:admin"), "groups": ["devk:admin", "system:authenticated"],
            "resourceAttributes": {"verb": verb, "resource": resource, "namespace": namespace, "name": name},
        },
    });
    project.write("review.json", &review.to_string());
    let file = project.path("review.json");
    let create = ["create", "--filename", file.to_str().unwrap()];
    kubectl(&[&create[..], &["-o", "jsonpath={.status.allowed}"]].concat()) == "true"
}

fn rights_end_at_the_projects_namespaces(project: &Project) {
    let may = |verb, resource, namespace, name| admin_may(project, verb, resource, namespace, name);
    assert!(may("create", "namespaces", "", ""));
    assert!(may("delete", "namespaces", "changes-made", "changes-made"));
    assert!(may("delete", "secrets", "changes-made", "s"));
    for namespace in ["kube-system", "default", NAME] {
        assert!(
            !may("delete", "namespaces", namespace, namespace),
            "{namespace}"
        );
        assert!(
            !may("patch", "namespaces", namespace, namespace),
            "{namespace}"
        );
    }
    for verb in ["get", "list", "delete"] {
        assert!(!may(verb, "secrets", "kube-system", "s"), "{verb}");
        assert!(!may(verb, "namespaces", "", ""), "{verb}");
    }
    let mut pod = step("delete", "Pod", "coredns", json!({}));
    pod["object"]["namespace"] = json!("kube-system");
    write(project, &[pod]);
    let refused = project.devk(&["change", "plan.json"]).exits(2).error();
    assert_eq!(
        refused["message"],
        "pod/coredns is in namespace `kube-system`, which is Kubernetes' own"
    );
}
