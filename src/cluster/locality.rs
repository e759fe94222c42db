//! Whether an API server is on this machine.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use bollard::Docker;
use bollard::query_parameters::ListContainersOptions;

use super::nodes;
use crate::docker::request_failed;
use crate::error::{Code, Error, Result};

/// The server's host is this machine or a container of this Engine. A name counts as what it resolves to, and one
/// that does not resolve is elsewhere.
///
/// # Errors
/// [`Code::ClusterContext`] if that is no URL, [`Code::DockerRequest`].
pub(super) async fn is_here(server: &str, docker: &Docker) -> Result<bool> {
    let addresses = addresses(server).await?;
    if addresses.iter().all(is_own) {
        return Ok(!addresses.is_empty());
    }
    let containers = docker
        .list_containers(None::<ListContainersOptions>)
        .await
        .map_err(|e| request_failed("cannot list the containers", &e))?;
    let containers: Vec<_> = containers.iter().flat_map(nodes::addresses).collect();
    Ok(addresses
        .iter()
        .all(|address| is_own(address) || containers.contains(address)))
}

async fn addresses(server: &str) -> Result<Vec<IpAddr>> {
    let no_url = || {
        Error::new(
            Code::ClusterContext,
            format!("`{server}` is no address of an API server"),
        )
    };
    let url: tokio_tungstenite::tungstenite::http::Uri = server.parse().map_err(|_| no_url())?;
    let host = url
        .host()
        .ok_or_else(no_url)?
        .trim_matches(['[', ']'])
        .to_owned();
    let found = tokio::net::lookup_host((host.as_str(), 0)).await;
    Ok(found
        .map(|found| found.map(|address| address.ip()).collect())
        .unwrap_or_default())
}

/// Only an address of its own can be bound; the unspecified one reaches this machine as well.
fn is_own(address: &IpAddr) -> bool {
    address.is_loopback() || UdpSocket::bind(SocketAddr::new(*address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn here(server: &str) -> Vec<bool> {
        addresses(server)
            .await
            .unwrap()
            .iter()
            .map(is_own)
            .collect()
    }

    #[tokio::test]
    async fn loopback_is_here_and_an_address_of_the_documentation_is_not() {
        for server in [
            "https://127.0.0.1:6443",
            "https://[::1]:6443",
            "https://localhost:6443",
            "https://0.0.0.0:6443",
        ] {
            let here = here(server).await;
            assert!(
                !here.is_empty() && here.iter().all(|here| *here),
                "{server}"
            );
        }
        assert_eq!(here("https://192.0.2.1:6443").await, [false]);
        assert_eq!(here("https://[2001:db8::1]:6443").await, [false]);
    }

    #[tokio::test]
    async fn what_is_no_url_is_told() {
        assert_eq!(
            addresses("not a url").await.unwrap_err().code,
            Code::ClusterContext
        );
    }
}
