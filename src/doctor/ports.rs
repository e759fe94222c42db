//! Conflicts between forwards and others that use the same ports: Compose, containers, programs, other projects.
//!
//! Only ports that are fixed can conflict: those that devk.yaml asks for and those that a lease keeps. devk moves
//! every other forward to a free port (`devk ports` gives the reason).

use std::collections::{BTreeMap, BTreeSet};

use super::compose::{Claim, claims};
use super::missing::of_project;
use super::{Check, DoctorFacts, Id, Looked, Missing, findings, skipped};
use crate::compose::Compose;
use crate::config::{Origin, Project};
use crate::daemon::client;
use crate::docker::PublishedPort;
use crate::paths::Paths;
use crate::ports::{Leases, Lessee, OccupiedPorts, listeners};
use crate::shell::quote;

/// A forward whose port is fixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub name: String,
    pub local: u16,
    /// The place of `local:` in devk.yaml; None if the port comes from the lease.
    pub origin: Option<Origin>,
}

/// Who has which port.
#[derive(Debug, Clone, Default)]
pub struct Ports {
    pub rows: Vec<Row>,
    /// What this project's session listens on.
    pub own: BTreeSet<u16>,
    /// Of other projects: port → "project `foo`".
    pub leases: BTreeMap<u16, String>,
    /// Programs that listen on one of the ports in question: port → "process `node` (pid 4242)".
    pub listeners: BTreeMap<u16, String>,
    /// None: Docker could not be asked.
    pub containers: Option<Vec<PublishedPort>>,
}

/// Looks at leases, the running session and listeners. `containers` and `compose` are seen already.
pub async fn inspect(
    project: Result<&Project, &Missing>,
    paths: &Paths,
    compose: Option<&Compose>,
    containers: Option<&[PublishedPort]>,
) -> Looked<Ports> {
    let project = match (of_project(project), compose) {
        (Ok(project), _) => project,
        // Compose's own ports are looked at all the same.
        (Err(_), Some(compose)) => return Ok(of_compose(compose, containers).await),
        (Err(missing), None) => return Err(missing),
    };
    let session = client::status(paths, &project.id).await.ok().flatten();
    let own: BTreeSet<u16> = session
        .iter()
        .flat_map(|s| &s.forwards)
        .map(|held| held.forward.local)
        .collect();
    let lessee = Lessee::from(project);
    let store = Leases::open(&paths.state);
    let rows = rows(
        project,
        store
            .of(&lessee)?
            .into_iter()
            .map(|leased| (leased.name, leased.local)),
    );
    let published = compose
        .into_iter()
        .flat_map(claims)
        .map(|claim| claim.number);
    let wanted: BTreeSet<u16> = rows.iter().map(|row| row.local).chain(published).collect();
    let listeners = listening(&wanted, &own).await;
    let containers = containers.map(<[_]>::to_vec);
    Ok(Ports {
        rows,
        leases: store.others(&lessee)?,
        listeners,
        own,
        containers,
    })
}

/// Explicit ports first; a lease of the same port says nothing more.
fn rows(project: &Project, leased: impl Iterator<Item = (String, u16)>) -> Vec<Row> {
    let explicit = project.forwards.iter().flatten().filter_map(|forward| {
        Some(Row {
            name: forward.name.clone(),
            local: forward.local?,
            origin: Some(forward.origin.clone()),
        })
    });
    let mut rows: Vec<_> = explicit.collect();
    for (name, local) in leased {
        if !rows.iter().any(|row| row.local == local) {
            rows.push(Row {
                name,
                local,
                origin: None,
            });
        }
    }
    rows
}

/// Without a project there are no forwards.
async fn of_compose(compose: &Compose, containers: Option<&[PublishedPort]>) -> Ports {
    let wanted = claims(compose).map(|claim| claim.number).collect();
    let own = BTreeSet::new();
    Ports {
        rows: vec![],
        leases: BTreeMap::new(),
        listeners: listening(&wanted, &own).await,
        own,
        containers: containers.map(<[_]>::to_vec),
    }
}

/// Looks, and binds nothing: a port that Compose wants is never taken, not even for a moment.
pub(super) async fn listening(
    wanted: &BTreeSet<u16>,
    own: &BTreeSet<u16>,
) -> BTreeMap<u16, String> {
    let mut taken = OccupiedPorts::default();
    listeners::add(&mut taken, wanted, own).await;
    wanted
        .iter()
        .filter_map(|port| Some((*port, taken.holder(*port)?.to_owned())))
        .collect()
}

pub(super) fn checks(facts: &DoctorFacts) -> Vec<Check> {
    let ids = [
        Id::PortsCompose,
        Id::PortsContainers,
        Id::PortsListeners,
        Id::PortsLeases,
    ];
    let ports = match &facts.ports {
        Ok(ports) => ports,
        Err(Missing::Failed(errors)) => {
            let broken = Check::all_failed(Id::PortsLeases, errors);
            return broken
                .into_iter()
                .chain(skipped(&ids[..3], &Missing::Failed(errors.clone())))
                .collect();
        }
        Err(missing) => return skipped(&ids, missing),
    };
    let compose = facts.compose.as_ref().ok().and_then(Option::as_ref);
    let claims: Vec<_> = compose.into_iter().flat_map(claims).collect();
    let mut checks = match &facts.compose {
        Ok(_) => findings(
            Id::PortsCompose,
            with_compose(ports, &claims),
            "no forward is on a port that Compose publishes",
        ),
        Err(missing) => skipped(&[Id::PortsCompose], missing),
    };
    checks.extend(match &ports.containers {
        Some(containers) => {
            let found = with_containers(ports, containers, compose, &claims);
            findings(
                Id::PortsContainers,
                found,
                "no container has a port of a forward or of Compose",
            )
        }
        None => skipped(
            &[Id::PortsContainers],
            &Missing::Skipped("the Docker Engine does not answer".to_owned()),
        ),
    });
    let found = with_listeners(ports, &claims);
    checks.extend(findings(
        Id::PortsListeners,
        found,
        "no other program listens where forwards or Compose do",
    ));
    checks.extend(findings(
        Id::PortsLeases,
        with_leases(ports),
        "no forward is on another project's port",
    ));
    checks
}

/// An explicit port stops `up`; one that was only given before moves.
fn conflict(id: Id, row: &Row, holder: &str) -> Check {
    let Row {
        name,
        local,
        origin,
    } = row;
    match origin {
        Some(origin) => Check::error(
            id,
            format!("forward `{name}` wants port {local}, which {holder} has"),
        )
        .at(&origin.file, origin.line, format!("local: {local}"))
        .hint(format!(
            "remove `local: {local}` from forward `{name}`: devk then finds a free port"
        )),
        None => {
            let text =
                format!("`{name}` was on port {local}, which {holder} has now: `devk up` moves it");
            Check::warning(id, text).hint("devk ports    # shows the new table, and why")
        }
    }
}

fn with_compose(ports: &Ports, claims: &[Claim]) -> Vec<Check> {
    let of_row = |row: &Row| {
        let claim = claims.iter().find(|claim| claim.number == row.local)?;
        Some(claim.show(conflict(
            Id::PortsCompose,
            row,
            &format!("Compose service `{}`", claim.service.name),
        )))
    };
    ports.rows.iter().filter_map(of_row).collect()
}

fn with_containers(
    ports: &Ports,
    containers: &[PublishedPort],
    compose: Option<&Compose>,
    claims: &[Claim],
) -> Vec<Check> {
    let containers: Vec<_> = containers
        .iter()
        .filter(|container| container.protocol == "tcp")
        .collect();
    let is_own =
        |container: &PublishedPort| compose.is_some_and(|compose| compose.has_started(container));
    // What the project's own Compose stack publishes is reported with its file.
    let is_told = |container: &PublishedPort| {
        is_own(container) && claims.iter().any(|claim| claim.number == container.port)
    };
    let of_row = |row: &Row| {
        let holder = containers
            .iter()
            .find(|container| container.port == row.local && !is_told(container))?;
        let state = if holder.running {
            ""
        } else {
            " (stopped: it takes its port back when it starts)"
        };
        Some(conflict(
            Id::PortsContainers,
            row,
            &format!("container `{}`{state}", holder.container),
        ))
    };
    // One that is stopped may never run beside this stack.
    let of_claim = |claim: &Claim| {
        let holder = containers.iter().find(|container| {
            container.running && !is_own(container) && claim.meets_container(container)
        })?;
        let check = wanted(
            Id::PortsContainers,
            claim,
            &format!("container `{}`", holder.container),
        );
        Some(check.hint(format!("docker stop {}", quote(&holder.container))))
    };
    let of_claims = claims
        .iter()
        .filter(|claim| is_started(claim))
        .filter_map(of_claim);
    ports
        .rows
        .iter()
        .filter_map(of_row)
        .chain(of_claims)
        .collect()
}

/// `docker compose up` would start it, and Docker would bind the port for it. On the host's network whoever
/// listens may be the container itself.
fn is_started(claim: &Claim) -> bool {
    claim.service.active && !claim.on_host()
}

fn wanted(id: Id, claim: &Claim, holder: &str) -> Check {
    let text = format!(
        "Compose service `{}` wants port {}, which {holder} has",
        claim.service.name, claim.number
    );
    claim.show(Check::warning(id, text))
}

fn with_listeners(ports: &Ports, claims: &[Claim]) -> Vec<Check> {
    let running = |port: u16| {
        ports
            .containers
            .iter()
            .flatten()
            .any(|p| p.running && p.port == port)
    };
    let foreign = |port: u16| {
        let holder = ports
            .listeners
            .get(&port)
            .filter(|_| !ports.own.contains(&port) && !running(port))?;
        // Without Docker the container behind it is unknown.
        (!holder.contains("`docker-proxy`") && !holder.contains("`rootlessport`")).then_some(holder)
    };
    let of_row = |row: &Row| Some(conflict(Id::PortsListeners, row, foreign(row.local)?));
    let of_claim = |claim: &Claim| {
        let check = wanted(Id::PortsListeners, claim, foreign(claim.number)?);
        Some(check.hint(format!("lsof -nP -iTCP:{} -sTCP:LISTEN", claim.number)))
    };
    let of_claims = claims
        .iter()
        .filter(|claim| is_started(claim))
        .filter_map(of_claim);
    ports
        .rows
        .iter()
        .filter_map(of_row)
        .chain(of_claims)
        .collect()
}

fn with_leases(ports: &Ports) -> Vec<Check> {
    let of_row = |row: &Row| {
        Some(conflict(
            Id::PortsLeases,
            row,
            ports.leases.get(&row.local)?,
        ))
    };
    ports.rows.iter().filter_map(of_row).collect()
}
