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
const MACHINE: &[&str] =
    &["host.docker.internal", "host.minikube.internal", "host.k3d.internal", "host.lima.internal", "gateway.docker.internal"];

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

/// What the rendered charts name, and what is known beside.
#[derive(Debug, Clone, Copy)]
pub struct Rendered<'a> {
    pub namespace: &'a str,
    pub databases: &'a [Database],
    /// With the values that the charts were rendered from.
    pub charts: &'a [Chart],
}

/// The other databases that the charts want on the bridged server, all of them apart from Compose's.
///
/// # Errors
/// [`Code::BridgeShared`] for each that Compose uses or that is somebody else's, with the manifest that
/// names it and the values that hold its name.
pub fn others(bridge: &Bridge, compose: &Compose, rendered: Rendered<'_>) -> Result<BTreeSet<String>, Errors> {
    let (mut others, mut problems) = (BTreeSet::new(), Vec::<Error>::new());
    let mut seen = BTreeSet::from([bridge.database.as_str()]);
    for found in rendered.databases.iter().filter(|found| leads_there(bridge, found, rendered)) {
        let name = found.named.name.as_str();
        if !seen.insert(name) {
            continue;
        }
        match apart(bridge, compose, name) {
            Ok(()) if name::is_reserved(name) => {}
            Ok(()) => drop(others.insert(name.to_owned())),
            Err(error) => problems.push(explained(error, found, rendered.charts)),
        }
    }
    Errors::unless_empty(problems, others)
}

/// A pod that uses this database uses Compose's server. A name without an address does where the charts run
/// no server of their own.
fn leads_there(bridge: &Bridge, found: &Database, rendered: Rendered<'_>) -> bool {
    let is_own = |other: &&Database| (other.named.kind, &other.named.server) == (Kind::Postgres, &Server::Own);
    found.named.kind == Kind::Postgres
        && match &found.named.server {
            Server::Own => false,
            Server::Unknown => !rendered.databases.iter().any(|other| is_own(&other)),
            Server::At { host, .. } if service::is_host(host, rendered.namespace) => true,
            Server::At { host, port } => MACHINE.contains(&host.as_str()) && *port == Some(bridge.published.port),
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
            Value::Object(map) => open.extend(map.iter().map(|(key, value)| {
                (if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, value)
            })),
            Value::String(value) if value == text => found.push(path),
            _ => {}
        }
    }
    found.sort();
    found
}
