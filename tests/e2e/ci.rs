//! `devk ci`: the tests of devk.yaml against a real stack, what it leaves for whoever looks, and what it leaves of itself
//! when it is killed.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::machine::{CLUSTER, cluster};
use crate::support::project::Project;

const SOON: Duration = Duration::from_secs(20);
/// What a test prints, and no report may show.
const SECRET: &str = "e2e-S3cret-of-the-ci";

/// `passes` reads the stack, `inside` runs in a pod, `fails` ends with 3.
const TESTS: &str = "
test:
  - {name: passes, run: 'curl --fail --silent \"$LEFT_URL/\" && test -f \"$KUBECONFIG\" && test \"$N\" = 1', env: {N: 1}}
  - {name: inside, service: left, run: [sh, -c, 'test \"$N\" = 2 && pwd'], dir: /tmp, env: {N: 2}}
  - {name: fails, run: 'echo told $TOKEN; exit 3', dir: ./left, timeout: 30s}
";
const LINE_OF_FAILS: &str = "name: fails";

fn report(tests: &Value, name: &str) -> Value {
    let tests = tests.as_array().unwrap().iter();
    tests
        .into_iter()
        .find(|test| test["name"] == name)
        .unwrap()
        .clone()
}

#[test]
fn tests_run_against_the_stack_and_a_killed_run_leaves_nothing_that_the_next_one_stumbles_over() {
    let machine = cluster();
    let mut project = Project::pair("tested");
    let config = std::fs::read_to_string(project.path("devk.yaml")).unwrap();
    project.write("devk.yaml", &(config.clone() + TESTS));
    project.set("TOKEN", SECRET);
    project.set("GITHUB_ACTIONS", "true");
    project.set("GITHUB_WORKSPACE", project.path(""));

    // One fails: its exit code, and all that shows why.
    let ran = project.devk(&["ci", "--artifacts", "out", "--junit", "out/junit.xml"]);
    let ran = ran.exits(3);
    let document = ran.document();
    assert_eq!(
        (&document["ready"], &document["end"]),
        (&json!(true), &json!("session"))
    );
    let statuses = ["passes", "inside", "fails"]
        .map(|name| report(&document["tests"], name)["status"].clone());
    assert_eq!(
        statuses,
        [json!("passed"), json!("passed"), json!("failed")],
        "{ran:?}"
    );
    let line = project.line_of(LINE_OF_FAILS);
    let annotation = format!(
        "::error file=devk.yaml,line={line},title=devk ci%3A fails::it ended with exit code 3%0Atold [masked]\n"
    );
    assert!(ran.stderr.contains(&annotation), "{ran:?}");
    let read = |file: &str| std::fs::read_to_string(project.path(file)).unwrap();
    assert_eq!(read("out/tests/inside.log"), "/tmp\n");
    assert_eq!(read("out/tests/fails.log"), "told [masked]\n");
    let junit = read("out/junit.xml");
    assert!(junit.contains("name=\"release.ready/pair\""), "{junit}");
    assert!(
        junit.contains("failures=\"1\"") && !junit.contains(SECRET),
        "{junit}"
    );
    assert!(read("out/events.txt").contains("Pod/"));
    let logs = std::fs::read_dir(project.path("out/logs/tested"))
        .unwrap()
        .count();
    assert!(logs >= 2, "{logs} logs");
    assert!(read("out/status.json").contains("\"pods\""));
    assert_eq!(project.session(), Value::Null, "the session ended with it");

    // Killed while a test runs: the test dies, the session ends, and the next run is as if nothing had been.
    let slow = TESTS.replace("exit 3", "echo $$ > ../running; sleep 600");
    project.write("devk.yaml", &(config.clone() + &slow));
    let killed = project.start(&["ci", "fails"]);
    let pid = || std::fs::read_to_string(project.path("running")).unwrap_or_default();
    eventually("the test does not start", Duration::from_secs(120), || {
        pid().trim().parse::<u32>().is_ok()
    });
    let pid = pid().trim().to_owned();
    killed.kill();
    eventually("the test outlives devk", SOON, || {
        !std::path::Path::new("/proc").join(&pid).exists()
    });
    eventually("the session outlives devk", SOON, || {
        machine.supervisors("tested").is_empty()
    });

    // It passes: everything goes, and with --fail-fast nothing runs after a failure.
    project.write(
        "devk.yaml",
        &(config.clone() + &TESTS.replace("$LEFT_URL/", "$LEFT_URL/none")),
    );
    let ran = project.devk(&["ci", "--fail-fast"]);
    let tests_of = ran.document()["tests"].clone();
    assert_eq!(report(&tests_of, "passes")["status"], "failed", "{ran:?}");
    assert_eq!(report(&tests_of, "fails")["status"], "skipped");
    assert_ne!(ran.code, Some(0));
    project.write("devk.yaml", &(config + &TESTS.replace("exit 3", "exit 0")));
    project.devk(&["ci", "--delete"]).well();
    assert!(!machine.has_namespace("tested"));
    assert!(
        !machine
            .kubectl(CLUSTER, &["get", "namespaces"])
            .contains("tested ")
    );
}
