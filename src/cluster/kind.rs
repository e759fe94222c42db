//! kind: clusters whose nodes are Docker containers.
//!
//! State is read from Docker (label `io.x-k8s.kind.cluster`), never from the `kind` program, so that
//! an unchanged `up` starts no process. Invariant: `kind` gets `--kubeconfig` always, so the user's
//! current context is never switched.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum};
use bollard::query_parameters::{
    InspectContainerOptions, ListContainersOptionsBuilder, StartContainerOptions, StopContainerOptions,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::pin::{self, Pin};
use super::{client, restart};
use crate::config::{ClusterConfig, Project, Provider};
use crate::docker::{Engine, is_not_found};
use crate::error::{Code, Error, Result, internal};
use crate::paths::{Lock, Paths, remove_dir, write_atomic};
use crate::process::{self, Cmd};
use crate::ui::event::Step;

const CLUSTER_LABEL: &str = "io.x-k8s.kind.cluster";
const ROLE_LABEL: &str = "io.x-k8s.kind.role";
const INSTALL_HINT: &str = "install kind (https://kind.sigs.k8s.io), or run scripts/onboard";
/// The configuration of a new cluster.
const CONFIG: &str = include_str!("kind.yaml");
/// kind's own network; `kind delete` leaves it behind.
const NETWORK: &str = "kind";

/// How long an API server may take to answer after its node was started.
const API_DEADLINE: Duration = Duration::from_secs(90);

/// A node container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Container name, such as `devk-control-plane`.
    pub name: String,
    pub id: String,
    pub running: bool,
    pub control_plane: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Absent,
    /// A creation of devk's own was cut off.
    HalfMade,
    Stopped(Vec<Node>),
    Running(Vec<Node>),
}

impl State {
    /// One word for people and for JSON.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::HalfMade => "half-made",
            Self::Stopped(_) => "stopped",
            Self::Running(_) => "running",
        }
    }
}

/// The right to change a cluster. One devk at a time has it, together with the `kind` that it started.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "held for as long as the turn lasts")] Lock);

/// What is kept while a cluster is being created.
#[derive(Debug, Serialize, Deserialize)]
struct Creating {
    network_created: bool,
}

/// A cluster that may be written to: pin checked.
#[derive(Clone)]
pub struct Access {
    pub client: kube::Client,
    pub nodes: Vec<Node>,
    pub pin: Pin,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("nodes", &self.nodes).field("pin", &self.pin).finish_non_exhaustive()
    }
}

/// The names of all kind clusters that Docker has, running or not.
///
/// # Errors
/// [`Code::DockerUnavailable`].
pub async fn names(engine: &Engine) -> Result<BTreeSet<String>> {
    let filters = HashMap::from([("label".to_owned(), vec![CLUSTER_LABEL.to_owned()])]);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    let containers = engine.docker.list_containers(Some(options)).await.map_err(|e| docker_error(&e))?;
    Ok(containers.into_iter().filter_map(|node| node.labels?.remove(CLUSTER_LABEL)).collect())
}

/// One kind cluster by name.
#[derive(Debug, Clone)]
pub struct Kind {
    pub engine: Engine,
    pub name: String,
    /// `<state>/clusters/<name>`.
    pub dir: PathBuf,
    /// `cluster.image` of devk.yaml.
    pub image: Option<String>,
}

impl Kind {
    /// The cluster of a project.
    pub fn of(engine: &Engine, project: &Project, paths: &Paths) -> Self {
        let ClusterConfig { name, image, .. } = &project.cluster;
        Self { engine: engine.clone(), name: name.clone(), dir: paths.cluster(name), image: image.clone() }
    }

    /// The provider that devk.yaml names is this one.
    ///
    /// # Errors
    /// [`Code::ClusterProvider`].
    pub fn supported(project: &Project) -> Result<()> {
        match project.cluster.provider {
            Provider::Kind => Ok(()),
            other => {
                Err(Error::new(Code::ClusterProvider, format!("cluster provider `{other:?}` is not supported yet"))
                    .at(&project.file, None)
                    .hint("cluster: {provider: kind}"))
            }
        }
    }

    /// The path of the `kind` program.
    ///
    /// # Errors
    /// [`Code::ToolMissing`].
    pub fn program(&self) -> Result<PathBuf> {
        self.engine.environment.find("kind", INSTALL_HINT)
    }

    /// The private kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    fn creating(&self) -> PathBuf {
        self.dir.join("creating")
    }

    /// Waits until no other devk works on this cluster, nor a `kind` that a killed one left running.
    /// `waiting` is told if that is not at once.
    ///
    /// # Errors
    /// [`Code::StateIo`].
    pub async fn turn(&self, waiting: impl FnOnce()) -> Result<Turn> {
        let io = |e: std::io::Error| Error::new(Code::StateIo, format!("cannot lock `{}`: {e}", self.dir.display()));
        let lock = Lock::take(&self.dir.join("lock"), waiting).await.map_err(io)?;
        lock.inherit().map_err(io)?;
        Ok(Turn(lock))
    }

    /// What Docker says of the cluster.
    ///
    /// # Errors
    /// [`Code::DockerUnavailable`].
    pub async fn state(&self) -> Result<State> {
        let nodes = self.nodes().await?;
        Ok(match nodes.iter().filter(|n| n.running).count() {
            _ if nodes.is_empty() => State::Absent,
            _ if self.creating().exists() => State::HalfMade,
            running if running == nodes.len() => State::Running(nodes),
            _ => State::Stopped(nodes),
        })
    }

    /// Access to a running cluster that is pinned already; None if it has to be adopted first.
    /// Writes nothing.
    ///
    /// # Errors
    /// [`Code::ClusterPin`] if another cluster answers, [`Code::ClusterUnreachable`].
    pub async fn pinned(&self, nodes: &[Node]) -> Result<Option<Access>> {
        let Some(pin) = pin::load(&self.dir)? else { return Ok(None) };
        if pin.node != control_plane(nodes) || !self.kubeconfig().exists() {
            return Ok(None);
        }
        let client = client::client(&self.kubeconfig()).await?;
        pin::check(&pin, &self.name, &self.dir, &pin::uid(&client).await?)?;
        Ok(Some(Access { client, nodes: nodes.to_vec(), pin }))
    }

    /// Creates, starts or adopts the cluster, whatever state it is in, and pins it. Two projects that
    /// do this at once take turns.
    ///
    /// # Errors
    /// [`Code::ClusterCreate`], [`Code::ClusterPin`], [`Code::ClusterUnreachable`], [`Code::ToolMissing`].
    pub async fn ensure(&self, step: &Step) -> Result<Access> {
        let turn = self.turn(|| step.progress("waiting for another devk that works on this cluster")).await?;
        self.ensure_in(&turn, step).await
    }

    /// [`Self::ensure`] in a turn that one has already.
    ///
    /// # Errors
    /// As there.
    pub async fn ensure_in(&self, _turn: &Turn, step: &Step) -> Result<Access> {
        match self.state().await? {
            State::Absent => self.create(step).await,
            State::HalfMade => {
                step.progress("removing a half-made cluster");
                self.kind(&["delete", "cluster"], step).await?;
                self.create(step).await
            }
            State::Stopped(nodes) => self.start(&nodes, step).await,
            State::Running(nodes) => self.adopt(&nodes, false, step).await,
        }
    }

    /// These nodes are those of the cluster that devk pinned, whether or not they run.
    ///
    /// # Errors
    /// [`Code::StateIo`].
    pub fn is_pinned(&self, nodes: &[Node]) -> Result<bool> {
        Ok(pin::load(&self.dir)?.is_some_and(|pin| pin.node == control_plane(nodes)))
    }

    /// Stops the node containers. The data stays.
    ///
    /// # Errors
    /// [`Code::DockerUnavailable`].
    pub async fn stop(&self, _turn: &Turn) -> Result<()> {
        for node in self.nodes().await?.iter().filter(|n| n.running) {
            let options = StopContainerOptions { t: Some(10), ..Default::default() };
            self.engine.docker.stop_container(&node.name, Some(options)).await.map_err(|e| docker_error(&e))?;
        }
        Ok(())
    }

    /// Removes the cluster, its state, and kind's network if devk brought it and nobody else uses it.
    ///
    /// # Errors
    /// [`Code::CommandFailed`], [`Code::StateIo`].
    pub async fn delete(&self, turn: &Turn, step: &Step) -> Result<()> {
        self.kind(&["delete", "cluster"], step).await?;
        self.forget(turn).await
    }

    /// Removes what is left of a cluster that is gone: its state, and the network as in [`Self::delete`].
    ///
    /// # Errors
    /// [`Code::StateIo`].
    pub async fn forget(&self, _turn: &Turn) -> Result<()> {
        // A damaged pin does not keep what it stands for from being removed.
        let pinned = pin::load(&self.dir).ok().flatten().is_some_and(|pin| pin.network_created);
        if pinned || self.network_created() {
            self.remove_network().await;
        }
        remove_dir(&self.dir)
    }

    async fn remove_network(&self) {
        // Fails while other containers are attached, and then it has to stay.
        let _ = self.engine.docker.remove_network(NETWORK).await;
    }

    /// A creation that was cut off had brought the network.
    fn network_created(&self) -> bool {
        let mark = std::fs::read(self.creating()).ok();
        mark.and_then(|mark| serde_json::from_slice::<Creating>(&mark).ok()).is_some_and(|mark| mark.network_created)
    }

    async fn has_network(&self) -> Result<bool> {
        match self.engine.docker.inspect_network(NETWORK, None).await {
            Ok(_) => Ok(true),
            Err(e) if is_not_found(&e) => Ok(false),
            Err(e) => Err(docker_error(&e)),
        }
    }

    /// The node containers, control plane first.
    ///
    /// # Errors
    /// [`Code::DockerUnavailable`].
    pub async fn nodes(&self) -> Result<Vec<Node>> {
        let filters = HashMap::from([("label".to_owned(), vec![format!("{CLUSTER_LABEL}={}", self.name)])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let containers = self.engine.docker.list_containers(Some(options)).await.map_err(|e| docker_error(&e))?;
        let mut nodes: Vec<_> = containers.into_iter().filter_map(node).collect();
        nodes.sort_by_key(|n| (!n.control_plane, n.name.clone()));
        Ok(nodes)
    }

    async fn create(&self, step: &Step) -> Result<Access> {
        let network_created = self.network_created() || !self.has_network().await?;
        let mark = serde_json::to_vec(&Creating { network_created }).map_err(|e| internal(&e))?;
        write_atomic(&self.creating(), &mark, 0o600)?;
        if let Err(error) = self.create_nodes(step).await {
            // kind has removed its nodes. With the mark, a cluster that somebody then makes by hand
            // under this name would be taken for devk's own half-made one.
            if self.nodes().await.is_ok_and(|nodes| nodes.is_empty()) {
                if network_created {
                    self.remove_network().await;
                }
                self.created()?;
            }
            return Err(error);
        }
        let access = self.pin_now(&self.nodes().await?, true, network_created).await?;
        // After the pin: a cluster that devk made must not be taken for somebody else's.
        self.created()?;
        Ok(access)
    }

    async fn create_nodes(&self, step: &Step) -> Result<()> {
        let config = self.dir.join("kind.yaml");
        write_atomic(&config, CONFIG.as_bytes(), 0o600)?;
        let mut args = ["create", "cluster", "--config"].map(str::to_owned).to_vec();
        args.push(config.to_string_lossy().into_owned());
        if let Some(image) = self.node_image().await? {
            step.progress(format!("node image `{image}`"));
            args.extend(["--image".to_owned(), image]);
        }
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        self.kind(&args, step).await.map(drop).map_err(|e| match e.code {
            Code::CommandFailed => Error { code: Code::ClusterCreate, ..e },
            _ => e,
        })
    }

    /// Takes the mark of a creation away.
    fn created(&self) -> Result<()> {
        std::fs::remove_file(self.creating())
            .map_err(|e| Error::new(Code::StateIo, format!("cannot remove `{}`: {e}", self.creating().display())))
    }

    async fn start(&self, nodes: &[Node], step: &Step) -> Result<Access> {
        for node in nodes.iter().filter(|n| !n.running) {
            step.progress(format!("starting node `{}`", node.name));
            let started = self.engine.docker.start_container(&node.name, None::<StartContainerOptions>).await;
            started.map_err(|e| {
                Error::new(Code::ClusterCreate, format!("node `{}` does not start", node.name)).evidence(e.to_string())
            })?;
        }
        self.adopt(&self.nodes().await?, true, step).await
    }

    /// A cluster that runs: pinned already, or to be pinned now. One that somebody deleted and made
    /// anew has another node container; it is adopted, and no longer devk's to remove.
    async fn adopt(&self, nodes: &[Node], mut restarted: bool, step: &Step) -> Result<Access> {
        let pin = pin::load(&self.dir)?.filter(|pin| pin.node == control_plane(nodes));
        let access = if pin.is_some() && self.kubeconfig().exists() {
            restarted |= self.wait_for_api(step).await?;
            self.pinned(nodes).await?
        } else {
            None
        };
        let access = match access {
            Some(access) => access,
            None => {
                step.progress(format!("adopting kind cluster `{}`", self.name));
                let kubeconfig = self.kind(&["get", "kubeconfig"], step).await?.stdout;
                write_atomic(&self.kubeconfig(), kubeconfig.as_bytes(), 0o600)?;
                restarted |= self.wait_for_api(step).await?;
                // Only the kubeconfig was lost: what devk made stays devk's.
                let (created, network) = pin.map_or((false, false), |pin| (pin.created, pin.network_created));
                self.pin_now(nodes, created, network).await?
            }
        };
        if restarted {
            restart::wait_until_fresh(&access.client, &self.starts(nodes).await?, step).await?;
        }
        Ok(access)
    }

    /// When each node was started, by the clock of the machine that Docker runs on, which is the nodes'.
    async fn starts(&self, nodes: &[Node]) -> Result<BTreeMap<String, Timestamp>> {
        let mut starts = BTreeMap::new();
        for node in nodes {
            let options = None::<InspectContainerOptions>;
            let found =
                self.engine.docker.inspect_container(&node.name, options).await.map_err(|e| docker_error(&e))?;
            let started = found.state.and_then(|state| state.started_at?.parse().ok());
            starts.extend(started.map(|started| (node.name.clone(), started)));
        }
        Ok(starts)
    }

    async fn pin_now(&self, nodes: &[Node], created: bool, network_created: bool) -> Result<Access> {
        let client = client::client(&self.kubeconfig()).await?;
        let uid = pin::uid(&client).await?;
        let endpoint = client::endpoint(&self.kubeconfig()).await?;
        let pin = Pin { version: 1, uid, endpoint, node: control_plane(nodes), created, network_created };
        pin::save(&self.dir, &pin)?;
        Ok(Access { client, nodes: nodes.to_vec(), pin })
    }

    /// True if it had to be waited for: then somebody has just started the nodes.
    async fn wait_for_api(&self, step: &Step) -> Result<bool> {
        let deadline = tokio::time::Instant::now() + API_DEADLINE;
        let mut waited = false;
        loop {
            match client::client(&self.kubeconfig()).await {
                Ok(_) => return Ok(waited),
                Err(error) if tokio::time::Instant::now() > deadline => return Err(error),
                Err(_) => step.progress("waiting for the API server"),
            }
            waited = true;
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// `cluster.image`, else the newest node image that Docker has already (no download, works
    /// without a registry), else None: kind's default.
    async fn node_image(&self) -> Result<Option<String>> {
        if self.image.is_some() {
            return Ok(self.image.clone());
        }
        let filters = HashMap::from([("reference".to_owned(), vec!["kindest/node".to_owned()])]);
        let options = bollard::query_parameters::ListImagesOptionsBuilder::default().filters(&filters).build();
        let images = self.engine.docker.list_images(Some(options)).await.map_err(|e| docker_error(&e))?;
        Ok(newest(images.into_iter().flat_map(|image| image.repo_tags)))
    }

    async fn kind(&self, args: &[&str], step: &Step) -> Result<process::Output> {
        // A kind that dies while it follows a node's log leaves a `docker logs` behind that would keep the turn for ever.
        let cmd = Cmd::new(self.program()?).inherit(&self.engine.environment).outlives();
        let mut cmd = cmd.args(args).args(["--name", &self.name]).envs(self.engine.env());
        if args.first() != Some(&"get") {
            cmd = cmd.arg("--kubeconfig").arg(self.kubeconfig());
        }
        cmd.run_watched(|line| {
            if let Some(text) = line.trim().strip_prefix('✓').or_else(|| line.trim().strip_prefix('•')) {
                step.progress(text.trim().trim_end_matches("...").trim());
            }
        })
        .await
    }
}

fn control_plane(nodes: &[Node]) -> String {
    nodes.iter().find(|n| n.control_plane).map(|n| n.id.clone()).unwrap_or_default()
}

fn node(container: ContainerSummary) -> Option<Node> {
    let role = container.labels.as_ref()?.get(ROLE_LABEL)?;
    Some(Node {
        name: container.names?.first()?.trim_start_matches('/').to_owned(),
        running: container.state == Some(ContainerSummaryStateEnum::RUNNING),
        control_plane: role == "control-plane",
        id: container.id?,
    })
}

/// The highest version among tags such as `kindest/node:v1.36.3`.
fn newest(tags: impl Iterator<Item = String>) -> Option<String> {
    let version = |tag: &str| -> Option<Vec<u32>> {
        let numbers = tag.rsplit_once(":v")?.1.split('.').map(str::parse);
        numbers.collect::<Result<_, _>>().ok()
    };
    tags.filter_map(|tag| Some((version(&tag)?, tag))).max().map(|(_, tag)| tag)
}

fn docker_error(error: &bollard::errors::Error) -> Error {
    Error::new(Code::DockerUnavailable, "the Docker Engine refused a request").evidence(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_local_node_image_is_taken_by_version_not_by_text() {
        let tags = ["kindest/node:v1.9.0", "kindest/node:v1.36.3", "kindest/node:latest", "kindest/node:v1.36.1"];
        assert_eq!(newest(tags.iter().map(ToString::to_string)).as_deref(), Some("kindest/node:v1.36.3"));
        assert_eq!(newest(std::iter::empty()), None);
    }
}
