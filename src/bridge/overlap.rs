//! Databases that would be shared: a name that Compose uses, and what a chart names beside the one that
//! is bridged. Pure.

use crate::compose::{Compose, Database};
use crate::database::Kind;
use crate::error::{Code, Error, Result};

/// No service of Compose uses a database of this name.
///
/// # Errors
/// [`Code::BridgeInUse`] with every place that names it.
pub fn unused(name: &str, compose: &Compose) -> Result<()> {
    let users = users(name, compose);
    let Some(first) = users.first() else { return Ok(()) };
    let message = format!("database `{name}` is used by Compose service `{}`", first.service);
    Err(Error::new(Code::BridgeInUse, message)
        .evidence(users.iter().map(|user| place(user)).collect::<Vec<_>>().join("\n"))
        .hint("give the cluster a database of its own: `bridge: {postgres: {database: …}}`"))
}

/// Where Compose's services name a database of Postgres.
fn users<'a>(name: &str, compose: &'a Compose) -> Vec<&'a Database> {
    let all = compose.services.values().flat_map(|service| &service.databases);
    all.filter(|database| database.named.kind == Kind::Postgres && database.named.name == name).collect()
}

fn place(user: &Database) -> String {
    let Database { service, named, origin } = user;
    format!("{}:{}: service `{service}`, {}", origin.file.display(), origin.line, named.via)
}
