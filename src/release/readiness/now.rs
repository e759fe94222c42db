//! Whether workloads are ready at this moment. Nothing is changed and nothing told.

use std::time::Duration;

use futures::StreamExt;
use kube::Client;

use super::assess;
use super::snapshot::{Assessment, Watched};
use crate::error::{Code, Error, Result};
use crate::release::manifest::Workload;
use crate::release::record::installed_manifests;

/// Whether the workloads of a project's release, as helm has installed them, are ready; false if it has not.
///
/// # Errors
/// [`Code::ClusterUnreachable`] if the API server has not listed them after `timeout`, and those of
/// [`installed_manifests`].
pub async fn is_ready(
    client: &Client,
    project: &str,
    release: &str,
    timeout: Duration,
) -> Result<bool> {
    match installed_manifests(client, project, release).await? {
        Some(installed) => are_ready(client, &installed.workloads(project), timeout).await,
        None => Ok(false),
    }
}

async fn are_ready(client: &Client, workloads: &[Workload], timeout: Duration) -> Result<bool> {
    let (watched, mut streams) = Watched::all(client, workloads, None);
    let listed = async {
        while !watched.iter().all(Watched::is_synced) {
            streams.next().await;
        }
    };
    tokio::time::timeout(timeout, listed).await.map_err(|_| {
        let message = "the API server does not list the workloads";
        Error::new(Code::ClusterUnreachable, message).hint("devk doctor")
    })?;
    let snapshots: Vec<_> = watched.iter().map(Watched::snapshot).collect();
    let assessments = assess(workloads, &snapshots);
    Ok(assessments.iter().all(Assessment::is_ready))
}
