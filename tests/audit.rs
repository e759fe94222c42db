//! The audit log as users have it: written by real processes that are killed, run beside each other and meet full disks.
//! No Docker is needed: its socket is nowhere, or belongs to a server that never answers.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const SOON: Duration = Duration::from_secs(20);

/// A project in a folder of its own, with a state folder beside it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let project = place.project();
        std::fs::create_dir(&project).unwrap();
        let yaml = "name: shop\ncluster: {provider: kind, name: devk}\nreleases: [{name: shop, chart: .}]\n";
        std::fs::write(project.join("devk.yaml"), yaml).unwrap();
        std::fs::write(
            project.join("Chart.yaml"),
            "apiVersion: v2\nname: shop\nversion: 0.1.0\n",
        )
        .unwrap();
        place
    }

    fn project(&self) -> PathBuf {
        self.0.path().join("project")
    }

    fn state(&self) -> PathBuf {
        self.0.path().join("state/devk")
    }

    fn log(&self) -> PathBuf {
        self.state().join("audit")
    }

    fn file(&self) -> PathBuf {
        self.log().join("000001.jsonl")
    }

    /// A command with nothing of this machine but PATH.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.project())
            .env_clear()
            .env("HOME", self.0.path())
            .env("XDG_STATE_HOME", self.0.path().join("state"))
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn devk(&self, args: &[&str]) -> Output {
        let mut command = self.command(env!("CARGO_BIN_EXE_devk"));
        command.args(args).output().unwrap()
    }

    /// The acts that `devk audit` prints with these options.
    fn acts(&self, options: &[&str]) -> Vec<Value> {
        let args = [&["audit", "--format", "json"], options].concat();
        let output = self.devk(&args);
        assert!(output.status.success(), "{}", said(&output.stderr));
        let lines = said(&output.stdout);
        let acts = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        acts.collect()
    }

    /// The exit code of `devk audit verify`, and what it says.
    fn verdict(&self) -> (i32, String) {
        let output = self.devk(&["audit", "verify"]);
        let text = said(&output.stdout) + &said(&output.stderr);
        (output.status.code().unwrap(), text)
    }
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Docker's socket, of a server that takes connections and never answers.
fn silent_docker(dir: &Path) -> (UnixListener, String) {
    let socket = dir.join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    (listener, format!("unix://{}", socket.display()))
}

/// A `devk down` that waits for Docker, once its intent is in the log.
fn waiting_down(place: &Place, docker: &str) -> Child {
    let mut down = place.command(env!("CARGO_BIN_EXE_devk"));
    let child = down.arg("down").env("DOCKER_HOST", docker).spawn().unwrap();
    let since = Instant::now();
    while !std::fs::read_to_string(place.file()).is_ok_and(|text| text.ends_with('\n')) {
        assert!(since.elapsed() < SOON, "no intent is recorded");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

#[test]
fn what_a_command_does_is_recorded_with_how_it_ended_and_without_secrets() {
    let place = Place::new();
    let mut restart = place.command(env!("CARGO_BIN_EXE_devk"));
    let secret = "hunter-22-of-the-shell";
    let output = restart
        .args(["restart", "api", secret])
        .env("SHOP_TOKEN", secret)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let [act] = &place.acts(&[])[..] else {
        panic!("one act was done");
    };
    assert_eq!(act["arguments"], serde_json::json!(["api", "[masked]"]));
    let told = ["kind", "result", "code"].map(|key| act[key].as_str().unwrap());
    assert_eq!(told, ["restart", "failed", "docker.unavailable"]);
    assert_eq!(
        (&act["exit"], &act["origin"]["through"]),
        (&2.into(), &"cli".into())
    );
    assert_eq!(
        (&act["project"]["id"], &act["cluster"]["name"]),
        (&"shop".into(), &"devk".into())
    );
    let log = std::fs::read_to_string(place.file()).unwrap();
    assert!(!log.contains(secret) && log.lines().count() == 2, "{log}");
    // A command that looks is none of it.
    place.devk(&["status"]);
    place.devk(&["up", "--dry-run"]);
    assert_eq!(place.acts(&[]).len(), 1);
    let shown = place.devk(&["audit", "show", &act["id"].as_str().unwrap()[..6]]);
    assert!(said(&shown.stdout).contains("docker.unavailable"));
    let unknown = place.devk(&["audit", "show", "nothing"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(said(&unknown.stderr).contains("error[audit.unknown]"));
}

#[test]
fn the_files_that_a_command_writes_are_recorded() {
    let place = Place::new();
    let written = place.devk(&["chart", "new", "web"]);
    assert!(written.status.success(), "{}", said(&written.stderr));
    let act = &place.acts(&[])[0];
    let told = ["kind", "result"].map(|key| act[key].as_str().unwrap());
    assert_eq!(told, ["chart-new", "done"]);
    let folder = place.project().canonicalize().unwrap().join("web");
    assert_eq!(
        act["diff"],
        serde_json::json!([format!("wrote {}", folder.display())])
    );
    // A line that is cut is told by `verify`, and put aside by the next record.
    let mut text = std::fs::read(place.file()).unwrap();
    text.truncate(text.len() - 40);
    std::fs::write(place.file(), text).unwrap();
    place.devk(&["restart", "api"]);
    let (code, verdict) = place.verdict();
    assert!(verdict.contains("a line was cut: "), "{verdict}");
    assert_eq!(place.acts(&["--kind", "log-torn"]).len(), 1);
    // It was a whole record before, which is missed.
    assert_eq!(code, 3);
    assert!(
        verdict.contains("record 2 is missing before record 3"),
        "{verdict}"
    );
}

#[test]
fn an_act_is_running_while_its_process_lives_and_unknown_after_a_kill() {
    let place = Place::new();
    let (_docker, address) = silent_docker(place.0.path());
    let mut down = waiting_down(&place, &address);
    assert_eq!(place.acts(&["--result", "running"]).len(), 1);
    assert_eq!(place.acts(&["--result", "unknown"]).len(), 0);
    down.kill().unwrap();
    down.wait().unwrap();
    let unknown = place.acts(&["--result", "unknown"]);
    assert_eq!(unknown[0]["kind"], "down");
    assert_eq!(place.acts(&["--result", "running"]).len(), 0);
    // The chain goes on.
    place.devk(&["restart", "api"]);
    assert_eq!(place.acts(&[]).len(), 2);
    assert_eq!(place.verdict().0, 0);
}

#[test]
fn writers_beside_each_other_make_one_chain() {
    let place = Place::new();
    let restart = |number: usize| {
        let mut command = place.command(env!("CARGO_BIN_EXE_devk"));
        command
            .args(["restart", &format!("service-{number}")])
            .spawn()
            .unwrap()
    };
    let children: Vec<_> = (0..12).map(restart).collect();
    for mut child in children {
        assert_eq!(child.wait().unwrap().code(), Some(2));
    }
    let (code, text) = place.verdict();
    assert_eq!(code, 0, "{text}");
    assert!(text.starts_with("24 records in 1 file(s)"), "{text}");
    assert_eq!(place.acts(&["--result", "failed"]).len(), 12);
}

#[test]
fn a_changed_byte_is_named_by_file_and_line() {
    let place = Place::new();
    for service in ["api", "web", "worker"] {
        place.devk(&["restart", service]);
    }
    let text = std::fs::read_to_string(place.file()).unwrap();
    std::fs::write(place.file(), text.replacen("\"web\"", "\"wep\"", 1)).unwrap();
    let (code, text) = place.verdict();
    assert_eq!(code, 3);
    assert!(
        text.contains("000001.jsonl:3: record 3 was changed"),
        "{text}"
    );
    let output = place.devk(&["audit", "verify", "--format", "json"]);
    assert_eq!(output.status.code(), Some(3));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&document["whole"], &document["breaks"][0]["line"]),
        (&false.into(), &3.into())
    );
    assert_eq!(document["breaks"].as_array().unwrap().len(), 1);
}

#[test]
fn a_disk_that_takes_no_record_is_told_and_keeps_no_half_of_one() {
    let place = Place::new();
    place.devk(&["restart", "api"]);
    let before = std::fs::read(place.file()).unwrap();
    // A file may have so many blocks of 512 bytes; a write beyond fails, as on a full disk.
    let blocks = before.len().div_ceil(512);
    let line = format!(
        "trap '' XFSZ; ulimit -f {blocks}; exec {} restart web",
        env!("CARGO_BIN_EXE_devk")
    );
    let output = place.command("sh").args(["-c", &line]).output().unwrap();
    let said = said(&output.stderr);
    assert!(
        said.contains("warning[audit.unwritable]: the audit log cannot be written"),
        "{said}"
    );
    assert!(
        said.contains("error[docker.unavailable]"),
        "the command goes on: {said}"
    );
    assert_eq!(std::fs::read(place.file()).unwrap(), before);
    place.devk(&["restart", "worker"]);
    assert!(place.verdict().1.starts_with("4 records"));
}

#[test]
fn without_a_log_a_person_is_warned_and_an_agent_is_refused() {
    let place = Place::new();
    std::fs::create_dir_all(place.state()).unwrap();
    std::fs::write(place.log(), "in its place").unwrap();
    let warned = place.devk(&["restart", "api"]);
    let text = said(&warned.stderr);
    assert!(text.starts_with("warning[audit.unwritable]"), "{text}");
    assert!(text.contains("error[docker.unavailable]"), "{text}");
    let mut agent = place.command(env!("CARGO_BIN_EXE_devk"));
    let origin = r#"{"through":"mcp","client":"t"}"#;
    let refused = agent
        .args(["restart", "api", "--format", "json"])
        .env("DEVK_AUDIT_ORIGIN", origin)
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let document: Value = serde_json::from_slice(&refused.stderr).unwrap();
    let codes = document["errors"].as_array().unwrap();
    assert_eq!(
        (codes.len(), &codes[0]["code"]),
        (1, &"audit.unwritable".into())
    );
}

#[test]
fn csv_has_no_formula_and_texts_find_acts() {
    let place = Place::new();
    place.devk(&["restart", "=cmd|'/C calc'!A0"]);
    place.devk(&["restart", "plain"]);
    let output = place.devk(&["audit", "--format", "csv"]);
    let text = said(&output.stdout);
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.contains(",\"'=cmd|'/C calc'!A0\","), "{text}");
    assert_eq!(place.acts(&["PLAIN"]).len(), 1);
    assert_eq!(place.acts(&["restart", "calc"]).len(), 1);
    assert_eq!(place.acts(&["--since", "1h", "--kind", "restart"]).len(), 2);
    assert_eq!(place.acts(&["--until", "2020-01-01"]).len(), 0);
    assert_eq!(place.acts(&["--limit", "1"])[0]["arguments"][0], "plain");
    let wrong = place.devk(&["audit", "--kind", "restrat"]);
    assert!(said(&wrong.stderr).contains("did you mean `restart`?"));
    let csv = place.devk(&["status", "--format", "csv"]);
    assert!(said(&csv.stderr).contains("`--format csv` is for `devk audit` only"));
}
