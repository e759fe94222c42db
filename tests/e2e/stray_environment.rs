//! A user's own cluster is never spoken to: what KUBECONFIG, HELM_* and KUBE* point to sees no request.

use std::io::Write;
use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::machine::cluster;
use crate::support::project::Project;

/// An API server that counts who calls and answers nothing of use.
struct Foreign {
    address: String,
    connections: Arc<AtomicUsize>,
}

impl Foreign {
    fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream
                    .unwrap()
                    .write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
            }
        });
        Self {
            address,
            connections,
        }
    }

    fn connections(&self) -> usize {
        self.connections.swap(0, Ordering::SeqCst)
    }

    fn kubeconfig(&self) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: mine\n\
             contexts: [{{name: mine, context: {{cluster: mine, user: me, namespace: precious}}}}]\n\
             clusters: [{{name: mine, cluster: {{server: 'http://{}'}}}}]\nusers: [{{name: me, user: {{token: secret}}}}]\n",
            self.address
        )
    }

    /// Everything that would send helm, kubectl, kind or a Kubernetes library here.
    fn variables(&self, kubeconfig: &str) -> Vec<(&'static str, String)> {
        let (host, port) = self.address.split_once(':').unwrap();
        let url = format!("http://{}", self.address);
        vec![
            ("KUBECONFIG", kubeconfig.to_owned()),
            ("HELM_KUBEAPISERVER", url.clone()),
            ("HELM_KUBETOKEN", "secret".to_owned()),
            ("HELM_KUBECONTEXT", "mine".to_owned()),
            ("HELM_NAMESPACE", "precious".to_owned()),
            ("HELM_DRIVER", "configmap".to_owned()),
            ("KUBERNETES_MASTER", url),
            ("KUBERNETES_SERVICE_HOST", host.to_owned()),
            ("KUBERNETES_SERVICE_PORT", port.to_owned()),
            ("KIND_EXPERIMENTAL_PROVIDER", "podman".to_owned()),
            ("KIND_CLUSTER_NAME", "mine".to_owned()),
        ]
    }
}

#[test]
fn the_users_own_cluster_sees_no_request_and_the_context_is_not_switched() {
    cluster();
    let foreign = Foreign::start();
    let mut project = Project::pair("stray");
    let home = tempfile::tempdir().unwrap();
    let kubeconfig = home.path().join("own-kubeconfig");
    std::fs::write(&kubeconfig, foreign.kubeconfig()).unwrap();
    let variables = foreign.variables(&kubeconfig.display().to_string());
    project.set("HOME", home.path());
    variables
        .iter()
        .for_each(|(name, value)| project.set(name, value));

    // The trap works: without devk's care both programs come here.
    for (program, args) in [
        ("kubectl", ["get", "pods"]),
        ("helm", ["list", "--time-format=x"]),
    ] {
        let _ = Command::new(program)
            .args(args)
            .envs(variables.clone())
            .output()
            .unwrap();
        assert_ne!(
            foreign.connections(),
            0,
            "{program} does not fall into the trap, which then shows nothing"
        );
    }

    project.devk(&["up", "-d"]).well();
    for command in [
        &["status"][..],
        &["ports"],
        &["env"],
        &["logs"],
        &["up", "-d"],
        &["up", "--dry-run"],
        &["down"],
    ] {
        project.devk(command).well();
        assert_eq!(foreign.connections(), 0, "devk {command:?}");
    }
    let doctor = project.devk(&["doctor"]);
    assert_eq!(foreign.connections(), 0, "{doctor:?}");
    project.devk(&["up", "--once"]).well();
    project.devk(&["down", "--delete"]).well();
    assert_eq!(foreign.connections(), 0);
    assert_eq!(
        std::fs::read_to_string(&kubeconfig).unwrap(),
        foreign.kubeconfig(),
        "not a byte of it has changed"
    );
    assert!(
        !home.path().join(".kube/config").exists(),
        "and no other was made"
    );
}
