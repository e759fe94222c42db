//! A project's namespace: created and labelled by devk, and never taken over from another owner.

mod made;
mod removal;

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Map, Value, json};

use super::client::{deletion_of, refused};
use crate::error::{Code, Error, Result};
use crate::owner::Owner;
use crate::ui::event::Step;
use made::sleeps_beside;
pub use made::{MADE_FOR_LABEL, delete_made_for, is_of_kubernetes, made_for, of_other_projects};
pub use removal::removal;
use removal::wait_gone;

/// Says which project a namespace belongs to.
pub const PROJECT_LABEL: &str = "devk.dev/project";
/// The project's workloads are scaled to zero.
pub const ASLEEP_ANNOTATION: &str = "devk.dev/asleep";
/// An `up` is under way that wakes them.
pub const WAKING_ANNOTATION: &str = "devk.dev/waking";
/// The project's folder: two clones of one repository have one project id.
const ROOT_ANNOTATION: &str = "devk.dev/root";
/// Whose folder that is, and on which machine ([`Owner`]).
const USER_ANNOTATION: &str = "devk.dev/user";
const MACHINE_ANNOTATION: &str = "devk.dev/machine";

/// Finds the project's namespace; None if it is not there.
///
/// # Errors
/// [`Code::NamespaceForeign`] if it is there and not devk's.
pub async fn find(client: &kube::Client, project: &str) -> Result<Option<ObjectMeta>> {
    let api: Api<Namespace> = Api::all(client.clone());
    let found = api
        .get_metadata_opt(project)
        .await
        .map_err(|e| refused(&e))?
        .map(|found| found.metadata);
    if found.as_ref().is_some_and(|found| !is_of(found, project)) {
        return Err(Error::new(
            Code::NamespaceForeign,
            format!("namespace `{project}` exists and is not devk's"),
        )
        .hint("give the project another `name` in devk.yaml"));
    }
    Ok(found)
}

/// Like [`find`], for the project of this owner alone.
///
/// # Errors
/// [`Code::NamespaceForeign`] if it is there and not devk's, or the same project's of another owner, unless that
/// one's folder is gone.
pub async fn find_own(
    client: &kube::Client,
    project: &str,
    owner: &Owner,
) -> Result<Option<ObjectMeta>> {
    let found = find(client, project).await?;
    match found
        .as_ref()
        .and_then(noted)
        .filter(|noted| !owner.has(noted))
    {
        Some(other) => Err(foreign(project, &other.apart(owner))),
        None => Ok(found),
    }
}

/// Whether the namespace is recorded for a folder of this owner that is gone.
pub fn is_orphaned(namespace: &ObjectMeta, owner: &Owner) -> bool {
    noted(namespace).is_some_and(|noted| owner.has_lost(&noted))
}

fn foreign(project: &str, place: &str) -> Error {
    let notes = [ROOT_ANNOTATION, USER_ANNOTATION, MACHINE_ANNOTATION]
        .map(|note| format!("{note}-"))
        .join(" ");
    Error::new(Code::NamespaceForeign, format!("namespace `{project}` belongs to the project in {place}")).hint(
        format!(
            "give this project another `name` in devk.yaml, or `devk down --delete` there first; if that project is no \
         more: kubectl --kubeconfig \"$(devk kubeconfig)\" annotate namespace {project} {notes}"
        ),
    )
}

/// The record of an owner on a namespace: annotations and their values.
pub(crate) fn owner_notes(owner: &Owner) -> impl Iterator<Item = (&'static str, String)> {
    notes(owner)
        .into_iter()
        .filter_map(|(key, note)| Some((key, note?)))
}

/// The owner that a namespace records; None if it has no record.
pub(super) fn noted(namespace: &ObjectMeta) -> Option<Owner> {
    let note = |key: &str| namespace.annotations.as_ref()?.get(key).cloned();
    let user = note(USER_ANNOTATION).and_then(|user| user.parse().ok());
    Some(Owner {
        root: note(ROOT_ANNOTATION)?.into(),
        user,
        machine: note(MACHINE_ANNOTATION),
    })
}

fn notes(owner: &Owner) -> [(&'static str, Option<String>); 3] {
    let user = owner.user.map(|user| user.to_string());
    let machine = owner.machine.clone();
    [
        (ROOT_ANNOTATION, Some(owner.root.display().to_string())),
        (USER_ANNOTATION, user),
        (MACHINE_ANNOTATION, machine),
    ]
}

fn is_of(namespace: &ObjectMeta, project: &str) -> bool {
    namespace
        .labels
        .iter()
        .flatten()
        .any(|(key, value)| key == PROJECT_LABEL && value == project)
}

fn has(namespace: &ObjectMeta, annotation: &str) -> bool {
    namespace
        .annotations
        .iter()
        .flatten()
        .any(|(key, _)| key == annotation)
}

/// The workloads are scaled to zero, and no `up` is about to wake them.
fn rests(namespace: &ObjectMeta) -> bool {
    has(namespace, ASLEEP_ANNOTATION) && !has(namespace, WAKING_ANNOTATION)
}

/// The project is active in the namespace, so that no other project's `down` ends the cluster.
pub fn is_in_use(namespace: &ObjectMeta) -> bool {
    namespace.deletion_timestamp.is_none() && !rests(namespace)
}

/// Makes the namespace if it is missing, and marks it as in use. If an interrupted `down --delete` is still removing
/// the namespace, the call waits and creates it again.
///
/// # Errors
/// [`Code::NamespaceForeign`] if it is there and not devk's, [`Code::NamespaceHeld`] if it cannot be removed.
pub async fn ensure(
    client: &kube::Client,
    project: &str,
    owner: &Owner,
    step: &Step,
) -> Result<()> {
    let api: Api<Namespace> = Api::all(client.clone());
    match find_own(client, project, owner).await? {
        Some(found) if found.deletion_timestamp.is_none() => {
            return annotate(&api, project, missing(&found, owner)).await;
        }
        Some(_) => {
            step.progress(format!("namespace `{project}` is still being removed"));
            wait_gone(client, project, step).await?;
        }
        None => {}
    }
    match api
        .create(&PostParams::default(), &namespace(project, owner))
        .await
    {
        Ok(_) => Ok(()),
        // Another step of this `up` was quicker.
        Err(kube::Error::Api(status)) if status.code == 409 => {
            find_own(client, project, owner).await.map(drop)
        }
        Err(error) => Err(refused(&error)),
    }
}

/// The notes that the namespace lacks, or has of an owner that is gone.
fn missing(found: &ObjectMeta, owner: &Owner) -> Map<String, Value> {
    let mut notes = match noted(found) {
        Some(noted) if noted == *owner => Map::new(),
        _ => notes(owner)
            .into_iter()
            .map(|(key, note)| (key.to_owned(), json!(note)))
            .collect(),
    };
    if rests(found) {
        // Until every workload is awake, the namespace stays marked as asleep, so that an interrupted wake is repeated.
        notes.insert(WAKING_ANNOTATION.to_owned(), json!("true"));
    }
    notes
}

async fn annotate(api: &Api<Namespace>, project: &str, notes: Map<String, Value>) -> Result<()> {
    if notes.is_empty() {
        return Ok(());
    }
    let patch = Patch::Merge(json!({"metadata": {"annotations": notes}}));
    api.patch_metadata(project, &PatchParams::default(), &patch)
        .await
        .map(drop)
        .map_err(|e| refused(&e))
}

/// A project that has a namespace in a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectNamespace {
    pub name: String,
    /// Its workloads are scaled to zero, and no `up` is about to wake them.
    pub asleep: bool,
    /// None if the namespace has no record of it.
    pub owner: Option<Owner>,
}

/// The projects that have a namespace in this cluster.
///
/// # Errors
/// [`Code::ClusterUnreachable`].
pub async fn projects(client: &kube::Client) -> Result<Vec<ProjectNamespace>> {
    let api: Api<Namespace> = Api::all(client.clone());
    let found = api
        .list_metadata(&ListParams::default().labels(PROJECT_LABEL))
        .await
        .map_err(|e| refused(&e))?;
    let project = |metadata: ObjectMeta| {
        let asleep = rests(&metadata);
        let owner = noted(&metadata);
        Some(ProjectNamespace {
            name: metadata.name?,
            asleep,
            owner,
        })
    };
    Ok(found
        .items
        .into_iter()
        .filter_map(|namespace| project(namespace.metadata))
        .collect())
}

/// The project's workloads are scaled to zero, or those that are left of it beside a namespace that was removed.
///
/// # Errors
/// [`Code::ClusterUnreachable`].
pub async fn is_asleep(client: &kube::Client, project: &str) -> Result<bool> {
    let found = find(client, project).await?;
    if found
        .as_ref()
        .is_some_and(|found| has(found, ASLEEP_ANNOTATION))
    {
        return Ok(true);
    }
    let owner = found.as_ref().and_then(noted);
    sleeps_beside(client, project, owner.as_ref()).await
}

/// Removes the project's namespace with all it holds, and waits until it is gone.
///
/// # Errors
/// [`Code::NamespaceForeign`], [`Code::NamespaceHeld`] if it cannot go or is not gone after 3 minutes, [`Code::ClusterUnreachable`].
pub async fn delete(client: &kube::Client, project: &str, step: &Step) -> Result<()> {
    let api: Api<Namespace> = Api::all(client.clone());
    let Some(found) = find(client, project).await? else {
        return Ok(());
    };
    match api.delete(project, &deletion_of(found.uid)).await {
        Ok(_) => wait_gone(client, project, step).await,
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(refused(&error)),
    }
}

/// Waits until those of these namespaces that are being removed are gone.
///
/// # Errors
/// [`Code::NamespaceHeld`] if one cannot go or is not gone after 3 minutes, [`Code::ClusterUnreachable`].
pub async fn wait_removed(
    client: &kube::Client,
    names: &BTreeSet<String>,
    step: &Step,
) -> Result<()> {
    let api: Api<Namespace> = Api::all(client.clone());
    for name in names {
        let found = api.get_metadata_opt(name).await.map_err(|e| refused(&e))?;
        if found.is_some_and(|found| found.metadata.deletion_timestamp.is_some()) {
            step.progress(format!("waiting until namespace `{name}` is gone"));
            wait_gone(client, name, step).await?;
        }
    }
    Ok(())
}

fn namespace(project: &str, owner: &Owner) -> Namespace {
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(project.to_owned());
    let labels = [
        ("app.kubernetes.io/managed-by", "devk"),
        (PROJECT_LABEL, project),
    ];
    namespace.metadata.labels = Some(labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    let notes = owner_notes(owner).map(|(key, note)| (key.to_owned(), note));
    namespace.metadata.annotations = Some(notes.collect());
    namespace
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::fake::{client, owner, request, step};
    use super::*;

    fn shop(owner: &Owner, more: &[(&str, &str)]) -> ObjectMeta {
        let mut metadata = namespace("shop", owner).metadata;
        metadata
            .annotations
            .iter_mut()
            .for_each(|all| all.extend(more.iter().map(|(k, v)| (k.to_string(), v.to_string()))));
        metadata
    }

    fn whole(metadata: &ObjectMeta) -> Value {
        json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
    }

    #[test]
    fn a_namespace_is_the_projects_by_its_label_and_not_by_its_name() {
        let mut own = shop(&owner(Path::new("/p"), "m1"), &[]);
        assert!(is_of(&own, "shop"));
        assert!(!is_of(&own, "shop-2"));
        own.labels = None;
        assert!(!is_of(&own, "shop"));
    }

    #[test]
    fn a_namespace_of_a_folder_that_is_gone_is_to_be_claimed_for_the_one_that_is_there() {
        let here = tempfile::tempdir().unwrap();
        let own = owner(here.path(), "m1");
        let gone = owner(&here.path().join("renamed"), "m1");
        assert!(is_orphaned(&shop(&gone, &[]), &own));
        assert!(!is_orphaned(&shop(&own, &[]), &own));
        assert!(
            !is_orphaned(&shop(&owner(&gone.root, "m2"), &[]), &own),
            "of another machine"
        );
    }

    #[tokio::test]
    async fn a_namespace_of_a_folder_on_another_machine_is_refused_with_the_way_to_take_it() {
        let ann = owner(Path::new("/ann/shop"), "m1");
        let bob = owner(Path::new("/bob/shop"), "m2");
        let (client, requests) = client(whole(&shop(&ann, &[])));
        let error = ensure(&client, "shop", &bob, &step()).await.unwrap_err();
        assert_eq!(error.code, Code::NamespaceForeign);
        assert_eq!(
            error.message,
            "namespace `shop` belongs to the project in `/ann/shop` on another machine"
        );
        assert!(
            error
                .hint
                .unwrap()
                .ends_with("namespace shop devk.dev/root- devk.dev/user- devk.dev/machine-")
        );
        assert_eq!(requests.lock().unwrap().len(), 1, "nothing was written");
        let here = owner(Path::new("/ann/elsewhere"), "m1");
        assert!(
            find_own(&client, "shop", &here).await.unwrap().is_some(),
            "here it is known to be gone"
        );
    }

    #[tokio::test]
    async fn what_an_older_devk_left_out_is_noted_once() {
        let own = owner(Path::new("/p"), "m1");
        let (older, requests) = client(whole(&shop(
            &Owner {
                user: None,
                machine: None,
                ..own.clone()
            },
            &[],
        )));
        ensure(&older, "shop", &own, &step()).await.unwrap();
        let notes =
            json!({ROOT_ANNOTATION: "/p", USER_ANNOTATION: "1000", MACHINE_ANNOTATION: "m1"});
        assert_eq!(
            request(&requests, 1),
            (
                "PATCH".to_owned(),
                json!({"metadata": {"annotations": notes}})
            )
        );

        let (whole, requests) = client(whole(&shop(&own, &[])));
        ensure(&whole, "shop", &own, &step()).await.unwrap();
        assert_eq!(
            requests.lock().unwrap().len(),
            1,
            "one look, and nothing to write"
        );
    }

    #[tokio::test]
    async fn a_sleeping_project_that_comes_up_is_in_use_before_its_workloads_are_awake() {
        let own = owner(Path::new("/p"), "m1");
        let asleep = shop(&own, &[(ASLEEP_ANNOTATION, "true")]);
        assert!(!is_in_use(&asleep));
        let (sleeping, requests) = client(whole(&asleep));
        ensure(&sleeping, "shop", &own, &step()).await.unwrap();
        let waking = json!({"metadata": {"annotations": {WAKING_ANNOTATION: "true"}}});
        assert_eq!(request(&requests, 1), ("PATCH".to_owned(), waking));

        let waking = shop(
            &own,
            &[(ASLEEP_ANNOTATION, "true"), (WAKING_ANNOTATION, "true")],
        );
        assert!(is_in_use(&waking));
        let list = json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": {},
            "items": [whole(&waking)]});
        let project = projects(&client(list).0).await.unwrap().remove(0);
        assert!(
            !project.asleep,
            "another project's `down` leaves the cluster running"
        );
        assert_eq!(project.owner, Some(own));
        assert!(
            is_asleep(&client(whole(&waking)).0, "shop").await.unwrap(),
            "a wake that is cut off is done again"
        );
    }
}
