//! `devk approve` on a real terminal (that of `script`), and without one.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use super::terminal::OnTerminal;
use super::{Server, call, devk};

/// A server in a project, and the id of the approval that its `down` with `delete` waits for.
fn asked(dir: &Path) -> (Server, String) {
    let yaml = "name: shop\ncluster: {provider: kind, name: devk}\nreleases:\n  - {name: shop, chart: chart}\n";
    std::fs::write(dir.join("devk.yaml"), yaml).unwrap();
    let mut server = Server::start(dir);
    server.initialize();
    server.send(&call(1, "down", &json!({"delete": true})));
    let error = error(&server.next());
    assert_eq!(error["code"], "approval.needed");
    let hint = error["hint"].as_str().unwrap().to_owned();
    let id = hint
        .split("devk approve ")
        .nth(1)
        .unwrap()
        .split('`')
        .next()
        .unwrap();
    (server, id.to_owned())
}

fn error(message: &Value) -> Value {
    let text = message["result"]["content"][0]["text"].as_str().unwrap();
    serde_json::from_str::<Value>(text).unwrap()["errors"][0].clone()
}

/// Types `answer` to `devk approve ID` on a terminal.
fn on_terminal(dir: &Path, id: &str, answer: &str) -> String {
    let mut command = devk(dir);
    command.args(["approve", id]);
    let mut terminal = OnTerminal::start(&command);
    // What is typed before the question is no answer to it.
    terminal.wait_for("[y/N]");
    terminal.type_keys(&format!("{answer}\n"));
    terminal.ended().0
}

#[test]
fn only_a_person_on_a_terminal_approves_and_only_once() {
    let dir = tempfile::tempdir().unwrap();
    let (mut server, id) = asked(dir.path());
    let output = devk(dir.path())
        .args(["approve", &id])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no terminal"));
    let again = json!({"delete": true, "approval": id});
    let said = on_terminal(dir.path(), &id, "n");
    assert!(
        said.contains("devk down --delete") && said.contains("project `shop`"),
        "{said}"
    );
    server.send(&call(2, "down", &again));
    assert_eq!(error(&server.next())["code"], "approval.needed");
    let said = on_terminal(dir.path(), &id, "y");
    assert!(said.contains("approved for 10 minutes"), "{said}");
    // Now devk itself is asked, which finds no Docker.
    server.send(&call(3, "down", &again));
    assert_eq!(error(&server.next())["code"], "docker.unavailable");
    server.send(&call(4, "down", &again));
    assert_eq!(error(&server.next())["code"], "approval.unknown");
    assert_eq!(
        recorded(dir.path()),
        [
            "mcp-ask refused mcp t  approval.needed",
            "approve failed cli   usage",
            "approve refused cli   approval.declined",
            "mcp-ask refused mcp t  approval.needed",
            "approve done cli   ",
            &format!("down failed mcp t {id} docker.unavailable"),
            "mcp-ask failed mcp t  approval.unknown",
        ]
    );
}

/// The audit log, a line an act: kind, result, through what, for whom, by which approval, error.
fn recorded(dir: &Path) -> Vec<String> {
    let output = devk(dir)
        .args(["audit", "--format", "json"])
        .output()
        .unwrap();
    let line = |line: &str| {
        let act: Value = serde_json::from_str(line).unwrap();
        let origin = &act["origin"];
        let members = [
            &act["kind"],
            &act["result"],
            &origin["through"],
            &origin["client"],
            &origin["approval"],
            &act["code"],
        ];
        members
            .map(|member| member.as_str().unwrap_or_default())
            .join(" ")
    };
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(line)
        .collect()
}

#[test]
fn what_waits_is_listed_and_an_unknown_id_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (_server, id) = asked(dir.path());
    let list = devk(dir.path()).arg("approve").output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(
        list.contains(&id) && list.contains("devk down --delete"),
        "{list}"
    );
    let unknown = devk(dir.path())
        .args(["approve", "nothing9"])
        .output()
        .unwrap();
    assert_eq!(unknown.status.code(), Some(2));
}
