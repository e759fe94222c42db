//! Secrets in values: in no log, no event, no argument list, and in no file that others can read.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::followed::{Followed, events};
use crate::support::machine::machine;
use crate::support::programs::Recorder;
use crate::support::wire::get;

/// One for each way in.
const VALUES: &str = "geheim-in-values";
const SET: &str = "geheim-in-set";
const CHART: &str = "geheim-in-chart";
const SHELL: &str = "geheim-in-environment";
const COMPOSE: &str = "geheim-in-compose";

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: pair}\nstringData:\n  values: {{ .Values.values | quote }}\n  \
                      set: {{ .Values.inline | quote }}\n  made: {{ .Values.made | quote }}\n  chart: {{ .Values.chart | quote }}\n";

/// Notes all arguments of all processes of this machine, again and again.
fn arguments(over: &AtomicBool) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    while !over.load(Ordering::SeqCst) {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let lines =
            processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
        seen.extend(lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")));
        std::thread::sleep(Duration::from_millis(2));
    }
    seen
}

/// The files below a folder that somebody else could read, with what is in them.
fn readable(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let metadata = entry.metadata().unwrap();
        if metadata.permissions().mode() & 0o055 == 0 {
            continue;
        }
        if metadata.is_dir() {
            readable(&entry.path(), found);
        } else if metadata.is_file() {
            found.push((
                entry.path().display().to_string(),
                std::fs::read(entry.path()).unwrap_or_default(),
            ));
        }
    }
}

#[test]
fn no_secret_is_in_a_log_an_event_an_argument_list_or_a_file_that_others_can_read() {
    let mut pair = Followed::pair_not_up("secrets");
    let recorder = Recorder::of(&["helm", "kind", "docker", "kubectl"]);
    pair.project.prefer(recorder.folder());
    pair.project.set("AWS_SECRET_ACCESS_KEY", SHELL);
    pair.project.write("chart/templates/secret.yaml", SECRET);
    pair.project.edit(
        "chart/values.yaml",
        "serviceType:",
        &format!("chart: {CHART}\nserviceType:"),
    );
    pair.project
        .write("values-dev.yaml", &format!("values: {VALUES}\n"));
    pair.project.edit(
        "devk.yaml",
        "    timeout: 60s",
        &format!("    timeout: 60s\n    set: {{inline: {SET}}}\n    generate: {{made: hex32}}"),
    );
    let compose = "services: {db: {image: postgres, environment: {POSTGRES_PASSWORD: geheim-in-compose}, ports: [\"5998:5432\"]}}\n";
    pair.project.write("compose.yaml", compose);

    let over = AtomicBool::new(false);
    let (said, seen) = std::thread::scope(|scope| {
        let sampler = scope.spawn(|| arguments(&over));
        let said = everything_is_tried(&pair);
        over.store(true, Ordering::SeqCst);
        (said, sampler.join().unwrap())
    });
    let state = machine().state().join("projects/secrets");
    let generated: serde_json::Value =
        serde_json::from_slice(&std::fs::read(state.join("secrets.json")).unwrap()).unwrap();
    let made = generated["pair/made"]["value"].as_str().unwrap().to_owned();
    assert_eq!(made.len(), 32);
    // It is where it belongs, so that it could be found elsewhere.
    let there = pair.kubectl(&[
        "get",
        "secret",
        "pair",
        "-o",
        "go-template={{range .data}}{{. | base64decode}} {{end}}",
    ]);
    let calls = recorder.calls();
    assert!(
        calls
            .iter()
            .any(|call| call.starts_with("helm upgrade --install")),
        "{calls:?}"
    );
    assert!(
        seen.iter().any(|line| line.contains("supervise secrets")),
        "nothing was seen"
    );

    let log = std::fs::read_to_string(state.join("supervisor.log")).unwrap();
    let mut files = vec![];
    for folder in ["state", "cache", "data", "home"] {
        readable(&machine().home().with_file_name(folder), &mut files);
    }
    for secret in [VALUES, SET, CHART, SHELL, COMPOSE, &made] {
        assert!(
            [SHELL, COMPOSE].contains(&secret) || there.contains(secret),
            "{secret} did not arrive"
        );
        assert!(!said.contains(secret), "{secret} was shown:\n{said}");
        assert!(
            !log.contains(secret),
            "{secret} is in the session's log:\n{log}"
        );
        for line in calls.iter().chain(&seen) {
            assert!(!line.contains(secret), "{secret} is an argument: {line}");
        }
        for (file, bytes) in &files {
            let holds = bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!holds, "others can read {secret} in {file}");
        }
    }
}

/// All that devk says in an `up`, in commands that look, and in failures around the secrets.
fn everything_is_tried(pair: &Followed) -> String {
    let project = &pair.project;
    let mut said = String::new();
    let mut hear = |words: &[&str], code: Option<i32>| {
        let ran = project.devk(words);
        assert!(code.is_none() || ran.code == code, "{words:?}: {ran:?}");
        said += &format!("$ devk {words:?}\n{}\n{}\n", ran.stdout, ran.stderr);
    };
    hear(&["up", "--dry-run"], Some(0));
    hear(&["up", "-d"], Some(0));
    let listening = events(pair);
    for words in [
        &["status"][..],
        &["ports"],
        &["env"],
        &["doctor"],
        &["verify"],
        &["up", "--dry-run"],
    ] {
        hear(words, None);
    }
    // What fails shows what it has: the chart, the values, devk.yaml itself.
    let secret = std::fs::read_to_string(project.path("chart/templates/secret.yaml")).unwrap();
    let broken = [
        (
            "chart/templates/secret.yaml",
            secret.replace(".Values.values | quote", ".Values.values.deeper"),
        ),
        (
            "chart/templates/secret.yaml",
            secret.replace("{{ .Values.values | quote }}", "\"{{ .Values.values }}"),
        ),
        (
            "chart/templates/secret.yaml",
            secret.replace("{{ .Values.inline | quote }}", "[{{ .Values.inline }}]"),
        ),
        ("values-dev.yaml", format!("values: \"{VALUES}\n")),
        ("values-dev.yaml", format!("values: {VALUES}: x\n")),
    ];
    for (file, text) in broken {
        let whole = std::fs::read_to_string(project.path(file)).unwrap();
        project.write(file, &text);
        hear(&["up", "-d"], None);
        project.write(file, &whole);
    }
    let whole = std::fs::read_to_string(project.path("devk.yaml")).unwrap();
    for text in [
        format!("{{inline: \"{SET}}}"),
        format!("{{inline: {SET}, {SET}: {{]}}"),
        SET.to_owned(),
    ] {
        project.write(
            "devk.yaml",
            &whole.replace(&format!("{{inline: {SET}}}"), &text),
        );
        hear(&["up", "-d"], Some(2));
    }
    project.write("devk.yaml", &whole);
    hear(&["up", "-d"], Some(0));
    assert_eq!(
        get(project.port("left"), "/index.html").unwrap().well(),
        "this is left\n"
    );
    listening.kill();
    said + &listening.ended().stdout
}
