//! The cluster that a project runs on, for whoever starts nothing: the one that devk has pinned.

use super::{Access, ManagedCluster, State};
use crate::config::ClusterConfig;
use crate::docker::Engine;
use crate::error::{Code, Error, Result};
use crate::paths::Paths;

/// The pinned cluster and access to it.
///
/// # Errors
/// [`Code::ClusterUnreachable`] if it does not run, or is not devk's.
pub async fn pinned_cluster(
    engine: &Engine,
    config: &ClusterConfig,
    paths: &Paths,
) -> Result<(ManagedCluster, Access)> {
    let cluster = ManagedCluster::of(engine, config, paths);
    let state = cluster.state().await?;
    let access = match &state {
        State::Running(nodes) => cluster.pinned(nodes).await?,
        _ => None,
    };
    let access = access.ok_or_else(|| {
        let (name, state) = (&config.name, state.word());
        let message = match state {
            "running" => format!("cluster `{name}` is not devk's yet"),
            state => format!("cluster `{name}` is {state}"),
        };
        Error::new(Code::ClusterUnreachable, message).hint("devk up -d")
    })?;
    Ok((cluster, access))
}
