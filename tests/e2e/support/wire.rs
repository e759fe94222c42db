//! The smallest clients that tell one server from another: HTTP and Redis over a bare connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(20);

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    /// The body of a 200 or 201.
    pub(crate) fn well(self) -> String {
        assert!(matches!(self.status, 200 | 201), "{self:?}");
        self.body
    }

    pub(crate) fn json(self) -> Value {
        serde_json::from_str(&self.well()).unwrap()
    }
}

pub(crate) fn get(port: u16, path: &str) -> std::io::Result<Answer> {
    exchange(
        port,
        &format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n"),
    )
}

pub(crate) fn post(port: u16, path: &str, json: &Value) -> std::io::Result<Answer> {
    let body = json.to_string();
    let head = "Host: localhost\r\nContent-Type: application/json";
    exchange(
        port,
        &format!(
            "POST {path} HTTP/1.0\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    )
}

/// A request with a bearer token, and a JSON body if there is one.
pub(crate) fn with_token(
    port: u16,
    method: &str,
    path: &str,
    token: &str,
    json: Option<&Value>,
) -> std::io::Result<Answer> {
    let body = json.map(Value::to_string).unwrap_or_default();
    let head = "Host: localhost\r\nAccept: application/json, text/event-stream\r\nContent-Type: application/json";
    exchange(
        port,
        &format!(
            "{method} {path} HTTP/1.0\r\n{head}\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    )
}

/// HTTP/1.0: the end of the connection is the end of the answer.
fn exchange(port: u16, request: &str) -> std::io::Result<Answer> {
    let mut stream = connect(port)?;
    stream.write_all(request.as_bytes())?;
    let mut bytes = vec![];
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let none = || {
        std::io::Error::new(
            std::io::ErrorKind::UnexpectedEof,
            format!("no HTTP answer: {text:?}"),
        )
    };
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(none)?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .ok_or_else(none)?;
    Ok(Answer {
        status,
        body: body.to_owned(),
    })
}

/// One Redis command; None is Redis's nil (RESP, redis.io/docs/reference/protocol-spec).
pub(crate) fn redis(port: u16, words: &[&str]) -> Option<String> {
    let mut stream = connect(port).unwrap_or_else(|e| panic!("redis on {port}: {e}"));
    let words_sent: String = words
        .iter()
        .map(|word| format!("${}\r\n{word}\r\n", word.len()))
        .collect();
    stream
        .write_all(format!("*{}\r\n{words_sent}", words.len()).as_bytes())
        .unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    };
    let first = line();
    match first.split_at_checked(1) {
        Some(("$", "-1")) => None,
        Some(("$", _)) => Some(line()),
        Some(("+" | ":", text)) => Some(text.to_owned()),
        _ => panic!("redis on {port} answered {first:?}"),
    }
}

fn connect(port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}
