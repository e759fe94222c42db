//! Local clusters: create, adopt, start, stop, delete, and the pin that says which one devk may write to.
//!
//! [`ManagedCluster`] has what all clusters share: lock, pin, private kubeconfig, waiting. [`Cluster`] is the trait for
//! what each provider does in its own way.

mod buffered;
pub mod client;
mod creation;
mod existing;
#[cfg(test)]
pub(crate) mod fake;
mod freshness;
mod k3d;
mod kind;
mod kubeconfig;
mod locality;
mod managed;
mod minikube;
pub mod namespace;
mod network;
pub mod node_end;
mod nodes;
pub mod pin;
mod pinned;
pub mod pod;
mod provider;
mod runtime;
pub mod sleep;
mod tool;

use std::fmt;

use futures::future::BoxFuture;

pub use managed::{ClusterLock, ManagedCluster};
pub use nodes::Node;
pub use pinned::pinned_cluster;
pub use tool::resolve_provider;

use crate::error::Result;
use crate::ui::event::Step;
use pin::Pin;

/// One cluster of one provider.
///
/// Contract: nobody but a [`ManagedCluster`] calls it, and what changes the cluster only under its [`ClusterLock`].
/// It touches no cluster but the one it was made for, and no kubeconfig of the user's.
pub trait Cluster: fmt::Debug + Send + Sync {
    /// The state of the cluster; changes nothing and never returns `HalfMade`, which [`ManagedCluster`] decides. Where
    /// Docker can say it no process is started, for an unchanged `up` starts none.
    ///
    /// # Errors
    /// [`DockerRequest`](crate::error::Code::DockerRequest).
    fn state(&self) -> BoxFuture<'_, Result<State>>;

    /// Makes it run: creates it if it is absent, starts it if it is stopped. Also called for one that runs by
    /// Docker's word while its API server is silent: then it mends what only the provider knows of, and may
    /// find nothing to do. Whoever calls it waits for the API server. What is in the private kubeconfig leads
    /// to the cluster afterwards.
    ///
    /// # Errors
    /// [`ClusterCreate`](crate::error::Code::ClusterCreate), [`ToolMissing`](crate::error::Code::ToolMissing).
    fn start<'a>(&'a self, from: &'a State, step: &'a Step) -> BoxFuture<'a, Result<()>>;

    /// A kubeconfig for this cluster alone, of which devk keeps a private copy.
    ///
    /// # Errors
    /// [`CommandFailed`](crate::error::Code::CommandFailed), [`ToolMissing`](crate::error::Code::ToolMissing).
    fn kubeconfig(&self) -> BoxFuture<'_, Result<String>>;

    /// Stops or removes it. Removing what is gone in part or in whole ends well.
    ///
    /// # Errors
    /// [`CommandFailed`](crate::error::Code::CommandFailed), [`ToolMissing`](crate::error::Code::ToolMissing).
    fn end(&self, end: End) -> BoxFuture<'_, Result<()>>;
}

/// How a cluster ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The data stays.
    Stop,
    Delete,
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

    /// The nodes that are containers, running or not.
    fn nodes(self) -> Vec<Node> {
        match self {
            Self::Stopped(nodes) | Self::Running(nodes) => nodes,
            Self::Absent | Self::HalfMade => vec![],
        }
    }
}

/// A cluster that may be written to: pin checked.
#[derive(Clone)]
pub struct Access {
    pub client: kube::Client,
    pub nodes: Vec<Node>,
    pub pin: Pin,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("nodes", &self.nodes)
            .field("pin", &self.pin)
            .finish_non_exhaustive()
    }
}
