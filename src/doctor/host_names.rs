//! Names of this machine in manifests, such as `host.docker.internal`: whether pods of the cluster know them, and
//! whether something listens on the port that stands behind them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;

use super::charts::{RenderedChart, TemplateRef};
use super::compose::{Claim, claims};
use super::docker::DockerNetwork;
use super::localhost::{Text, texts, uncommented};
use super::missing::of_project;
use super::pod_databases::is_loopback;
use super::ports::listening;
use super::{Check, DoctorFacts, Id, Looked, Missing, findings, network, skipped};
use crate::bridge::gateway::{self, EngineLocation, Rule};
use crate::cluster::{ManagedCluster, Node, State};
use crate::config::{Project, Provider};
use crate::database::{Kind, MACHINE};
use crate::docker::{Engine, Exec};
use crate::error::Result;
use crate::paths::Paths;
use crate::release::manifest::Manifest;
use crate::release::pods;

/// What was found out about the names in the manifests.
#[derive(Debug, Clone, Default)]
pub struct HostNames {
    /// Those that pods cannot resolve.
    pub unknown: BTreeSet<&'static str>,
    /// By which pods reach this machine instead; None: only a running cluster tells.
    pub instead: Option<String>,
    /// The ports behind all names on which something listens now.
    pub listening: BTreeSet<u16>,
}

/// A name of this machine in a text.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
struct Mention {
    name: &'static str,
    port: Option<u16>,
}

pub(super) async fn inspect(
    engine: &Result<Engine>,
    project: Result<&Project, &Missing>,
    paths: &Paths,
    charts: &Looked<Vec<RenderedChart>>,
    networks: &[DockerNetwork],
) -> Looked<HostNames> {
    let project = of_project(project)?;
    let mentioned = all_mentions(charts.as_deref().unwrap_or_default());
    if mentioned.is_empty() {
        return Ok(HostNames::default());
    }
    let engine = engine
        .as_ref()
        .map_err(|_| Missing::Skipped("the Docker Engine does not answer".to_owned()))?;
    let names: BTreeSet<_> = mentioned.iter().map(|mention| mention.name).collect();
    let cluster = ManagedCluster::of(engine, &project.cluster, paths);
    let mut found = match cluster.state().await? {
        State::Running(nodes) if !nodes.is_empty() => {
            let known = known(engine, &cluster, &nodes, &names).await?;
            let instead = gateway::address(engine, &nodes).await.ok();
            HostNames {
                unknown: names.difference(&known).copied().collect(),
                instead: instead.map(|address| address.to_string()),
                listening: BTreeSet::new(),
            }
        }
        _ => {
            let place = gateway::place_of(engine).await?;
            expected(project.cluster.provider, place, &names, networks)
        }
    };
    let ports = mentioned.iter().filter_map(|mention| mention.port);
    let listeners = listening(&ports.collect(), &BTreeSet::new()).await;
    found.listening = listeners.into_keys().collect();
    Ok(found)
}

/// Before a cluster runs. In a virtual machine its own resolver decides, which cannot be asked.
fn expected(
    provider: Provider,
    place: EngineLocation,
    names: &BTreeSet<&'static str>,
    networks: &[DockerNetwork],
) -> HostNames {
    let rule = gateway::rule(provider, place).filter(|_| place == EngineLocation::Here);
    let unknown = |known: Option<&str>| {
        let names = names.iter().copied();
        names.filter(|name| Some(*name) != known).collect()
    };
    match rule {
        Some(Rule::Gateway) => {
            let kind = networks.iter().find(|found| found.name == network::KIND);
            let gateways = kind.into_iter().flat_map(|network| &network.gateways);
            HostNames {
                unknown: unknown(None),
                instead: gateways
                    .into_iter()
                    .find(|address| address.is_ipv4())
                    .map(IpAddr::to_string),
                listening: BTreeSet::new(),
            }
        }
        Some(Rule::Name(name)) => HostNames {
            unknown: unknown(Some(name)),
            instead: Some(name.to_owned()),
            listening: BTreeSet::new(),
        },
        None => HostNames::default(),
    }
}

/// Those that pods resolve: CoreDNS has them in its own settings, or asks the node's server, which knows them.
async fn known(
    engine: &Engine,
    cluster: &ManagedCluster,
    nodes: &[Node],
    names: &BTreeSet<&'static str>,
) -> Result<BTreeSet<&'static str>> {
    // k3s has no getent. A hosts file of the node is not what pods see.
    const LOOKUP: &str = r#"for name; do
        { timeout 3 getent -s dns ahostsv4 "$name" || timeout 3 nslookup "$name"; } >/dev/null 2>&1 && echo "$name"
        done; true"#;
    let mut command = vec!["sh", "-c", LOOKUP, "sh"];
    command.extend(names);
    let mut settings = String::new();
    if let Some(node) = nodes.first() {
        let lookup = Exec::new(&node.name, command);
        settings = lookup.output(&engine.docker).await?.text();
    }
    if let Some(access) = cluster.pinned(nodes).await? {
        let maps: Api<ConfigMap> = Api::namespaced(access.client.clone(), "kube-system");
        let coredns = maps.get_opt("coredns").await.ok().flatten();
        let texts = coredns.and_then(|map| map.data).unwrap_or_default();
        settings.extend(texts.into_values());
    }
    let words: BTreeSet<_> = settings.split_whitespace().collect();
    let names = names.iter().copied();
    Ok(names.filter(|name| words.contains(name)).collect())
}

fn all_mentions(charts: &[RenderedChart]) -> BTreeSet<Mention> {
    let manifests = charts.iter().flat_map(|chart| &chart.rendered.manifests);
    let texts = manifests.flat_map(texts);
    texts
        .flat_map(|text| mentions(&uncommented(&text.text)))
        .collect()
}

fn mentions(text: &str) -> Vec<Mention> {
    let is_part = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    let mut found = vec![];
    for name in MACHINE {
        for (at, _) in text.match_indices(name) {
            let rest = &text[at + name.len()..];
            if text[..at].ends_with(is_part) || rest.starts_with(is_part) {
                continue;
            }
            let digits = rest.strip_prefix(':').unwrap_or_default();
            let end = digits.find(|c: char| !c.is_ascii_digit());
            let port = digits[..end.unwrap_or(digits.len())].parse().ok();
            found.push(Mention { name, port });
        }
    }
    found
}

pub(super) fn checks(facts: &DoctorFacts) -> Vec<Check> {
    let id = Id::ChartsHostNames;
    let (charts, names) = match (&facts.charts, &facts.host_names) {
        (Ok(charts), Ok(names)) => (charts, names),
        (Err(missing), _) => return skipped(&[id], missing),
        (_, Err(Missing::Failed(errors))) => return Check::all_failed(id, errors),
        (_, Err(missing)) => return skipped(&[id], missing),
    };
    let compose = facts.compose.iter().flatten();
    let claims: Vec<_> = compose.flat_map(claims).collect();
    let found = charts
        .iter()
        .flat_map(|chart| of_chart(chart, names, &claims));
    findings(
        id,
        found.collect(),
        "every name of this machine in the manifests leads pods to a port that is taken",
    )
}

fn of_chart(chart: &RenderedChart, names: &HostNames, claims: &[Claim]) -> Vec<Check> {
    let mut found = vec![];
    for manifest in &chart.rendered.manifests {
        let aliases = aliases(chart, manifest);
        let mut told = BTreeSet::new();
        for text in texts(manifest) {
            for mention in mentions(&uncommented(&text.text)) {
                let Mention { name, port } = mention;
                let is_unknown = names.unknown.contains(name) && !aliases.contains(name);
                let closed = port.filter(|port| is_closed(*port, names, claims));
                // `databases.port` tells it of a database.
                let closed = closed.filter(|port| is_unknown || Kind::at_port(*port).is_none());
                if (is_unknown || closed.is_some()) && told.insert((text.key.clone(), mention)) {
                    let problem = Problem {
                        chart,
                        text: &text,
                        mention,
                        is_unknown,
                        closed,
                        meant: meant(port, claims),
                    };
                    found.push(problem.check(manifest, names, claims));
                }
            }
        }
    }
    found
}

/// What Compose publishes on the port, or else as it: 5439:5432 for 5432.
fn meant<'a>(port: Option<u16>, claims: &'a [Claim<'a>]) -> Option<&'a Claim<'a>> {
    let published = claims.iter().find(|claim| Some(claim.number) == port);
    published.or_else(|| {
        let mut claims = claims.iter();
        claims.find(|claim| port.map(u32::from) == Some(claim.port.target))
    })
}

fn is_closed(port: u16, names: &HostNames, claims: &[Claim]) -> bool {
    claims.iter().all(|claim| claim.number != port) && !names.listening.contains(&port)
}

/// The names that a pod template resolves by itself (`hostAliases`).
fn aliases(chart: &RenderedChart, manifest: &Manifest) -> BTreeSet<String> {
    let pods = pods::pods(&chart.rendered).into_iter();
    let own = pods.filter(|pod| std::ptr::eq(pod.manifest, manifest));
    let aliases = own.flat_map(|pod| pods::list(&pod.spec["hostAliases"]));
    let names = aliases.flat_map(|alias| pods::list(&alias["hostnames"]));
    names
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect()
}

struct Problem<'a> {
    chart: &'a RenderedChart,
    text: &'a Text,
    mention: Mention,
    is_unknown: bool,
    /// The port, if neither Compose nor anything that runs takes it.
    closed: Option<u16>,
    meant: Option<&'a Claim<'a>>,
}

impl Problem<'_> {
    fn check(&self, manifest: &Manifest, names: &HostNames, claims: &[Claim]) -> Check {
        let (key, address, owner) = (&self.text.key, self.address(), manifest.object_name());
        let why = if self.is_unknown {
            "a name that pods of this cluster do not know"
        } else {
            "and nothing listens on that port of this machine"
        };
        let summary = format!("`{key}` of `{owner}` says {address}, {why}");
        let of = TemplateRef {
            source: &manifest.source,
            object: &owner,
        };
        let words = self.text.words(&address);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let check = self.chart.show(
            Check::warning(Id::ChartsHostNames, summary),
            of,
            &words,
            format!("{key}: …{address}…"),
        );
        let check = match (self.meant, self.closed) {
            (Some(claim), _) => claim.show(check),
            (None, Some(port)) => check.evidence(nothing_on(port, claims)),
            (None, None) => check,
        };
        check.hint(self.hint(names, &address))
    }

    fn address(&self) -> String {
        let Mention { name, port } = self.mention;
        port.map_or(name.to_owned(), |port| format!("{name}:{port}"))
    }

    fn hint(&self, names: &HostNames, address: &str) -> String {
        if let Some(claim) = self.meant.filter(|claim| is_for_loopback(claim)) {
            return format!(
                "publish `{}` for pods as well: \"{}:{}\" in the Compose file",
                claim.service.name, claim.number, claim.port.target
            );
        }
        let host = if self.is_unknown {
            names.instead.as_deref()
        } else {
            Some(self.mention.name)
        };
        let Some(host) = host else {
            return "devk up -d && devk doctor    # a running cluster tells the address of this machine".to_owned();
        };
        let port = self.meant.map(|claim| claim.number);
        match (port, self.closed, self.mention.port) {
            (Some(port), ..) | (None, None, Some(port)) => {
                self.written(address, &format!("{host}:{port}"))
            }
            (None, None, None) => self.written(address, host),
            (None, Some(_), _) => {
                format!("write {host} there, and the port of the service that is meant")
            }
        }
    }

    /// How to write another address in the place of this one.
    fn written(&self, address: &str, right: &str) -> String {
        let Self { chart, text, .. } = self;
        let Some(path) = chart.value_path(&text.text, |_| true, "") else {
            return format!("write {right} there");
        };
        let release = &chart.release;
        match text.text.split_once(address) {
            // A URL with a login or with parameters may be a secret.
            Some((scheme, rest)) if is_scheme(scheme) && !rest.contains(['?', '@']) => {
                format!(
                    "devk.yaml, release `{release}`: set: {{{path}: \"{scheme}{right}{rest}\"}}"
                )
            }
            _ => format!("write {right} there, in the value `{path}` of release `{release}`"),
        }
    }
}

/// `http://`, or nothing.
fn is_scheme(text: &str) -> bool {
    let scheme = text.strip_suffix("://");
    text.is_empty() || scheme.is_some_and(|scheme| scheme.chars().all(|c| c.is_alphanumeric()))
}

fn is_for_loopback(claim: &Claim) -> bool {
    claim.port.host_ip.as_deref().is_some_and(is_loopback)
}

fn nothing_on(port: u16, claims: &[Claim]) -> String {
    let there: Vec<_> = claims
        .iter()
        .map(|claim| format!("{} (`{}`)", claim.number, claim.service.name))
        .collect();
    if there.is_empty() {
        format!("nothing listens on port {port} of this machine")
    } else {
        format!(
            "nothing listens on port {port} of this machine; Compose publishes {}",
            there.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_whole_with_and_without_a_port() {
        let found = |text: &str| {
            let mentions = mentions(text).into_iter();
            mentions
                .map(|mention| (mention.name, mention.port))
                .collect::<Vec<_>>()
        };
        let docker = "host.docker.internal";
        assert_eq!(
            found("http://host.docker.internal:4566/x"),
            [(docker, Some(4566))]
        );
        assert_eq!(found("a:b@host.docker.internal"), [(docker, None)]);
        assert_eq!(
            found("host.docker.internal.example, my-host.docker.internal"),
            []
        );
    }

    #[test]
    fn before_a_cluster_runs_its_provider_says_which_names_pods_know() {
        let names = BTreeSet::from(["host.docker.internal", "host.minikube.internal"]);
        let networks = [DockerNetwork {
            name: "kind".into(),
            gateways: vec!["fc00::1".parse().unwrap(), "172.18.0.1".parse().unwrap()],
            ..DockerNetwork::default()
        }];
        let found = |provider, place| {
            let HostNames {
                unknown, instead, ..
            } = expected(provider, place, &names, &networks);
            (unknown, instead)
        };
        let here = EngineLocation::Here;
        assert_eq!(
            found(Provider::Kind, here),
            (names.clone(), Some("172.18.0.1".into()))
        );
        let docker = BTreeSet::from(["host.docker.internal"]);
        let minikube = Some("host.minikube.internal".into());
        assert_eq!(found(Provider::Minikube, here), (docker, minikube));
        for unsure in [
            (Provider::Existing, here),
            (Provider::Kind, EngineLocation::Machine),
        ] {
            assert_eq!(found(unsure.0, unsure.1), (BTreeSet::new(), None));
        }
    }
}
