//! A server in a model's place that answers what a test tells it to, with the faults that real ones have on bad days.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// One answer.
#[derive(Debug, Clone)]
pub(crate) enum Scripted {
    /// Status, type, further headers (each ended by a line end), body.
    Answer(u16, &'static str, &'static str, String),
    /// The connection ends before the body that was announced.
    Cut(&'static str, String),
    /// The body begins, and nothing follows.
    Stuck(&'static str, String),
    /// The request is read, and nothing follows.
    Silent,
    /// The same piece of a body for ever.
    Endless(&'static str, String),
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct SeenRequest {
    pub(crate) path: String,
    /// All headers, in small letters.
    pub(crate) headers: String,
    pub(crate) body: Value,
}

/// The server; it ends with this.
#[derive(Debug)]
pub(crate) struct ScriptedModel {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<SeenRequest>>>,
    is_over: Arc<AtomicBool>,
}

impl ScriptedModel {
    /// Starts a server on a port of loopback. Each request gets the next answer, and those after the last one the last.
    pub(crate) fn start(script: Vec<Scripted>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let model = Self {
            url,
            seen: Arc::default(),
            is_over: Arc::default(),
        };
        let (seen, is_over) = (Arc::clone(&model.seen), Arc::clone(&model.is_over));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let (script, seen, is_over) =
                    (script.clone(), Arc::clone(&seen), Arc::clone(&is_over));
                std::thread::spawn(move || {
                    let Some(request) = read(&stream) else { return };
                    let at = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(request);
                        seen.len() - 1
                    };
                    let answer = script.get(at).or(script.last());
                    // A client that has gone reads no answer.
                    let _ = answer.map(|answer| answer.write(&stream, &is_over));
                });
            }
        });
        model
    }

    pub(crate) fn seen(&self) -> Vec<SeenRequest> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for ScriptedModel {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

fn read(stream: &TcpStream) -> Option<SeenRequest> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = String::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        headers += &header.to_lowercase();
    }
    let length = headers
        .lines()
        .find_map(|header| header.strip_prefix("content-length:"))
        .map_or(0, |length| length.trim().parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(SeenRequest {
        path,
        headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    })
}

impl Scripted {
    fn write(&self, mut to: &TcpStream, is_over: &AtomicBool) -> std::io::Result<()> {
        let mut begin = |status: u16, kind: &str, more: &str| {
            let head = "connection: close\r\n";
            write!(
                to,
                "HTTP/1.1 {status} Scripted\r\ncontent-type: {kind}\r\n{head}{more}\r\n"
            )
        };
        match self {
            Self::Answer(status, kind, more, body) => {
                begin(
                    *status,
                    kind,
                    &format!("content-length: {}\r\n{more}", body.len()),
                )?;
                to.write_all(body.as_bytes())
            }
            Self::Cut(kind, body) => {
                begin(
                    200,
                    kind,
                    &format!("content-length: {}\r\n", body.len() + 100),
                )?;
                to.write_all(body.as_bytes())
            }
            Self::Stuck(kind, body) => {
                begin(200, kind, "")?;
                to.write_all(body.as_bytes())?;
                wait(is_over);
                Ok(())
            }
            Self::Silent => {
                wait(is_over);
                Ok(())
            }
            Self::Endless(kind, piece) => {
                begin(200, kind, "")?;
                while !is_over.load(Ordering::Relaxed) {
                    to.write_all(piece.as_bytes())?;
                }
                Ok(())
            }
        }
    }
}

fn wait(is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(20));
    }
}
