//! A cluster of three nodes, made by hand and adopted: images reach every node, and so do forwards, saves, commands and
//! the bridge to Compose's server, whichever node a pod is on.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::compose::Compose;
use crate::support::machine::{cluster, machine, run};
use crate::support::project::Project;
use crate::support::sample::takes_all;
use crate::support::wire::get;
use crate::support::{eventually, tell};

const NODES: &str = "devk-e2e-nodes";
/// Pods on a new cluster, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The cluster, removed with the test.
struct Cluster;

impl Cluster {
    fn create() -> Self {
        let folder = machine().new_folder();
        let config = folder.path().join("kind.yaml");
        std::fs::write(
            &config,
            "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n\
             nodes: [{role: control-plane}, {role: worker}, {role: worker}]\n",
        )
        .unwrap();
        let image = std::env::var("DEVK_E2E_NODE_IMAGE")
            .unwrap_or_else(|_| "kindest/node:v1.36.3".to_owned());
        let mut create = Command::new("kind");
        create.args([
            "create", "cluster", "--name", NODES, "--wait", "120s", "--config",
        ]);
        create
            .arg(config)
            .arg("--kubeconfig")
            .arg(folder.path().join("kubeconfig"));
        create.args(["--image", &image]);
        run(&mut create);
        Self
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let kubeconfig = machine().home().join("none");
        let _ = Command::new("kind")
            .args(["delete", "cluster", "--name", NODES, "--kubeconfig"])
            .arg(kubeconfig)
            .output();
    }
}

#[test]
fn on_three_nodes_forwards_saves_commands_and_the_bridge_reach_every_pod() {
    // Clusters of an earlier run are gone.
    cluster();
    let _cluster = Cluster::create();
    forwards_saves_and_commands();
    if takes_all() {
        the_bridge();
    }
}

fn forwards_saves_and_commands() {
    let project = Project::new("tests/e2e/fixtures/copies", "several-nodes", NODES);
    let template = "chart/templates/copies.yaml";
    project.edit(template, "kind: Deployment", "kind: DaemonSet");
    project.edit(
        template,
        "      terminationGracePeriodSeconds: 0\n",
        "      terminationGracePeriodSeconds: 0\n      tolerations: [{operator: Exists}]\n",
    );
    std::fs::create_dir_all(project.path("app")).unwrap();
    project.write(
        "app/Dockerfile",
        "FROM busybox:1\nRUN mkdir -p /www/cgi-bin && printf '#!/bin/sh\\nprintf \"\\\\r\\\\n%%s\" \"$(hostname)\"\\n' >/www/cgi-bin/name \
         && chmod +x /www/cgi-bin/name\nCOPY page /www/page\nCMD [\"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/www\"]\n",
    );
    project.write("app/page", "one");
    project.devk(&["up", "-d"]).well();
    let kubectl =
        |words: &[&str]| machine().kubectl(NODES, &[&["-n", "several-nodes"], words].concat());
    let pods: Value = serde_json::from_str(&kubectl(&["get", "pods", "-o", "json"])).unwrap();
    let pods = pods["items"].as_array().unwrap();
    let of = |pointer: &str| -> BTreeSet<String> {
        let texts = pods
            .iter()
            .map(|pod| pod.pointer(pointer).unwrap().as_str().unwrap().to_owned());
        texts.collect()
    };
    let (names, nodes, addresses) = (
        of("/metadata/name"),
        of("/spec/nodeName"),
        of("/status/podIP"),
    );
    assert_eq!(
        (names.len(), nodes.len(), addresses.len()),
        (3, 3, 3),
        "{pods:?}"
    );

    project.write("app/page", "two");
    project.devk(&["settle", "--timeout", "60s"]).well();
    for pod in &names {
        assert_eq!(
            kubectl(&["exec", pod, "--", "cat", "/www/page"]),
            "two",
            "{pod}"
        );
        // From each node to each other one.
        for address in &addresses {
            let url = format!("http://{address}:8080/page");
            let fetch = ["exec", pod, "--", "wget", "-qO-", "-T", "5", &url];
            assert_eq!(kubectl(&fetch), "two", "{pod} to {address}");
        }
    }
    let verified = project.devk(&["verify"]).well().document();
    assert_eq!(
        (&verified["equal"], &verified["containers"]),
        (&true.into(), &3.into()),
        "{verified}"
    );

    // A forward leads to the newest pod: in turn on each node, through a relay in one of them.
    for node in &nodes {
        let on_node = format!("--field-selector=spec.nodeName={node}");
        kubectl(&["delete", "pods", &on_node]);
        eventually(&format!("no forward into {node}"), PATIENCE, || {
            let name = [
                "get",
                "pods",
                &on_node,
                "-o",
                "jsonpath={.items[*].metadata.name}",
            ];
            let answer = get(project.port("app"), "/cgi-bin/name");
            answer.is_ok_and(|answer| answer.body.trim() == kubectl(&name).trim())
        });
        let page = get(project.port("app"), "/page").unwrap();
        assert_eq!(page.body, "two", "{node}: a new pod has what was saved");
    }
    let ran = project.devk(&["sh", "app", "--", "cat", "/www/page"]);
    assert!(ran.stdout.contains("two"), "{ran:?}");
    let status = project.devk(&["status"]).well().document();
    assert_eq!(status["session"]["relay"]["why"], Value::Null, "{status}");
    project.devk(&["down", "--delete"]).well();
    // The second time there is nothing, and nothing comes of it.
    project.devk(&["down", "--delete"]).well();
    assert!(!machine().state().join("devk/clusters").join(NODES).exists());
}

/// The demo's API on every node, with Compose's server. Other tests have the demo's usual ports.
fn the_bridge() {
    let begun = Instant::now();
    let demo = Project::demo_on(NODES, "several-bridged");
    demo.edit("compose.yaml", "5439:5432", "5449:5432");
    for (at, port) in ["5000}", "4173}", "5432}", "6379}"].into_iter().enumerate() {
        let (number, local) = (port.trim_end_matches('}'), 21500 + at);
        demo.edit(
            "devk.yaml",
            &format!("port: {port}"),
            &format!("port: {number}, local: {local}}}"),
        );
    }
    let template = "chart/templates/api.yaml";
    demo.edit(template, "kind: Deployment", "kind: DaemonSet");
    demo.edit(template, "  replicas: 1\n", "");
    demo.edit(
        template,
        "      containers:\n",
        "      tolerations: [{operator: Exists}]\n      containers:\n",
    );
    let compose = Compose::beside("devk-e2e-compose-nodes", &demo, &["postgres"]);
    let before = compose.dump("demo");
    demo.devk(&["up", "-d", "--bridge"]).well();
    let kubectl =
        |words: &[&str]| machine().kubectl(NODES, &[&["-n", "several-bridged"], words].concat());
    let list = "jsonpath={range .items[*]}{.metadata.name} {.spec.nodeName}{'\\n'}{end}";
    let all = kubectl(&["get", "pods", "-o", list]);
    let of_api = all.lines().filter_map(|line| line.split_once(' '));
    let of_api: Vec<_> = of_api
        .filter(|(pod, _)| pod.starts_with("demo-api-"))
        .collect();
    let nodes: BTreeSet<_> = of_api.iter().map(|(_, node)| *node).collect();
    assert_eq!((of_api.len(), nodes.len()), (3, 3), "{all}");
    for (pod, node) in &of_api {
        let write = format!(
            "import psycopg; c = psycopg.connect(connect_timeout=5, autocommit=True); \
             c.execute('insert into notes(text) values (%s)', ['from {node}']); print(c.info.dbname)"
        );
        let database = kubectl(&["exec", pod, "-c", "api", "--", "python", "-c", &write]);
        assert_eq!(database, "demo_k8s\n", "{pod} on {node}");
    }
    let notes = get(demo.port("api"), "/notes").unwrap().well();
    let kept = compose.psql("demo_k8s", "select text from notes");
    for node in nodes {
        let note = format!("from {node}");
        assert!(
            notes.contains(&note) && kept.contains(&note),
            "{notes} {kept}"
        );
    }
    assert_eq!(compose.dump("demo"), before, "Compose's own database");
    demo.devk(&["down", "--delete"]).well();
    tell("the bridge on three nodes", begun.elapsed());
}
