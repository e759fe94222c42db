//! A coding agent on a real stack: plain lines of JSON to `devk mcp` and back.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::machine::{CLUSTER, cluster};
use crate::support::project::Project;
use crate::support::wire::get;

const SOON: Duration = Duration::from_secs(20);
/// What a program in the stack prints, and no agent may read.
const SECRET: &str = "e2e-S3cret-of-the-env-file";

struct Agent {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    /// All that the server has said.
    heard: String,
}

impl Agent {
    fn of(mut command: Command) -> Self {
        command
            .arg("mcp")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut agent = Self {
            child,
            stdin,
            stdout,
            heard: String::new(),
        };
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "e2e", "version": "1"}});
        agent.ask("initialize", &params);
        agent
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.stdin
            .write_all(format!("{message}\n").as_bytes())
            .unwrap();
        loop {
            let mut line = String::new();
            self.stdout.read_line(&mut line).unwrap();
            self.heard += &line;
            let message: Value = serde_json::from_str(&line).unwrap();
            if message["id"] == 1 {
                return message["result"].clone();
            }
        }
    }

    fn call(&mut self, tool: &str, arguments: Value) -> (bool, Value) {
        let params =
            json!({"name": tool, "arguments": arguments, "_meta": {"progressToken": tool}});
        let result = self.ask("tools/call", &params);
        let text = result["content"][0]["text"].as_str().unwrap();
        (
            result["isError"] == true,
            serde_json::from_str(text).unwrap(),
        )
    }

    fn well(&mut self, tool: &str, arguments: Value) -> Value {
        let (is_error, document) = self.call(tool, arguments);
        assert!(!is_error, "{tool}: {document}");
        document
    }
}

#[test]
fn an_agent_starts_looks_runs_and_stops_and_reads_no_secret() {
    let machine = cluster();
    let project = Project::pair("agents");
    project.write(".env", &format!("SHOP_TOKEN={SECRET}\n"));
    let mut agent = Agent::of(project.bare());

    let before = agent.well("status", json!({}));
    assert_eq!(before["session"], Value::Null);
    let (is_error, none) = agent.call("verify", json!({}));
    assert_eq!(
        (is_error, &none["errors"][0]["code"]),
        (true, &json!("session.none"))
    );

    let up = agent.well("up", json!({"timeout_s": 600}));
    assert_eq!(up["settled"]["ready"], true, "{up}");
    assert!(agent.heard.contains("notifications/progress"));

    let ports = agent.well("ports", json!({}));
    let url = ports["env"]["LEFT_URL"].as_str().unwrap();
    let port: u16 = url.rsplit(':').next().unwrap().parse().unwrap();
    assert_eq!(get(port, "/").unwrap().well(), "this is left\n");
    assert_eq!(ports["env"].get("KUBECONFIG"), None);

    let print = format!("echo shown {SECRET} >/proc/1/fd/1; echo said {SECRET}; exit 3");
    let ran = agent.well(
        "run",
        json!({"service": "left", "command": ["sh", "-c", print]}),
    );
    assert_eq!(
        ran,
        json!({"version": 1, "exit": 3, "stdout": "said [masked]\n", "stderr": ""})
    );
    let logs = agent.well("logs", json!({"service": "left", "contains": "shown"}));
    assert_eq!(logs["logs"][0]["lines"], json!(["shown [masked]"]));

    eventually("the containers differ from the files", SOON, || {
        agent.call("verify", json!({})).1["equal"] == true
    });
    let restarted = agent.well("restart", json!({"services": ["left"]}));
    assert_eq!(restarted["restarted"], json!(["deployment/pair-left"]));

    let (is_error, asks) = agent.call("down", json!({"delete": true}));
    assert_eq!(
        (is_error, &asks["errors"][0]["code"]),
        (true, &json!("approval.needed"))
    );
    assert!(asks.to_string().contains("1 release(s)"), "{asks}");
    assert_eq!(agent.well("down", json!({}))["deleted"], false);
    assert_eq!(agent.well("status", json!({}))["session"], Value::Null);

    let (is_error, _) = agent.call("restart", json!({"services": [SECRET]}));
    assert!(is_error);
    recorded(&project);
    let kubeconfig = machine.kubeconfig(CLUSTER).display().to_string();
    assert!(!agent.heard.contains(SECRET) && !agent.heard.contains(&kubeconfig));
    drop(agent.stdin);
    assert!(agent.child.wait().unwrap().success());
}

/// The audit log has what the agent did, in which cluster, and no secret.
fn recorded(project: &Project) {
    let acts = project
        .devk(&["audit", "--project", &project.name])
        .documents();
    assert!(
        !Value::from(acts.clone()).to_string().contains(SECRET),
        "{acts:?}"
    );
    let kinds: Vec<_> = acts
        .iter()
        .map(|act| {
            ["kind", "result"]
                .map(|key| act[key].as_str().unwrap())
                .join(" ")
        })
        .collect();
    let expected = [
        "up done",
        "sh failed",
        "restart done",
        "mcp-ask refused",
        "down done",
        "restart failed",
    ];
    assert_eq!(kinds, expected);
    for act in &acts {
        assert_eq!(
            (&act["origin"]["through"], &act["origin"]["client"]),
            (&json!("mcp"), &json!("e2e"))
        );
    }
    assert_eq!(acts[0]["cluster"]["name"], CLUSTER);
    assert!(acts[0]["cluster"]["pin"].is_string());
    project.devk(&["audit", "verify"]).well();
}
