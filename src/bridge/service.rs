//! devk's own Service in the project's namespace: a fixed name for pods, whose one endpoint is this
//! machine. Another address or port of the machine changes the endpoint alone; no release is upgraded.

use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::cluster::namespace::PROJECT_LABEL;
use crate::error::{Code, Error, Result, on_cluster};

/// Service and EndpointSlice are both called so.
pub const NAME: &str = "devk-bridge-postgres";

/// Says that an object is devk's, and what for.
const BRIDGE_LABEL: &str = "devk.dev/bridge";

/// The address behind the Service, and the port under which pods see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backend {
    /// The Service's port.
    pub port: u16,
    pub address: Ipv4Addr,
    /// The port at that address.
    pub target: u16,
}

/// The Service's name as pods of every namespace resolve it.
pub fn host(namespace: &str) -> String {
    format!("{NAME}.{namespace}.svc")
}

/// A host that leads to the Service, as pods of its namespace may write it.
pub fn is_host(host: &str, namespace: &str) -> bool {
    let rest = host
        .strip_prefix(NAME)
        .and_then(|rest| rest.strip_prefix('.'));
    host == NAME
        || rest
            .is_some_and(|rest| rest == namespace || rest.starts_with(&format!("{namespace}.svc")))
}

/// Makes both objects, or changes what differs. The namespace exists.
///
/// # Errors
/// [`Code::BridgeService`] if a Service of that name is somebody else's, [`Code::ClusterUnreachable`].
pub async fn ensure(client: &kube::Client, project: &str, backend: Backend) -> Result<()> {
    let services = Api::<Service>::namespaced(client.clone(), project);
    let slices = slices(client, project);
    if let Some(found) = services.get_opt(NAME).await.map_err(|e| refused(&e))?
        && !is_own(&found)
    {
        return Err(Error::new(
            Code::BridgeService,
            format!("Service `{NAME}` exists and is not devk's"),
        )
        .hint(on_cluster(format!(
            "kubectl delete service {NAME} --namespace {project}"
        ))));
    }
    apply(&services, &service(project, backend)).await?;
    apply(&slices, &slice(project, backend)).await
}

/// The backend that the Service has now; None if one of the two objects is missing or incomplete.
///
/// # Errors
/// [`Code::ClusterUnreachable`].
pub async fn find(client: &kube::Client, project: &str) -> Result<Option<Backend>> {
    let services = Api::<Service>::namespaced(client.clone(), project);
    let slices = slices(client, project);
    let found = tokio::try_join!(services.get_opt(NAME), slices.get_opt(NAME));
    let (service, slice) = found.map_err(|e| refused(&e))?;
    Ok(service
        .filter(is_own)
        .zip(slice)
        .and_then(|(service, slice)| backend(&service, &slice)))
}

/// Removes both objects; what is not there, or not devk's, stays as it is.
///
/// # Errors
/// [`Code::ClusterUnreachable`].
pub async fn remove(client: &kube::Client, project: &str) -> Result<()> {
    let services: Api<Service> = Api::namespaced(client.clone(), project);
    if services
        .get_opt(NAME)
        .await
        .map_err(|e| refused(&e))?
        .is_some_and(|found| is_own(&found))
    {
        delete(&services).await?;
        delete(&slices(client, project)).await?;
    }
    Ok(())
}

fn slices(client: &kube::Client, project: &str) -> Api<EndpointSlice> {
    Api::namespaced(client.clone(), project)
}

fn is_own(found: &Service) -> bool {
    found.labels().contains_key(BRIDGE_LABEL)
}

fn backend(service: &Service, slice: &EndpointSlice) -> Option<Backend> {
    let port = service.spec.as_ref()?.ports.as_ref()?.first()?.port;
    let target = slice.ports.as_ref()?.first()?.port?;
    let address = slice.endpoints.first()?.addresses.first()?.parse().ok()?;
    Some(Backend {
        port: port.try_into().ok()?,
        address,
        target: target.try_into().ok()?,
    })
}

async fn apply<K>(api: &Api<K>, object: &Value) -> Result<()>
where
    K: Resource + Clone + std::fmt::Debug + DeserializeOwned,
{
    let ours = PatchParams::apply("devk").force();
    api.patch(NAME, &ours, &Patch::Apply(object))
        .await
        .map(drop)
        .map_err(|e| refused(&e))
}

async fn delete<K>(api: &Api<K>) -> Result<()>
where
    K: Resource + Clone + std::fmt::Debug + DeserializeOwned,
{
    match api.delete(NAME, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(drop).map_err(|e| refused(&e)),
    }
}

fn service(project: &str, backend: Backend) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": metadata(project, json!({})),
        // Without a selector nobody but devk writes its endpoints.
        "spec": {"ports": [{"name": "postgres", "port": backend.port, "protocol": "TCP"}]},
    })
}

fn slice(project: &str, backend: Backend) -> Value {
    let labels = json!({
        "kubernetes.io/service-name": NAME,
        // Kubernetes' own controllers leave it alone then (EndpointSlices, Management).
        "endpointslice.kubernetes.io/managed-by": "devk",
    });
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata(project, labels),
        "addressType": "IPv4",
        "ports": [{"name": "postgres", "port": backend.target, "protocol": "TCP"}],
        "endpoints": [{"addresses": [backend.address.to_string()], "conditions": {"ready": true}}],
    })
}

fn metadata(project: &str, mut labels: Value) -> Value {
    labels["app.kubernetes.io/managed-by"] = json!("devk");
    labels[PROJECT_LABEL] = json!(project);
    labels[BRIDGE_LABEL] = json!("postgres");
    json!({"name": NAME, "namespace": project, "labels": labels})
}

fn refused(error: &kube::Error) -> Error {
    Error::new(
        Code::ClusterUnreachable,
        format!("the cluster's API server refused the bridge's Service: {error}"),
    )
    .hint("devk doctor")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_keeps_its_port_when_the_machine_has_another_address() {
        let read = |target: u16, last: u8| {
            let backend = Backend {
                port: 5439,
                address: Ipv4Addr::new(172, 18, 0, last),
                target,
            };
            let service: Service = serde_json::from_value(service("shop", backend)).unwrap();
            let slice: EndpointSlice = serde_json::from_value(slice("shop", backend)).unwrap();
            assert!(is_own(&service) && service.spec.as_ref().unwrap().selector.is_none());
            assert_eq!(super::backend(&service, &slice), Some(backend));
            service
        };
        assert_eq!(read(5439, 1), read(40000, 2));
    }

    #[test]
    fn the_host_is_found_from_every_namespace() {
        assert_eq!(host("shop"), "devk-bridge-postgres.shop.svc");
        assert!(
            ["", ".shop", ".shop.svc", ".shop.svc.cluster.local"]
                .iter()
                .all(|r| is_host(&format!("{NAME}{r}"), "shop"))
        );
        assert!(!is_host("devk-bridge-postgres.other.svc", "shop") && !is_host("postgres", "shop"));
    }
}
