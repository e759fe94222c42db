//! What client and server say, line by line: `> ` the client, `< ` the server. `UPDATE=1 cargo test --test mcp` records
//! the server's lines anew. The folder of the test stands there as FOLDER.

use std::path::Path;

use serde_json::Value;

use super::Server;

/// Answers that come side by side come in any order: a dialogue has one question at a time.
fn play(name: &str) {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/mcp/dialogues/{name}.txt"));
    let recorded = std::fs::read_to_string(&file).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().canonicalize().unwrap();
    let mut server = Server::start(&folder);
    let mut played = String::new();
    for line in recorded.lines().filter(|line| line.starts_with("> ")) {
        let message = &line[2..];
        played += &format!("{line}\n");
        server.send(&format!("{message}\r"));
        let message: Value = serde_json::from_str(message).unwrap();
        if message.get("id").is_some() {
            let answer = server.next().to_string();
            played += &format!(
                "< {}\n",
                answer.replace(&folder.display().to_string(), "FOLDER")
            );
        }
    }
    let output = server.end();
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(0), &b""[..])
    );
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &played).unwrap();
    }
    let recorded = std::fs::read_to_string(&file).unwrap();
    for (played, recorded) in played.lines().zip(recorded.lines()) {
        assert_eq!(played, recorded, "{name}");
    }
    assert_eq!(played, recorded, "{name}");
}

#[test]
fn a_client_of_2024_gets_its_own_version() {
    play("2024-11-05");
}

#[test]
fn a_client_of_2025_lists_the_tools_and_calls_them() {
    play("2025-11-25");
}

#[test]
fn a_client_of_2026_discovers_the_server_and_needs_no_handshake() {
    play("2026-07-28");
}
