//! Namespaces beside a project's own that a change of the project has made: they carry the project's name in a label, and
//! go with the project.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::{Api, ListParams};

use super::super::client::{deletion_of, refused};
use super::PROJECT_LABEL;
use super::removal::wait_gone;
use crate::error::Result;
use crate::ui::event::Step;

/// On a namespace that a change has made: the project whose change it was.
pub const MADE_FOR_LABEL: &str = "devk.dev/made-for";

/// Namespaces of Kubernetes itself.
const OF_KUBERNETES: &[&str] = &["default", "kube-system", "kube-public", "kube-node-lease"];

/// Whether a namespace is Kubernetes' own, or has a name that Kubernetes keeps for itself.
pub fn is_of_kubernetes(namespace: &str) -> bool {
    OF_KUBERNETES.contains(&namespace) || namespace.starts_with("kube-")
}

/// The namespaces of other projects, and those that changes of other projects have made; each with its project.
///
/// # Errors
/// [`crate::error::Code::ClusterUnreachable`].
pub async fn of_other_projects(client: &Client, project: &str) -> Result<BTreeMap<String, String>> {
    let api: Api<Namespace> = Api::all(client.clone());
    let every = ListParams::default();
    let all = api.list_metadata(&every).await.map_err(|e| refused(&e))?;
    let owned = all.items.into_iter().filter_map(|found| {
        let labels = found.metadata.labels.unwrap_or_default();
        let owner = labels
            .get(PROJECT_LABEL)
            .or_else(|| labels.get(MADE_FOR_LABEL))?;
        (owner != project).then_some((found.metadata.name?, owner.clone()))
    });
    Ok(owned.collect())
}

/// The namespaces that changes of a project have made.
///
/// # Errors
/// [`crate::error::Code::ClusterUnreachable`].
pub async fn made_for(client: &Client, project: &str) -> Result<BTreeSet<String>> {
    let found = listed(client, project).await?;
    Ok(found.into_iter().map(|(name, _)| name).collect())
}

/// Removes them with all they hold, and waits until they are gone.
///
/// # Errors
/// [`crate::error::Code::NamespaceHeld`], [`crate::error::Code::ClusterUnreachable`].
pub async fn delete_made_for(client: &Client, project: &str, step: &Step) -> Result<()> {
    let api: Api<Namespace> = Api::all(client.clone());
    let found = listed(client, project).await?;
    for (name, uid) in &found {
        match api.delete(name, &deletion_of(uid.clone())).await {
            Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => {}
            removed => drop(removed.map_err(|e| refused(&e))?),
        }
    }
    for (name, _) in &found {
        wait_gone(client, name, step).await?;
    }
    Ok(())
}

async fn listed(client: &Client, project: &str) -> Result<Vec<(String, Option<String>)>> {
    let api: Api<Namespace> = Api::all(client.clone());
    let own = ListParams::default().labels(&format!("{MADE_FOR_LABEL}={project}"));
    let found = api.list_metadata(&own).await.map_err(|e| refused(&e))?;
    let namespaces = found.items.into_iter().map(|found| found.metadata);
    // The label by another hand makes no namespace of Kubernetes or of a project one that a change has made.
    let is_made = |metadata: &ObjectMeta| {
        let labels = metadata.labels.as_ref();
        let is_project = labels.is_some_and(|labels| labels.contains_key(PROJECT_LABEL));
        !is_project
            && metadata
                .name
                .as_deref()
                .is_some_and(|name| !is_of_kubernetes(name))
    };
    Ok(namespaces
        .filter(is_made)
        .filter_map(|metadata| Some((metadata.name?, metadata.uid)))
        .collect())
}
