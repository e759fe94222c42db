//! k3d: k3s whose nodes are Docker containers, behind a load balancer that is one, too.
//!
//! State is read from Docker, never from the `k3d` program, so that an unchanged `up` starts no process. Invariant: the
//! `k3d` program always gets devk's private kubeconfig as `KUBECONFIG`, since `create` and `delete` write to that file.

use std::path::PathBuf;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::nodes::{self, Labels};
use super::tool::{Tool, not_created};
use super::{Cluster, End, State};
use crate::config::Provider;
use crate::docker::Engine;
use crate::error::Result;
use crate::paths::write_atomic;
use crate::process;
use crate::ui::event::Step;

const CLUSTER_LABEL: &str = "k3d.cluster";
/// `server`, `agent`, and what is no node: `loadbalancer`, `registry`.
const ROLE_LABEL: &str = "k3d.role";

/// Which node of a cluster of k3d's a container is.
pub(super) fn role(_: &str, labels: &Labels) -> Option<(Provider, bool)> {
    match labels.get(ROLE_LABEL)?.as_str() {
        "server" => Some((Provider::K3d, true)),
        "agent" => Some((Provider::K3d, false)),
        _ => None,
    }
}

/// One k3d cluster by name.
#[derive(Debug)]
pub(super) struct K3d {
    pub(super) engine: Engine,
    pub(super) name: String,
    /// Where the private kubeconfig is.
    pub(super) dir: PathBuf,
    /// `cluster.image` of devk.yaml.
    pub(super) image: Option<String>,
}

impl Cluster for K3d {
    fn state(&self) -> BoxFuture<'_, Result<State>> {
        let label = format!("{CLUSTER_LABEL}={}", self.name);
        async move {
            nodes::labelled(&self.engine.docker, &label, role)
                .await
                .map(nodes::state)
        }
        .boxed()
    }

    fn start<'a>(&'a self, from: &'a State, step: &'a Step) -> BoxFuture<'a, Result<()>> {
        async move {
            let args = match from {
                State::Absent | State::HalfMade => self.creation(),
                // Its load balancer may be what does not run.
                State::Stopped(_) | State::Running(_) => {
                    ["cluster", "start", &self.name].map(str::to_owned).to_vec()
                }
            };
            let told = |line: &str| {
                message(line)
                    .into_iter()
                    .for_each(|text| step.progress(text))
            };
            self.k3d(&args, told).await.map_err(not_created)?;
            write_atomic(
                &self.dir.join("kubeconfig"),
                self.kubeconfig().await?.as_bytes(),
                0o600,
            )
        }
        .boxed()
    }

    fn kubeconfig(&self) -> BoxFuture<'_, Result<String>> {
        let args = ["kubeconfig", "get", &self.name].map(str::to_owned);
        async move { self.k3d(&args, |_| {}).await.map(|output| output.stdout) }.boxed()
    }

    fn end(&self, end: End) -> BoxFuture<'_, Result<()>> {
        let word = match end {
            End::Stop => "stop",
            End::Delete => "delete",
        };
        let args = ["cluster", word, &self.name].map(str::to_owned);
        async move { self.k3d(&args, |_| {}).await.map(drop) }.boxed()
    }
}

impl K3d {
    /// The API server is for this machine alone; k3d itself would open it to the network. Its ingress controller
    /// is a LoadBalancer, which no other provider brings.
    fn creation(&self) -> Vec<String> {
        let mut args = [
            "cluster",
            "create",
            &self.name,
            "--wait",
            "--api-port=127.0.0.1:random",
        ]
        .map(str::to_owned)
        .to_vec();
        args.push("--k3s-arg=--disable=traefik@server:0".to_owned());
        args.extend(self.image.iter().map(|image| format!("--image={image}")));
        args
    }

    async fn k3d(&self, args: &[String], told: impl FnMut(&str) + Send) -> Result<process::Output> {
        Tool::K3D
            .command(&self.engine, &self.dir.join("kubeconfig"))?
            .args(args)
            .run_watched(told)
            .await
    }
}

/// Of `INFO[0003] Creating node 'k3d-devk-server-0'`, or of the same as `level=info msg="…"`.
fn message(line: &str) -> Option<String> {
    let text = match line.split_once("level=info msg=") {
        Some((_, text)) => text.trim_matches('"'),
        None => line.strip_prefix("INFO[")?.split_once(']')?.1,
    };
    Some(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fake::{Program, container, told};
    use super::*;

    async fn k3d(program: &Program) -> K3d {
        let labels = |role: &str| json!({"app": "k3d", CLUSTER_LABEL: "devk", ROLE_LABEL: role});
        let containers = vec![
            container(
                "k3d-devk-serverlb",
                true,
                "172.20.0.4",
                &labels("loadbalancer"),
            ),
            container("k3d-devk-agent-0", true, "172.20.0.3", &labels("agent")),
            container("k3d-devk-server-0", true, "172.20.0.2", &labels("server")),
        ];
        let engine = program.engine(containers).await;
        let image = Some("rancher/k3s:v1.33.1-k3s1".to_owned());
        K3d {
            engine,
            name: "devk".into(),
            dir: program.state(),
            image,
        }
    }

    #[tokio::test]
    async fn servers_and_agents_are_nodes_and_the_load_balancer_is_none() {
        let State::Running(nodes) = k3d(&Program::new("k3d", &[], "exit 1"))
            .await
            .state()
            .await
            .unwrap()
        else {
            panic!()
        };
        let names: Vec<_> = nodes
            .iter()
            .map(|node| (node.name.as_str(), node.control_plane))
            .collect();
        assert_eq!(
            names,
            [("k3d-devk-server-0", true), ("k3d-devk-agent-0", false)]
        );
    }

    #[tokio::test]
    async fn a_new_cluster_is_for_this_machine_alone_and_enters_no_kubeconfig_of_the_users() {
        let script = "[ $1 = cluster ] || echo a-kubeconfig\necho \"INFO[0003] Creating node 'k3d-devk-server-0'\" >&2";
        let program = Program::new("k3d", &["KUBECONFIG"], script);
        let k3d = k3d(&program).await;
        let (done, told) = told(async |step| k3d.start(&State::Absent, step).await).await;
        assert_eq!(
            (done, told),
            (Ok(()), vec!["Creating node 'k3d-devk-server-0'".to_owned()])
        );
        let create = "cluster create devk --wait --api-port=127.0.0.1:random --k3s-arg=--disable=traefik@server:0 \
                      --image=rancher/k3s:v1.33.1-k3s1 KUBECONFIG=STATE/kubeconfig";
        assert_eq!(
            program.calls(),
            [create, "kubeconfig get devk KUBECONFIG=STATE/kubeconfig"]
        );
        assert_eq!(
            std::fs::read_to_string(program.state().join("kubeconfig")).unwrap(),
            "a-kubeconfig\n"
        );
    }

    #[tokio::test]
    async fn it_is_started_stopped_and_removed_by_its_own_program() {
        let program = Program::new("k3d", &[], "");
        let k3d = k3d(&program).await;
        told(async |step| k3d.start(&State::Stopped(vec![]), step).await)
            .await
            .0
            .unwrap();
        k3d.end(End::Stop).await.unwrap();
        k3d.end(End::Delete).await.unwrap();
        assert_eq!(
            program.calls(),
            [
                "cluster start devk",
                "kubeconfig get devk",
                "cluster stop devk",
                "cluster delete devk"
            ]
        );
    }

    #[test]
    fn messages_are_read_from_both_forms_of_the_log() {
        assert_eq!(
            message("INFO[0000] Prep: Network").as_deref(),
            Some("Prep: Network")
        );
        let logfmt = r#"time="2026-11-28T21:00:00Z" level=info msg="Prep: Network""#;
        assert_eq!(message(logfmt).as_deref(), Some("Prep: Network"));
        assert_eq!(message("WARN[0000] x"), None);
    }
}
