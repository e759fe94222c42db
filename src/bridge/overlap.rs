//! Databases that would be shared: a name that Compose uses, and what the charts name on the bridged server
//! beside the database that devk makes. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use super::find::Chart;
use super::{Bridge, name, server, service};
use crate::compose::{Compose, Database as ComposeDatabase};
use crate::database::{Kind, Server};
use crate::error::{Code, Error, Errors, Result};
use crate::release::databases::Database;

/// Names by which containers reach the machine they run on.
const MACHINE: &[&str] = &[
    "host.docker.internal",
    "host.minikube.internal",
    "host.k3d.internal",
    "host.lima.internal",
    "gateway.docker.internal",
];

/// No service of Compose uses a database of this name; `main` is the server's own.
///
/// # Errors
/// [`Code::BridgeInUse`] with every place that names it.
pub fn unused(name: &str, main: &str, compose: &Compose) -> Result<()> {
    let users = users(name, compose);
    let message = match users.first() {
        Some(first) => format!("database `{name}` is used by Compose service `{}`", first.service),
        None if name == main => format!("database `{name}` is the one that Compose uses"),
        None => return Ok(()),
    };
    Err(Error::new(Code::BridgeInUse, message)
        .evidence(places(&users))
        .hint("give the cluster a database of its own: `bridge: {postgres: {database: …}}`"))
}

/// Where Compose's services name a database of Postgres.
fn users<'a>(name: &str, compose: &'a Compose) -> Vec<&'a ComposeDatabase> {
    let all = compose.services.values().flat_map(|service| &service.databases);
    all.filter(|database| database.named.kind == Kind::Postgres && database.named.name == name).collect()
}

fn places(users: &[&ComposeDatabase]) -> String {
    let place = |user: &&ComposeDatabase| {
        let ComposeDatabase { service, named, origin } = user;
        format!("{}:{}: service `{service}`, {}", origin.file.display(), origin.line, named.via)
    };
    users.iter().map(place).collect::<Vec<_>>().join("\n")
}

/// The other databases that the charts want on the bridged server, all of them apart from Compose's.
///
/// # Errors
/// [`Code::BridgeShared`] for each that Compose uses or that is somebody else's, with the manifest that
/// names it and the values that hold its name.
pub fn others(
    bridge: &Bridge,
    compose: &Compose,
    namespace: &str,
    databases: &[Database],
) -> Result<BTreeSet<String>, Errors> {
    let (mut others, mut problems) = (BTreeSet::new(), Vec::<Error>::new());
    let mut seen = BTreeSet::from([bridge.database.as_str()]);
    // A name without an address is on this server where the charts run none of their own.
    let runs_own =
        databases.iter().any(|found| found.named.kind == Kind::Postgres && found.named.server == Server::Own);
    let there = |found: &&Database| match &found.named.server {
        Server::Unknown => !runs_own,
        server => leads_there(bridge, server, namespace),
    };
    let postgres = databases.iter().filter(|found| found.named.kind == Kind::Postgres);
    for found in postgres.filter(there) {
        let name = found.named.name.as_str();
        if !seen.insert(name) {
            continue;
        }
        match apart(bridge, compose, name) {
            Ok(()) if name::is_reserved(name) => {}
            Ok(()) => drop(others.insert(name.to_owned())),
            Err(error) => problems.push(explained(error, found, &bridge.charts)),
        }
    }
    Errors::unless_empty(problems, others)
}

/// The address is that of devk's Service, or of the machine with Compose's port.
fn leads_there(bridge: &Bridge, server: &Server, namespace: &str) -> bool {
    match server {
        Server::At { host, .. } if service::is_host(host, namespace) => true,
        Server::At { host, port } => MACHINE.contains(&host.as_str()) && *port == Some(bridge.published.port),
        Server::Own | Server::Unknown => false,
    }
}

/// Nobody but this project uses the database.
fn apart(bridge: &Bridge, compose: &Compose, name: &str) -> Result<()> {
    unused(name, &bridge.login.main, compose)?;
    if name::is_reserved(name) {
        // The server's own; charts log in there to look whether it runs.
        return Ok(());
    }
    name::check(name)?;
    bridge.catalog.databases.get(name).map_or(Ok(()), |there| server::check_owner(name, there, &bridge.mark))
}

fn explained(cause: Error, found: &Database, charts: &[Chart]) -> Error {
    let (name, Database { object, source, named, .. }) = (&found.named.name, found);
    let values: Vec<_> = charts.iter().flat_map(|chart| holding(&chart.values, name)).collect();
    let error = Error::new(Code::BridgeShared, format!("`{object}` would share database `{name}`: {}", cause.message))
        .evidence(format!("{source}: {object}, {}", named.via))
        .evidence(cause.evidence.join("\n"))
        .evidence(values.iter().map(|path| format!("value `{path}` is `{name}`")).collect::<Vec<_>>().join("\n"));
    let value = values.first().map_or("the value it comes from", String::as_str);
    error.hint(format!("give it a name of its own: set `{value}` to `{}`", name::default(name, None)))
}

/// Paths of all values that are this text.
fn holding(values: &Value, text: &str) -> Vec<String> {
    let (mut found, mut open) = (vec![], vec![(String::new(), values)]);
    while let Some((path, value)) = open.pop() {
        match value {
            Value::Object(map) => open.extend(
                map.iter()
                    .map(|(key, value)| (if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, value)),
            ),
            Value::String(value) if value == text => found.push(path),
            _ => {}
        }
    }
    found.sort();
    found
}
