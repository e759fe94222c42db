//! The releases as they are installed in the cluster.

use super::charts::PreparedRelease;
use crate::cluster::Access;
use crate::cluster::client::discovery;
use crate::config::Project;
use crate::error::{Errors, Result, on_cluster};
use crate::plan::{LeftOut, ReleaseFact};
use crate::release::helm::Helm;
use crate::release::manifest::Rendered;
use crate::release::{drift, installed, requirements};

/// How a release stands in its cluster.
#[derive(Debug, Default)]
pub struct Standing {
    /// The cluster holds exactly this release, installed by devk.
    pub is_current: bool,
    pub drift: Vec<String>,
    /// What helm has installed with these very inputs.
    pub installed: Option<Rendered>,
}

/// How each release stands, and what helm has installed of the releases that are as devk would install them now.
pub(super) async fn release_facts(
    access: Option<&Access>,
    project: &Project,
    releases: &[PreparedRelease],
) -> Result<Vec<(ReleaseFact, Option<Rendered>)>, Errors> {
    let standing = releases.iter().map(|release| async move {
        let Standing {
            is_current,
            drift,
            installed,
        } = match access {
            Some(access) => standing(access, project, release).await?,
            None => Standing::default(),
        };
        let uses = release.rendered.images().into_iter();
        let fact = ReleaseFact {
            name: release.prepared.name.clone(),
            uses: uses.map(|used| used.image).collect(),
            changes: release.changes.clone(),
            installed: is_current,
            drift,
        };
        Ok::<_, Errors>((fact, installed))
    });
    futures::future::try_join_all(standing).await
}

/// Whether the cluster holds exactly this release, installed by devk, and the drift of the release: of what helm has
/// installed, not of what the chart renders now.
///
/// # Errors
/// [`crate::error::Code::ClusterUnreachable`], and those of [`installed::Installed::manifests`].
pub async fn standing(
    access: &Access,
    project: &Project,
    release: &PreparedRelease,
) -> Result<Standing> {
    let client = &access.client;
    let prepared = &release.prepared;
    let found = installed::installed(client, &project.id, &prepared.name).await?;
    let Some(found) = found.filter(|found| found.is_current(&prepared.inputs)) else {
        return Ok(Standing::default());
    };
    let Some(installed) = found.manifests(client, &project.id).await? else {
        return Ok(Standing::default());
    };
    let changed = drift::detect(client, &project.id, &installed).await?;
    // An upgrade leaves alone what the chart says nothing of.
    let is_reverted = changed.iter().any(|changed| changed.reverted_by_upgrade);
    let told = changed
        .into_iter()
        .filter(|changed| changed.reverted_by_upgrade == is_reverted);
    Ok(Standing {
        is_current: !is_reverted,
        drift: told.map(|changed| changed.what).collect(),
        installed: Some(installed),
    })
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
    let Some(access) = access else {
        return Ok(());
    };
    let mut errors = vec![];
    for (release, _) in missing.clone() {
        errors.extend(requirements::absent_definitions(&access.client, &release.prepared).await?);
    }
    Errors::unless_empty(errors, ())?;
    let Some((release, _)) = missing.next() else {
        return Ok(());
    };
    let PreparedRelease {
        prepared, rendered, ..
    } = release;
    let errors = requirements::missing_kinds(&access.client, prepared, rendered, helm).await?;
    Errors::unless_empty(errors, ())
}

/// Objects of the releases that are to be installed that belong to others on the cluster.
pub(super) async fn owned_by_others(
    access: Option<&Access>,
    releases: &[PreparedRelease],
    facts: &[ReleaseFact],
) -> Result<(), Errors> {
    let to_install = releases.iter().zip(facts);
    let to_install: Vec<_> = to_install.filter(|(_, fact)| !fact.installed).collect();
    let Some(access) = access.filter(|_| !to_install.is_empty()) else {
        return Ok(());
    };
    let client = &access.client;
    let failed = |e: kube::Error| installed::unreachable(&e, "look for objects of other releases");
    let kinds = &discovery(client).await.map_err(failed)?;
    let looks = to_install.into_iter().map(|(release, _)| {
        requirements::owned_by_others(client, kinds, &release.prepared, &release.rendered)
    });
    let found = futures::future::join_all(looks).await;
    Errors::unless_empty(found.into_iter().flatten().collect(), ())
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
