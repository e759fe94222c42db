//! The server over a pipe, with a script in the place of devk's program: what it prints is what a client is shown.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rmcp::ServiceExt;
use rmcp::transport::async_rw::AsyncRwTransport;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{
    AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf,
};

use super::jobs::{Jobs, Program};
use super::opening::Opening;
use super::pages::MAX_RESULT_BYTES;
use super::server::McpServer;
use crate::config::Source;
use crate::paths::Paths;

const PROJECT: &str = "name: shop\ncluster: {provider: kind, name: devk}\nreleases:\n  - {name: shop, chart: chart}\n";

struct Client {
    write: WriteHalf<DuplexStream>,
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    dir: TempDir,
}

impl Client {
    /// A client of a server that runs `script`, in a folder that `fill` has filled.
    async fn of(script: &str, variables: &[(&str, &str)], fill: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("project");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("devk.yaml"), PROJECT).unwrap();
        fill(dir.path());
        let path = dir.path().join("program");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let paths = Paths::below(dir.path());
        let source = Source {
            dir: folder.clone(),
            file: None,
            profile: None,
        };
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let program = Program {
            path,
            folder,
            options: vec![],
        };
        let server = McpServer::new(source, paths, variables.collect(), Jobs::new(program));
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (read, write) = tokio::io::split(theirs);
        tokio::spawn(async move {
            let transport = Opening::of(AsyncRwTransport::new_server(read, write));
            server.serve(transport).await.unwrap().waiting().await
        });
        let (read, write) = tokio::io::split(ours);
        let lines = BufReader::new(read).lines();
        Self { write, lines, dir }
    }

    async fn send(&mut self, message: Value) {
        let line = format!("{message}\n");
        self.write.write_all(line.as_bytes()).await.unwrap();
    }

    async fn next(&mut self) -> Value {
        let line = tokio::time::timeout(Duration::from_secs(30), self.lines.next_line()).await;
        let line = line.unwrap().unwrap().unwrap();
        let message: Value = serde_json::from_str(&line).unwrap();
        if let Some(result) = message.get("result").filter(|_| message["id"].is_number()) {
            assert!(
                result.to_string().len() <= MAX_RESULT_BYTES,
                "{}",
                result.to_string().len()
            );
        }
        message
    }

    async fn initialize(&mut self, capabilities: Value) {
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": capabilities,
            "clientInfo": {"name": "test", "version": "1"}});
        self.send(json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}))
            .await;
        self.next().await;
        self.send(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))
            .await;
    }

    async fn ask(&mut self, tool: &str, arguments: Value) -> Value {
        self.send(call(1, tool, arguments, json!({}))).await;
        self.next().await["result"].clone()
    }
}

fn call(id: u64, tool: &str, arguments: Value, meta: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": {"name": tool, "arguments": arguments, "_meta": meta}})
}

/// What a request of the later era says of its client.
fn later(capabilities: Value) -> Value {
    json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": capabilities})
}

fn text(result: &Value) -> String {
    let blocks = result["content"].as_array().unwrap().iter();
    blocks
        .map(|block| block["text"].as_str().unwrap())
        .collect()
}

fn code(result: &Value) -> String {
    assert_eq!(result["isError"], true, "{result}");
    let document: Value = serde_json::from_str(&text(result)).unwrap();
    document["errors"][0]["code"].as_str().unwrap().to_owned()
}

/// Forty secrets: where each is planted, and what it is.
fn planted() -> Vec<(String, String)> {
    let value = |n: usize| format!("pl4nted-{n:02}-{}", "qZ7".repeat(n % 4 + 1));
    (0..40)
        .map(|n| (format!("SERVICE_{n:02}_TOKEN"), value(n)))
        .collect()
}

fn plant(dir: &Path) {
    let planted = planted();
    let generated = planted[..14].iter().map(|(name, value)| {
        (
            format!("shop/{name}"),
            json!({"generator": "hex32", "value": value}),
        )
    });
    let state = dir.join("state/projects/shop");
    std::fs::create_dir_all(&state).unwrap();
    let generated: serde_json::Map<_, _> = generated.collect();
    std::fs::write(
        state.join("secrets.json"),
        Value::from(generated).to_string(),
    )
    .unwrap();
    let env = |part: &[(String, String)]| -> String {
        part.iter()
            .map(|(name, value)| format!("{name}={value}\r\n"))
            .collect()
    };
    std::fs::create_dir_all(dir.join("project/services/api")).unwrap();
    std::fs::write(dir.join("project/.env"), env(&planted[14..22])).unwrap();
    std::fs::write(
        dir.join("project/services/api/.env.local"),
        env(&planted[22..28]),
    )
    .unwrap();
    // All of them, in every shape in which a command prints.
    let all: Vec<_> = planted.iter().map(|(_, value)| value.as_str()).collect();
    let kubeconfig = dir
        .join("state/clusters/devk/kubeconfig")
        .display()
        .to_string();
    let lines: String = all
        .iter()
        .map(|value| json!({"version": 1, "pod": "p", "container": value, "line": format!("t={value}; {{\"t\":\"{value}\"}}")}).to_string() + "\n")
        .collect();
    std::fs::write(dir.join("logs"), lines).unwrap();
    let event = json!({"step": "image.build/api", "status": "failed", "detail": all.join(" "), "error": {"code": "image.build", "message": all.join(",")}});
    let settled = json!({"version": 1, "settled": all, "settled_env": kubeconfig});
    std::fs::write(dir.join("up"), format!("{event}\n{settled}\n")).unwrap();
    let errors = json!({"version": 1, "errors": [{"code": "config.value", "message": all.join(" "), "evidence": all, "hint": kubeconfig}]});
    std::fs::write(dir.join("errors"), format!("{errors}\n")).unwrap();
}

#[tokio::test]
async fn of_forty_planted_secrets_none_is_in_any_answer() {
    let script = r#"d=$(dirname "$0")
        case $1 in
            logs | up | down | restart) cat "$d/$1" 2>/dev/null || cat "$d/up"; exit 0 ;;
            sh) cat "$d/logs"; cat "$d/up" >&2; exit 1 ;;
            settle | verify | ports) grep '^{"version' "$d/up"; exit 0 ;;
            doctor) cat "$d/logs"; echo plain; cat "$d/up" >&2; exit 2 ;;
            *) cat "$d/errors" >&2; exit 2 ;;
        esac"#;
    let planted = planted();
    let of_process: Vec<_> = planted[28..]
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let mut client = Client::of(script, &of_process, plant).await;
    client.initialize(json!({})).await;
    let mut shown = String::new();
    for (tool, arguments) in [
        ("status", json!({})),
        ("settle", json!({})),
        ("logs", json!({})),
        ("up", json!({})),
        ("down", json!({})),
        ("verify", json!({})),
        ("ports", json!({})),
        ("doctor", json!({})),
        ("restart", json!({"services": ["api"]})),
        ("run", json!({"service": "api", "command": ["env"]})),
    ] {
        client
            .send(call(1, tool, arguments, json!({"progressToken": tool})))
            .await;
        let answer = loop {
            let message = client.next().await;
            shown += &message.to_string();
            if message["id"] == 1 {
                break message["result"].clone();
            }
        };
        let answer = answer.to_string();
        assert!(answer.contains("[masked]"), "{tool}: {answer}");
    }
    for (name, secret) in &planted {
        assert!(!shown.contains(secret), "{name}");
    }
    assert!(!shown.contains("clusters/devk/kubeconfig"));
}

#[tokio::test]
async fn a_long_answer_comes_in_pages_that_are_the_document() {
    let pods = r#"i=0; printf '{"version":1,"pods":['
        while [ $i -lt 2000 ]; do printf '{"name":"pod-%s","ready":true},' $i; i=$((i+1)); done
        echo '{"name":"last","ready":false}]}'"#;
    let mut client = Client::of(pods, &[], |_| {}).await;
    client.initialize(json!({})).await;
    let mut result = client.ask("status", json!({})).await;
    let mut whole = String::new();
    loop {
        let blocks = result["content"].as_array().unwrap().clone();
        whole += blocks[0]["text"].as_str().unwrap();
        let Some(rest) = blocks.get(1) else { break };
        let rest: Value = serde_json::from_str(rest["text"].as_str().unwrap()).unwrap();
        result = client
            .ask("status", json!({"cursor": rest["cursor"]}))
            .await;
    }
    let document: Value = serde_json::from_str(&whole).unwrap();
    assert_eq!(document["pods"].as_array().unwrap().len(), 2001);
    let gone = client.ask("status", json!({"cursor": "abc.5"})).await;
    assert_eq!(code(&gone), "usage");
}

#[tokio::test]
async fn an_answer_with_a_schema_is_structured_and_still_small() {
    let line = r#"{"version":1,"settled":false,"ms":7,"services":[],"waiting_for":[],"failures":[{"step":"pod.crash/api","code":"release.not-ready","message":"m","log":["#;
    let script = format!(
        "printf '%s' '{line}'; i=0; while [ $i -lt 3000 ]; do printf '\"line %s\",' $i; i=$((i+1)); done; echo '\"end\"]}}]}}'; exit 1"
    );
    let mut client = Client::of(&script, &[], |_| {}).await;
    client.initialize(json!({})).await;
    let result = client.ask("settle", json!({})).await;
    assert_eq!(result["isError"], false);
    let structured = &result["structuredContent"];
    assert_eq!(structured["settled"], false);
    let log = structured["failures"][0]["log"].as_array().unwrap();
    assert_eq!(log.last().unwrap(), "end");
}

#[tokio::test]
async fn progress_is_told_to_whom_asks_and_a_cancelled_call_ends_its_program() {
    let script = r#"echo $$ >"$(dirname "$0")/pid"
        echo '{"step":"cluster.start","status":"started","detail":"d","ms":0}'; exec sleep 60"#;
    let mut client = Client::of(script, &[], |_| {}).await;
    client.initialize(json!({})).await;
    client
        .send(call(7, "up", json!({}), json!({"progressToken": "t"})))
        .await;
    let progress = client.next().await;
    assert_eq!(progress["method"], "notifications/progress");
    assert_eq!(progress["params"]["progressToken"], "t");
    assert_eq!(progress["params"]["message"], "cluster.start started: d");
    let pid = std::fs::read_to_string(client.dir.path().join("pid")).unwrap();
    let process = std::path::PathBuf::from(format!("/proc/{}", pid.trim()));
    assert!(process.exists());
    client
        .send(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}))
        .await;
    let since = Instant::now();
    while process.exists() {
        assert!(since.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // No answer comes for it, and the server serves on.
    client
        .send(json!({"jsonrpc": "2.0", "id": 8, "method": "ping"}))
        .await;
    assert_eq!(client.next().await["id"], 8);
}

#[tokio::test]
async fn a_call_answers_in_time_and_the_same_call_joins_its_work() {
    let script = r#"d=$(dirname "$0"); echo x >>"$d/started"
        echo '{"step":"cluster.start","status":"started","detail":"d","ms":0}'
        while [ ! -e "$d/go" ]; do sleep 0.05; done; echo '{"version":1,"settled":{"ready":true}}'"#;
    let mut client = Client::of(script, &[], |_| {}).await;
    client.initialize(json!({})).await;
    let working = client.ask("up", json!({"timeout_s": 1})).await;
    let document: Value = serde_json::from_str(&text(&working)).unwrap();
    assert_eq!(
        (&document["working"], &working["isError"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(document["doing"], "cluster.start started: d");
    client.send(call(2, "up", json!({}), json!({}))).await;
    std::fs::write(client.dir.path().join("go"), "").unwrap();
    let ready = client.next().await["result"].clone();
    assert!(text(&ready).contains("\"ready\":true"), "{ready}");
    assert_eq!(
        std::fs::read_to_string(client.dir.path().join("started")).unwrap(),
        "x\n"
    );
    let slow = client
        .ask(
            "run",
            json!({"service": "a", "command": ["b"], "timeout_s": 1}),
        )
        .await;
    assert_eq!(slow["structuredContent"]["timed_out"], Value::Null);
}

#[tokio::test]
async fn a_command_in_a_container_ends_when_its_time_is_over() {
    let mut client = Client::of("exec sleep 60", &[], |_| {}).await;
    client.initialize(json!({})).await;
    let slow = client
        .ask(
            "run",
            json!({"service": "a", "command": ["b"], "timeout_s": 1}),
        )
        .await;
    assert_eq!(slow["structuredContent"]["timed_out"], true);
    assert_eq!(slow["structuredContent"]["exit"], Value::Null);
}

/// A program that tells what it was asked for.
const REMOVES: &str = r#"[ "$1" = status ] && exit 1
    echo "$@" >>"$(dirname "$0")/removed"; echo '{"version":1,"ending":"nothing","deleted":true}'"#;

fn removed(client: &Client) -> String {
    std::fs::read_to_string(client.dir.path().join("removed")).unwrap_or_default()
}

#[tokio::test]
async fn without_a_question_in_the_client_a_person_approves_on_a_terminal() {
    let mut client = Client::of(REMOVES, &[], |_| {}).await;
    client.initialize(json!({})).await;
    let asked = client.ask("down", json!({"delete": true})).await;
    assert_eq!(
        (code(&asked), removed(&client)),
        ("approval.needed".to_owned(), String::new())
    );
    let shown = text(&asked);
    let (_, id) = shown.split_once("`devk approve ").unwrap();
    let id = id.split('`').next().unwrap().to_owned();
    let again = json!({"delete": true, "approval": id});
    assert_eq!(
        code(&client.ask("down", again.clone()).await),
        "approval.needed"
    );
    let paths = Paths::below(client.dir.path());
    let found = crate::approval::find(&paths, &id).unwrap();
    crate::approval::approve(&paths, &found).unwrap();
    let done = client.ask("down", again.clone()).await;
    assert_eq!(done["isError"], false, "{done}");
    assert_eq!(removed(&client), "down --format json --delete\n");
    assert_eq!(code(&client.ask("down", again).await), "approval.unknown");
    assert_eq!(removed(&client).lines().count(), 1);
}

#[tokio::test]
async fn a_removal_that_takes_long_is_joined_with_the_same_approval() {
    let slow = r#"d=$(dirname "$0"); [ "$1" = status ] && exit 1
        while [ ! -e "$d/go" ]; do sleep 0.05; done; echo '{"version":1,"deleted":true}'"#;
    let mut client = Client::of(slow, &[], |_| {}).await;
    client
        .initialize(json!({"elicitation": {"form": {}}}))
        .await;
    let arguments = json!({"delete": true, "timeout_s": 1});
    client
        .send(call(3, "down", arguments.clone(), json!({})))
        .await;
    let question = client.next().await["id"].clone();
    let yes = json!({"action": "accept", "content": {"delete": true}});
    client
        .send(json!({"jsonrpc": "2.0", "id": question, "result": yes}))
        .await;
    let working = client.next().await["result"].clone();
    assert!(text(&working).contains("\"working\":true"), "{working}");
    client.send(call(4, "down", arguments, json!({}))).await;
    std::fs::write(client.dir.path().join("go"), "").unwrap();
    let done = client.next().await["result"].clone();
    assert!(text(&done).contains("\"deleted\":true"), "{done}");
}

#[tokio::test]
async fn a_client_of_the_earlier_era_asks_the_person_when_it_is_asked_to() {
    let mut client = Client::of(REMOVES, &[], |_| {}).await;
    client.initialize(json!({"elicitation": {}})).await;
    for (answer, is_error) in [
        (json!({"action": "decline"}), true),
        (
            json!({"action": "accept", "content": {"delete": false}}),
            true,
        ),
        (json!({"action": "accept"}), true),
        (
            json!({"action": "accept", "content": {"delete": true}}),
            false,
        ),
    ] {
        client
            .send(call(3, "down", json!({"delete": true}), json!({})))
            .await;
        let question = client.next().await;
        assert_eq!(question["method"], "elicitation/create");
        assert!(
            question["params"]["message"]
                .as_str()
                .unwrap()
                .contains("devk down --delete")
        );
        client
            .send(json!({"jsonrpc": "2.0", "id": question["id"], "result": answer}))
            .await;
        let result = client.next().await["result"].clone();
        assert_eq!(result["isError"], is_error, "{result}");
    }
    assert_eq!(removed(&client).lines().count(), 1);
}

#[tokio::test]
async fn a_client_of_the_later_era_brings_the_persons_answer_with_the_same_call() {
    let mut client = Client::of(REMOVES, &[], |_| {}).await;
    let meta = later(json!({"elicitation": {"form": {}}}));
    let asks = |answers: Option<(Value, &Value)>| {
        let mut request = call(4, "down", json!({"delete": true}), meta.clone());
        if let Some((answer, state)) = answers {
            request["params"]["inputResponses"] = json!({"confirm": answer});
            request["params"]["requestState"] = state.clone();
        }
        request
    };
    let yes = json!({"action": "accept", "content": {"delete": true}});
    client.send(asks(None)).await;
    let required = client.next().await["result"].clone();
    assert_eq!(required["resultType"], "input_required");
    assert_eq!(
        required["inputRequests"]["confirm"]["method"],
        "elicitation/create"
    );
    // A state that nobody gave is asked about again, and nothing is done.
    client
        .send(asks(Some((yes.clone(), &json!("made up")))))
        .await;
    assert_eq!(
        client.next().await["result"]["resultType"],
        "input_required"
    );
    assert_eq!(removed(&client), "");
    let state = required["requestState"].clone();
    client.send(asks(Some((yes.clone(), &state)))).await;
    let done = client.next().await["result"].clone();
    assert_eq!(
        (&done["resultType"], &done["isError"]),
        (&json!("complete"), &json!(false))
    );
    client.send(asks(Some((yes, &state)))).await;
    assert_eq!(
        client.next().await["result"]["resultType"],
        "input_required"
    );
    assert_eq!(removed(&client).lines().count(), 1);
}

#[tokio::test]
async fn what_comes_before_the_first_request_ends_no_server() {
    let mut client = Client::of("exit 1", &[], |_| {}).await;
    for message in [
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 5, "result": {}}),
        json!({"jsonrpc": "2.0", "id": 6, "method": "tools/list"}),
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 6}}),
        json!({"jsonrpc": "2.0", "id": 7, "method": "server/discover", "params": {"_meta": later(json!({}))}}),
        json!({"jsonrpc": "2.0", "method": "notifications/unheard-of"}),
    ] {
        client.send(message).await;
    }
    assert_eq!(client.next().await["error"]["code"], -32602);
    let versions = client.next().await["result"]["supportedVersions"].clone();
    assert!(versions.as_array().unwrap().contains(&json!("2026-07-28")));
    client.initialize(json!({})).await;
    let unknown = call(2, "statsu", json!({}), json!({}));
    client.send(unknown).await;
    assert_eq!(
        client.next().await["error"]["message"],
        "there is no tool `statsu`; did you mean `status`?"
    );
}

#[tokio::test]
async fn many_calls_at_once_get_an_answer_each() {
    let mut client = Client::of(
        "sleep 0.05; echo '{\"version\":1,\"ok\":true}'",
        &[],
        |_| {},
    )
    .await;
    client.initialize(json!({})).await;
    for id in 1..=40 {
        client.send(call(id, "status", json!({}), json!({}))).await;
    }
    let mut answered = std::collections::BTreeSet::new();
    for _ in 1..=40 {
        let message = client.next().await;
        assert_eq!(message["result"]["isError"], false);
        answered.insert(message["id"].as_u64().unwrap());
    }
    assert_eq!(answered.len(), 40);
}
