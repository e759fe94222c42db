//! A save is live, or devk says why it is not, whatever the chart mounts and whatever program runs.

mod mounts;
mod programs;
mod reloaders;
mod unwatched;

use std::time::Duration;

use serde_json::Value;

use crate::support::eventually;
use crate::support::machine::{CLUSTER, cluster};
use crate::support::project::Project;
use crate::support::wire::get;

/// A build and a rollout on a slow machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// The project of the fixture `saves` with a Dockerfile and files of the test.
fn project(name: &str, dockerfile: &str, files: &[(&str, &str)]) -> Project {
    cluster();
    let project = Project::new("tests/e2e/fixtures/saves", name, CLUSTER);
    project.write("app/Dockerfile", dockerfile);
    for (file, text) in files {
        let path = project.path("app").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    project
}

fn up(project: &Project) {
    project.devk(&["up", "-d"]).well();
}

/// The only pod of a Deployment that is not about to end, and its container.
fn pod(project: &Project, deployment: &str) -> String {
    let label = format!("app={deployment}");
    let pods = project.kubectl(&["get", "pods", "-l", &label, "-o", "json"]);
    let pods: Value = serde_json::from_str(&pods).unwrap();
    let stays = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
    let pods: Vec<_> = pods["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(stays)
        .collect();
    assert_eq!(pods.len(), 1, "{pods:?}");
    pods[0]["metadata"]["name"].as_str().unwrap().to_owned()
}

fn page(project: &Project, deployment: &str, path: &str) -> String {
    let answer = get(project.port(deployment), path);
    answer.map(|answer| answer.body).unwrap_or_default()
}

fn serves(project: &Project, deployment: &str, path: &str, text: &str) {
    eventually(&format!("`{text}` is not served"), PATIENCE, || {
        page(project, deployment, path).trim() == text
    });
}

/// What `devk status` says of the containers of the image.
fn containers(project: &Project) -> Vec<Value> {
    let status = project.devk(&["status"]).well().document();
    let images = status["sync"].as_array().unwrap();
    let containers = images
        .iter()
        .flat_map(|image| image["containers"].as_array().unwrap());
    containers.cloned().collect()
}

/// How saves reach the program of a Deployment's container, once devk has looked at it.
fn serving(project: &Project, deployment: &str) -> String {
    let prefix = format!("{deployment}-");
    let of_deployment = |container: &Value| {
        let pod = container["pod"].as_str()?;
        let serving = container["serving"].as_str()?;
        pod.starts_with(&prefix).then(|| serving.to_owned())
    };
    let mut told = None;
    eventually("no look at the container is told", PATIENCE, || {
        told = containers(project).iter().find_map(of_deployment);
        told.is_some()
    });
    told.unwrap()
}
