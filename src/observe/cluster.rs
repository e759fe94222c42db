//! The state of the cluster, as a fact of the plan.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::cluster::{Access, ManagedCluster, Node, State, namespace};
use crate::config::Project;
use crate::error::{Code, Errors, Result};
use crate::owner::Owner;
use crate::plan::ClusterFact;

/// None if Docker cannot bring images to the cluster.
pub(super) type Nodes = Option<Vec<Node>>;

pub(super) type ObservedCluster = (ClusterFact, Option<Access>, Nodes);

pub(super) async fn cluster(
    handle: &ManagedCluster,
    project: &Project,
    owner: &Owner,
) -> Result<ObservedCluster, Errors> {
    let fact = match handle.state().await? {
        State::Running(nodes) => match handle.pinned(&nodes).await {
            Ok(Some(access)) => {
                let home = namespace::find_own(&access.client, &project.id, owner).await?;
                let (fact, access) = in_use(home.as_ref(), owner, access);
                return Ok((fact, access, handle.within_reach(nodes).await?));
            }
            // The user named it: it is looked at before it is pinned.
            Ok(None) if handle.is_existing() => {
                namespace::find_own(&handle.reader().await?, &project.id, owner).await?;
                return Ok((
                    ClusterFact::Foreign,
                    None,
                    handle.within_reach(nodes).await?,
                ));
            }
            Ok(None) => ClusterFact::Foreign,
            // Its nodes may have been started a moment ago: the step waits for it.
            Err(e) if e.code == Code::ClusterUnreachable => ClusterFact::Silent,
            Err(e) => return Err(e.into()),
        },
        State::Stopped(nodes) if handle.is_pinned(&nodes)? => ClusterFact::Stopped,
        State::Stopped(_) => ClusterFact::Foreign,
        State::Absent => ClusterFact::Absent,
        State::HalfMade => ClusterFact::HalfMade,
    };
    if !matches!(fact, ClusterFact::Stopped | ClusterFact::Silent) {
        // It is needed to create or adopt a cluster, and its absence is better said now.
        handle.provided().await?;
    }
    Ok((fact, None, Some(vec![])))
}

/// What a cluster that answers is to the project. What is in a namespace that is being removed counts for nothing. A
/// namespace that is recorded for a folder which is gone, as after a rename, is to be claimed for the one that is there:
/// another clone would take it over, with its data.
fn in_use(
    home: Option<&ObjectMeta>,
    owner: &Owner,
    access: Access,
) -> (ClusterFact, Option<Access>) {
    match home {
        Some(home) if home.deletion_timestamp.is_none() && namespace::is_orphaned(home, owner) => {
            (ClusterFact::Unclaimed, Some(access))
        }
        Some(home) if namespace::is_in_use(home) => (ClusterFact::Ready, Some(access)),
        Some(home) if home.deletion_timestamp.is_some() => (ClusterFact::Unclaimed, None),
        _ => (ClusterFact::Unclaimed, Some(access)),
    }
}
