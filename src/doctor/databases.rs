//! Databases that the rendered manifests look for on this machine, where Compose's servers are.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::charts::{RenderedChart, TemplateRef};
use super::compose::{Claim, claims};
use super::pod_databases::{inside_pods, is_loopback};
use super::{Check, DoctorFacts, Id, Missing, findings, skipped};
use crate::bridge::service;
use crate::compose::{Compose, ComposeDatabase, Service};
use crate::database::{self, Kind, MACHINE, Named, Server};
use crate::release::databases::{self as rendered, ManifestDatabase};
use crate::release::external_services::ExternalServices;
use crate::release::value_path::names_database;

pub(super) fn checks(facts: &DoctorFacts) -> Vec<Check> {
    let beside = [
        Id::DatabasesShared,
        Id::DatabasesPort,
        Id::DatabasesLoopback,
    ];
    let charts = match &facts.charts {
        Ok(charts) => charts,
        Err(missing) => {
            return skipped(&[&beside[..], &[Id::DatabasesLocalhost]].concat(), missing);
        }
    };
    let inside: Vec<_> = charts.iter().flat_map(inside_pods).collect();
    let mut checks = findings(
        Id::DatabasesLocalhost,
        inside,
        "no pod looks for a database in itself",
    );
    let compose = match &facts.compose {
        Ok(Some(compose)) => compose,
        Ok(None) => {
            checks.extend(skipped(
                &beside,
                &Missing::Skipped("there are no Compose files".to_owned()),
            ));
            return checks;
        }
        Err(missing) => {
            checks.extend(skipped(&beside, missing));
            return checks;
        }
    };
    let meetings = meetings(charts, compose, facts);
    let fine = "no rendered manifest uses a database of Compose's";
    checks.extend(findings(
        Id::DatabasesShared,
        shared(&meetings, compose),
        fine,
    ));
    let fine = "no rendered manifest looks for a database on a wrong port of this machine";
    checks.extend(findings(
        Id::DatabasesPort,
        closed(&meetings, compose),
        fine,
    ));
    let fine = "every database that pods look for here can be reached from pods";
    checks.extend(findings(Id::DatabasesLoopback, loopback(&meetings), fine));
    checks
}

/// A database that a chart looks for on this machine.
struct Meeting<'a> {
    chart: &'a RenderedChart,
    database: ManifestDatabase,
    port: u16,
    /// What Compose publishes there; None: nothing.
    claim: Option<Claim<'a>>,
}

fn meetings<'a>(
    charts: &'a [RenderedChart],
    compose: &'a Compose,
    facts: &DoctorFacts,
) -> Vec<Meeting<'a>> {
    let here = facts.here();
    let claims: Vec<_> = claims(compose).collect();
    let mut met = vec![];
    let mut unaddressed = vec![];
    for chart in charts {
        let external =
            ExternalServices::of(charts.iter().map(|chart| &chart.rendered), &chart.namespace);
        for database in rendered::databases(&chart.rendered, &chart.namespace) {
            let Server::At { host, port } = &database.named.server else {
                unaddressed.push((chart, database));
                continue;
            };
            let (host, port) = external.resolve(host, port.unwrap_or(database.named.kind.port()));
            // A bridge that can be had leads to no database of Compose's: its map, or `bridge.postgres`, says so.
            if is_bridge(&host) && matches!(facts.bridge, Ok(Some(_))) {
                continue;
            }
            if is_here(&host, &here) {
                let claim = claims.iter().find(|claim| claim.number == port).copied();
                met.push(Meeting {
                    chart,
                    database,
                    port,
                    claim,
                });
            }
        }
    }
    let assumed = assumed(&unaddressed, &met);
    met.extend(assumed);
    met
}

/// Names without an address, as init scripts have them, may be on any server of Compose's that the charts use
/// otherwise, unless they run one of their own.
fn assumed<'a>(
    unaddressed: &[(&'a RenderedChart, ManifestDatabase)],
    met: &[Meeting<'a>],
) -> Vec<Meeting<'a>> {
    let runs_own = |kind: Kind| {
        unaddressed
            .iter()
            .any(|(_, found)| found.named.kind == kind && found.named.server == Server::Own)
    };
    let claims = |kind: Kind| {
        let of_kind = met
            .iter()
            .filter(|meeting| meeting.database.named.kind == kind);
        of_kind
            .filter_map(|meeting| Some((meeting.port, meeting.claim?)))
            .collect::<BTreeMap<_, _>>()
    };
    let mut found = vec![];
    for (chart, database) in unaddressed
        .iter()
        .filter(|(_, database)| !runs_own(database.named.kind))
    {
        let there = |(port, claim)| Meeting {
            chart,
            database: database.clone(),
            port,
            claim: Some(claim),
        };
        found.extend(claims(database.named.kind).into_iter().map(there));
    }
    found
}

fn is_here(host: &str, here: &BTreeSet<IpAddr>) -> bool {
    MACHINE.contains(&host)
        || is_bridge(host)
        || host.parse().is_ok_and(|address| here.contains(&address))
}

/// The Service of devk's bridge, which leads to this machine.
fn is_bridge(host: &str) -> bool {
    host.split('.').next() == Some(service::NAME)
}

impl Meeting<'_> {
    /// The value that the chart takes this from, if it can be told.
    fn value_path(&self, text: &str, fits: impl Fn(&str) -> bool) -> Option<String> {
        let Server::At { host, .. } = &self.database.named.server else {
            return None;
        };
        self.chart.value_path(text, fits, host)
    }

    /// Adds where the manifests name it.
    fn show(&self, check: Check) -> Check {
        let ManifestDatabase {
            named,
            source,
            object,
            ..
        } = &self.database;
        let text = format!(
            "{} of {object}: `{}` on port {} of this machine",
            named.via, named.name, self.port
        );
        // `values.yaml, DATABASE_NAME` of a file within a ConfigMap.
        let key = named.via.split(", ").next().unwrap_or(&named.via);
        let words = if key == "command" {
            &["args:", "command:"][..]
        } else {
            &[key][..]
        };
        self.chart
            .show(check, TemplateRef { source, object }, words, text)
    }
}

/// One finding for each database of each server.
fn shared(meetings: &[Meeting], compose: &Compose) -> Vec<Check> {
    let mut by_name: BTreeMap<(&str, &str), Vec<&Meeting>> = BTreeMap::new();
    for meeting in meetings {
        if let Some(claim) = &meeting.claim {
            by_name
                .entry((&claim.service.name, &meeting.database.named.name))
                .or_default()
                .push(meeting);
        }
    }
    let finding = |((service, name), meetings): ((&str, &str), Vec<&Meeting>)| {
        let users = users(compose, service, name);
        let summary = format!(
            "database `{name}` of Compose service `{service}` is used by the cluster as well"
        );
        (!users.is_empty()).then(|| {
            tell_shared(
                Check::error(Id::DatabasesShared, summary),
                &meetings,
                &users,
            )
        })
    };
    by_name.into_iter().filter_map(finding).collect()
}

fn tell_shared(check: Check, meetings: &[&Meeting], users: &[&ComposeDatabase]) -> Check {
    let check = meetings
        .iter()
        .fold(check, |check, meeting| meeting.show(check));
    let check = users.iter().fold(check, |check, user| {
        let text = format!("{} of Compose service `{}`", user.named.via, user.service);
        check.at(&user.origin.file, user.origin.line, text)
    });
    let Some(first) = meetings.first() else {
        return check;
    };
    let Named { kind, name, .. } = &first.database.named;
    if *kind == Kind::Redis {
        return check.hint("give the cluster an index that Compose does not use, or its own Redis");
    }
    match first.value_path(name, names_database) {
        Some(path) => check.hint(format!(
            "devk.yaml, release `{}`: set: {{{path}: {name}_k8s}}",
            first.chart.release
        )),
        None => check.hint(format!(
            "name a database of the cluster's own there: {name}_k8s"
        )),
    }
}

/// Every place in Compose that names this database on this service's server.
fn users<'a>(compose: &'a Compose, service: &str, name: &str) -> Vec<&'a ComposeDatabase> {
    let all = compose
        .services
        .values()
        .flat_map(|service| &service.databases);
    all.filter(|database| database.named.name == name && lives_on(database, compose, service))
        .collect()
}

fn lives_on(database: &ComposeDatabase, compose: &Compose, service: &str) -> bool {
    match &database.named.server {
        Server::Own => database.service == service,
        Server::At { host, .. } if host == service => true,
        Server::At { host, port } if MACHINE.contains(&host.as_str()) || is_loopback(host) => {
            let port = port.unwrap_or(database.named.kind.port());
            claims(compose).any(|claim| claim.number == port && claim.service.name == service)
        }
        // Another service, or a name that only Docker knows, such as a network alias.
        Server::At { host, .. } => {
            !compose.services.contains_key(host)
                && could_serve(compose, service, database.named.kind)
        }
        Server::Unknown => could_serve(compose, service, database.named.kind),
    }
}

fn could_serve(compose: &Compose, service: &str, kind: Kind) -> bool {
    compose
        .services
        .get(service)
        .is_some_and(|service| serves(service, kind))
}

fn serves(service: &Service, kind: Kind) -> bool {
    let by_image = service.image.as_deref().and_then(database::serves) == Some(kind);
    by_image
        || service
            .ports
            .iter()
            .any(|port| port.target == u32::from(kind.port()))
}

/// 5432 for 5439: nothing of Compose's is on that port, and Compose does serve such a database. One finding
/// for each database.
fn closed(meetings: &[Meeting], compose: &Compose) -> Vec<Check> {
    let mut by_name: BTreeMap<(Kind, &str, u16), Vec<&Meeting>> = BTreeMap::new();
    for meeting in meetings.iter().filter(|meeting| meeting.claim.is_none()) {
        let Named { kind, name, .. } = &meeting.database.named;
        by_name
            .entry((*kind, name, meeting.port))
            .or_default()
            .push(meeting);
    }
    let finding = |((kind, name, port), meetings): ((Kind, &str, u16), Vec<&Meeting>)| {
        let claim = claims(compose).find(|claim| is_server(claim, kind))?;
        let service = &claim.service.name;
        let right = claim.number;
        let summary = format!(
            "`{name}` is looked for on port {port} of this machine; Compose's `{service}` is on {right}"
        );
        let check = Check::error(Id::DatabasesPort, summary);
        let check = claim.show(
            meetings
                .iter()
                .fold(check, |check, meeting| meeting.show(check)),
        );
        let path = meetings.iter().find_map(|meeting| {
            Some((
                &meeting.chart.release,
                meeting.value_path(&port.to_string(), |key| key.ends_with("port"))?,
            ))
        });
        Some(match path {
            Some((release, path)) => check.hint(format!(
                "devk.yaml, release `{release}`: set: {{{path}: {right}}}"
            )),
            None => check.hint(format!("use port {right} there")),
        })
    };
    by_name.into_iter().filter_map(finding).collect()
}

/// A port on which a service of Compose serves such databases.
fn is_server(claim: &Claim, kind: Kind) -> bool {
    serves(claim.service, kind)
        && (claim.port.target == u32::from(kind.port()) || claim.service.ports.len() == 1)
}

/// Pods come from another address than 127.0.0.1.
fn loopback(meetings: &[Meeting]) -> Vec<Check> {
    let mut told = BTreeSet::new();
    let mut found = vec![];
    for meeting in meetings {
        let Some(claim) = meeting
            .claim
            .as_ref()
            .filter(|c| c.port.host_ip.as_deref().is_some_and(is_loopback))
        else {
            continue;
        };
        if told.insert(claim.number) {
            let summary = format!(
                "Compose publishes `{}` on {} only: pods cannot reach it",
                claim.service.name,
                claim.port.host_ip.as_deref().unwrap_or_default()
            );
            let check = claim.show(meeting.show(Check::warning(Id::DatabasesLoopback, summary)));
            found.push(match meeting.database.named.kind {
                Kind::Postgres => {
                    check.hint("devk up --bridge    # relays for the cluster's nodes")
                }
                _ => check.hint(format!(
                    "publish it on every address: `\"{}:{}\"`",
                    claim.number, claim.port.target
                )),
            });
        }
    }
    found
}
