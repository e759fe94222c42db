//! Compose files by themselves: can they be read, and can all of their services run at once.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Check, DoctorFacts, Id, Missing, findings, skipped};
use crate::compose::{Compose, Port, Service};
use crate::docker::PublishedPort;
use crate::observe::numbers;

/// A host port that a Compose file claims.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    pub number: u16,
    pub service: &'a Service,
    pub port: &'a Port,
    /// The Compose project's folder, which [`Port::file`] is relative to.
    dir: &'a Path,
}

/// Every TCP port that a service takes on this machine.
pub fn claims(compose: &Compose) -> impl Iterator<Item = Claim<'_>> {
    let ports = compose
        .services
        .values()
        .flat_map(|service| service.ports.iter().map(move |port| (service, port)));
    ports
        .filter(|(_, port)| port.protocol.eq_ignore_ascii_case("tcp"))
        .flat_map(move |(service, port)| {
            numbers(service, port).into_iter().map(move |number| Claim {
                number,
                service,
                port,
                dir: &compose.dir,
            })
        })
}

impl Claim<'_> {
    /// `service `db` publishes 5439:5432`.
    pub fn text(&self) -> String {
        let Self { service, port, .. } = self;
        let off = if service.active {
            ""
        } else {
            " (its profile is off)"
        };
        if self.on_host() {
            return format!(
                "service `{}` listens on {} of the host's network{off}",
                service.name, self.number
            );
        }
        let host = port
            .host_ip
            .as_ref()
            .map(|ip| format!("{ip}:"))
            .unwrap_or_default();
        let published = port.published.as_deref().unwrap_or_default();
        format!(
            "service `{}` publishes {host}{published}:{}{off}",
            service.name, port.target
        )
    }

    /// Nothing is published: what the container listens on is the machine's.
    pub fn on_host(&self) -> bool {
        self.service.network_mode.as_deref() == Some("host")
            && self.port.target == u32::from(self.number)
    }

    /// Docker may take any port of it.
    fn is_range(&self) -> bool {
        !self.on_host()
            && self
                .port
                .published
                .as_deref()
                .is_some_and(|text| text.contains('-'))
    }

    /// Adds the line of the Compose file.
    pub fn show(&self, check: Check) -> Check {
        check.at(self.dir.join(&self.port.file), self.port.line, self.text())
    }

    /// Both want the port on an address that they share.
    fn meets(&self, other: &Claim) -> bool {
        meet(self.port.host_ip.as_deref(), other.port.host_ip.as_deref())
    }

    /// The container has the port on an address that the service wants.
    pub fn meets_container(&self, container: &PublishedPort) -> bool {
        self.number == container.port
            && meet(self.port.host_ip.as_deref(), container.host_ip.as_deref())
    }
}

fn meet(one: Option<&str>, two: Option<&str>) -> bool {
    let any = |ip: Option<&str>| ip.is_none_or(|ip| matches!(ip, "0.0.0.0" | "::" | ""));
    any(one) || any(two) || one == two
}

pub(super) fn checks(facts: &DoctorFacts) -> Vec<Check> {
    let ids = [Id::ComposeFiles, Id::ComposePorts];
    match &facts.compose {
        Err(missing @ Missing::Failed(errors)) => {
            let broken = Check::all_failed(Id::ComposeFiles, errors);
            broken
                .into_iter()
                .chain(skipped(&ids[1..], missing))
                .collect()
        }
        Err(missing) => skipped(&ids, missing),
        Ok(None) => skipped(
            &ids,
            &Missing::Skipped("there are no Compose files".to_owned()),
        ),
        Ok(Some(compose)) => {
            let active = compose
                .services
                .values()
                .filter(|service| service.active)
                .count();
            let read = format!("Compose project `{}`, {active} services", compose.name);
            let passed_over = compose.passed_over.iter();
            let files = findings(
                Id::ComposeFiles,
                passed_over
                    .map(|error| Check::failed(Id::ComposeFiles, error))
                    .collect(),
                read,
            );
            let ports = findings(
                Id::ComposePorts,
                twice(compose),
                "every Compose service has host ports of its own",
            );
            [files, ports].concat()
        }
    }
}

/// Two services that cannot run at once.
fn twice(compose: &Compose) -> Vec<Check> {
    let mut by_number: BTreeMap<u16, Vec<Claim>> = BTreeMap::new();
    claims(compose).for_each(|claim| by_number.entry(claim.number).or_default().push(claim));
    let next = |number: u16| {
        (number..=u16::MAX)
            .find(|port| !by_number.contains_key(port))
            .unwrap_or(number)
    };
    let pairs = by_number
        .iter()
        .filter_map(|(number, claims)| Some((*number, pair(claims)?)));
    pairs
        .map(|(number, (one, two))| finding(number, &one, &two, next(number)))
        .collect()
}

fn pair<'a>(claims: &[Claim<'a>]) -> Option<(Claim<'a>, Claim<'a>)> {
    let pairs = claims
        .iter()
        .enumerate()
        .flat_map(|(at, one)| claims[at + 1..].iter().map(move |two| (*one, *two)));
    let mut pairs =
        pairs.filter(|(one, two)| one.service.name != two.service.name && one.meets(two));
    // Of a range Docker takes the first port that is free: two of them leave room for each other.
    pairs.find(|(one, two)| !(one.is_range() && two.is_range()))
}

/// `next` is the first port from there on that no service has.
fn finding(number: u16, one: &Claim, two: &Claim, next: u16) -> Check {
    let first = &one.service.name;
    let second = &two.service.name;
    let check = if one.is_range() || two.is_range() {
        let (range, fixed) = if one.is_range() {
            (first, second)
        } else {
            (second, first)
        };
        let text = format!(
            "Compose service `{range}` may take {number} of its range, which `{fixed}` needs"
        );
        Check::warning(Id::ComposePorts, text)
    } else if one.service.active && two.service.active {
        Check::error(
            Id::ComposePorts,
            format!("Compose services `{first}` and `{second}` both publish {number}"),
        )
    } else {
        let text = format!(
            "Compose services `{first}` and `{second}` both publish {number}: they cannot run at once"
        );
        Check::warning(Id::ComposePorts, text)
    };
    let moves = if two.is_range() { one } else { two };
    let hint = match moves.on_host() {
        true => format!(
            "let `{}` listen on another port: it uses the host's network",
            moves.service.name
        ),
        false => format!(
            "publish `{}` elsewhere: `\"{next}:{}\"`",
            moves.service.name, moves.port.target
        ),
    };
    two.show(one.show(check)).hint(hint)
}
