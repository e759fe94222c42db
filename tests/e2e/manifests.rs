//! Releases that are no charts: manifests as they lie in a repository, and a kustomization.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::support::eventually;
use crate::support::machine::{CLUSTER, cluster};
use crate::support::programs::Recorder;
use crate::support::project::Project;
use crate::support::wire::get;

/// Longer than a save needs on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What kubectl says of an object in the project's namespace; empty if there is none.
fn object(project: &Project, object: &str, path: &str) -> String {
    let output = format!("jsonpath={path}");
    let args = [
        "-n",
        &project.name,
        "get",
        object,
        "--ignore-not-found",
        "-o",
        &output,
    ];
    cluster().kubectl(CLUSTER, &args)
}

fn revision(project: &Project) -> u64 {
    let status = project.devk(&["status"]).well().document();
    status["releases"][0]["revision"].as_u64().unwrap()
}

#[test]
fn manifests_arrive_unharmed_and_are_followed_pruned_and_left_alone() {
    cluster();
    let recorder = Recorder::of(&["helm", "kind", "docker", "kubectl"]);
    let mut project = Project::new("tests/e2e/fixtures/manifests", "manifests", CLUSTER);
    project.prefer(recorder.folder());
    let up = project.devk(&["up", "-d"]).well();
    assert_eq!(up.verdict("release.apply/shop"), "done", "{up:?}");
    assert_eq!(
        get(project.port("page"), "/").unwrap().well(),
        "this is the page\n"
    );
    let text = object(&project, "configmap/kept", "{.data.rule\\.tmpl}");
    assert_eq!(
        text,
        "{{- define \"x\" }} {{{ $labels.pod }}} {{ \"{{\" }} {{/* no comment */}} -}}\nkept {{ end }}\n\n"
    );
    assert_eq!(
        object(&project, "configmap/kept", "{.data.folded}"),
        "one two\n  deeper\n"
    );
    assert_eq!(
        object(&project, "configmap/second", "{.data.number}"),
        "007"
    );
    assert_eq!(object(&project, "widget/first", "{.spec.size}"), "3");

    recorder.calls();
    let second = project.devk(&["up", "-d"]).well();
    assert_eq!(
        second.verdict("release.apply/shop"),
        "skipped",
        "{second:?}"
    );
    assert_eq!(recorder.calls(), [""; 0]);
    assert_eq!(revision(&project), 1);

    project.edit("k8s/rules.yaml", "\"007\"", "\"008\"");
    eventually("the save is not live", PATIENCE, || {
        object(&project, "configmap/second", "{.data.number}") == "008"
    });
    std::fs::remove_file(project.path("k8s/rules.yaml")).unwrap();
    eventually("what is gone from the manifests stays", PATIENCE, || {
        object(&project, "configmap/second", "{.metadata.name}").is_empty()
    });
    project.write(
        "k8s/late.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: late}\n",
    );
    eventually("a new file is not live", PATIENCE, || {
        object(&project, "configmap/late", "{.metadata.name}") == "late"
    });

    // What cannot be installed is told with the user's file and line, and changes nothing.
    let before = revision(&project);
    project.write(
        "k8s/late.yaml",
        "apiVersion: v1\nkind: Service\nmetadata: {name: page}\n---\nreplicas: 1\n",
    );
    let wrong = project.devk(&["up", "-d"]);
    let told: Value = serde_json::from_str(wrong.stderr.trim()).unwrap();
    let places = told["errors"].as_array().unwrap().iter().map(|error| {
        let file = Path::new(error["file"].as_str().unwrap());
        format!(
            "{}:{} {}",
            file.file_name().unwrap().display(),
            error["line"],
            error["code"]
        )
    });
    assert_eq!(
        places.collect::<Vec<_>>(),
        [
            "late.yaml:5 \"manifest.invalid\"",
            "page.yaml:20 \"manifest.invalid\""
        ]
    );
    assert_eq!(revision(&project), before);
    std::fs::remove_file(project.path("k8s/late.yaml")).unwrap();

    // A definition outlives its release, as in a chart.
    project.edit("k8s/widget.yaml", "not a template", "still none");
    let up = project.devk(&["up", "-d"]).well();
    let stays = "stays as the cluster has it";
    assert!(
        up.events()
            .iter()
            .any(|event| event.to_string().contains(stays)),
        "{up:?}"
    );
    project.devk(&["down", "--delete"]).well();
    let removed = ["delete", "crd", "widgets.devk-test.example.com"];
    cluster().kubectl(CLUSTER, &removed);
}

#[test]
fn a_kustomization_is_rendered_and_a_save_of_its_base_comes_live() {
    cluster();
    let recorder = Recorder::of(&["helm", "kind", "docker", "kubectl"]);
    let mut project = Project::new("tests/e2e/fixtures/overlay", "overlay", CLUSTER);
    project.prefer(recorder.folder());
    project.devk(&["up", "-d"]).well();
    assert_eq!(
        object(&project, "deployment/dev-page", "{.spec.replicas}"),
        "1"
    );
    let port = project.port("dev-page");
    assert_eq!(
        get(port, "/words/word.txt").unwrap().well(),
        "the first word\n"
    );
    let calls = recorder.calls();
    assert!(
        calls
            .iter()
            .any(|call| call.starts_with("kubectl kustomize")),
        "{calls:?}"
    );
    assert!(
        !calls
            .iter()
            .any(|call| call.contains("secret-of-the-overlay")),
        "{calls:?}"
    );

    project.devk(&["up", "-d"]).well();
    assert_eq!(recorder.calls(), [""; 0]);

    project.write("base/word.txt", "the second word\n");
    eventually("the save of a base is not live", PATIENCE, || {
        get(port, "/words/word.txt").is_ok_and(|found| found.body == "the second word\n")
    });
    let wrong = "resources: [page.yaml, nowhere.yaml]\n";
    project.write("base/kustomization.yaml", wrong);
    let refused = project.devk(&["up", "-d"]);
    assert_eq!(refused.error()["code"], "kustomize.build", "{refused:?}");
}
