//! Whether workloads are ready at this moment. Nothing is changed and nothing told.

use std::time::Duration;

use futures::StreamExt;
use kube::Client;

use super::assess;
use super::snapshot::{Assessment, Watched};
use crate::error::{Code, Error, Result};
use crate::release::manifest::Workload;
use crate::release::record::installed_manifests;

/// Whether those workloads of a project's release that count, as helm has installed them, are ready; false if it has
/// not.
///
/// # Errors
/// [`Code::ClusterUnreachable`] if the API server has not listed them after `timeout`, and those of
/// [`installed_manifests`].
pub async fn is_ready(
    client: &Client,
    project: &str,
    release: &str,
    counts: impl Fn(&Workload) -> bool,
    timeout: Duration,
) -> Result<bool> {
    let Some(installed) = installed_manifests(client, project, release).await? else {
        return Ok(false);
    };
    let mut workloads = installed.workloads(project);
    workloads.retain(counts);
    are_ready(client, &workloads, timeout).await
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
