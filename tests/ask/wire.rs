//! The API server and the kubelets of the snapshot, at the wire: they list what they are asked for, and nothing else.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use devk::ask::{AskedProject, Asker, ClusterSnapshot};
use hyper::{Request, Response, StatusCode};
use kube::client::Body;
use serde_json::{Value, json};

/// Lists by their plural and namespace, written out.
struct Lists {
    all: BTreeMap<(String, Option<String>), Vec<u8>>,
    logs: BTreeMap<(String, String, bool), String>,
    summary: Vec<u8>,
    version: String,
    forbidden: Option<&'static str>,
}

/// devk's side of it.
pub(crate) fn asker(snapshot: &ClusterSnapshot, forbidden: Option<&'static str>) -> Asker {
    let lists = Arc::new(Lists::of(snapshot, forbidden));
    let service = tower::service_fn(move |request: Request<Body>| {
        let response = lists.answer(&request);
        async move { Ok::<_, Infallible>(response) }
    });
    Asker {
        client: kube::Client::new(service, "default"),
        project: AskedProject::clone(&snapshot.project),
        cluster: snapshot.cluster.clone(),
    }
}

impl Lists {
    fn of(snapshot: &ClusterSnapshot, forbidden: Option<&'static str>) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ask/cluster");
        let mut all: BTreeMap<(String, Option<String>), Vec<Value>> = BTreeMap::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().path();
            let plural = file.file_stem().unwrap().to_str().unwrap().to_owned();
            if ["about", "logs", "usage"].contains(&plural.as_str()) {
                continue;
            }
            let objects: Vec<Value> =
                serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            for object in objects {
                if let Some(namespace) = object["metadata"]["namespace"].as_str() {
                    let here = (plural.clone(), Some(namespace.to_owned()));
                    all.entry(here).or_default().push(object.clone());
                }
                all.entry((plural.clone(), None)).or_default().push(object);
            }
        }
        let written = |items: Vec<Value>| {
            let list = json!({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": items});
            list.to_string().into_bytes()
        };
        let log = |of: &devk::ask::LogOf| (of.pod.clone(), of.container.clone(), of.previous);
        let pods: Vec<_> = snapshot.usage.iter().flatten().collect();
        let pods = pods.into_iter().map(|((namespace, pod), used)| {
            json!({"podRef": {"namespace": namespace, "name": pod},
                "memory": {"workingSetBytes": used.memory_bytes},
                "cpu": {"usageNanoCores": used.cpu_nanos}})
        });
        let summary = json!({"pods": pods.collect::<Vec<_>>()});
        Self {
            all: all
                .into_iter()
                .map(|(of, items)| (of, written(items)))
                .collect(),
            logs: snapshot
                .logs
                .iter()
                .map(|(of, text)| (log(of), text.clone()))
                .collect(),
            summary: summary.to_string().into_bytes(),
            version: snapshot.version.clone(),
            forbidden,
        }
    }

    fn answer(&self, request: &Request<Body>) -> Response<Body> {
        assert_eq!(request.method(), "GET", "a question writes");
        let parts: Vec<_> = request.uri().path().split('/').skip(1).collect();
        match &parts[..] {
            ["version"] => {
                let mut version = json!({"major": "1", "minor": "36", "gitVersion": self.version});
                let others = [
                    "gitCommit",
                    "gitTreeState",
                    "buildDate",
                    "goVersion",
                    "compiler",
                    "platform",
                ];
                others.iter().for_each(|part| version[part] = json!(""));
                well(version.to_string().into_bytes())
            }
            [.., "stats", "summary"] => well(self.summary.clone()),
            ["api", "v1", "namespaces", _, "pods", pod, "log"] => {
                self.log(pod, request.uri().query().unwrap_or_default())
            }
            [.., "namespaces", namespace, plural] => {
                self.list(plural, Some((*namespace).to_owned()))
            }
            [.., plural] => self.list(plural, None),
            [] => refused(StatusCode::NOT_FOUND, "nothing"),
        }
    }

    fn list(&self, plural: &str, namespace: Option<String>) -> Response<Body> {
        if self.forbidden == Some(plural) {
            return refused(StatusCode::FORBIDDEN, &format!("{plural} is forbidden"));
        }
        let none = || br#"{"metadata": {}, "items": []}"#.to_vec();
        let list = self.all.get(&(plural.to_owned(), namespace));
        well(list.cloned().unwrap_or_else(none))
    }

    fn log(&self, pod: &str, query: &str) -> Response<Body> {
        let pairs: BTreeMap<_, _> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .collect();
        let previous = pairs.get("previous").is_some_and(|value| *value == "true");
        let of = (pod.to_owned(), pairs["container"].to_owned(), previous);
        let Some(text) = self.logs.get(&of) else {
            return refused(StatusCode::NOT_FOUND, "no log");
        };
        let tail: usize = pairs["tailLines"].parse().unwrap();
        let lines: Vec<_> = text.lines().collect();
        let last: String = lines[lines.len().saturating_sub(tail)..]
            .iter()
            .map(|line| format!("{line}\n"))
            .collect();
        well(last.into_bytes())
    }
}

fn well(body: Vec<u8>) -> Response<Body> {
    Response::new(Body::from(body))
}

fn refused(status: StatusCode, message: &str) -> Response<Body> {
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": "Forbidden", "code": status.as_u16()});
    let mut response = well(body.to_string().into_bytes());
    *response.status_mut() = status;
    response
}
