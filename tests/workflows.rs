//! The workflows of CI and the development container: they are read as what they are, and call only what is there.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The folders with programs that a workflow may call.
const PROGRAMS: [&str; 3] = ["scripts/", ".ci/", ".devcontainer/"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn workflows() -> BTreeMap<String, Value> {
    let folder = std::fs::read_dir(root().join(".github/workflows")).unwrap();
    let parsed = folder.map(|entry| {
        let path: PathBuf = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let workflow = serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{path:?}: {e}"));
        (
            path.file_stem().unwrap().to_string_lossy().into_owned(),
            workflow,
        )
    });
    parsed.collect()
}

fn jobs(workflow: &Value) -> impl Iterator<Item = (&String, &Value)> {
    workflow["jobs"].as_object().unwrap().iter()
}

fn steps(workflow: &Value) -> impl Iterator<Item = &Value> {
    jobs(workflow).flat_map(|(_, job)| job["steps"].as_array().unwrap())
}

/// The programs of this repository among the words of a command.
fn called(command: &str) -> Vec<String> {
    let words = command.split(|c: char| c.is_whitespace() || "\"';&|><()".contains(c));
    let named = words.filter(|word| PROGRAMS.iter().any(|folder| word.starts_with(folder)));
    named.map(str::to_owned).collect()
}

fn is_program(path: &str) -> bool {
    std::fs::metadata(root().join(path))
        .is_ok_and(|of| of.is_file() && of.permissions().mode() & 0o111 != 0)
}

#[test]
fn every_step_of_a_workflow_calls_what_is_there() {
    let workflows = workflows();
    assert_eq!(workflows.keys().collect::<Vec<_>>(), ["ci", "release"]);
    let mut all = vec![];
    for (name, workflow) in &workflows {
        for step in steps(workflow) {
            match (step["uses"].as_str(), step["run"].as_str()) {
                // Only those of GitHub's own: anybody else's would see the token of the release.
                (Some(action), None) => {
                    assert!(
                        action.starts_with("actions/") && action.contains("@v"),
                        "{name}: {action}"
                    );
                }
                (None, Some(command)) => all.extend(called(command)),
                _ => panic!("{name}: a step either uses or runs: {step}"),
            }
        }
        for (job, of) in jobs(workflow) {
            assert!(
                of["runs-on"].is_string()
                    && of["timeout-minutes"]
                        .as_u64()
                        .is_none_or(|minutes| minutes <= 120),
                "{name}: {job}"
            );
            if let Some(needed) = of["needs"].as_str() {
                assert!(
                    workflow["jobs"][needed].is_object(),
                    "{name}: {job} needs `{needed}`"
                );
            }
        }
    }
    let missing: Vec<_> = all.iter().filter(|path| !is_program(path)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    for program in [
        ".ci/run",
        "scripts/package",
        "scripts/install",
        "scripts/onboard",
    ] {
        assert!(
            all.iter().any(|path| path == program),
            "no workflow calls {program}: {all:?}"
        );
    }
}

/// The release's program is built for each system that the script installs on.
#[test]
fn the_release_builds_what_the_script_installs() {
    let release = &workflows()["release"];
    let builds = release["jobs"]["build"]["strategy"]["matrix"]["include"]
        .as_array()
        .unwrap();
    let mut built: Vec<_> = builds
        .iter()
        .map(|build| build["target"].as_str().unwrap())
        .collect();
    let script = std::fs::read_to_string(root().join("scripts/install")).unwrap();
    let mut installed: Vec<_> = script
        .lines()
        .filter_map(|line| line.trim().split_once(") target=")?.1.strip_suffix(" ;;"))
        .collect();
    built.sort_unstable();
    installed.sort_unstable();
    assert_eq!(built, installed);
    assert_eq!(built.len(), 4);
    assert_eq!(release["on"]["push"]["tags"][0], "v*");
}

#[test]
fn the_development_container_sets_itself_up_with_what_is_there() {
    let folder = root().join(".devcontainer");
    let text = std::fs::read_to_string(folder.join("devcontainer.json")).unwrap();
    // Its comments are lines of their own.
    let is_json = |line: &&str| !line.trim_start().starts_with("//");
    let json: String = text.lines().filter(is_json).collect();
    let container: Value = serde_json::from_str(&json).unwrap();
    let dockerfile = container["build"]["dockerfile"].as_str().unwrap();
    assert!(folder.join(dockerfile).is_file());
    for key in ["postCreateCommand", "postStartCommand"] {
        let called = called(container[key].as_str().unwrap());
        assert!(
            !called.is_empty() && called.iter().all(|path| is_program(path)),
            "{key}: {called:?}"
        );
    }
    // Without a volume its Docker would have an overlay on an overlay.
    assert_eq!(container["mounts"][0]["target"], "/var/lib/docker");
}
