//! Compose files by themselves: can they be read, and can all of their services run at once.

use std::collections::BTreeMap;

use super::{Check, Facts, Id, Missing, findings, skipped};
use crate::compose::{Compose, Port, Service};
use crate::observe::numbers;

/// A host port that a Compose file claims.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    pub number: u16,
    pub service: &'a Service,
    pub port: &'a Port,
}

/// Every TCP port that a service takes on this machine.
pub fn claims(compose: &Compose) -> impl Iterator<Item = Claim<'_>> {
    let ports = compose.services.values().flat_map(|service| service.ports.iter().map(move |port| (service, port)));
    ports.filter(|(_, port)| port.protocol.eq_ignore_ascii_case("tcp")).flat_map(|(service, port)| {
        numbers(service, port).into_iter().map(move |number| Claim { number, service, port })
    })
}

impl Claim<'_> {
    /// `service `db` publishes 5439:5432`.
    pub fn text(&self) -> String {
        let Self { service, port, .. } = self;
        let off = if service.active { "" } else { " (its profile is off)" };
        let host = port.host_ip.as_ref().map(|ip| format!("{ip}:")).unwrap_or_default();
        let published = port.published.as_deref().unwrap_or_default();
        format!("service `{}` publishes {host}{published}:{}{off}", service.name, port.target)
    }

    /// Adds the line of the Compose file.
    pub fn show(&self, check: Check) -> Check {
        check.at(&self.port.file, self.port.line, self.text())
    }

    /// Both want the port on an address that they share.
    fn meets(&self, other: &Claim) -> bool {
        let any = |ip: &Option<String>| ip.as_deref().is_none_or(|ip| matches!(ip, "0.0.0.0" | "::" | ""));
        let (one, two) = (&self.port.host_ip, &other.port.host_ip);
        any(one) || any(two) || one == two
    }
}

pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    let ids = [Id::ComposeFiles, Id::ComposePorts];
    match &facts.compose {
        Err(missing @ Missing::Failed(errors)) => {
            let broken = Check::all_failed(Id::ComposeFiles, errors);
            broken.into_iter().chain(skipped(&ids[1..], missing)).collect()
        }
        Err(missing) => skipped(&ids, missing),
        Ok(None) => skipped(&ids, &Missing::Skipped("there are no Compose files".to_owned())),
        Ok(Some(compose)) => {
            let active = compose.services.values().filter(|service| service.active).count();
            let files = Check::ok(Id::ComposeFiles, format!("Compose project `{}`, {active} services", compose.name));
            let ports = findings(Id::ComposePorts, twice(compose), "every Compose service has host ports of its own");
            [vec![files], ports].concat()
        }
    }
}

/// Two services that cannot run at once.
fn twice(compose: &Compose) -> Vec<Check> {
    let mut by_number: BTreeMap<u16, Vec<Claim>> = BTreeMap::new();
    claims(compose).for_each(|claim| by_number.entry(claim.number).or_default().push(claim));
    let mut told: Vec<(&str, &str)> = vec![];
    let mut found = vec![];
    for (number, claims) in by_number {
        let Some((one, two)) = pair(&claims) else { continue };
        // Two ranges that overlap are one finding, whatever their length.
        let names = (one.service.name.as_str(), two.service.name.as_str());
        let is_range = |claim: &Claim| claim.port.published.as_deref().is_some_and(|text| text.contains('-'));
        if told.contains(&names) && is_range(&one) && is_range(&two) {
            continue;
        }
        told.push(names);
        found.push(finding(number, &one, &two));
    }
    found
}

fn pair<'a>(claims: &[Claim<'a>]) -> Option<(Claim<'a>, Claim<'a>)> {
    let pairs = claims.iter().enumerate().flat_map(|(at, one)| claims[at + 1..].iter().map(move |two| (*one, *two)));
    // One range that meets another leaves room for both.
    let fixed = |claim: &Claim| claim.port.published.as_deref().is_none_or(|text| !text.contains('-'));
    let mut pairs = pairs.filter(|(one, two)| one.service.name != two.service.name && one.meets(two));
    pairs.find(|(one, two)| fixed(one) || fixed(two) || one.port.published == two.port.published)
}

fn finding(number: u16, one: &Claim, two: &Claim) -> Check {
    let (first, second) = (&one.service.name, &two.service.name);
    let check = if one.service.active && two.service.active {
        Check::error(Id::ComposePorts, format!("Compose services `{first}` and `{second}` both publish {number}"))
    } else {
        let text = format!("Compose services `{first}` and `{second}` both publish {number}: they cannot run at once");
        Check::warning(Id::ComposePorts, text)
    };
    two.show(one.show(check)).hint(format!(
        "publish one of them elsewhere: `\"{}:{}\"`",
        u32::from(number) + 1,
        two.port.target
    ))
}
