//! The profile `todo-chatbot`: two users, a chat that works on tasks, saves that are live, a bad upgrade and the way
//! back, data that stays.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::machine::{CLUSTER, cluster, machine, run};
use crate::support::project::Project;
use crate::support::wire::{Answer, get, post, with_token};
use crate::support::{eventually, tell};

const NAME: &str = "todo";
const SOON: Duration = Duration::from_secs(60);

/// A user of the backend on this port.
struct User {
    port: u16,
    token: String,
}

impl User {
    fn new(port: u16, name: &str) -> Self {
        let account = json!({"name": name, "password": "correct horse"});
        let made = post(port, "/accounts", &account).unwrap().json();
        let token = made["token"].as_str().unwrap().to_owned();
        Self { port, token }
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        with_token(self.port, method, path, &self.token, body)
            .unwrap_or_else(|e| panic!("{method} {path}: {e}"))
    }

    /// The reply, and the tools that were called for it.
    fn say(&self, text: &str) -> (String, Value) {
        let message = json!({ "text": text });
        let mut reply = Value::Null;
        // The backend asks the tools' server by its Service, which kube-proxy follows some seconds after the pod is Ready.
        eventually("the backend does not reach its tools", SOON, || {
            let answer = self.ask("POST", "/messages", Some(&message));
            let is_reached = answer.status != 500;
            if is_reached {
                reply = answer.json();
            }
            is_reached
        });
        (
            reply["text"].as_str().unwrap().to_owned(),
            reply["tools"].clone(),
        )
    }

    /// Titles, and whether they are done.
    fn tasks(&self) -> Vec<(String, bool)> {
        let tasks = self.ask("GET", "/tasks", None).json();
        let tasks = tasks.as_array().unwrap().iter();
        let task = |task: &Value| {
            (
                task["title"].as_str().unwrap().to_owned(),
                task["done"] == true,
            )
        };
        tasks.map(task).collect()
    }
}

#[test]
fn todo_chatbot_keeps_users_apart_takes_saves_live_and_survives_a_bad_upgrade_and_down() {
    cluster();
    let todo = Project::new("profiles/todo-chatbot", NAME, CLUSTER);
    let up = todo.devk(&["up", "-d"]).well();
    tell("devk up -d of todo-chatbot on a running cluster", up.took);
    let (backend, page, tools) = (todo.port("backend"), todo.port("page"), todo.port("tools"));

    let ann = User::new(backend, "ann");
    a_chat_adds_and_completes_a_task(&ann);
    nobody_sees_anothers_tasks(&ann, &User::new(backend, "bob"), tools);
    the_page_calls_this_backend(page, backend);
    saves_are_live(&todo, backend, page);
    a_bad_upgrade_takes_nothing_away(&todo, &ann);

    todo.devk(&["down"]).well();
    let again = todo.devk(&["up", "-d"]).well();
    tell("devk up -d of todo-chatbot after devk down", again.took);
    assert_eq!(ann.tasks(), [("buy milk".to_owned(), true)]);
    let (reply, _) = ann.say("list");
    assert!(reply.starts_with("☑"), "{reply}");
}

fn a_chat_adds_and_completes_a_task(ann: &User) {
    let (reply, tools) = ann.say("add buy milk");
    assert!(
        reply.contains("buy milk") && reply.contains("rule-based stand-in"),
        "{reply}"
    );
    assert_eq!(tools, json!(["add_task"]));
    assert_eq!(ann.tasks(), [("buy milk".to_owned(), false)]);
    let (reply, tools) = ann.say("done milk");
    assert!(reply.starts_with("Done"), "{reply}");
    assert_eq!(tools, json!(["list_tasks", "complete_task"]));
    assert_eq!(ann.tasks(), [("buy milk".to_owned(), true)]);
}

/// By none of the ways: the API, the chat, a key in the body, the MCP server itself.
fn nobody_sees_anothers_tasks(ann: &User, bob: &User, tools: u16) {
    let id = ann.ask("GET", "/tasks", None).json()[0]["id"]
        .as_u64()
        .unwrap();
    assert_eq!(bob.tasks(), []);
    for (method, path) in [
        ("GET", format!("/tasks/{id}")),
        ("POST", format!("/tasks/{id}/done")),
        ("DELETE", format!("/tasks/{id}")),
    ] {
        assert_eq!(bob.ask(method, &path, None).status, 404, "{method} {path}");
    }
    let (reply, called) = bob.say(&format!("delete {id}"));
    assert_eq!(called, json!(["list_tasks"]), "{reply}");
    let forged = json!({"title": "for ann", "user_id": "00000000-0000-0000-0000-000000000000"});
    assert_eq!(bob.ask("POST", "/tasks", Some(&forged)).status, 422);

    assert_eq!(
        call(tools, &bob.token, "complete_task", &json!({"task_id": id}))["isError"],
        true
    );
    let listed = call(tools, &bob.token, "list_tasks", &json!({}));
    assert_eq!(listed["structuredContent"], json!({"result": []}));
    let stranger = User {
        port: ann.port,
        token: format!("{}x", ann.token),
    };
    assert_eq!(stranger.ask("GET", "/tasks", None).status, 401);
    let refused = with_token(tools, "POST", "/mcp", &stranger.token, Some(&json!({}))).unwrap();
    assert_eq!(refused.status, 401);
    assert_eq!(ann.tasks(), [("buy milk".to_owned(), true)]);
}

/// One tool call of the Model Context Protocol, without the backend (revision 2025-06-18, "Tools").
fn call(port: u16, token: &str, tool: &str, arguments: &Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments});
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let answer = with_token(port, "POST", "/mcp", token, Some(&request))
        .unwrap()
        .json();
    answer["result"].clone()
}

fn the_page_calls_this_backend(page: u16, backend: u16) {
    let config = get(page, "/config.json").unwrap().json();
    assert_eq!(
        config,
        json!({"backendUrl": format!("http://127.0.0.1:{backend}")})
    );
    assert!(get(page, "/").unwrap().well().contains("<h1>Tasks"));
}

fn saves_are_live(todo: &Project, backend: u16, page: u16) {
    todo.edit(
        "backend/app/main.py",
        "VERSION = \"1.0.0\"",
        "VERSION = \"1.0.1\"",
    );
    todo.edit("page/public/index.html", "<h1>Tasks", "<h1>My tasks");
    let settled = todo.devk(&["settle", "backend", "page"]).well();
    tell("devk settle after a save of backend and page", settled.took);
    assert_eq!(get(backend, "/").unwrap().json()["version"], "1.0.1");
    assert!(get(page, "/").unwrap().well().contains("<h1>My tasks"));
}

fn helm(todo: &Project, args: &[&str]) -> String {
    run(Command::new("helm")
        .arg("--kubeconfig")
        .arg(machine().kubeconfig(CLUSTER))
        .args(["--namespace", &todo.name])
        .args(args)
        .env("HOME", machine().home()))
}

/// Somebody upgrades by hand to settings with which no new pod starts, and goes back.
fn a_bad_upgrade_takes_nothing_away(todo: &Project, ann: &User) {
    let chart = todo.path("chart");
    let release = "todo-chatbot";
    let bad = [
        "upgrade",
        release,
        chart.to_str().unwrap(),
        "--reuse-values",
    ];
    helm(
        todo,
        &[&bad[..], &["--set", "backend.logLevel=loud"]].concat(),
    );
    let ended = "jsonpath={.items[*].status.containerStatuses[*].lastState.terminated.exitCode}";
    let selector = "app.kubernetes.io/component=backend";
    let pods = ["-n", NAME, "get", "pods", "-l", selector, "-o", ended];
    eventually("no new pod crashes", SOON, || {
        machine()
            .kubectl(CLUSTER, &pods)
            .split(' ')
            .any(|code| code == "2")
    });
    assert_eq!(ann.tasks().len(), 1, "the old pod serves");
    let (reply, _) = ann.say("list");
    assert!(reply.contains("buy milk"), "the chat goes on: {reply}");

    helm(
        todo,
        &["rollback", release, "1", "--wait", "--timeout", "60s"],
    );
    let history = helm(todo, &["history", release]);
    assert!(history.contains("Rollback to 1"), "{history}");
    let ready = [
        "-n",
        NAME,
        "get",
        "deployments",
        "-o",
        "jsonpath={.items[*].status.unavailableReplicas}",
    ];
    assert_eq!(
        machine().kubectl(CLUSTER, &ready),
        "",
        "all that is asked for is there"
    );
    assert_eq!(ann.tasks(), [("buy milk".to_owned(), true)]);
}
