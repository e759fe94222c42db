//! The table itself: a pure function of the requested ports, the occupied ports, and the lease.
//!
//! Invariant: the result does not depend on the order of requests that devk.yaml does not list, and
//! a row that has a lease keeps its port whatever is added around it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Forward;
use crate::config::Origin;
use crate::error::{Code, Error, Errors, Result};

/// How far above its base port a forward listens, and how far it moves on if that is taken.
pub const OFFSET: u16 = 10_000;

/// Ports that browsers refuse to open (Fetch standard, section "Port blocking"). Ascending.
const BROWSER_BLOCKED: &[u16] = &[
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101,
    102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427,
    465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990,
    993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667,
    6668, 6669, 6679, 6697, 10080,
];

/// A Service port that wants a host port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortRequest {
    /// The name in devk.yaml, or the Service's.
    pub name: String,
    pub namespace: String,
    pub service: String,
    /// The Service's port.
    pub remote: u16,
    /// The port behind the Service's, if it is known.
    pub container_port: Option<u16>,
    /// The name of the Service's port; empty where the Service gives none.
    pub port_name: String,
    /// `local:` in devk.yaml.
    pub local: Option<u16>,
    /// devk.yaml names the request: it gets its port in the order of the slice, before all unlisted requests.
    pub listed: bool,
    /// The place in devk.yaml.
    pub origin: Option<Origin>,
}

impl PortRequest {
    /// An unlisted forward of a Service port.
    pub fn new(
        name: impl Into<String>,
        namespace: impl Into<String>,
        service: impl Into<String>,
        remote: u16,
    ) -> Self {
        Self {
            name: name.into(),
            namespace: namespace.into(),
            service: service.into(),
            remote,
            container_port: None,
            port_name: String::new(),
            local: None,
            listed: false,
            origin: None,
        }
    }

    /// The Service port if it is unprivileged, else the container's if that is (Keycloak: 80 → 8080),
    /// else the Service port.
    pub fn base(&self) -> u16 {
        let unprivileged = |port: &u16| *port >= 1024;
        Some(self.remote)
            .filter(unprivileged)
            .or(self.container_port.filter(unprivileged))
            .unwrap_or(self.remote)
    }

    /// The two slots that are tried in order; one above 65535 does not exist.
    fn slots(&self) -> [Option<u16>; 2] {
        [
            self.base().checked_add(OFFSET),
            self.base().checked_add(2 * OFFSET),
        ]
    }

    fn rank(&self) -> (u16, &str, &str, &str, &str) {
        (
            self.remote,
            &self.namespace,
            &self.service,
            &self.port_name,
            &self.name,
        )
    }
}

/// One forward's earlier port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leased {
    /// The forward's.
    pub name: String,
    pub namespace: String,
    pub service: String,
    /// The Service's port.
    pub remote: u16,
    pub local: u16,
}

impl From<&Forward> for Leased {
    fn from(forward: &Forward) -> Self {
        let Forward {
            name,
            namespace,
            service,
            remote,
            local,
            ..
        } = forward.clone();
        Self {
            name,
            namespace,
            service,
            remote,
            local,
        }
    }
}

impl Leased {
    fn is_of(&self, request: &PortRequest) -> bool {
        (&self.namespace, &self.service, self.remote)
            == (&request.namespace, &request.service, request.remote)
    }
}

/// Each request's earlier port. A lease belongs to a Service port, and stays with that port when the forward is
/// renamed. If several forwards lead to one Service port, the name decides which of them has the lease.
fn leased(rows: &[&PortRequest], lease: &[Leased]) -> Vec<Option<u16>> {
    let mut left: Vec<&Leased> = lease.iter().collect();
    let mut take = |fits: &dyn Fn(&Leased) -> bool| {
        let at = left.iter().position(|leased| fits(leased))?;
        Some(left.remove(at).local)
    };
    let same: Vec<_> = rows
        .iter()
        .map(|row| take(&|leased| leased.is_of(row) && leased.name == row.name))
        .collect();
    rows.iter()
        .zip(same)
        .map(|(row, same)| same.or_else(|| take(&|leased| leased.is_of(row))))
        .collect()
}

/// Ports that are not free, and their holders as a message names them: "container `shop-db-1`",
/// "process `node` (pid 4242)", "project `foo`".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OccupiedPorts(BTreeMap<u16, String>);

impl OccupiedPorts {
    /// Adds a holder; the first one named stays, since the caller begins with the most useful: the
    /// Compose file before its container, the container before the `docker-proxy` that listens for it.
    pub fn add(&mut self, port: u16, holder: impl Into<String>) {
        self.0.entry(port).or_insert_with(|| holder.into());
    }

    pub fn holder(&self, port: u16) -> Option<&str> {
        self.0.get(&port).map(String::as_str)
    }

    /// Why the port cannot be had.
    fn reason(&self, port: u16) -> Option<String> {
        if BROWSER_BLOCKED.binary_search(&port).is_ok() {
            return Some(format!("{port} is blocked by browsers"));
        }
        self.holder(port)
            .map(|holder| format!("{port} is held by {holder}"))
    }
}

/// The ports that [`assign`] tries before it looks for the lowest free one: those whose holder is
/// worth knowing by name.
pub fn candidates(requests: &[PortRequest], lease: &[Leased]) -> BTreeSet<u16> {
    let slots = requests
        .iter()
        .flat_map(|r| r.slots().into_iter().flatten().chain(r.local));
    slots
        .chain(lease.iter().map(|leased| leased.local))
        .collect()
}

/// Assigns a host port to every request. Placed are explicit `local:` ports first, then leased ones,
/// then listed forwards in their order, then all others by (Service port, namespace, name, port name).
/// The rows come in the order of devk.yaml, then by that same rank.
///
/// # Errors
/// All at once: [`Code::PortHeld`] for an explicit port that somebody has, [`Code::PortNone`] where
/// nothing is left.
pub fn assign(
    requests: &[PortRequest],
    taken: &OccupiedPorts,
    lease: &[Leased],
) -> Result<Vec<Forward>, Errors> {
    let requests = ordered(requests);
    let rows: Vec<_> = requests
        .iter()
        .zip(leased(&requests, lease))
        .map(|(r, leased)| Row { request: r, leased })
        .collect();
    let mut table = Table {
        taken: taken.clone(),
        placed: BTreeMap::new(),
        problems: Vec::new(),
        lowest: OFFSET + 1,
    };
    rows.iter()
        .enumerate()
        .for_each(|(at, row)| table.place_explicit(at, row));
    rows.iter()
        .enumerate()
        .for_each(|(at, row)| table.place_leased(at, row));
    rows.iter()
        .enumerate()
        .for_each(|(at, row)| table.place_free(at, row));
    let forwards = rows
        .iter()
        .zip(table.placed.into_values())
        .map(|(r, (local, moved))| forward(r.request, local, moved));
    Errors::unless_empty(table.problems, forwards.collect())
}

fn ordered(requests: &[PortRequest]) -> Vec<&PortRequest> {
    let (mut rows, mut others): (Vec<_>, Vec<_>) =
        requests.iter().partition(|request| request.listed);
    others.sort_by_key(|request| request.rank());
    rows.extend(others);
    rows
}

fn forward(request: &PortRequest, local: u16, moved: Option<String>) -> Forward {
    Forward {
        name: request.name.clone(),
        namespace: request.namespace.clone(),
        service: request.service.clone(),
        remote: request.remote,
        local,
        url: format!("{}://127.0.0.1:{local}", scheme(request)),
        moved,
    }
}

/// A request and its earlier port.
struct Row<'a> {
    request: &'a PortRequest,
    leased: Option<u16>,
}

/// The table while it is being filled.
struct Table {
    taken: OccupiedPorts,
    /// row → (local port, why it moved). Complete if there are no problems.
    placed: BTreeMap<usize, (u16, Option<String>)>,
    problems: Vec<Error>,
    /// All below it are taken, for what is taken stays so: with thousands of forwards a search from the start would
    /// take a minute.
    lowest: u16,
}

impl Table {
    fn place_explicit(&mut self, at: usize, row: &Row) {
        let Some(local) = row.request.local else {
            return;
        };
        match self.taken.reason(local) {
            Some(reason) => self.problems.push(held(row.request, local, &reason)),
            None => self.put(
                at,
                row,
                local,
                vec![format!("`local: {local}` in {}", crate::config::FILE)],
            ),
        }
    }

    fn place_leased(&mut self, at: usize, row: &Row) {
        let Some(local) = row
            .leased
            .filter(|local| row.request.local.is_none() && self.taken.reason(*local).is_none())
        else {
            return;
        };
        let why = match self.free(row.request.slots()[0]) {
            Ok(_) => "kept from an earlier session, so that the address stays".to_owned(),
            Err(reason) => reason,
        };
        self.put(at, row, local, vec![why]);
    }

    fn place_free(&mut self, at: usize, row: &Row) {
        if row.request.local.is_some() || self.placed.contains_key(&at) {
            return;
        }
        let mut reasons: Vec<String> = row
            .leased
            .and_then(|port| self.taken.reason(port))
            .into_iter()
            .collect();
        for slot in row.request.slots() {
            match self.free(slot) {
                Ok(free) => return self.put(at, row, free, reasons),
                Err(reason) if reasons.contains(&reason) => {}
                Err(reason) => reasons.push(reason),
            }
        }
        match (self.lowest..=u16::MAX).find(|port| self.taken.reason(*port).is_none()) {
            Some(lowest) => {
                self.lowest = lowest;
                self.put(at, row, lowest, reasons);
            }
            None => self.problems.push(none_left(row.request)),
        }
    }

    /// The reason for the port: `why` if the forward does not have the port that it would have alone, or not its
    /// earlier port.
    fn put(&mut self, at: usize, row: &Row, local: u16, why: Vec<String>) {
        let before = row.leased.filter(|before| *before != local);
        let usual = row.request.slots()[0] == Some(local);
        let why = why.join("; ");
        let moved = match before {
            Some(before) => Some(format!(
                "{local} in place of {before}, its port before: {why}"
            )),
            None => (!usual).then_some(why),
        };
        self.taken
            .add(local, format!("forward `{}`", row.request.name));
        self.placed.insert(at, (local, moved));
    }

    /// The slot's port if it is free, else the reason why not.
    fn free(&self, slot: Option<u16>) -> Result<u16, String> {
        let port = slot.ok_or_else(|| "the next slot is above 65535".to_owned())?;
        self.taken.reason(port).map_or(Ok(port), Err)
    }
}

fn held(request: &PortRequest, local: u16, reason: &str) -> Error {
    let error = Error::new(
        Code::PortHeld,
        format!(
            "`local: {local}` of forward `{}` cannot be had: {reason}",
            request.name
        ),
    )
    .hint("free the port, choose another `local:`, or remove the line and devk finds one");
    match &request.origin {
        Some(origin) => error.at(&origin.file, origin.line),
        None => error,
    }
}

fn none_left(request: &PortRequest) -> Error {
    Error::new(
        Code::PortNone,
        format!(
            "no port above {OFFSET} is free for forward `{}`",
            request.name
        ),
    )
    .hint("devk doctor")
}

/// The scheme of an address, by the IANA service registry's number or name of the Service's port; most
/// services of a stack speak HTTP.
fn scheme(request: &PortRequest) -> &'static str {
    match request.remote {
        443 | 8443 => "https",
        3306 => "mysql",
        5432 => "postgres",
        5672 => "amqp",
        6379 => "redis",
        27017 => "mongodb",
        _ if request.port_name == "https" => "https",
        _ => "http",
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
