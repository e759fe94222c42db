//! The server that a bridge leads to: its container, the login there, and what the server has.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::database_container::database_container;
use super::find::BridgeInputs;
use super::gateway::{self, EngineLocation};
use super::server::{self, Catalog, Login};
use super::source::{self, DatabaseCredentials, Password, Published, Reach, Secret};
use crate::compose::{Compose, Service};
use crate::docker::{Engine, Exec, PublishedPort};
use crate::error::{Code, Error, Result};
use crate::process::Cmd;

/// How long a server may take to start in a container that runs.
const SERVER_START_TIMEOUT: Duration = Duration::from_secs(10);

/// A server that let devk in.
pub(super) struct ReachedServer {
    pub(super) login: Login,
    pub(super) published: Published,
    pub(super) relay: bool,
    pub(super) no_relay: Option<Error>,
    pub(super) catalog: Catalog,
}

/// Finds the server's container, logs in there and looks around.
///
/// # Errors
/// [`Code::BridgePort`], [`Code::BridgeUnreachable`], [`Code::BridgeLogin`], [`Code::BridgeOnce`], [`Code::BridgeRelay`].
pub(super) async fn reached(
    given: &BridgeInputs<'_>,
    compose: &Compose,
    service: &Service,
    as_whom: &DatabaseCredentials,
) -> Result<ReachedServer> {
    let published = source::published(service)?;
    let is_here = gateway::place_of(given.engine).await? == EngineLocation::Here;
    let relay = published.reach == Reach::Loopback && is_here;
    let no_relay = match (is_here, given.once) {
        (true, false) => None,
        (true, true) => Some(ends_with_once(service, published)),
        (false, _) => Some(no_relay_here()),
    };
    if let Some(error) = no_relay.clone().filter(|_| relay) {
        return Err(error);
    }
    let down = |e: Error| match e.code {
        Code::BridgeUnreachable if e.hint.is_none() => e.hint(
            command(compose, &given.project.root)
                .args(["up", "-d", &service.name])
                .pasteable(),
        ),
        _ => e,
    };
    let container = database_container(given.engine, compose, service, published)
        .await
        .map_err(down)?;
    let login = Login {
        address: SocketAddr::new(published.local, published.port),
        user: as_whom.user.clone(),
        password: password(given.engine, &as_whom.password, &container)
            .await
            .map_err(down)?,
        main: as_whom.main.clone(),
    };
    let catalog = read_catalog(&login).await.map_err(down)?;
    Ok(ReachedServer {
        login,
        published,
        relay,
        no_relay,
        catalog,
    })
}

/// Looks at the server, whose container may have been started a moment ago.
async fn read_catalog(login: &Login) -> Result<Catalog> {
    let deadline = tokio::time::Instant::now() + SERVER_START_TIMEOUT;
    loop {
        match server::read_catalog(login).await {
            Err(e)
                if e.code == Code::BridgeUnreachable && tokio::time::Instant::now() < deadline =>
            {
                tokio::time::sleep(SERVER_START_TIMEOUT / 40).await;
            }
            found => return found,
        }
    }
}

fn no_relay_here() -> Error {
    let message = "devk's relay cannot be between the pods and Compose's server: the Docker Engine is not on this machine";
    Error::new(Code::BridgeRelay, message)
        .hint("give each database of the chart a name of its own, by its values")
}

fn ends_with_once(service: &Service, published: Published) -> Error {
    let Published { local, port, .. } = published;
    let message = format!(
        "`up --once` leaves no session, and pods reach `{}` through one only",
        service.name
    );
    Error::new(Code::BridgeOnce, message)
        .evidence(format!(
            "Compose publishes it on {local}:{port}, which pods cannot reach without devk's relay"
        ))
        .hint("`devk up -d --bridge`, or publish the port without an IP address")
        .at(&service.origin.file, service.origin.line)
}

/// A password in a file is read from that file in the container.
async fn password(
    engine: &Engine,
    password: &Password,
    container: &PublishedPort,
) -> Result<Secret> {
    let file = match password {
        Password::Plain(secret) => return Ok(secret.clone()),
        Password::File(file) => file,
    };
    let unread = |why: String| {
        Error::new(
            Code::BridgeUnreachable,
            format!("the password in `{file}` cannot be read: {why}"),
        )
    };
    let output = Exec::new(&container.container, ["cat", file])
        .output(&engine.docker)
        .await?;
    match output.code {
        0 => Ok(Secret(
            output.text().trim_end_matches(['\r', '\n']).to_owned(),
        )),
        _ => Err(unread(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        )),
    }
}

/// `docker compose`, as it reaches this project from the folder of devk.yaml.
pub(super) fn command(compose: &Compose, root: &Path) -> Cmd {
    let command = Cmd::new("docker").arg("compose");
    match compose.files.first() {
        Some(file) if compose.dir != root => command.arg("-f").arg(file),
        _ => command,
    }
}
