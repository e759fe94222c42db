//! Namespaces beside a project's own that a change of the project has made: they carry the project's name in a label, and
//! go with the project.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::{Api, ListParams};

use super::super::client::{deletion_of, refused};
use super::removal::wait_gone;
use super::{ASLEEP_ANNOTATION, PROJECT_LABEL, has, noted};
use crate::error::Result;
use crate::owner::Owner;
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

/// The namespaces that changes of a project have made. With an owner, those of another owner's project of the same name are
/// left out; one without a record counts as the owner's, like a project's own namespace.
///
/// # Errors
/// [`crate::error::Code::ClusterUnreachable`].
pub async fn made_for(
    client: &Client,
    project: &str,
    owner: Option<&Owner>,
) -> Result<BTreeSet<String>> {
    let found = listed(client, project, owner).await?;
    Ok(found
        .into_iter()
        .filter_map(|metadata| metadata.name)
        .collect())
}

/// Whether one of them was put to sleep while the project had no namespace of its own to note it on.
pub(super) async fn sleeps_beside(
    client: &Client,
    project: &str,
    owner: Option<&Owner>,
) -> Result<bool> {
    let found = listed(client, project, owner).await?;
    Ok(found
        .iter()
        .any(|metadata| has(metadata, ASLEEP_ANNOTATION)))
}

/// Removes those of this owner with all they hold, and waits until they are gone.
///
/// # Errors
/// [`crate::error::Code::NamespaceHeld`], [`crate::error::Code::ClusterUnreachable`].
pub async fn delete_made_for(
    client: &Client,
    project: &str,
    owner: &Owner,
    step: &Step,
) -> Result<()> {
    let api: Api<Namespace> = Api::all(client.clone());
    let found = listed(client, project, Some(owner)).await?;
    let found = found
        .into_iter()
        .filter_map(|metadata| Some((metadata.name?, metadata.uid)));
    let found: Vec<_> = found.collect();
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

async fn listed(client: &Client, project: &str, owner: Option<&Owner>) -> Result<Vec<ObjectMeta>> {
    let api: Api<Namespace> = Api::all(client.clone());
    let own = ListParams::default().labels(&format!("{MADE_FOR_LABEL}={project}"));
    let found = api.list_metadata(&own).await.map_err(|e| refused(&e))?;
    let namespaces = found.items.into_iter().map(|found| found.metadata);
    // The label by another hand makes no namespace of Kubernetes or of a project one that a change has made.
    let is_made = |metadata: &ObjectMeta| {
        let labels = metadata.labels.as_ref();
        let is_project = labels.is_some_and(|labels| labels.contains_key(PROJECT_LABEL));
        let is_anothers = owner
            .zip(noted(metadata))
            .is_some_and(|(owner, noted)| !owner.has(&noted));
        !is_project
            && !is_anothers
            && metadata
                .name
                .as_deref()
                .is_some_and(|name| !is_of_kubernetes(name))
    };
    Ok(namespaces.filter(is_made).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use std::path::Path;

    use super::super::super::fake::{client, client_that, owner, request, step};
    use super::super::owner_notes;
    use super::*;

    fn ann_and_bob() -> (Owner, Owner) {
        (
            owner(Path::new("/ann"), "m1"),
            owner(Path::new("/bob"), "m2"),
        )
    }

    fn list(owners: &[(&str, Option<&Owner>)]) -> serde_json::Value {
        let items = owners.iter().map(|(name, owner)| {
            let notes: BTreeMap<_, _> = owner.iter().flat_map(|owner| owner_notes(owner)).collect();
            let labels = json!({MADE_FOR_LABEL: "shop"});
            json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                "metadata": {"name": name, "labels": labels, "annotations": notes}})
        });
        let items: Vec<_> = items.collect();
        json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "items": items})
    }

    #[tokio::test]
    async fn what_a_change_of_another_project_of_the_same_name_made_is_left_out() {
        let (ann, bob) = ann_and_bob();
        let all = [
            ("anns", Some(&ann)),
            ("bobs", Some(&bob)),
            ("unnoted", None),
        ];
        let (client, _) = client(list(&all));
        let of = async |owner| made_for(&client, "shop", owner).await.unwrap();
        assert_eq!(
            of(Some(&ann)).await,
            ["anns", "unnoted"].map(str::to_owned).into()
        );
        assert_eq!(
            of(Some(&bob)).await,
            ["bobs", "unnoted"].map(str::to_owned).into()
        );
        assert_eq!(of(None).await.len(), 3);
    }

    #[tokio::test]
    async fn what_a_change_of_another_project_of_the_same_name_made_is_not_removed() {
        let (ann, bob) = ann_and_bob();
        let bobs = list(&[("bobs", Some(&bob))]);
        let (client, requests) = client_that(move |_| (200, bobs.clone()));
        delete_made_for(&client, "shop", &ann, &step())
            .await
            .unwrap();
        assert_eq!(requests.lock().unwrap().len(), 1, "nothing but the look");
        assert_eq!(request(&requests, 0).0, "GET");
    }
}
