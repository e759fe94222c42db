//! An Engine for tests, at the wire, whose containers run no programs: commands are noted and answered as recorded.

use std::sync::{Arc, Mutex};

use bollard::{API_DEFAULT_VERSION, Docker};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a command prints, and its exit code.
type Answer = Arc<dyn Fn(&str) -> (String, i64) + Send + Sync>;

/// Running containers of any name.
#[derive(Clone)]
pub(crate) struct Containers {
    pub(crate) docker: Docker,
    ran: Arc<Mutex<Vec<String>>>,
    answer: Answer,
}

impl Containers {
    pub(crate) async fn start(
        answer: impl Fn(&str) -> (String, i64) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = format!("tcp://{}", listener.local_addr().unwrap());
        let docker = Docker::connect_with_http(&host, 10, API_DEFAULT_VERSION).unwrap();
        let containers = Self {
            docker,
            ran: Arc::default(),
            answer: Arc::new(answer),
        };
        let serving = containers.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(socket));
            }
        });
        containers
    }

    /// The commands so far.
    pub(crate) fn ran(&self) -> Vec<String> {
        self.ran.lock().unwrap().clone()
    }

    /// `POST /containers/NAME/exec`, `POST /exec/ID/start`, `GET /exec/ID/json`; the id is the command's number.
    async fn serve(self, mut socket: TcpStream) {
        let Some((path, body)) = request(&mut socket).await else {
            return;
        };
        let parts: Vec<_> = path.split('/').collect();
        let done = |id: &str| (self.answer)(&self.ran()[id.parse::<usize>().unwrap()]);
        match parts[..] {
            [.., "containers", _, "exec"] => {
                let words = body["Cmd"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|word| word.as_str().unwrap());
                let command = words.collect::<Vec<_>>().join(" ");
                let id = {
                    let mut ran = self.ran.lock().unwrap();
                    ran.push(command);
                    ran.len() - 1
                };
                reply(&mut socket, "201 Created", &json!({"Id": id.to_string()})).await;
            }
            [.., "exec", id, "start"] => print(&mut socket, &done(id).0).await,
            [.., "exec", id, "json"] => {
                reply(
                    &mut socket,
                    "200 OK",
                    &json!({"ExitCode": done(id).1, "Running": false}),
                )
                .await
            }
            _ => reply(&mut socket, "404 Not Found", &json!({"message": path})).await,
        }
    }
}

/// The path and the body of a request.
async fn request(socket: &mut TcpStream) -> Option<(String, Value)> {
    let mut bytes = vec![];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|l| {
                l.to_lowercase()
                    .strip_prefix("content-length: ")?
                    .parse()
                    .ok()
            });
            if body.len() >= length.unwrap_or(0) {
                let path = head.split(' ').nth(1)?.split('?').next()?.to_owned();
                return Some((path, serde_json::from_str(body).unwrap_or_default()));
            }
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

async fn reply(socket: &mut TcpStream, status: &str, body: &Value) {
    let body = body.to_string();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n");
    let _ = socket
        .write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes())
        .await;
}

/// As the Engine multiplexes standard output.
async fn print(socket: &mut TcpStream, text: &str) {
    let head = b"HTTP/1.1 101 UPGRADED\r\nconnection: Upgrade\r\nupgrade: tcp\r\n\r\n";
    let length = u32::try_from(text.len()).unwrap().to_be_bytes();
    let _ = socket
        .write_all(&[&head[..], &[1, 0, 0, 0], &length, text.as_bytes()].concat())
        .await;
}
