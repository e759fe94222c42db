//! The steps `bridge.…` of an `up`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use crate::bridge::probe::Probe;
use crate::bridge::record::{self, Record};
use crate::bridge::relay::Guard;
use crate::bridge::service::Backend;
use crate::bridge::{Bridge, gateway, server, service};
use crate::cluster::{Access, ManagedCluster};
use crate::docker::Engine;
use crate::error::{Code, Error, Result};
use crate::session::Session;
use crate::ui::event::Step;

/// `bridge.database`: makes what is missing, and says what was made.
///
/// # Errors
/// As [`server::make`].
pub async fn database(bridge: &Bridge, step: &Step) -> Result<String> {
    let mut said = vec![];
    for name in bridge.databases() {
        step.progress(format!("database `{name}` on {}", bridge.local()));
        let made = server::make(
            &bridge.login,
            name,
            &bridge.mark,
            &bridge.catalog.extensions,
        )
        .await?;
        let what = if made.created {
            "made"
        } else {
            "there already"
        };
        said.push(format!("`{name}` {what}, owner `{}`", bridge.login.user));
        said.extend(
            made.without
                .iter()
                .map(|extension| format!("without extension {extension}")),
        );
    }
    Ok(said.join("; "))
}

/// `bridge.service`: opens the relay if one is needed, and makes the relay or the server the backend of devk's Service.
/// The answer also says whether the Service had another backend before.
///
/// # Errors
/// [`Code::BridgeGateway`], [`Code::BridgeRelay`], [`Code::BridgeService`], [`Code::ClusterUnreachable`].
pub async fn expose(
    bridge: &Bridge,
    cluster: &ManagedCluster,
    access: &Access,
    session: &Session,
    project: &str,
) -> Result<(Backend, bool)> {
    let (address, target) = match bridge.own_address() {
        Some(IpAddr::V4(address)) => (address, bridge.published.port),
        Some(address @ IpAddr::V6(_)) => return Err(no_v4(address)),
        None => at_gateway(bridge, cluster, access, session).await?,
    };
    let backend = Backend {
        port: bridge.published.port,
        address,
        target,
    };
    let changed = service::find(&access.client, project).await? != Some(backend);
    if changed {
        service::ensure(&access.client, project, backend).await?;
    }
    if !bridge.relay {
        session.no_relay().await;
    }
    Ok((backend, changed))
}

async fn at_gateway(
    bridge: &Bridge,
    cluster: &ManagedCluster,
    access: &Access,
    session: &Session,
) -> Result<(Ipv4Addr, u16)> {
    let address = gateway::address(&cluster.engine, &access.nodes).await?;
    if !bridge.relay {
        return Ok((address, bridge.published.port));
    }
    let relay = session
        .relay(address, bridge.login.address, bridge.map(), || {
            nodes(cluster.clone())
        })
        .await?;
    Ok((address, relay.port()))
}

/// Lets the nodes of the cluster in, those of the moment.
fn nodes(cluster: ManagedCluster) -> Guard {
    Guard::new(move || {
        let cluster = cluster.clone();
        Box::pin(async move {
            let running: Vec<_> = cluster
                .nodes()
                .await?
                .into_iter()
                .filter(|node| node.running)
                .collect();
            gateway::node_addresses(&cluster.engine.docker, &running).await
        })
    })
}

fn no_v4(address: IpAddr) -> Error {
    Error::new(
        Code::BridgeGateway,
        format!("Compose publishes the database on {address} alone, and pods speak IPv4"),
    )
    .hint("publish it on an IPv4 address, or without an IP address")
}

/// `bridge.probe`: goes the way of a pod from every node, and names the hops.
///
/// # Errors
/// [`Code::BridgeProbe`].
pub async fn probe(
    bridge: &Bridge,
    engine: &Engine,
    access: &Access,
    backend: Backend,
    step: &Step,
) -> Result<String> {
    let Backend {
        address,
        target: port,
        ..
    } = backend;
    let mut hops = vec![];
    for node in &access.nodes {
        let docker = &engine.docker;
        let probe = Probe {
            docker,
            node: &node.name,
            address,
            port,
            login: &bridge.login,
            database: &bridge.database,
        };
        let way = probe.run().await?;
        step.progress(way.clone());
        hops.push(way);
    }
    Ok(hops.join("; "))
}

/// The record of a bridge, from which devk shows its status and later removes it.
pub fn record(bridge: &Bridge, backend: Backend) -> Record {
    Record {
        service: bridge.service.clone(),
        database: bridge.database.clone(),
        address: SocketAddr::from((backend.address, backend.target)).to_string(),
        relay: bridge.relay,
        drop: bridge.drop.clone(),
    }
}

/// `bridge.remove`: the way back. The database stays; the answer says so.
///
/// # Errors
/// [`Code::ClusterUnreachable`], [`Code::StateIo`].
pub async fn remove(
    access: &Access,
    session: &Session,
    project: &str,
    state: &Path,
) -> Result<String> {
    service::remove(&access.client, project).await?;
    session.no_relay().await;
    let said = record::load(state)?.map(|record| record.stays());
    record::forget(state)?;
    Ok(said.unwrap_or_else(|| "devk's Service is gone; the database stays".to_owned()))
}
