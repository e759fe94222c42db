//! What the charts require of the cluster and the cluster does not have.

use super::missing::of_project;
use super::{Check, Id, Looked, Missing, findings, skipped};
use crate::cluster::{Access, ManagedCluster, State};
use crate::config::Project;
use crate::docker::Engine;
use crate::environment::Environment;
use crate::error::{Error, Errors, Result};
use crate::observe::{self, Drafts, PreparedRelease};
use crate::paths::Paths;
use crate::release::helm::Helm;
use crate::release::{installed, requirements};

/// All that is missing, as `devk up` tells it. A release that comes after one that is not installed may get it from
/// that one, and is not looked at.
pub(super) async fn inspect(
    engine: &Result<Engine>,
    project: Result<&Project, &Missing>,
    drafts: &Looked<Drafts>,
    paths: &Paths,
    environment: &Environment,
) -> Looked<Vec<Error>> {
    let project = of_project(project)?;
    let Ok(engine) = engine else {
        return Err(skip("the Docker Engine does not answer"));
    };
    let handle = ManagedCluster::of(engine, &project.cluster, paths);
    let Ok(State::Running(nodes)) = handle.state().await else {
        return Err(skip("the cluster does not run"));
    };
    let Ok(Some(access)) = handle.pinned(&nodes).await else {
        return Err(skip("devk has not pinned the cluster"));
    };
    let Ok(releases) = drafts
        .as_ref()
        .map_or(Err(()), |d| d.releases.as_ref().map_err(drop))
    else {
        return Err(skip("the charts do not render"));
    };
    let helm = Helm::find(environment)?;
    Ok(missing(&access, releases, &helm).await?)
}

fn skip(why: &str) -> Missing {
    Missing::Skipped(why.to_owned())
}

async fn missing(
    access: &Access,
    releases: &[PreparedRelease],
    helm: &Helm,
) -> Result<Vec<Error>, Errors> {
    let client = &access.client;
    let mut found = vec![];
    for release in releases {
        let PreparedRelease {
            prepared, rendered, ..
        } = release;
        let others = observe::other_renderings(releases, &prepared.name);
        found.extend(requirements::missing_kinds(client, prepared, rendered, helm).await?);
        found.extend(requirements::missing_objects(client, prepared, rendered, &others).await);
        found.extend(requirements::missing_stores(client, prepared, rendered, &others).await);
        let namespace = &prepared.namespace;
        if installed::installed(client, namespace, &prepared.name)
            .await?
            .is_none()
        {
            break;
        }
    }
    Ok(found)
}

pub(super) fn checks(requirements: &Looked<Vec<Error>>) -> Vec<Check> {
    let id = Id::ChartsRequirements;
    match requirements {
        Ok(missing) => findings(
            id,
            missing
                .iter()
                .map(|error| Check::failed(id, error))
                .collect(),
            "the cluster has what the charts ask of it",
        ),
        Err(Missing::Failed(errors)) => Check::all_failed(id, errors),
        Err(missing) => skipped(&[id], missing),
    }
}
