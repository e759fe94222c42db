//! `devk logs`: the containers' output, named by pod.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::Api;
use kube::api::ListParams;

use super::Context;
use crate::cluster::client;
use crate::config::Project;
use crate::error::{Code, Error, Errors, Exit, Result, suggest};
use crate::logs::{Printed, Tail};

/// Prints the logs of all pods, or of one service's.
///
/// # Errors
/// [`Code::ServiceUnknown`], [`Code::ClusterUnreachable`].
pub async fn run(context: &Context, service: Option<String>, follow: bool, lines: i64) -> Result<Exit, Errors> {
    let project = context.project()?;
    let client = connect(context, &project).await?;
    let selector = match &service {
        Some(name) => Some(selector(&client, &project, name).await?),
        None => None,
    };
    let tail = Tail { client, namespace: project.id, selector, lines, printed: Printed::of(context.format) };
    tokio::select! {
        shown = tail.show(follow) => shown?,
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(Exit::Ok)
}

/// Follows everything, from now on; for a foreground `up`. Without end: where a cluster could not be
/// made there are no logs yet, and that is no reason to end the session.
pub async fn follow_all(context: &Context, project: &Project) {
    let kubeconfig = context.paths.cluster(&project.cluster.name).join("kubeconfig");
    loop {
        if let Ok(client) = client::client(&kubeconfig).await {
            let printed = Printed::of(context.format);
            let tail = Tail { client, namespace: project.id.clone(), selector: None, lines: 0, printed };
            // It returns only if the first look failed.
            let _ = tail.show(true).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn connect(context: &Context, project: &Project) -> Result<kube::Client> {
    let kubeconfig = context.paths.cluster(&project.cluster.name).join("kubeconfig");
    client::client(&kubeconfig).await.map_err(|error| error.hint("devk up -d"))
}

/// The label selector of the Service that a name stands for: a forward's, a Service's own, or what
/// follows the last release name in it (`api` for `shop-api`).
async fn selector(client: &kube::Client, project: &Project, name: &str) -> Result<String> {
    let services: Api<Service> = Api::namespaced(client.clone(), &project.id);
    let services = services.list(&ListParams::default()).await.map_err(|e| unreachable(&e))?.items;
    let named =
        |service: &&Service| service.metadata.name.as_deref().is_some_and(|full| stands_for(project, name, full));
    let Some(service) = services.iter().find(named) else { return Err(unknown(project, name, &services)) };
    let labels = service.spec.iter().flat_map(|spec| spec.selector.iter().flatten());
    Ok(labels.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(","))
}

fn stands_for(project: &Project, name: &str, service: &str) -> bool {
    let forward = project.forwards.iter().flatten().find(|f| f.name == name);
    match forward.and_then(|f| f.service.as_deref()) {
        Some(target) => target == service,
        None => service == name || service.strip_suffix(name).is_some_and(|rest| rest.ends_with('-')),
    }
}

fn unknown(project: &Project, name: &str, services: &[Service]) -> Error {
    let forwards = project.forwards.iter().flatten().map(|f| f.name.as_str());
    let known: Vec<_> = forwards.chain(services.iter().filter_map(|s| s.metadata.name.as_deref())).collect();
    let hint = match suggest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known: {}", known.join(", ")),
    };
    Error::new(Code::ServiceUnknown, format!("`{}` has no service `{name}`", project.name)).hint(hint)
}

fn unreachable(error: &kube::Error) -> Error {
    Error::new(Code::ClusterUnreachable, "the cluster does not answer").evidence(error.to_string()).hint("devk up -d")
}

/// Pods of a namespace, for those who show them.
///
/// # Errors
/// [`Code::ClusterUnreachable`].
pub async fn pods(client: &kube::Client, namespace: &str) -> Result<Vec<Pod>> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    Ok(api.list(&ListParams::default()).await.map_err(|e| unreachable(&e))?.items)
}
