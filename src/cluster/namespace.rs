//! A project's namespace: made by devk, labelled, and never taken from somebody else.

use std::path::Path;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DeleteParams, ListParams, PostParams};

use crate::error::{Code, Error, Result};

/// Says which project a namespace belongs to.
pub const PROJECT_LABEL: &str = "devk.dev/project";
/// The project's workloads are scaled to zero.
pub const ASLEEP_ANNOTATION: &str = "devk.dev/asleep";
/// The project's folder, for people.
const ROOT_ANNOTATION: &str = "devk.dev/root";

/// Makes the namespace if it is missing.
///
/// # Errors
/// [`Code::NamespaceForeign`] if it is there and not devk's.
pub async fn ensure(client: &kube::Client, project: &str, root: &Path) -> Result<()> {
    let api: Api<Namespace> = Api::all(client.clone());
    match api.get_metadata_opt(project).await.map_err(|e| failed(&e))? {
        Some(found) if found.metadata.labels.iter().flatten().any(|(k, v)| k == PROJECT_LABEL && v == project) => {
            Ok(())
        }
        Some(_) => Err(Error::new(Code::NamespaceForeign, format!("namespace `{project}` exists and is not devk's"))
            .hint("give the project another `name` in devk.yaml")),
        None => api.create(&PostParams::default(), &namespace(project, root)).await.map(drop).map_err(|e| failed(&e)),
    }
}

/// A project that lives in a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resident {
    pub name: String,
    pub asleep: bool,
}

/// The projects that have a namespace in this cluster.
///
/// # Errors
/// [`Code::ClusterUnreachable`].
pub async fn projects(client: &kube::Client) -> Result<Vec<Resident>> {
    let api: Api<Namespace> = Api::all(client.clone());
    let found = api.list_metadata(&ListParams::default().labels(PROJECT_LABEL)).await.map_err(|e| failed(&e))?;
    let resident = |metadata: ObjectMeta| {
        let asleep = metadata.annotations.iter().flatten().any(|(key, _)| key == ASLEEP_ANNOTATION);
        Some(Resident { name: metadata.name?, asleep })
    };
    Ok(found.items.into_iter().filter_map(|namespace| resident(namespace.metadata)).collect())
}

/// The project's workloads are scaled to zero.
///
/// # Errors
/// [`Code::ClusterUnreachable`].
pub async fn is_asleep(client: &kube::Client, project: &str) -> Result<bool> {
    let api: Api<Namespace> = Api::all(client.clone());
    let found = api.get_metadata_opt(project).await.map_err(|e| failed(&e))?;
    Ok(found.is_some_and(|n| n.metadata.annotations.iter().flatten().any(|(key, _)| key == ASLEEP_ANNOTATION)))
}

/// Removes the project's namespace with all it holds, and waits until it is gone.
///
/// # Errors
/// [`Code::ClusterUnreachable`].
pub async fn delete(client: &kube::Client, project: &str) -> Result<()> {
    let api: Api<Namespace> = Api::all(client.clone());
    match api.delete(project, &DeleteParams::default()).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
        Err(error) => return Err(failed(&error)),
    }
    while api.get_metadata_opt(project).await.map_err(|e| failed(&e))?.is_some() {
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    }
    Ok(())
}

fn namespace(project: &str, root: &Path) -> Namespace {
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(project.to_owned());
    let labels = [("app.kubernetes.io/managed-by", "devk"), (PROJECT_LABEL, project)];
    namespace.metadata.labels = Some(labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    namespace.metadata.annotations = Some([(ROOT_ANNOTATION.to_owned(), root.display().to_string())].into());
    namespace
}

fn failed(error: &kube::Error) -> Error {
    Error::new(Code::ClusterUnreachable, "the cluster's API server refused a request").evidence(error.to_string())
}
