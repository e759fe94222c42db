//! A project's namespace: made by devk, labelled, and never taken from somebody else.

use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DeleteParams, ListParams, PostParams, Preconditions};

use super::client::refused;
use crate::error::{Code, Error, Result, on_cluster};

/// Says which project a namespace belongs to.
pub const PROJECT_LABEL: &str = "devk.dev/project";
/// The project's workloads are scaled to zero.
pub const ASLEEP_ANNOTATION: &str = "devk.dev/asleep";
/// The project's folder: two clones of one repository have one project id.
const ROOT_ANNOTATION: &str = "devk.dev/root";

/// How long a namespace may take to go: as long as the grace periods of its pods, and some more.
const GONE: Duration = Duration::from_secs(180);

/// Finds the project's namespace; None if it is not there.
///
/// # Errors
/// [`Code::NamespaceForeign`] if it is there and not devk's.
pub async fn find(client: &kube::Client, project: &str) -> Result<Option<ObjectMeta>> {
    let api: Api<Namespace> = Api::all(client.clone());
    let found = api.get_metadata_opt(project).await.map_err(|e| refused(&e))?.map(|found| found.metadata);
    if found.as_ref().is_some_and(|found| !is_of(found, project)) {
        return Err(Error::new(Code::NamespaceForeign, format!("namespace `{project}` exists and is not devk's"))
            .hint("give the project another `name` in devk.yaml"));
    }
    Ok(found)
}

/// Like [`find`], for the project in the folder `root` alone.
///
/// # Errors
/// [`Code::NamespaceForeign`] if it is there and not devk's, or the same project's in another folder that
/// still exists.
pub async fn find_own(client: &kube::Client, project: &str, root: &Path) -> Result<Option<ObjectMeta>> {
    let found = find(client, project).await?;
    let Some(other) = found.as_ref().and_then(|found| other_root(found, root)) else { return Ok(found) };
    let message = format!("namespace `{project}` belongs to the project in `{}`", other.display());
    Err(Error::new(Code::NamespaceForeign, message)
        .hint("give this project another `name` in devk.yaml, or `devk down --delete` there first"))
}

fn other_root(namespace: &ObjectMeta, root: &Path) -> Option<PathBuf> {
    let noted = noted_root(namespace)?;
    match noted.canonicalize() {
        Ok(there) => (there != root.canonicalize().ok()?).then_some(noted),
        // It stands where another user does not let this one look.
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => Some(noted),
        Err(_) => None,
    }
}

fn noted_root(namespace: &ObjectMeta) -> Option<PathBuf> {
    namespace.annotations.as_ref()?.get(ROOT_ANNOTATION).map(PathBuf::from)
}

fn is_of(namespace: &ObjectMeta, project: &str) -> bool {
    namespace.labels.iter().flatten().any(|(key, value)| key == PROJECT_LABEL && value == project)
}

fn is_sleeping(namespace: &ObjectMeta) -> bool {
    namespace.annotations.iter().flatten().any(|(key, _)| key == ASLEEP_ANNOTATION)
}

/// Makes the namespace if it is missing. One that an interrupted `down --delete` is still removing is
/// waited for and made anew.
///
/// # Errors
/// [`Code::NamespaceForeign`] if it is there and not devk's.
pub async fn ensure(client: &kube::Client, project: &str, root: &Path) -> Result<()> {
    match find_own(client, project, root).await? {
        Some(found) if found.deletion_timestamp.is_none() => return Ok(()),
        Some(_) => wait_gone(client, project).await?,
        None => {}
    }
    let api: Api<Namespace> = Api::all(client.clone());
    match api.create(&PostParams::default(), &namespace(project, root)).await {
        Ok(_) => Ok(()),
        // Another step of this `up` was quicker.
        Err(kube::Error::Api(status)) if status.code == 409 => find_own(client, project, root).await.map(drop),
        Err(error) => Err(refused(&error)),
    }
}

/// A project that lives in a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resident {
    pub name: String,
    pub asleep: bool,
    /// The project's folder, if it was noted.
    pub root: Option<PathBuf>,
}

/// The projects that have a namespace in this cluster.
///
/// # Errors
/// [`Code::ClusterUnreachable`].
pub async fn projects(client: &kube::Client) -> Result<Vec<Resident>> {
    let api: Api<Namespace> = Api::all(client.clone());
    let found = api.list_metadata(&ListParams::default().labels(PROJECT_LABEL)).await.map_err(|e| refused(&e))?;
    let resident = |metadata: ObjectMeta| {
        let asleep = is_sleeping(&metadata);
        let root = noted_root(&metadata);
        Some(Resident { name: metadata.name?, asleep, root })
    };
    Ok(found.items.into_iter().filter_map(|namespace| resident(namespace.metadata)).collect())
}

/// The project's workloads are scaled to zero.
///
/// # Errors
/// [`Code::ClusterUnreachable`].
pub async fn is_asleep(client: &kube::Client, project: &str) -> Result<bool> {
    Ok(find(client, project).await?.is_some_and(|found| is_sleeping(&found)))
}

/// Removes the project's namespace with all it holds, and waits until it is gone.
///
/// # Errors
/// [`Code::NamespaceForeign`], [`Code::ClusterUnreachable`] if it is not gone after 3 minutes.
pub async fn delete(client: &kube::Client, project: &str) -> Result<()> {
    let api: Api<Namespace> = Api::all(client.clone());
    let Some(found) = find(client, project).await? else { return Ok(()) };
    // The very one that was looked at.
    let same = Preconditions { uid: found.uid, resource_version: None };
    match api.delete(project, &DeleteParams { preconditions: Some(same), ..DeleteParams::default() }).await {
        Ok(_) => wait_gone(client, project).await,
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(refused(&error)),
    }
}

async fn wait_gone(client: &kube::Client, project: &str) -> Result<()> {
    let api: Api<Namespace> = Api::all(client.clone());
    let deadline = tokio::time::Instant::now() + GONE;
    while let Some(left) = api.get_opt(project).await.map_err(|e| refused(&e))? {
        if tokio::time::Instant::now() > deadline {
            return Err(stuck(project, &left));
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Ok(())
}

/// Kubernetes' own words on what is left, such as finalizers that nobody answers.
fn stuck(project: &str, left: &Namespace) -> Error {
    let conditions = left.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let reasons = conditions.filter(|c| c.status == "True").filter_map(|c| c.message.clone());
    Error::new(Code::ClusterUnreachable, format!("namespace `{project}` is not gone after {} s", GONE.as_secs()))
        .evidence(reasons.collect::<Vec<_>>().join("\n"))
        .hint(on_cluster(format!("kubectl get namespace {project} -o yaml")))
}

fn namespace(project: &str, root: &Path) -> Namespace {
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(project.to_owned());
    let labels = [("app.kubernetes.io/managed-by", "devk"), (PROJECT_LABEL, project)];
    namespace.metadata.labels = Some(labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    namespace.metadata.annotations = Some([(ROOT_ANNOTATION.to_owned(), root.display().to_string())].into());
    namespace
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_the_projects_by_its_label_and_not_by_its_name() {
        let mut own = namespace("shop", Path::new("/p")).metadata;
        assert!(is_of(&own, "shop"));
        assert!(!is_of(&own, "shop-2"));
        own.labels = None;
        assert!(!is_of(&own, "shop"));
    }

    #[test]
    fn a_namespace_of_another_clone_is_told_until_that_clone_is_gone() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let noted = namespace("shop", there.path()).metadata;
        assert_eq!(other_root(&noted, here.path()).as_deref(), Some(there.path()));
        assert_eq!(other_root(&noted, there.path()), None);
        drop(there);
        assert_eq!(other_root(&noted, here.path()), None);
    }
}
