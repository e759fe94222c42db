//! `devk doctor` with the real helm, the real Docker and a real cluster.

use std::process::Command;

use serde_json::Value;

use crate::support::machine::{CLUSTER, cluster, machine};
use crate::support::project::Project;
use crate::support::run::Running;
use crate::support::tell;

/// What depends on the project alone, whatever machine the tests run on.
const FAMILIES: [&str; 5] = ["project.", "compose.", "ports.", "charts.", "databases."];

pub(crate) fn checks(project: &Project, code: i32) -> Vec<Value> {
    let ran = project.devk(&["doctor"]).exits(code);
    tell("devk doctor", ran.took);
    ran.document()["checks"].as_array().unwrap().clone()
}

pub(crate) fn problems(checks: &[Value]) -> Vec<Value> {
    let of_project = |check: &&Value| {
        FAMILIES
            .iter()
            .any(|family| check["id"].as_str().unwrap().starts_with(family))
    };
    let bad = |check: &&Value| check["status"] == "warning" || check["status"] == "error";
    checks
        .iter()
        .filter(of_project)
        .filter(bad)
        .cloned()
        .collect()
}

/// The only check of this id.
fn check<'a>(checks: &'a [Value], id: &str) -> &'a Value {
    let found: Vec<_> = checks.iter().filter(|check| check["id"] == id).collect();
    assert_eq!(found.len(), 1, "{id} in {checks:#?}");
    found[0]
}

#[test]
fn the_clean_demo_has_no_problem_and_its_cluster_is_pinned() {
    cluster();
    let demo = Project::demo_on(CLUSTER, "doctor-clean");
    let checks = checks(&demo, 0);
    assert_eq!(problems(&checks), [] as [Value; 0]);
    assert_eq!(check(&checks, "cluster.pin")["status"], "ok");
    assert_eq!(check(&checks, "charts.render")["status"], "ok");
}

#[test]
fn planted_conflicts_are_found_in_what_helm_renders() {
    let demo = Project::demo_on(CLUSTER, "doctor-planted");
    // The chart's own database goes, Compose's takes its place: on the wrong port first, then with its name.
    demo.edit(
        "chart/values.yaml",
        "postgresql:\n  enabled: true",
        "postgresql:\n  enabled: false",
    );
    demo.edit(
        "chart/values.yaml",
        "externalPostgresql:\n  host: \"\"",
        "externalPostgresql:\n  host: host.docker.internal",
    );
    let template = std::fs::read_to_string(demo.path("chart/templates/web.yaml")).unwrap();
    demo.write(
        "chart/templates/web.yaml",
        &template.replace("type: ClusterIP", "type: NodePort"),
    );
    demo.edit(
        "values-dev.yaml",
        "\"${forward.api.url}\"",
        "http://localhost:5000\nexternalPostgresql: {password: p}",
    );
    demo.edit(
        "devk.yaml",
        "    generate: {postgresql.auth.password: hex32}\n",
        "",
    );
    demo.edit(
        "devk.yaml",
        "{service: demo-api, port: 5000}",
        "{service: demo-api, port: 5000, local: 5000}",
    );
    let found = checks(&demo, 3);
    let wrong = check(&found, "databases.port");
    assert!(
        wrong["hint"]
            .as_str()
            .unwrap()
            .contains("externalPostgresql.port: 5439"),
        "{wrong:#?}"
    );
    let files = wrong["evidence"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|evidence| evidence["file"].as_str());
    assert!(
        files
            .into_iter()
            .any(|file| file.ends_with("chart/templates/database.yaml")),
        "{wrong:#?}"
    );
    let open = check(&found, "charts.services");
    assert_eq!(open["status"], "ok", "devk makes it ClusterIP: {open}");
    for id in ["charts.localhost", "ports.compose"] {
        assert_ne!(check(&found, id)["status"], "ok", "{id}");
    }

    demo.edit("chart/values.yaml", "  port: 5432\n", "  port: 5439\n");
    let found = checks(&demo, 3);
    let shared = check(&found, "databases.shared");
    assert_eq!(shared["status"], "error");
    assert!(
        shared["hint"]
            .as_str()
            .unwrap()
            .contains("externalPostgresql.database"),
        "{shared:#?}"
    );
    assert_eq!(check(&found, "databases.port")["status"], "ok");
    demo.edit(
        "chart/values.yaml",
        "  port: 5439\n  database: demo\n",
        "  port: 5439\n  database: demo_k8s\n",
    );
    assert_eq!(check(&checks(&demo, 3), "databases.shared")["status"], "ok");
}

#[test]
fn the_rest_is_looked_at_without_docker_without_helm_and_with_a_broken_project() {
    let mut demo = Project::demo_on(CLUSTER, "doctor-without");
    demo.set("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let found = checks(&demo, 3);
    assert_eq!(check(&found, "docker.engine")["status"], "error");
    assert_eq!(check(&found, "cluster.state")["status"], "skipped");
    assert_eq!(check(&found, "charts.render")["status"], "ok");
    assert_eq!(check(&found, "compose.files")["status"], "ok");

    demo.set("PATH", "/nowhere");
    let found = checks(&demo, 3);
    assert_eq!(check(&found, "tools.helm")["status"], "error");
    assert_eq!(check(&found, "charts.render")["status"], "skipped");
    assert_eq!(check(&found, "compose.ports")["status"], "ok");

    demo.edit("devk.yaml", "releases:\n", "relases:\n");
    let found = checks(&demo, 3);
    let broken: Vec<_> = found
        .iter()
        .filter(|check| check["id"] == "project.config")
        .collect();
    assert!(
        broken
            .iter()
            .any(|check| check["summary"] == "unknown key `relases`"),
        "{broken:#?}"
    );
    assert!(
        broken
            .iter()
            .all(|check| check["evidence"][0]["line"].is_u64()),
        "{broken:#?}"
    );
    assert_eq!(check(&found, "compose.files")["status"], "ok");
    assert_eq!(check(&found, "machine.disk")["id"], "machine.disk");
}

/// Printed, never judged.
#[test]
fn two_hundred_compose_services_beside_a_cluster() {
    cluster();
    let demo = Project::demo_on(CLUSTER, "doctor-many");
    let service = |n: u32| {
        format!(
            "  s{n}:\n    image: postgres:16\n    environment: {{POSTGRES_DB: db{n}}}\n    ports: [\"{}:5432\"]\n",
            20_000 + n
        )
    };
    let services: String = (0..200).map(service).collect();
    let text = std::fs::read_to_string(demo.path("compose.yaml")).unwrap();
    demo.write(
        "compose.yaml",
        &text.replacen("services:\n", &format!("services:\n{services}"), 1),
    );
    demo.devk(&["doctor"]);
    let ran = demo.devk(&["doctor"]).exits(0);
    tell(
        "devk doctor beside 200 Compose services, with Docker and a cluster",
        ran.took,
    );
    assert_eq!(
        problems(ran.document()["checks"].as_array().unwrap()),
        [] as [Value; 0]
    );
}

#[test]
fn compose_is_checked_in_a_folder_without_a_devk_yaml() {
    let folder = machine().new_folder();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let compose = format!("services:\n  web: {{image: 'busybox:1', ports: ['{port}:80']}}\n");
    std::fs::write(folder.path().join("compose.yaml"), compose).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_devk"));
    command
        .args(["doctor", "--format", "json"])
        .current_dir(folder.path())
        .env_clear()
        .envs(machine().environment());
    let document = Running::start(&mut command).ended().document();
    let checks = document["checks"].as_array().unwrap();
    assert_eq!(check(checks, "project.config")["status"], "skipped");
    assert_eq!(check(checks, "compose.files")["status"], "ok");
    let listeners = check(checks, "ports.listeners").to_string();
    assert!(listeners.contains(&port.to_string()), "{listeners}");
}
