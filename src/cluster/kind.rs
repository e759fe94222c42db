//! kind: clusters whose nodes are Docker containers.
//!
//! State is read from Docker (label `io.x-k8s.kind.cluster`), never from the `kind` program, so that
//! an unchanged `up` starts no process. Invariant: `kind` gets `--kubeconfig` always, so the user's
//! current context is never switched.

use std::collections::HashMap;
use std::path::PathBuf;

use bollard::query_parameters::{
    ListImagesOptionsBuilder, StartContainerOptions, StopContainerOptions,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::json;

use super::creation;
use super::nodes::{self, Labels, Node};
use super::tool::{Tool, not_created};
use super::{Cluster, End, State};
use crate::config::Provider;
use crate::docker::{Engine, request_failed};
use crate::error::{Code, Error, Result};
use crate::paths::{refused, write_atomic};
use crate::process;
use crate::relay::handover;
use crate::ui::event::Step;

const CLUSTER_LABEL: &str = "io.x-k8s.kind.cluster";
const ROLE_LABEL: &str = "io.x-k8s.kind.role";
/// The configuration of a new cluster.
const CONFIG: &str = include_str!("kind.yaml");

/// Which node of a cluster of kind's a container is.
pub(super) fn role(_: &str, labels: &Labels) -> Option<(Provider, bool)> {
    match labels.get(ROLE_LABEL)?.as_str() {
        "control-plane" => Some((Provider::Kind, true)),
        "worker" => Some((Provider::Kind, false)),
        _ => None,
    }
}

/// One kind cluster by name.
#[derive(Debug)]
pub(super) struct KindCluster {
    pub(super) engine: Engine,
    pub(super) name: String,
    /// Where the private kubeconfig is.
    pub(super) dir: PathBuf,
    /// `cluster.image` of devk.yaml.
    pub(super) image: Option<String>,
}

impl Cluster for KindCluster {
    fn state(&self) -> BoxFuture<'_, Result<State>> {
        async { self.nodes().await.map(nodes::state) }.boxed()
    }

    fn start<'a>(&'a self, from: &'a State, step: &'a Step) -> BoxFuture<'a, Result<()>> {
        async move {
            match from {
                State::Absent | State::HalfMade => self.create(step).await,
                State::Stopped(nodes) => self.start_nodes(nodes, step).await,
                // A node of kind's that runs needs nothing but time.
                State::Running(_) => Ok(()),
            }
        }
        .boxed()
    }

    fn kubeconfig(&self) -> BoxFuture<'_, Result<String>> {
        async {
            self.kind(&["get", "kubeconfig"], |_| {})
                .await
                .map(|output| output.stdout)
        }
        .boxed()
    }

    fn end(&self, end: End) -> BoxFuture<'_, Result<()>> {
        async move {
            match end {
                End::Stop => self.stop().await,
                End::Delete => self.kind(&["delete", "cluster"], |_| {}).await.map(drop),
            }
        }
        .boxed()
    }
}

impl KindCluster {
    async fn nodes(&self) -> Result<Vec<Node>> {
        nodes::labelled(
            &self.engine.docker,
            &format!("{CLUSTER_LABEL}={}", self.name),
            role,
        )
        .await
    }

    async fn create(&self, step: &Step) -> Result<()> {
        let config = self.dir.join("kind.yaml");
        write_atomic(&config, self.config()?.as_bytes(), 0o600)?;
        let mut args = ["create", "cluster", "--config"]
            .map(str::to_owned)
            .to_vec();
        args.push(config.to_string_lossy().into_owned());
        if let Some(image) = node_image(&self.engine, self.image.as_deref()).await? {
            step.progress(format!("node image `{image}`"));
            args.extend(["--image".to_owned(), image]);
        }
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let told = |line: &str| {
            if let Some(text) = line
                .trim()
                .strip_prefix('✓')
                .or_else(|| line.trim().strip_prefix('•'))
            {
                step.progress(text.trim().trim_end_matches("...").trim());
            }
        };
        self.kind(&args, told).await.map(drop).map_err(not_created)
    }

    /// The one node shares a folder with this machine, for the relay's socket. An Engine elsewhere has no such
    /// folder, and would make it.
    fn config(&self) -> Result<String> {
        if !self.engine.host.starts_with("unix://") {
            return Ok(CONFIG.to_owned());
        }
        let folder = creation::shared(&self.dir);
        std::fs::create_dir_all(&folder).map_err(|e| refused("make", &folder, &e))?;
        let node = json!({
            "role": "control-plane",
            "extraMounts": [{"hostPath": folder, "containerPath": handover::FOLDER}],
        });
        // YAML takes JSON as it is.
        Ok(format!("{CONFIG}nodes:\n  - {node}\n"))
    }

    async fn start_nodes(&self, nodes: &[Node], step: &Step) -> Result<()> {
        for node in nodes.iter().filter(|n| !n.running) {
            step.progress(format!("starting node `{}`", node.name));
            let started = self
                .engine
                .docker
                .start_container(&node.name, None::<StartContainerOptions>)
                .await;
            started.map_err(|e| {
                Error::new(
                    Code::ClusterCreate,
                    format!("node `{}` does not start", node.name),
                )
                .evidence(e.to_string())
            })?;
        }
        Ok(())
    }

    async fn stop(&self) -> Result<()> {
        for node in self.nodes().await?.iter().filter(|n| n.running) {
            let options = StopContainerOptions {
                t: Some(10),
                ..Default::default()
            };
            self.engine
                .docker
                .stop_container(&node.name, Some(options))
                .await
                .map_err(|e| request_failed(&format!("cannot stop node `{}`", node.name), &e))?;
        }
        Ok(())
    }

    async fn kind(&self, args: &[&str], told: impl FnMut(&str) + Send) -> Result<process::Output> {
        let kubeconfig = self.dir.join("kubeconfig");
        let mut cmd = Tool::KIND
            .command(&self.engine, &kubeconfig)?
            .args(args)
            .args(["--name", &self.name]);
        if args.first() != Some(&"get") {
            cmd = cmd.arg("--kubeconfig").arg(kubeconfig);
        }
        cmd.run_watched(told).await
    }
}

/// The node image of a new cluster: `named` by devk.yaml, else the newest that Docker has already (no download, works
/// without a registry), else None: kind's default.
pub(super) async fn node_image(engine: &Engine, named: Option<&str>) -> Result<Option<String>> {
    if named.is_some() {
        return Ok(named.map(str::to_owned));
    }
    let filters = HashMap::from([("reference".to_owned(), vec!["kindest/node".to_owned()])]);
    let options = ListImagesOptionsBuilder::default()
        .filters(&filters)
        .build();
    let images = engine
        .docker
        .list_images(Some(options))
        .await
        .map_err(|e| request_failed("cannot list the images", &e))?;
    Ok(newest(images.into_iter().flat_map(|image| image.repo_tags)))
}

/// The highest version among tags such as `kindest/node:v1.36.3`.
fn newest(tags: impl Iterator<Item = String>) -> Option<String> {
    let version = |tag: &str| -> Option<Vec<u32>> {
        let numbers = tag.rsplit_once(":v")?.1.split('.').map(str::parse);
        numbers.collect::<Result<_, _>>().ok()
    };
    tags.filter_map(|tag| Some((version(&tag)?, tag)))
        .max()
        .map(|(_, tag)| tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_local_node_image_is_taken_by_version_not_by_text() {
        let tags = [
            "kindest/node:v1.9.0",
            "kindest/node:v1.36.3",
            "kindest/node:latest",
            "kindest/node:v1.36.1",
        ];
        assert_eq!(
            newest(tags.iter().map(ToString::to_string)).as_deref(),
            Some("kindest/node:v1.36.3")
        );
        assert_eq!(newest(std::iter::empty()), None);
    }
}
