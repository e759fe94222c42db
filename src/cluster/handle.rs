//! What devk does with a cluster of whatever provider: one devk at a time, pinned before anything is written
//! to it, through a private kubeconfig.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::kind::Kind;
use super::nodes::{self, Node, docker_error};
use super::pin::{self, Pin};
use super::tool::Tool;
use super::{Access, Cluster, End, State, client, restart};
use crate::config::{ClusterConfig, Project, Provider};
use crate::docker::{Engine, is_not_found};
use crate::error::{Code, Error, Result, internal};
use crate::paths::{Lock, Paths, remove_dir, write_atomic};
use crate::ui::event::Step;

/// How long an API server may take to answer after its node was started.
const API_DEADLINE: Duration = Duration::from_secs(90);

/// The right to change a cluster. One devk at a time has it, together with the programs that it started.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "held for as long as the turn lasts")] Lock);

/// What is kept while a cluster is being created.
#[derive(Debug, Serialize, Deserialize)]
struct Creating {
    network_created: bool,
}

/// The cluster of a project.
#[derive(Debug, Clone)]
pub struct Handle {
    pub engine: Engine,
    pub name: String,
    provider: Provider,
    /// `<state>/clusters/<name>`.
    dir: PathBuf,
    cluster: Arc<dyn Cluster>,
}

impl Handle {
    /// The cluster that devk.yaml names.
    pub fn of(engine: &Engine, config: &ClusterConfig, paths: &Paths) -> Self {
        let ClusterConfig { provider, name, image } = config.clone();
        let (engine, dir) = (engine.clone(), paths.cluster(&name));
        let cluster = Arc::new(Kind { engine: engine.clone(), name: name.clone(), dir: dir.clone(), image });
        Self { engine, name, provider, dir, cluster }
    }

    /// The provider that devk.yaml names is one that devk has.
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

    /// What creating or adopting it takes is there.
    ///
    /// # Errors
    /// [`Code::ToolMissing`].
    pub fn provided(&self) -> Result<()> {
        Tool::of(self.provider).map_or(Ok(()), |tool| tool.find(&self.engine).map(drop))
    }

    /// The private kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    fn creating(&self) -> PathBuf {
        self.dir.join("creating")
    }

    /// Waits until no other devk works on this cluster, nor a program that a killed one left running.
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

    /// What there is of the cluster.
    ///
    /// # Errors
    /// As [`Cluster::state`].
    pub async fn state(&self) -> Result<State> {
        Ok(match self.cluster.state().await? {
            State::Absent => State::Absent,
            _ if self.creating().exists() => State::HalfMade,
            state => state,
        })
    }

    /// The node containers, running or not, control plane first.
    ///
    /// # Errors
    /// As [`Cluster::state`].
    pub async fn nodes(&self) -> Result<Vec<Node>> {
        self.cluster.state().await.map(State::nodes)
    }

    /// Access to a running cluster that is pinned already; None if it has to be adopted first.
    /// Writes nothing.
    ///
    /// # Errors
    /// [`Code::ClusterPin`] if another cluster answers, [`Code::ClusterUnreachable`].
    pub async fn pinned(&self, nodes: &[Node]) -> Result<Option<Access>> {
        let Some(pin) = pin::load(&self.dir)? else { return Ok(None) };
        if pin.node != nodes::control_plane(nodes) || !self.kubeconfig().exists() {
            return Ok(None);
        }
        let client = client::client(&self.kubeconfig()).await?;
        pin::check(&pin, &self.name, &self.dir, &pin::uid(&client).await?)?;
        Ok(Some(Access { client, nodes: nodes.to_vec(), pin }))
    }

    /// These nodes are those of the cluster that devk pinned, whether or not they run.
    ///
    /// # Errors
    /// [`Code::StateIo`].
    pub fn is_pinned(&self, nodes: &[Node]) -> Result<bool> {
        Ok(pin::load(&self.dir)?.is_some_and(|pin| pin.node == nodes::control_plane(nodes)))
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
                self.cluster.end(End::Delete).await?;
                self.create(step).await
            }
            stopped @ State::Stopped(_) => {
                self.cluster.start(&stopped, step).await?;
                self.adopt(&self.nodes().await?, true, step).await
            }
            State::Running(nodes) => self.adopt(&nodes, false, step).await,
        }
    }

    /// Stops the cluster. The data stays.
    ///
    /// # Errors
    /// As [`Cluster::end`].
    pub async fn stop(&self, _turn: &Turn) -> Result<()> {
        self.cluster.end(End::Stop).await
    }

    /// Removes the cluster, its state, and the provider's network if devk brought it and nobody else uses it.
    ///
    /// # Errors
    /// As [`Cluster::end`]; [`Code::StateIo`].
    pub async fn delete(&self, turn: &Turn) -> Result<()> {
        self.cluster.end(End::Delete).await?;
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

    fn network(&self) -> Option<&'static str> {
        Tool::of(self.provider)?.network
    }

    async fn remove_network(&self) {
        if let Some(network) = self.network() {
            // Fails while other containers are attached, and then it has to stay.
            let _ = self.engine.docker.remove_network(network).await;
        }
    }

    /// A creation that was cut off had brought the network.
    fn network_created(&self) -> bool {
        let mark = std::fs::read(self.creating()).ok();
        mark.and_then(|mark| serde_json::from_slice::<Creating>(&mark).ok()).is_some_and(|mark| mark.network_created)
    }

    /// The provider will bring a network that is not there yet.
    async fn lacks_network(&self) -> Result<bool> {
        let Some(network) = self.network() else { return Ok(false) };
        match self.engine.docker.inspect_network(network, None).await {
            Ok(_) => Ok(false),
            Err(e) if is_not_found(&e) => Ok(true),
            Err(e) => Err(docker_error(&e)),
        }
    }

    async fn create(&self, step: &Step) -> Result<Access> {
        let network_created = self.network_created() || self.lacks_network().await?;
        let mark = serde_json::to_vec(&Creating { network_created }).map_err(|e| internal(&e))?;
        write_atomic(&self.creating(), &mark, 0o600)?;
        if let Err(error) = self.cluster.start(&State::Absent, step).await {
            // The provider has removed its nodes. With the mark, a cluster that somebody then makes by hand
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

    /// Takes the mark of a creation away.
    fn created(&self) -> Result<()> {
        std::fs::remove_file(self.creating())
            .map_err(|e| Error::new(Code::StateIo, format!("cannot remove `{}`: {e}", self.creating().display())))
    }

    /// A cluster that runs: pinned already, or to be pinned now. One that somebody deleted and made
    /// anew has another node container; it is adopted, and no longer devk's to remove.
    async fn adopt(&self, nodes: &[Node], mut restarted: bool, step: &Step) -> Result<Access> {
        let pin = pin::load(&self.dir)?.filter(|pin| pin.node == nodes::control_plane(nodes));
        let access = if pin.is_some() && self.kubeconfig().exists() {
            restarted |= self.wait_for_api(nodes, step).await?;
            self.pinned(nodes).await?
        } else {
            None
        };
        let access = match access {
            Some(access) => access,
            None => {
                step.progress(format!("adopting cluster `{}`", self.name));
                write_atomic(&self.kubeconfig(), self.cluster.kubeconfig().await?.as_bytes(), 0o600)?;
                restarted |= self.wait_for_api(nodes, step).await?;
                // Only the kubeconfig was lost: what devk made stays devk's.
                let (created, network) = pin.map_or((false, false), |pin| (pin.created, pin.network_created));
                self.pin_now(nodes, created, network).await?
            }
        };
        if restarted {
            let starts = nodes::starts(&self.engine.docker, nodes).await?;
            restart::wait_until_fresh(&access.client, &starts, step).await?;
        }
        Ok(access)
    }

    async fn pin_now(&self, nodes: &[Node], created: bool, network_created: bool) -> Result<Access> {
        let client = client::client(&self.kubeconfig()).await?;
        let uid = pin::uid(&client).await?;
        let endpoint = client::endpoint(&self.kubeconfig()).await?;
        let pin = Pin { version: 1, uid, endpoint, node: nodes::control_plane(nodes), created, network_created };
        pin::save(&self.dir, &pin)?;
        Ok(Access { client, nodes: nodes.to_vec(), pin })
    }

    /// True if it had to be waited for: then somebody has just started the nodes.
    async fn wait_for_api(&self, nodes: &[Node], step: &Step) -> Result<bool> {
        if client::client(&self.kubeconfig()).await.is_ok() {
            return Ok(false);
        }
        self.cluster.start(&State::Running(nodes.to_vec()), step).await?;
        let deadline = tokio::time::Instant::now() + API_DEADLINE;
        loop {
            match client::client(&self.kubeconfig()).await {
                Ok(_) => return Ok(true),
                Err(error) if tokio::time::Instant::now() > deadline => return Err(error),
                Err(_) => step.progress("waiting for the API server"),
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }
}
