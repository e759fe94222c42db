//! A coding agent on a real stack: plain lines of JSON to `devk mcp` and back.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::scripted::{Scripted, ScriptedModel};
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
    asks_and_changes(&project, &mut agent);
    // The pods are others now.
    let print = format!("echo shown {SECRET} >/proc/1/fd/1");
    agent.well(
        "run",
        json!({"service": "left", "command": ["sh", "-c", print]}),
    );
    puts_to_a_model(&project);

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

/// Questions are answered; a change waits for a person, and is made once.
fn asks_and_changes(project: &Project, agent: &mut Agent) {
    let answer = agent.well("ask", json!({"question": "how many replicas has left"}));
    assert!(answer["answer"]["text"].is_string(), "{answer}");
    let answer = agent.well(
        "ask",
        json!({"question": "explain deployment.spec.replicas"}),
    );
    let text = answer["answer"]["text"].as_str().unwrap();
    assert!(text.contains("Number of desired pods"), "{text}");
    let shown = agent.well("ask", json!({"question": "scale left to 2"}));
    let steps = shown["plan"]["steps"].clone();
    assert_eq!(steps[0]["object"]["name"], "pair-left", "{shown}");
    let waits = agent.well("apply_plan", json!({"steps": steps}));
    let id = waits["approval"].as_str().unwrap();
    assert_eq!(waits["approval"], shown["approval"]);
    let approved = json!({"steps": steps, "approval": id});
    let unapproved = agent.well("apply_plan", approved.clone());
    assert_eq!(
        unapproved["errors"][0]["code"], "change.unapproved",
        "{unapproved}"
    );
    let replicas = [
        "get",
        "deployment",
        "pair-left",
        "-o",
        "jsonpath={.spec.replicas}",
    ];
    assert_eq!(project.kubectl(&replicas), "1");

    project.answered(&["approve", id], "[y/N]", "y\n");
    let done = agent.well("apply_plan", approved.clone());
    assert_eq!(done["state"], "done", "{done}");
    assert_eq!(project.kubectl(&replicas), "2");
    let (is_error, _) = agent.call("apply_plan", approved);
    assert!(is_error);
}

/// What devk does not understand goes to a model that the user names: its answer is shown as its own, and what it proposes to
/// change without having been asked about it waits.
fn puts_to_a_model(project: &Project) {
    let says = |message: Value| {
        let reply = json!({"message": message, "done": true}).to_string();
        Scripted::Answer(200, "application/json", "", reply)
    };
    let calls = |name: &str, arguments: Value| {
        says(
            json!({"content": "", "tool_calls": [{"function": {"name": name, "arguments": arguments}}]}),
        )
    };
    let object = json!({"kind": "Deployment", "namespace": "agents", "name": "pair-right"});
    let model = ScriptedModel::start(vec![
        calls("look", json!({"question": "logs of left"})),
        calls("get", json!({"kind": "Deployment", "name": "pair-left"})),
        says(json!({"content": "Left is fine."})),
        calls(
            "propose_plan",
            json!({"steps": [{"verb": "delete", "object": object}]}),
        ),
    ]);
    let ask = |question: &str, format: &str| {
        let mut command = project.bare();
        command.env("OLLAMA_HOST", &model.url);
        command.args([
            "ask",
            "--format",
            format,
            "--model",
            "ollama/small",
            question,
        ]);
        command.output().unwrap()
    };
    let output = ask("somehow left feels sluggish", "json");
    let said = String::from_utf8(output.stdout).unwrap();
    let document: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(document["model"]["text"], "Left is fine.", "{document}");
    assert_eq!(document["model"]["unverified"], false);
    assert_eq!(document["model"]["looked"][1]["at"], "deployment/pair-left");
    let sent: String = model
        .seen()
        .iter()
        .map(|seen| seen.body.to_string())
        .collect();
    assert!(
        sent.contains("shown [masked]") && !sent.contains(SECRET),
        "{sent}"
    );

    let output = ask("do something about left, it feels sluggish", "table");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(
        said.contains("`deployment/pair-right`, which the question does not name"),
        "{said}"
    );
    let command = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("hint: devk "));
    let words: Vec<_> = command.unwrap().split(' ').collect();
    let shown = project.devk(&words).exits(4).document();
    assert_eq!(shown["preview"]["risk"], "destructive", "{shown}");
    project.kubectl(&["get", "deployment", "pair-right"]);
}

/// The audit log has what the agent did, in which cluster, and no secret.
fn recorded(project: &Project) {
    let mut acts = project
        .devk(&["audit", "--project", &project.name])
        .documents();
    // Those of the person beside the agent.
    let own = |act: &Value| act["origin"]["through"] == "mcp";
    let by_person: Vec<_> = acts
        .iter()
        .filter(|act| !own(act))
        .map(|act| act["kind"].clone())
        .collect();
    assert_eq!(by_person, ["approve", "ask-model", "ask-model", "change"]);
    assert!(
        !Value::from(acts.clone()).to_string().contains(SECRET),
        "{acts:?}"
    );
    acts.retain(own);
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
        "change refused",
        "change refused",
        "change refused",
        "change done",
        "change refused",
        "sh done",
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
