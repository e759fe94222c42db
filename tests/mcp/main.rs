//! `devk mcp` as a client starts it: recorded dialogues of both eras of the protocol, hostile input, a client that goes,
//! the time to start; `-- --ignored` sends the hundred thousand messages of `hostile.rs`, too. No Docker is needed: the folder has no devk.yaml, and the Engine's socket is nowhere.

#![allow(clippy::unwrap_used, clippy::panic)]

mod configuration;
mod dialogues;
mod hostile;
mod leaving;
mod person;
#[path = "../e2e/support/terminal.rs"]
mod terminal;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// devk in a folder, with nothing of this machine but PATH.
fn devk(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_devk"));
    command
        .current_dir(dir)
        .env_clear()
        .env("HOME", dir)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    command
}

/// A running server.
struct Server {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Server {
    fn start(dir: &Path) -> Self {
        Self::of(devk(dir))
    }

    fn of(mut command: Command) -> Self {
        command
            .arg("mcp")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            stdin,
            stdout,
        }
    }

    fn send(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"))
    }

    fn initialize(&mut self) {
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        self.send(
            &json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
                .to_string(),
        );
        assert_eq!(self.next()["id"], 0);
    }

    /// Closes stdin and waits for the end.
    fn end(mut self) -> std::process::Output {
        self.stdin = None;
        self.child.wait_with_output().unwrap()
    }
}

fn call(id: u64, tool: &str, arguments: &Value) -> String {
    let params = json!({"name": tool, "arguments": arguments});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string()
}
