//! Limits that the system sets a devk: open files, watched folders.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::eventually;
use crate::support::followed::Followed;
use crate::support::left_out::left_out;
use crate::support::machine::{cluster, machine, run};
use crate::support::project::Project;
use crate::support::wire::get;

/// The limit of open files of a process: soft, hard.
fn files(pid: &serde_json::Value) -> (u64, u64) {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .unwrap();
    let numbers: Vec<_> = line
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    (numbers[0], numbers[1])
}

#[test]
fn a_soft_limit_of_64_open_files_is_raised_and_a_hard_one_is_told() {
    cluster();
    let mut project = Project::pair("few-files");
    let limited = |limit: &str| {
        ["sh", "-c", &format!("ulimit {limit} && exec \"$0\" \"$@\"")].map(str::to_owned)
    };
    project.started_by = limited("-n 64").to_vec();
    let error = project.devk(&["up", "-d"]).exits(2).error();
    assert_eq!(error["code"], "limit.files", "{error}");
    assert!(
        error["message"].as_str().unwrap().contains("only 64 files"),
        "{error}"
    );
    assert!(
        error["hint"].as_str().unwrap().contains("ulimit -n"),
        "{error}"
    );
    assert!(machine().supervisors("few-files").is_empty() && !cluster().has_namespace("few-files"));

    project.started_by = limited("-Sn 64").to_vec();
    project.devk(&["up", "-d"]).well();
    let (soft, hard) = files(&project.session()["pid"]);
    assert!(soft > 64 && soft <= hard, "{soft} of {hard}");
    let port = project.port("left");
    // More connections at once than the soft limit let it have.
    let held: Vec<_> = (0..100)
        .map(|_| std::net::TcpStream::connect(("127.0.0.1", port)).unwrap())
        .collect();
    assert_eq!(get(port, "/index.html").unwrap().well(), "this is left\n");
    drop(held);
    // Looking and ending take few.
    project.started_by = limited("-n 64").to_vec();
    project.devk(&["status"]).well();
    project.devk(&["down", "--delete"]).well();
    assert!(!cluster().has_namespace("few-files"));
}

/// Of a user namespace: nobody else's limit is touched.
const LIMIT: &str = "/proc/sys/user/max_inotify_watches";

fn may_have_a_namespace() -> bool {
    let tried = Command::new("unshare")
        .args(["--user", "--map-root-user", "true"])
        .stderr(Stdio::null())
        .status();
    tried.is_ok_and(|status| status.success())
}

#[test]
fn eight_watched_folders_at_most_are_told_and_more_of_them_mend_it() {
    if !may_have_a_namespace() {
        left_out(
            "this machine allows no user namespace, and the limit is not lowered for all of it",
        );
        return;
    }
    let mut pair = Followed::pair_not_up("few-watches");
    let script = format!("echo 8 >{LIMIT} && exec \"$0\" \"$@\"");
    let unshare = ["unshare", "--user", "--map-root-user", "sh", "-c", &script];
    pair.project.started_by = unshare.map(str::to_owned).to_vec();
    let up = pair.project.devk(&["up", "-d"]).exits(1);
    pair.project.started_by = vec![];
    let events = up.events();
    let failed: Vec<_> = events
        .iter()
        .filter(|e| e["status"] == "failed" && e["error"]["code"] == "sync.watch")
        .collect();
    assert!(!failed.is_empty(), "{up:?}");
    for event in failed {
        let error = &event["error"];
        assert!(
            error["message"]
                .as_str()
                .unwrap()
                .contains("limit of watched folders"),
            "{error}"
        );
        assert!(
            error["hint"]
                .as_str()
                .unwrap()
                .contains("sysctl fs.inotify.max_user_watches"),
            "{error}"
        );
    }
    // The stack is up all the same.
    let port = pair.project.port("left");
    let pid = pair.project.session()["pid"].clone();
    assert_eq!(get(port, "/index.html").unwrap().well(), "this is left\n");

    let mut raise = Command::new("nsenter");
    raise.args([
        "--user",
        "--preserve-credentials",
        "--target",
        &pid.to_string(),
    ]);
    run(raise.args(["sh", "-c", &format!("echo 1000 >{LIMIT}")]));
    pair.project.devk(&["up", "-d"]).well();
    assert_eq!(pair.project.session()["pid"], pid);
    pair.save("index.html", "watched\n");
    let page = || get(port, "/index.html").is_ok_and(|answer| answer.body == "watched\n");
    eventually(
        "the raised limit is of no use",
        Duration::from_secs(30),
        page,
    );
    pair.is_equal();
}
