//! Two git worktrees of one project at the same time on one cluster: neither sees the other.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::eventually;
use crate::support::machine::{CLUSTER, cluster, git, images_of, listens, machine, run};
use crate::support::project::{Project, port_of};
use crate::support::run::{Ran, Running};
use crate::support::wire::get;

/// A linked worktree of a project; removed with all that devk made for it when it is dropped.
struct Worktree {
    dir: tempfile::TempDir,
}

impl Worktree {
    /// A branch `login` of the project, in a folder `login`.
    fn of(project: &Project) -> Self {
        let dir = machine().new_folder();
        let main = project.path("");
        git(&main, &["init", "--quiet"]);
        git(&main, &["add", "--all"]);
        git(&main, &["commit", "--quiet", "-m", "start"]);
        let worktree = Self { dir };
        git(
            &main,
            &[
                "worktree",
                "add",
                "--quiet",
                "-b",
                "login",
                worktree.root().to_str().unwrap(),
            ],
        );
        worktree
    }

    fn root(&self) -> std::path::PathBuf {
        self.dir.path().join("login")
    }

    fn devk(&self, args: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_devk"));
        command
            .args(args)
            .args(["--format", "json"])
            .current_dir(self.root());
        Running::start(command.env_clear().envs(machine().environment())).ended()
    }
}

impl Drop for Worktree {
    fn drop(&mut self) {
        let ran = self.devk(&["down", "--delete"]);
        if ran.code != Some(0) {
            eprintln!("the worktree could not be removed: {ran:?}");
        }
    }
}

fn forwards(up: &Ran) -> Vec<Value> {
    up.settled()["forwards"].as_array().unwrap().clone()
}

fn locals(forwards: &[Value]) -> Vec<u64> {
    forwards
        .iter()
        .map(|forward| forward["local"].as_u64().unwrap())
        .collect()
}

/// Pods with their restarts, and helm's revisions.
fn runs(project: &Project) -> String {
    let shown = "jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.uid} {.status.containerStatuses[*].restartCount}{'\\n'}{end}";
    let list = ["-n", &project.name, "get", "pods,secrets", "-o", shown];
    machine().kubectl(CLUSTER, &list)
}

/// What `devk projects` tells of one of them.
fn told(project: &Project, id: &str) -> Value {
    let document = project.devk(&["projects"]).well().document();
    let projects = document["projects"].as_array().unwrap().iter();
    let mut found = projects.filter(|project| project["id"] == id);
    found.next().unwrap().clone()
}

/// Both are awake; `login` is put to sleep for `main`, and wakes with its own `up`.
fn one_sleeps_for_the_other(main: &Project, login: &Worktree, login_left: u16) {
    const MEASURED: Duration = Duration::from_secs(60);
    eventually("the memory of the pods is not told", MEASURED, || {
        let memory = |id| told(main, id)["pods"]["memory_bytes"].as_u64();
        memory("twin") > Some(1 << 18) && memory("twin-login") > Some(1 << 18)
    });
    let awake = told(main, "twin-login");
    let words = ["workloads", "namespace", "branch", "cluster"].map(|key| awake[key].clone());
    assert_eq!(words, ["awake", "twin-login", "login", CLUSTER], "{awake}");
    assert_eq!(
        (&awake["pods"]["total"], &awake["pods"]["ready"]),
        (&2.into(), &2.into())
    );
    let session = &awake["session"];
    assert_eq!(session["held_by"]["detached"], true, "{session}");
    assert!(
        session["memory_bytes"].as_u64() > Some(1 << 20),
        "{session}"
    );
    assert!(
        awake["last_edit"].is_string() && awake["error"].is_null(),
        "{awake}"
    );

    let up = main.devk(&["up", "-d", "--sleep-others"]).well();
    let slept = up
        .documents()
        .into_iter()
        .find(|document| document["step"] == "others.sleep" && document["status"] == "done");
    let slept = slept.unwrap()["detail"].as_str().unwrap().to_owned();
    assert!(
        slept.contains("twin-login") && !slept.contains("twin,"),
        "{slept}"
    );
    let asleep = told(main, "twin-login");
    assert_eq!(
        (&asleep["workloads"], &asleep["session"]),
        (&"asleep".into(), &Value::Null)
    );
    assert_eq!(told(main, "twin")["workloads"], "awake");
    // It says what to do instead of an early answer.
    let settle = login.devk(&["settle"]);
    assert!(settle.stderr.contains("session.none"), "{settle:?}");

    login.devk(&["up", "-d"]).well();
    assert_eq!(page(login_left), "this is left of login\n");
    assert_eq!(told(main, "twin-login")["workloads"], "awake");
    // The project that holds the cluster for the other tests.
    machine().kubectl(
        CLUSTER,
        &["annotate", "namespace", "anchor", "devk.dev/asleep-"],
    );
}

fn page(port: u16) -> String {
    get(port, "/index.html").unwrap().well()
}

#[test]
fn two_worktrees_are_up_at_once_and_the_end_of_one_leaves_the_other() {
    cluster();
    let main = Project::pair("twin");
    let login = Worktree::of(&main);
    std::fs::write(
        login.root().join("left/www/index.html"),
        "this is left of login\n",
    )
    .unwrap();

    let of_main = main.start(&["up", "-d"]);
    let of_login = login.devk(&["up", "-d"]);
    let of_main = forwards(&of_main.ended().well());
    let of_login = forwards(&of_login.well());
    let (left, login_left) = (port_of(&of_main, "left"), port_of(&of_login, "left"));
    assert!(
        locals(&of_main)
            .iter()
            .all(|port| !locals(&of_login).contains(port)),
        "{of_main:?} {of_login:?}"
    );
    assert!(cluster().has_namespace("twin") && cluster().has_namespace("twin-login"));
    assert_eq!(
        (page(left), page(login_left)),
        ("this is left\n".into(), "this is left of login\n".into())
    );
    // Whoever was quicker has the usual ports; the other names it, as a project or as the process it is by then.
    let moved = |forwards: &[Value]| forwards.iter().all(|forward| forward["moved"].is_string());
    assert!(
        moved(&of_main) != moved(&of_login),
        "{of_main:?} {of_login:?}"
    );

    // Each keeps its ports through a second `up`, whoever comes first.
    assert_eq!(
        locals(&forwards(&login.devk(&["up", "-d"]).well())),
        locals(&of_login)
    );
    assert_eq!(
        locals(&forwards(&main.devk(&["up", "-d"]).well())),
        locals(&of_main)
    );

    one_sleeps_for_the_other(&main, &login, login_left);

    let before = runs(&main);
    login.devk(&["down", "--delete"]).well();
    assert_eq!(
        runs(&main),
        before,
        "the same pods, started as often, and the same revision"
    );
    assert!(!cluster().has_namespace("twin-login") && cluster().has_namespace("twin"));
    assert_eq!(machine().state_of("twin-login"), [""; 0]);
    assert!(images_of("twin-login").is_empty() && !images_of("twin").is_empty());
    assert_eq!(page(left), "this is left\n");
    assert_eq!(locals(&main.forwards()), locals(&of_main));
    let pods = cluster().kubectl(CLUSTER, &["-n", "twin", "get", "pods", "--no-headers"]);
    assert!(
        pods.lines().count() >= 2 && pods.lines().all(|pod| pod.contains("Running")),
        "{pods}"
    );
}

#[test]
fn a_renamed_folder_keeps_its_project_and_a_clone_neither_removes_it_nor_ends_its_session() {
    let project = Project::pair("renamed-folder");
    crate::support::machine::cluster();
    project.devk(&["up", "-d"]).well();
    let ports = locals(&project.forwards());
    let home = project.path("");
    let beside = |name: &str| home.parent().unwrap().join(format!("{name}-of-the-test"));
    let (renamed, clone) = (beside("renamed"), beside("clone"));
    std::fs::rename(&home, &renamed).unwrap();
    crate::support::copy::copy(&renamed, &clone);
    let devk = |folder: &std::path::Path, args: &[&str]| {
        let mut command = project.bare();
        command
            .current_dir(folder)
            .args(args)
            .args(["--format", "json"]);
        crate::support::run::Running::start(&mut command).ended()
    };
    // A check of the session whose folder is gone, and all else that doctor says.
    let told = |folder: &std::path::Path, args: &[&str]| {
        let doctor = devk(folder, args);
        let of_folders = |check: &&Value| {
            check["id"] == "leftovers.folders"
                && check["summary"]
                    .as_str()
                    .unwrap()
                    .contains("`renamed-folder`")
        };
        let checks = doctor.document()["checks"].clone();
        let found = checks.as_array().unwrap().iter().find(of_folders).cloned();
        (found, format!("{}{}", doctor.stdout, doctor.stderr))
    };
    let (stranded, all) = told(&renamed, &["doctor", "--fix"]);
    let stranded = stranded.unwrap();
    assert!(
        stranded["hint"]
            .as_str()
            .unwrap()
            .starts_with("devk up -d "),
        "{stranded}"
    );
    for port in &ports {
        let held = format!("it holds port {port} ");
        assert!(stranded.to_string().contains(&held), "{stranded}");
        assert!(listens(u16::try_from(*port).unwrap()), "{port}");
    }
    // No file of the containers has gone with the folder.
    let page = |port: &u64| get(u16::try_from(*port).unwrap(), "/index.html").unwrap();
    let pages: Vec<_> = ports.iter().map(|port| page(port).body).collect();
    assert_eq!(pages, ["this is left\n", "this is right\n"]);
    assert!(
        !all.contains("delete namespace renamed-folder") && !all.contains("give back the ports"),
        "{all}"
    );
    devk(&renamed, &["up", "-d"]).well();
    let (stranded, _) = told(&renamed, &["doctor"]);
    assert_eq!(stranded, None);
    let noted = || {
        let root = "jsonpath={.metadata.annotations.devk\\.dev/root}";
        cluster().kubectl(CLUSTER, &["get", "namespace", "renamed-folder", "-o", root])
    };
    assert_eq!(noted(), renamed.to_str().unwrap());
    let doctor = devk(&renamed, &["doctor"]);
    assert!(
        !doctor.stdout.contains("delete namespace renamed-folder"),
        "{doctor:?}"
    );
    let before = devk(&renamed, &["status"]).well().document();
    assert!(before["session"]["pid"].is_u64(), "{before}");
    let refused = devk(&clone, &["down", "--delete"]).exits(2);
    assert_eq!(refused.error()["code"], "cluster.namespace", "{refused:?}");
    let after = devk(&renamed, &["status"]).well().document();
    assert_eq!(
        after["session"]["pid"], before["session"]["pid"],
        "the session goes on"
    );
    assert!(after["pods"].as_array().unwrap().len() >= 2, "{after}");
    std::fs::remove_dir_all(&clone).unwrap();
    std::fs::rename(&renamed, &home).unwrap();
    project.devk(&["up", "-d"]).well();
    assert_eq!(noted(), home.to_str().unwrap().trim_end_matches('/'));
    assert_eq!(locals(&project.forwards()), ports);

    // A deleted folder looks the same to devk; from elsewhere only its session can be ended.
    std::fs::rename(&home, &renamed).unwrap();
    let elsewhere = machine().new_folder();
    let (stranded, _) = told(elsewhere.path(), &["doctor"]);
    let hint = stranded.unwrap()["hint"].as_str().unwrap().to_owned();
    let kill = hint.split("  ").next().unwrap();
    run(Command::new("sh").args(["-c", kill]));
    let is_free = || {
        ports
            .iter()
            .all(|port| !listens(u16::try_from(*port).unwrap()))
    };
    eventually("its ports are held", Duration::from_secs(20), is_free);
    std::fs::rename(&renamed, &home).unwrap();
}
