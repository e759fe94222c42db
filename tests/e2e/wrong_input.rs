//! Wrong input: each problem has its code, its place or evidence, a hint, exit code 2, and leaves nothing
//! half-applied.

use std::net::TcpListener;

use serde_json::Value;

use crate::support::machine::{CLUSTER, Machine, cluster, images_of, nodes_of};
use crate::support::programs::path_with_only;
use crate::support::project::Project;

/// What devk has made of a project, to be the same after a refused `up`.
fn made(machine: &Machine, project: &Project) -> (std::collections::BTreeSet<String>, String) {
    let kinds = "namespaces,secrets,deployments,services";
    let columns = "custom-columns=:metadata.namespace,:kind,:metadata.name";
    let list = ["get", kinds, "-A", "--no-headers", "-o", columns];
    let all = machine.kubectl(CLUSTER, &list);
    let own = all.lines().filter(|line| line.contains(&project.name));
    let own = own.map(|line| format!("{line}\n")).collect();
    let cluster = format!("{CLUSTER}-{}", project.name);
    (nodes_of(&cluster), own)
}

/// Runs `up -d`, which is refused with one error of this code and leaves nothing behind.
fn refused(project: &Project, code: &str) -> Value {
    let machine = cluster();
    let before = made(machine, project);
    let up = project.devk(&["up", "-d"]).exits(2);
    let error = up.error();
    assert_eq!(error["code"], code, "{error}");
    assert!(
        error["hint"].as_str().is_some_and(|hint| !hint.is_empty()),
        "no hint: {error}"
    );
    assert!(up.events().is_empty(), "a step began: {up:?}");

    let gone = || machine.supervisors(&project.name).is_empty();
    crate::support::eventually(
        "a refused session stays",
        std::time::Duration::from_secs(15),
        gone,
    );
    assert_eq!(made(machine, project), before);
    assert_eq!(images_of(&project.name), std::collections::BTreeSet::new());
    let left = machine.state_of(&project.name);
    // The session's lock and log, and the private values that helm was shown.
    let kept = ["supervisor.lock", "supervisor.log", "values"];
    let more: Vec<_> = left
        .iter()
        .filter(|path| !kept.iter().any(|name| path.ends_with(name)))
        .collect();
    assert_eq!(more, [""; 0]);
    error
}

/// The error stands at this place.
fn at(error: &Value, file: &str, line: usize) {
    let found = error["file"]
        .as_str()
        .unwrap_or_else(|| panic!("no place: {error}"));
    assert!(
        found.ends_with(file) && error["line"] == line,
        "not {file}:{line}: {error}"
    );
}

fn says(error: &Value, text: &str) {
    let all = format!(
        "{} {} {}",
        error["message"], error["evidence"], error["hint"]
    );
    assert!(all.contains(text), "`{text}` is not said: {error}");
}

#[test]
fn an_unknown_key_is_refused_at_its_line_with_the_nearest_known_one() {
    let project = Project::pair("unknown-key");
    project.edit("devk.yaml", "forwards:", "forwrads:");
    let error = refused(&project, "config.unknown-key");
    at(&error, "devk.yaml", project.line_of("forwrads:"));
    says(&error, "`forwards`");
}

#[test]
fn a_missing_chart_is_refused_at_the_line_that_names_it() {
    let project = Project::pair("missing-chart");
    project.edit("devk.yaml", "./chart", "./charts/none");
    let error = refused(&project, "chart.missing");
    at(&error, "devk.yaml", project.line_of("./charts/none"));
}

#[test]
fn a_missing_dockerfile_is_refused_at_the_image_that_needs_it() {
    let project = Project::pair("missing-dockerfile");
    let here = project.path("left/Dockerfile");
    let away = project.path("left/Dockerfile.away");
    std::fs::rename(&here, &away).unwrap();
    let error = refused(&project, "image.context");
    at(
        &error,
        "devk.yaml",
        project.line_of("left: {context: ./left}"),
    );
    says(&error, "`./left` has no Dockerfile");
    std::fs::rename(&away, &here).unwrap();
}

#[test]
fn docker_that_does_not_run_is_said_with_the_address_that_was_tried() {
    let mut project = Project::pair("docker-is-off");
    project.set("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    let error = refused(&project, "docker.unavailable");
    says(&error, "/nonexistent/docker.sock");
}

#[test]
fn a_missing_helm_is_named() {
    let mut project = Project::pair("no-helm");
    let path = path_with_only(&["docker", "kind"]);
    project.set("PATH", path.path());
    let error = refused(&project, "tool.missing");
    says(&error, "`helm`");
    says(&error, "PATH=");
}

#[test]
fn a_missing_kind_is_named_before_a_cluster_is_begun() {
    let mut project = Project::pair_on("devk-e2e-no-kind", "no-kind");
    let path = path_with_only(&["docker", "helm"]);
    project.set("PATH", path.path());
    let error = refused(&project, "tool.missing");
    says(&error, "`kind`");
    says(&error, "PATH=");
    assert!(nodes_of("devk-e2e-no-kind").is_empty());
}

#[test]
fn a_chart_that_does_not_render_is_refused_with_what_helm_says() {
    let project = Project::pair("no-render");
    project.write(
        "chart/templates/broken.yaml",
        "{{ required \"left.colour must be given\" .Values.left.colour }}\n",
    );
    let error = refused(&project, "chart.render");
    says(&error, "left.colour must be given");
    says(&error, "broken.yaml");
}

#[test]
fn an_image_that_no_manifest_uses_is_refused_with_the_value_paths_it_was_written_to() {
    let project = Project::pair("unused-image");
    project.edit(
        "chart/templates/pair.yaml",
        "\"{{ $values.image.repository }}:{{ $values.image.tag }}\"",
        "busybox:1",
    );
    project.edit("devk.yaml", "  right: {context: ./right}\n", "");
    project.edit(
        "devk.yaml",
        "      right: {repository: right.image.repository, tag: right.image.tag}\n",
        "",
    );
    let error = refused(&project, "image.unused");
    says(&error, "left.image.repository");
    at(&error, "devk.yaml", project.line_of("- name: pair"));
}

#[test]
fn an_explicit_port_that_is_held_is_refused_naming_who_holds_it() {
    let holder = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = holder.local_addr().unwrap().port();
    let project = Project::pair("held-port");
    project.edit(
        "devk.yaml",
        "left: 2480",
        &format!("left: {{port: 2480, local: {port}}}"),
    );
    let error = refused(&project, "port.held");
    at(
        &error,
        "devk.yaml",
        project.line_of(&format!("local: {port}")),
    );
    says(&error, &format!("pid {}", std::process::id()));
}
