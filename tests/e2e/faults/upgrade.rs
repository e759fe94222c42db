//! A devk whose program is replaced or deleted while its session runs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::eventually;
use crate::support::followed::Followed;
use crate::support::machine::{NODE, cluster, docker};
use crate::support::project::Project;
use crate::support::wire::get;

const DEVK: &str = env!("CARGO_BIN_EXE_devk");

/// A devk that does the same and is another one: what follows the last section of a program is nobody's.
fn newer(folder: &Path) -> PathBuf {
    let newer = folder.join("devk-newer");
    std::fs::copy(DEVK, &newer).unwrap();
    std::fs::OpenOptions::new()
        .append(true)
        .open(&newer)
        .unwrap()
        .write_all(b"newer")
        .unwrap();
    newer
}

fn program_of(pid: &serde_json::Value) -> PathBuf {
    std::fs::read_link(format!("/proc/{pid}/exe")).unwrap()
}

#[test]
fn a_newer_devk_says_that_the_session_is_an_older_one_and_replaces_it_on_request() {
    cluster();
    let mut project = Project::pair("upgraded");
    let folder = tempfile::tempdir().unwrap();
    project.devk(&["up", "-d"]).well();
    let port = project.port("left");
    let pid = project.session()["pid"].clone();

    project.program = newer(folder.path());
    let error = project.devk(&["up", "-d"]).exits(2).error();
    assert_eq!(error["code"], "session.outdated", "{error}");
    assert!(
        error["hint"]
            .as_str()
            .unwrap()
            .starts_with("devk up --restart"),
        "{error}"
    );
    let session = project.session();
    assert_eq!(
        (&session["pid"], &session["outdated"]),
        (&pid, &true.into()),
        "{session}"
    );
    assert_eq!(get(port, "/index.html").unwrap().well(), "this is left\n");

    let restarted = project.devk(&["up", "-d", "--restart"]).well();
    // What it found done is not done again.
    for step in ["image.build/left", "image.load/left", "release.apply/pair"] {
        assert_eq!(restarted.verdict(step), "skipped", "{step}");
    }
    let session = project.session();
    assert_ne!(session["pid"], pid);
    assert_eq!(
        (program_of(&session["pid"]), &session["outdated"]),
        (project.program.clone(), &false.into())
    );
    assert_eq!(project.port("left"), port);
    assert_eq!(get(port, "/index.html").unwrap().well(), "this is left\n");
    project.devk(&["down", "--delete"]).well();
}

#[test]
fn a_program_that_is_replaced_and_deleted_on_disk_ends_no_session() {
    let mut pair = Followed::pair_not_up("replaced-program");
    let folder = tempfile::tempdir().unwrap();
    let installed = folder.path().join("devk");
    std::fs::hard_link(DEVK, &installed)
        .or_else(|_| std::fs::copy(DEVK, &installed).map(drop))
        .unwrap();
    pair.project.program.clone_from(&installed);
    let mut pair = pair.up();
    pair.project.program = DEVK.into();
    let port = pair.project.port("left");
    let pid = pair.project.session()["pid"].clone();

    std::fs::rename(newer(folder.path()), &installed).unwrap();
    // What the session brings into the node is the program that it is, not the one that is there now.
    let serves = || pair.project.session()["relay"]["serves"] == true;
    eventually("there is no relay", Duration::from_secs(30), serves);
    docker(&["exec", NODE, "pkill", "-9", "-f", "^/proc/self/fd/3 relay"]);
    eventually(
        "the relay does not come back",
        Duration::from_secs(60),
        serves,
    );
    std::fs::remove_file(&installed).unwrap();
    assert!(program_of(&pid).to_string_lossy().ends_with(" (deleted)"));
    pair.save("index.html", "without a program\n");
    let page = || get(port, "/index.html").is_ok_and(|answer| answer.body == "without a program\n");
    eventually("the save does not come live", Duration::from_secs(60), page);
    assert_eq!(pair.project.session()["pid"], pid);
    pair.is_equal();
}
