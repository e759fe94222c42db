//! Whether a stack is that of another folder: two clones of one repository are one project by its name.

use crate::cluster::{ManagedCluster, State, namespace};
use crate::config::Project;
use crate::error::{Code, Result};
use crate::owner::Owner;
use crate::paths::Paths;

/// Refuses to end what another folder's project of the same name has, before its session ends. A cluster that does not
/// answer is looked at again by [`super::Down::run`].
///
/// # Errors
/// [`Code::NamespaceForeign`].
pub async fn refuse_anothers(
    cluster: &ManagedCluster,
    project: &Project,
    paths: &Paths,
) -> Result<()> {
    let Ok(State::Running(nodes)) = cluster.state().await else {
        return Ok(());
    };
    let Ok(Some(access)) = cluster.pinned(&nodes).await else {
        return Ok(());
    };
    let owner = Owner::of(&project.root, paths).await;
    match namespace::find_own(&access.client, &project.id, &owner).await {
        Err(error) if error.code == Code::NamespaceForeign => Err(error),
        _ => Ok(()),
    }
}
