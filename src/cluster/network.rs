//! The Docker network that a provider makes with its first cluster and never removes.

use std::collections::HashMap;

use bollard::Docker;
use bollard::query_parameters::{InspectNetworkOptions, ListContainersOptionsBuilder};

use crate::docker::{is_not_found, request_failed};
use crate::error::Result;

/// Whether the network does not exist yet, so that the provider will create it.
///
/// # Errors
/// [`Code::DockerRequest`](crate::error::Code::DockerRequest).
pub(super) async fn is_absent(docker: &Docker, network: &str) -> Result<bool> {
    match docker
        .inspect_network(network, None::<InspectNetworkOptions>)
        .await
    {
        Ok(_) => Ok(false),
        Err(e) if is_not_found(&e) => Ok(true),
        Err(e) => Err(request_failed(
            &format!("cannot look at network `{network}`"),
            &e,
        )),
    }
}

/// Removes the network if no container is attached, running or not. The network stays if Docker cannot say so.
pub(super) async fn remove_unused(docker: &Docker, network: &str) {
    if is_unused(docker, network).await {
        // A container that was attached meanwhile keeps the network.
        let _ = docker.remove_network(network).await;
    }
}

/// Docker counts only running containers as attached, but a stopped container cannot start again without its network.
async fn is_unused(docker: &Docker, network: &str) -> bool {
    let filters = HashMap::from([("network".to_owned(), vec![network.to_owned()])]);
    let options = ListContainersOptionsBuilder::default()
        .all(true)
        .filters(&filters)
        .build();
    docker
        .list_containers(Some(options))
        .await
        .is_ok_and(|attached| attached.is_empty())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};

    use super::super::fake::{Program, container};
    use super::*;

    /// The requests that removing the network takes while Docker lists these containers.
    async fn requests(containers: Vec<Value>) -> Vec<String> {
        let seen = Arc::new(Mutex::new(vec![]));
        let note = seen.clone();
        let answer = move |request: &str, query: &str| {
            note.lock().unwrap().push(format!("{request} {query}"));
            Value::Array(containers.clone())
        };
        let engine = Program::new("kind", &[], "exit 1")
            .engine_that(answer)
            .await;
        remove_unused(&engine.docker, "kind").await;
        seen.lock().unwrap().clone()
    }

    #[tokio::test]
    async fn the_network_stays_while_a_stopped_cluster_of_somebody_elses_needs_it() {
        let stopped = requests(vec![container(
            "other-control-plane",
            false,
            "",
            &json!({}),
        )])
        .await;
        assert_eq!(stopped.len(), 1, "{stopped:?}");
        assert!(
            stopped[0].starts_with("GET /containers/json all=true"),
            "{stopped:?}"
        );
        assert!(
            stopped[0].contains("network") && stopped[0].contains("kind"),
            "{stopped:?}"
        );
        let unused = requests(vec![]).await;
        assert_eq!(unused[1], "DELETE /networks/kind ");
    }
}
