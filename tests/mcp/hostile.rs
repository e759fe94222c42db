//! Messages that no client should send: random ones, and good ones with something changed. The server must not end, and
//! every line that it prints is a message of the protocol.

use std::io::{BufRead, Read, Write};

use serde_json::{Value, json};

use super::{Server, call};

const CORPUS: [&str; 12] = [
    r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
    r#"{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{}}"#,
    r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"status","arguments":{"cursor":"a.1"}}}"#,
    r#"{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"logs","arguments":{"tail":-1,"service":["x"]}}}"#,
    r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"run","arguments":{"service":"--x","command":"y"}}}"#,
    r#"{"jsonrpc":"2.0","id":6,"method":"tools/call","params":{"name":"nothing","arguments":{}}}"#,
    r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3,"reason":"x"}}"#,
    r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"x","progress":1}}"#,
    r#"{"jsonrpc":"2.0","id":7,"result":{"action":"accept","content":{"delete":true}}}"#,
    r#"{"jsonrpc":"2.0","id":8,"error":{"code":-32000,"message":"x"}}"#,
    r#"{"jsonrpc":"2.0","id":9,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#,
    r#"{"jsonrpc":"2.0","id":10,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#,
];
/// What stands in the place of something good.
const PIECES: [&str; 14] = [
    "null",
    "[]",
    "{}",
    "-1",
    "1e999",
    "\"\\ud800\"",
    "\u{0}",
    "\u{feff}",
    "\r",
    "[[[[",
    "}}",
    "\"x\":",
    "18446744073709551616",
    "true",
];

/// A seed makes the same messages again (xorshift64, Marsaglia 2003).
struct Messages(u64);

impl Messages {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }

    fn next(&mut self) -> Vec<u8> {
        let mut message = CORPUS[self.below(CORPUS.len())].as_bytes().to_vec();
        match self.below(8) {
            // As it is.
            0 => {}
            1 => message.truncate(self.below(message.len())),
            2 => {
                message = (0..self.below(200))
                    .map(|_| u8::try_from(self.below(256)).unwrap())
                    .collect();
            }
            3 => {
                let other = CORPUS[self.below(CORPUS.len())].as_bytes();
                let (at, from) = (self.below(message.len()), self.below(other.len()));
                message.splice(at.., other[from..].iter().copied());
            }
            _ => {
                for _ in 0..=self.below(3) {
                    let at = self.below(message.len());
                    let piece = PIECES[self.below(PIECES.len())].as_bytes();
                    let end = (at + self.below(9)).min(message.len());
                    message.splice(at..end, piece.iter().copied());
                }
            }
        }
        message.retain(|byte| *byte != b'\n');
        message.push(b'\n');
        message
    }
}

fn is_message(line: &str) -> bool {
    let message: Result<Value, _> = serde_json::from_str(line);
    message.is_ok_and(|message| message["jsonrpc"] == "2.0")
}

/// Sends so many messages to a server that `open` has opened, and asks it at the end whether it is there.
fn bombard(seed: u64, count: usize, open: &str) {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path());
    if !open.is_empty() {
        server.send(open);
    }
    let mut stdin = server.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        let mut messages = Messages(seed);
        for _ in 0..count {
            stdin.write_all(&messages.next()).unwrap();
        }
        // Whatever the messages before have opened, one of the two eras gets its answer.
        let last = [
            r#"{"jsonrpc":"2.0","id":"last","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#,
            r#"{"jsonrpc":"2.0","id":"last","method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#,
        ];
        stdin
            .write_all(format!("\n{}\n{}\n", last[0], last[1]).as_bytes())
            .unwrap();
    });
    let mut answered = false;
    let mut line = String::new();
    while server.stdout.read_line(&mut line).unwrap() > 0 {
        assert!(is_message(&line), "{line:?}");
        answered |= line.contains(r#""id":"last""#);
        line.clear();
    }
    writer.join().unwrap();
    let mut said = String::new();
    server
        .child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!((said.as_str(), answered), ("", true));
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

fn openings() -> [String; 3] {
    [
        String::new(),
        CORPUS[10].to_owned(),
        CORPUS[11].replace("server/discover", "tools/list"),
    ]
}

#[test]
fn no_message_ends_the_server_and_stdout_belongs_to_the_protocol() {
    for (seed, open) in (1..).zip(openings()) {
        bombard(seed, 1500, &open);
    }
}

#[test]
#[ignore = "takes some seconds: cargo test --test mcp -- --ignored"]
fn of_a_hundred_thousand_messages_none_ends_the_server() {
    for (seed, open) in (101..).zip(openings()) {
        bombard(seed, 33_400, &open);
    }
}

#[test]
fn a_message_larger_than_any_client_sends_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path());
    server.initialize();
    let text = "x".repeat(3 << 20);
    server.send(&call(1, "status", &json!({"cursor": text})));
    server.send(r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#);
    assert_eq!(server.next()["id"], 2);
    assert_eq!(server.end().status.code(), Some(0));
}
