//! Namespaces beside a project's own that a change of the project has made: they carry the project's name in a label, and
//! go with the project.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use kube::api::{Api, ListParams};

use super::super::client::{deletion_of, refused};
use super::removal::wait_gone;
use crate::error::Result;
use crate::ui::event::Step;

/// On a namespace that a change has made: the project whose change it was.
pub const MADE_FOR_LABEL: &str = "devk.dev/made-for";

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
    Ok(namespaces
        .filter_map(|metadata| Some((metadata.name?, metadata.uid)))
        .collect())
}
