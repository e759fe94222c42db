//! The releases as they are installed in the cluster.

use super::charts::PreparedRelease;
use crate::cluster::Access;
use crate::config::Project;
use crate::error::{Errors, Result, on_cluster};
use crate::plan::{LeftOut, ReleaseFact};
use crate::release::helm::Helm;
use crate::release::{drift, installed, requirements};

pub(super) async fn release_facts(
    access: Option<&Access>,
    project: &Project,
    releases: &[PreparedRelease],
) -> Result<Vec<ReleaseFact>, Errors> {
    let standing = releases.iter().map(|release| async move {
        let uses = release
            .rendered
            .images()
            .into_iter()
            .map(|used| used.image)
            .collect();
        let (installed, drift) = match access {
            Some(access) => standing(access, project, release).await?,
            None => (false, vec![]),
        };
        Ok::<_, Errors>(ReleaseFact {
            name: release.prepared.name.clone(),
            uses,
            changes: release.changes.clone(),
            installed,
            drift,
        })
    });
    futures::future::try_join_all(standing).await
}

/// Whether the cluster holds exactly this release, installed by devk, and the drift of the release.
///
/// # Errors
/// [`crate::error::Code::ClusterUnreachable`].
pub async fn standing(
    access: &Access,
    project: &Project,
    release: &PreparedRelease,
) -> Result<(bool, Vec<String>)> {
    let client = &access.client;
    let prepared = &release.prepared;
    let found = installed::installed(client, &project.id, &prepared.name).await?;
    if !found.is_some_and(|found| found.is_current(&prepared.inputs)) {
        return Ok((false, vec![]));
    }
    let changed = drift::detect(client, &project.id, &release.rendered).await?;
    // An upgrade leaves alone what the chart says nothing of.
    let is_reverted = changed.iter().any(|changed| changed.reverted_by_upgrade);
    Ok((
        !is_reverted,
        changed
            .into_iter()
            .filter(|changed| changed.reverted_by_upgrade == is_reverted)
            .map(|changed| changed.what)
            .collect(),
    ))
}

/// Objects of the first release that is to be installed whose kinds the cluster does not know. A release after it may
/// need what this one brings, and is looked at by helm.
pub(super) async fn missing_kinds(
    access: Option<&Access>,
    helm: &Helm,
    releases: &[PreparedRelease],
    facts: &[ReleaseFact],
) -> Result<(), Errors> {
    let mut missing = releases
        .iter()
        .zip(facts)
        .filter(|(_, fact)| !fact.installed);
    let (Some(access), Some((release, _))) = (access, missing.next()) else {
        return Ok(());
    };
    let PreparedRelease {
        prepared, rendered, ..
    } = release;
    let errors = requirements::missing_kinds(&access.client, prepared, rendered, helm).await?;
    Errors::unless_empty(errors, ())
}

/// Releases that devk.yaml does not name any more. Their volumes may hold data: whether they go is for the user to say.
pub(super) async fn orphaned_releases(
    access: Option<&Access>,
    project: &Project,
) -> Result<Vec<LeftOut>, Errors> {
    let Some(access) = access else {
        return Ok(vec![]);
    };
    let told = |name: String| {
        let remove = on_cluster(format!("helm uninstall {name} --namespace {}", project.id));
        LeftOut {
            name,
            why: format!(
                "devk.yaml does not name this release any more, and the release keeps running; to remove it: {remove}"
            ),
        }
    };
    Ok(installed::orphaned_releases(&access.client, project)
        .await?
        .into_iter()
        .map(told)
        .collect())
}
