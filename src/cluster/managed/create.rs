//! Creates a cluster with its provider, or adopts one; then pins the cluster.

use std::time::Duration;

use super::ManagedCluster;
use crate::cluster::creation::{self, Creation};
use crate::cluster::nodes::{self, Node};
use crate::cluster::pin::{self, Pin};
use crate::cluster::tool::Tool;
use crate::cluster::{Access, State, client, freshness, network, runtime};
use crate::error::{Code, Error, Result};
use crate::paths::write_atomic;
use crate::ui::event::Step;

/// How long an API server may take to answer after its node was started.
const API_TIMEOUT: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 90 });

impl ManagedCluster {
    fn network(&self) -> Option<&'static str> {
        Tool::of(self.provider)?.network
    }

    pub(super) async fn remove_network(&self) {
        if let Some(network) = self.network() {
            network::remove_unused(&self.engine.docker, network).await;
        }
    }

    /// The provider will bring a network that is not there yet.
    async fn lacks_network(&self) -> Result<bool> {
        match self.network() {
            Some(network) => network::is_absent(&self.engine.docker, network).await,
            None => Ok(false),
        }
    }

    /// Leaves the mark of an attempt, whether or not the attempt succeeds.
    async fn begin(&self) -> Result<Creation> {
        // An interrupted creation had created the network.
        let before = creation::load(&self.dir).is_some_and(|creation| creation.network_created);
        let (lacks_network, (engine, now)) =
            tokio::try_join!(self.lacks_network(), self.engine.identity())?;
        let network_created = before || lacks_network;
        let creation = Creation {
            network_created,
            engine: Some(engine),
            since: Some(now),
        };
        creation.save(&self.dir)?;
        Ok(creation)
    }

    /// `from`: absent, or half-made if an attempt of devk's own was cut off.
    pub(super) async fn create(&self, from: &State, step: &Step) -> Result<Access> {
        let Creation {
            network_created, ..
        } = self.begin().await?;
        if let Err(error) = self.cluster.start(from, step).await {
            // The provider has removed its nodes. A killed provider may still have a node in creation.
            if error.code != Code::CommandKilled
                && self.nodes().await.is_ok_and(|nodes| nodes.is_empty())
            {
                if network_created {
                    self.remove_network().await;
                }
                creation::forget(&self.dir)?;
            }
            return Err(error);
        }
        let access = self
            .pin_now(&self.nodes().await?, true, network_created)
            .await?;
        // After the pin: a cluster that devk created must not count as adopted.
        creation::forget(&self.dir)?;
        Ok(access)
    }

    /// A cluster that runs: pinned already, or to be pinned now. A cluster that was deleted and
    /// created again by hand has another node container; devk adopts it and may not remove it any more.
    pub(super) async fn adopt(
        &self,
        nodes: &[Node],
        mut restarted: bool,
        step: &Step,
    ) -> Result<Access> {
        let pin = pin::load(&self.dir)?.filter(|pin| pin.node == self.node(nodes));
        let access = if pin.is_some() && client::is_whole(&self.kubeconfig()).await {
            restarted |= self.wait_for_api(nodes, step).await?;
            self.pinned(nodes).await?
        } else {
            None
        };
        let access = match access {
            Some(access) => access,
            None => {
                step.progress(format!("adopting cluster `{}`", self.name));
                write_atomic(
                    &self.kubeconfig(),
                    self.cluster.kubeconfig().await?.as_bytes(),
                    0o600,
                )?;
                restarted |= self.wait_for_api(nodes, step).await?;
                // Only the kubeconfig was lost: a cluster that devk created stays devk's.
                let (created, network) =
                    pin.map_or((false, false), |pin| (pin.created, pin.network_created));
                self.pin_now(nodes, created, network).await?
            }
        };
        // An attempt that was cut off has not made this one.
        creation::forget(&self.dir)?;
        if restarted {
            let starts = nodes::starts(&self.engine.docker, nodes).await?;
            freshness::wait_until_fresh(&access.client, &starts, step).await?;
        }
        Ok(access)
    }

    async fn pin_now(
        &self,
        nodes: &[Node],
        created: bool,
        network_created: bool,
    ) -> Result<Access> {
        let client = client::client(&self.kubeconfig()).await?;
        if !self.is_existing()
            && let Some(runtime) = runtime::other_runtime(&client).await?
        {
            return Err(self.not_containerd(&runtime));
        }
        let uid = pin::uid(&client).await?;
        let endpoint = client::endpoint(&self.kubeconfig()).await?;
        let engine = if self.is_existing() {
            None
        } else {
            Some(self.engine.identity().await?.0)
        };
        let pin = Pin {
            version: 1,
            uid,
            endpoint,
            node: self.node(nodes),
            created,
            network_created,
            engine,
        };
        pin::save(&self.dir, &pin)?;
        Ok(Access {
            client,
            nodes: nodes.to_vec(),
            pin,
        })
    }

    /// A cluster that was created by hand may use another container runtime, which would not find loaded images.
    fn not_containerd(&self, runtime: &str) -> Error {
        let message = format!("cluster `{}` runs its containers with {runtime}", self.name);
        Error::new(Code::ImageRegistry, message)
            .evidence("devk brings images to containerd alone")
            .hint("remove that cluster, and `devk up` creates it again; or `cluster: {name: …}` in devk.yaml for another")
    }

    /// True if the call had to wait: then the nodes have just been started.
    pub(super) async fn wait_for_api(&self, nodes: &[Node], step: &Step) -> Result<bool> {
        // The state of an existing cluster comes from its API server.
        if self.is_existing() || client::client(&self.kubeconfig()).await.is_ok() {
            return Ok(false);
        }
        self.cluster
            .start(&State::Running(nodes.to_vec()), step)
            .await?;
        let deadline = tokio::time::Instant::now() + API_TIMEOUT;
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
