//! Stand-ins at the wire: a program on PATH that notes its calls and answers as recorded, a Docker Engine that lists
//! containers, and an API server that tells who it is.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bollard::{API_DEFAULT_VERSION, Docker};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use kube::client::Body;
use tokio_tungstenite::tungstenite::http::{Request, Response};

use crate::docker::Engine;
use crate::environment::Environment;
use crate::owner::Owner;
use crate::ui::event::{Reporter, Status, Step};

/// The ID of the stand-in for the Engine.
pub(crate) const ENGINE: &str = "e1";

/// A program on a PATH of its own.
pub(crate) struct Program {
    dir: tempfile::TempDir,
    variables: BTreeMap<String, String>,
}

impl Program {
    /// `script` is that of a shell; what it is called with, and `variables` of its environment, are noted.
    pub(crate) fn new(name: &str, variables: &[&str], script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        let shown: String = variables
            .iter()
            .map(|name| format!(" {name}=${{{name}-}}"))
            .collect();
        let calls = dir.path().join("calls");
        let text = format!(
            "#!/bin/sh\necho \"$*{shown}\" >>'{}'\n{script}\n",
            calls.display()
        );
        std::fs::write(bin.join(name), text).unwrap();
        std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = bin.display().to_string();
        let variables = [
            ("PATH".to_owned(), path),
            ("KUBECONFIG".to_owned(), "/home/ann/config".to_owned()),
        ]
        .into();
        Self { dir, variables }
    }

    /// A variable of the user's.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// A folder for the state of a cluster, with a name that has to be quoted in a shell.
    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("it's a state")
    }

    /// The calls so far, private paths shortened.
    pub(crate) fn calls(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.dir.path().join("calls")).unwrap_or_default();
        text.lines()
            .map(|line| line.replace(&self.state().display().to_string(), "STATE"))
            .collect()
    }

    /// That in which the program is found: its PATH holds nothing else that makes clusters.
    pub(crate) fn environment(&self) -> Environment {
        self.variables.clone().into_iter().collect()
    }

    /// An Engine that lists these containers, for whoever runs in this program's environment.
    pub(crate) async fn engine(&self, containers: Vec<Value>) -> Engine {
        self.engine_with(move || containers.clone()).await
    }

    /// The same with the containers of the moment.
    pub(crate) async fn engine_with(
        &self,
        containers: impl Fn() -> Vec<Value> + Send + 'static,
    ) -> Engine {
        let told = json!({"ID": ENGINE, "SystemTime": "2026-01-31T09:30:00Z"});
        let answer = move |request: &str, _: &str| match request {
            "GET /info" => told.clone(),
            _ => Value::Array(containers()),
        };
        self.engine_that(answer).await
    }

    /// One that answers each request (`GET /info`) and its query by this.
    pub(crate) async fn engine_that(
        &self,
        answer: impl Fn(&str, &str) -> Value + Send + 'static,
    ) -> Engine {
        let host = serve(answer).await.replace("http://", "tcp://");
        let docker = Docker::connect_with_http(&host, 10, API_DEFAULT_VERSION).unwrap();
        Engine::at(docker, &host, self.environment())
    }
}

/// An API server whose kube-system has the UID of the moment, and one node that is no container; its URL.
pub(crate) async fn api(uid: impl Fn() -> String + Send + 'static) -> String {
    let answer = move |request: &str, _: &str| match request {
        "GET /version" => {
            let parts = [
                "gitCommit",
                "gitTreeState",
                "buildDate",
                "goVersion",
                "compiler",
                "platform",
            ];
            let mut version = json!({"major": "1", "minor": "36", "gitVersion": "v1.36.0"});
            parts.iter().for_each(|part| version[part] = json!(""));
            version
        }
        "GET /api/v1/nodes" => json!({"kind": "NodeList", "apiVersion": "v1", "metadata": {},
            "items": [{"metadata": {"name": "elsewhere"}}]}),
        _ => json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": {"name": "kube-system", "uid": uid()}}),
    };
    serve(answer).await
}

/// Answers every request by its method and path, Docker's version of its API left out, and its query.
async fn serve(answer: impl Fn(&str, &str) -> Value + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 65536];
            let read = stream.read(&mut request).await.unwrap_or_default();
            let head = String::from_utf8_lossy(&request[..read]).into_owned();
            let mut words = head.split(' ');
            let method = words.next().unwrap_or_default();
            let target = words.next().unwrap_or_default();
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let path = path
                .strip_prefix("/v1.")
                .map_or(path, |rest| rest.trim_start_matches(|c: char| c != '/'));
            let body = answer(&format!("{method} {path}"), query).to_string();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: ";
            let _ = stream
                .write_all(format!("{head}{}\r\n\r\n{body}", body.len()).as_bytes())
                .await;
        }
    });
    url
}

/// Method and body of every request, in their order.
pub(crate) type Requests = Arc<Mutex<Vec<(String, Value)>>>;

/// The owner of a project in this folder of this machine.
pub(crate) fn owner(root: &Path, machine: &str) -> Owner {
    Owner {
        root: root.to_owned(),
        user: Some(1000),
        machine: Some(machine.to_owned()),
    }
}

/// A Kubernetes client to which everything is answered by this.
pub(crate) fn client(answer: Value) -> (kube::Client, Requests) {
    client_that(move |_| (200, answer.clone()))
}

/// One that answers each request (`GET /api/v1/nodes`) by this, with a status.
pub(crate) fn client_that(
    answer: impl Fn(&str) -> (u16, Value) + Send + 'static,
) -> (kube::Client, Requests) {
    let requests = Requests::default();
    let seen = requests.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let seen = seen.clone();
        let asked = format!("{} {}", request.method(), request.uri().path());
        let (status, answer) = answer(&asked);
        async move {
            let method = request.method().to_string();
            let body = request.into_body().collect_bytes().await.unwrap();
            seen.lock()
                .unwrap()
                .push((method, serde_json::from_slice(&body).unwrap_or_default()));
            Ok::<_, std::convert::Infallible>(
                Response::builder()
                    .status(status)
                    .body(Body::from(answer.to_string().into_bytes()))
                    .unwrap(),
            )
        }
    });
    (kube::Client::new(service, "default"), requests)
}

/// One of them.
pub(crate) fn request(requests: &Requests, at: usize) -> (String, Value) {
    requests.lock().unwrap()[at].clone()
}

/// A container as the Engine lists it.
pub(crate) fn container(name: &str, running: bool, address: &str, labels: &Value) -> Value {
    let state = if running { "running" } else { "exited" };
    json!({"Id": format!("id-of-{name}"), "Names": [format!("/{name}")], "State": state, "Labels": labels,
        "NetworkSettings": {"Networks": {"n": {"IPAddress": address}}}})
}

/// A step that nobody listens to.
pub(crate) fn step() -> Step {
    Reporter::default().start("cluster.create", "")
}

/// Runs `work` with a step, and gives back what the step told.
pub(crate) async fn told<T>(work: impl AsyncFnOnce(&Step) -> T) -> (T, Vec<String>) {
    let reporter = Reporter::default();
    let mut events = reporter.subscribe();
    let step = reporter.start("cluster.create", "");
    let done = work(&step).await;
    step.done("");
    let mut told = vec![];
    while let Ok(event) = events.try_recv() {
        if event.status == Status::Progress {
            told.push(event.detail);
        }
    }
    (done, told)
}
