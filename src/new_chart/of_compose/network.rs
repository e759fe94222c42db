//! Names and ports: by which names a service is reached, on which ports, and what stands in texts that name it.

use std::collections::{BTreeMap, BTreeSet};

use super::keys::ServiceKeys;
use crate::compose::{Service, WholeCompose, YamlNode};
use crate::image::ImageFacts;
use crate::new_chart::model::{Carried, ComponentPort};
use crate::new_chart::names::{is_found_by_dns, service_name};

/// More ports than this of one service are no Service.
const MAX_PORTS: usize = 50;

/// Names of ports by their numbers.
const KNOWN: [(u16, &str); 9] = [
    (80, "http"),
    (443, "https"),
    (1025, "smtp"),
    (3306, "mysql"),
    (5432, "postgres"),
    (5672, "amqp"),
    (6379, "redis"),
    (8080, "http"),
    (27017, "mongodb"),
];

/// Words in names of variables whose whole value is a host.
const HOST_WORDS: [&str; 12] = [
    "ADDR", "ADDRESS", "BACKEND", "BROKER", "ENDPOINT", "HOST", "HOSTNAME", "HOSTS", "NODE",
    "NODES", "SERVER", "UPSTREAM",
];

/// The names of all services, as Compose's DNS has them.
#[derive(Debug, Default)]
pub(super) struct ComposeNames {
    /// By service, its own name first.
    pub(super) by_service: BTreeMap<String, Vec<String>>,
    /// Names that DNS does not take → those of the chart.
    renamed: BTreeMap<String, String>,
}

impl ComposeNames {
    pub(super) fn of(whole: &WholeCompose) -> Self {
        let mut names = Self::default();
        for (name, entry) in &whole.services {
            let mut own = vec![name.clone()];
            for key in ["container_name", "hostname"] {
                own.extend(entry.value.get(key).map(YamlNode::printed));
            }
            let networks = entry
                .value
                .get("networks")
                .map(YamlNode::entries)
                .unwrap_or_default();
            for network in networks {
                let aliases = network
                    .value
                    .get("aliases")
                    .map(YamlNode::items)
                    .unwrap_or_default();
                own.extend(aliases.iter().map(YamlNode::printed));
            }
            names
                .by_service
                .entry(name.clone())
                .or_default()
                .extend(own);
        }
        for entry in whole.services.values() {
            for link in entry
                .value
                .get("links")
                .map(YamlNode::items)
                .unwrap_or_default()
            {
                let text = link.printed();
                if let Some((service, alias)) = text.split_once(':') {
                    names
                        .by_service
                        .entry(service.to_owned())
                        .or_default()
                        .push(alias.to_owned());
                }
            }
        }
        let all = names.by_service.values().flatten();
        let renamed = all.filter(|name| !is_found_by_dns(name));
        names.renamed = renamed
            .map(|name| (name.clone(), service_name(name)))
            .collect();
        names
    }

    /// The names of the Services of a service, its own first.
    pub(super) fn services(&self, service: &str) -> Vec<String> {
        let mut found: Vec<String> = vec![];
        for name in self.by_service.get(service).into_iter().flatten() {
            let name = service_name(name);
            if !found.contains(&name) {
                found.push(name);
            }
        }
        found
    }

    pub(super) fn renamed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.renamed
            .iter()
            .map(|(from, to)| (from.as_str(), to.as_str()))
    }

    /// A text with the names that DNS takes, where a name stands as a host; `variable` says what the text is for.
    pub(super) fn in_text(&self, variable: &str, text: &str) -> String {
        let mut text = text.to_owned();
        for (from, to) in &self.renamed {
            let names_host = variable
                .to_ascii_uppercase()
                .split(|c: char| !c.is_ascii_alphanumeric())
                .any(|word| HOST_WORDS.contains(&word));
            if text == *from && names_host {
                text.clone_from(to);
                continue;
            }
            let hosts: Vec<_> = places(&text, from)
                .filter(|at| is_host(&text, *at, from.len()))
                .collect();
            for at in hosts.into_iter().rev() {
                text.replace_range(at..at + from.len(), to);
            }
        }
        text
    }

    /// Names that DNS does not take and that stand in a text all the same.
    pub(super) fn left_in(&self, text: &str) -> Option<&str> {
        let mut names = self.renamed.keys();
        names
            .find(|name| places(text, name).next().is_some())
            .map(String::as_str)
    }
}

/// Where a name stands in a text as a word.
fn places<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = usize> + use<'a> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    text.match_indices(name).filter_map(move |(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        let is_word =
            !before.is_some_and(is_part) && !after.is_some_and(|c| is_part(c) && c != '.');
        is_word.then_some(at)
    })
}

/// Behind `//` or `@`, or before `:` and a number.
fn is_host(text: &str, at: usize, len: usize) -> bool {
    let (before, after) = (&text[..at], &text[at + len..]);
    let mut after = after.chars();
    let has_port = after.next() == Some(':') && after.next().is_some_and(|c| c.is_ascii_digit());
    before.ends_with("//") || before.ends_with('@') || has_port
}

/// The ports of a service that anybody is known to use: those that Compose has, that the image exposes, that its healthcheck
/// asks, and that other services name.
pub(super) fn ports(
    keys: &ServiceKeys<'_>,
    service: &Service,
    facts: Option<&ImageFacts>,
    names: &ComposeNames,
    whole: &WholeCompose,
    healthcheck: Option<u16>,
) -> Vec<ComponentPort> {
    keys.take("ports");
    let mut found: Vec<(u16, String)> = vec![];
    for port in &service.ports {
        found.extend(
            u16::try_from(port.target)
                .ok()
                .map(|number| (number, port.protocol.clone())),
        );
    }
    for text in keys.texts("expose") {
        found.extend(exposed(&text));
    }
    found.extend(healthcheck.map(|port| (port, "tcp".to_owned())));
    let own = names.by_service.get(&service.name).into_iter().flatten();
    let own: Vec<_> = own.map(String::as_str).collect();
    found.extend(
        named(&own, whole)
            .into_iter()
            .map(|port| (port, "tcp".to_owned())),
    );
    let of_image = facts.map(|facts| facts.exposed.clone()).unwrap_or_default();
    found.extend(of_image);
    let mut seen = BTreeSet::new();
    found.retain(|port| port.0 > 0 && seen.insert(port.clone()));
    if found.len() > MAX_PORTS {
        keys.note_key(
            "ports",
            Carried::No,
            format!(
                "of {} ports the Service has the first {MAX_PORTS}",
                found.len()
            ),
        );
        found.truncate(MAX_PORTS);
    }
    let mut taken = BTreeSet::new();
    let port = |(number, protocol): (u16, String)| {
        let known = KNOWN
            .iter()
            .find(|(known, _)| *known == number && protocol == "tcp");
        let plain = format!("{protocol}-{number}");
        let name = known.map_or(plain.clone(), |(_, name)| (*name).to_owned());
        let name = if taken.insert(name.clone()) {
            name
        } else {
            plain
        };
        ComponentPort {
            name,
            number,
            protocol: protocol.to_uppercase(),
        }
    };
    found.into_iter().map(port).collect()
}

/// `3000`, `3000-3002`, `53/udp`.
fn exposed(text: &str) -> Vec<(u16, String)> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    match (first.trim().parse::<u16>(), last.trim().parse::<u16>()) {
        (Ok(first), Ok(last)) => (first..=last)
            .map(|port| (port, protocol.to_lowercase()))
            .take(MAX_PORTS + 1)
            .collect(),
        _ => vec![],
    }
}

/// The ports behind these names, `NAME:PORT`, in environments, commands and healthchecks.
fn named(names: &[&str], whole: &WholeCompose) -> Vec<u16> {
    let mut texts: Vec<String> = vec![];
    for service in whole.compose.services.values() {
        texts.extend(
            service
                .environment
                .values()
                .map(|variable| variable.value.clone()),
        );
    }
    for entry in whole.services.values() {
        for key in ["command", "entrypoint"] {
            texts.extend(entry.value.get(key).map(YamlNode::printed));
        }
    }
    let mut found = vec![];
    for text in &texts {
        for name in names {
            for at in places(text, name) {
                let rest = &text[at + name.len()..];
                let digits: String = rest
                    .strip_prefix(':')
                    .unwrap_or_default()
                    .chars()
                    .take_while(char::is_ascii_digit)
                    .collect();
                found.extend(digits.parse::<u16>().ok());
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// The networks of a service.
pub(super) fn networks(keys: &ServiceKeys<'_>) -> Vec<String> {
    let Some(node) = keys.take("networks") else {
        return match keys.take("network_mode") {
            Some(node)
                if ["host", "none"].contains(&node.printed().as_str())
                    || node.printed().starts_with("service:") =>
            {
                keys.note_key(
                    "network_mode",
                    Carried::No,
                    format!("`{}`: a pod has a network of its own", node.printed()),
                );
                vec![]
            }
            _ => vec!["default".to_owned()],
        };
    };
    for network in node.entries() {
        for entry in network.value.entries() {
            if entry.key != "aliases" {
                let what = format!("networks.{}.{}", network.key, entry.key);
                keys.note(
                    &what,
                    &entry.place,
                    Carried::No,
                    "pods get their addresses from the cluster",
                );
            }
        }
    }
    node.entries()
        .iter()
        .map(|network| network.key.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> ComposeNames {
        ComposeNames {
            by_service: BTreeMap::new(),
            renamed: BTreeMap::from([("my_db".to_owned(), "my-db".to_owned())]),
        }
    }

    #[test]
    fn a_name_that_dns_does_not_take_is_replaced_where_it_is_a_host() {
        let names = names();
        for (variable, text, expected) in [
            (
                "URL",
                "postgres://a:b@my_db:5432/my_db",
                "postgres://a:b@my-db:5432/my_db",
            ),
            ("URL", "http://my_db/x", "http://my-db/x"),
            ("CACHE", "my_db:11211", "my-db:11211"),
            ("DB_HOST", "my_db", "my-db"),
            ("POSTGRES_DB", "my_db", "my_db"),
            ("URL", "http://my_db_2/", "http://my_db_2/"),
        ] {
            assert_eq!(names.in_text(variable, text), expected);
        }
        assert_eq!(names.left_in("name: my_db"), Some("my_db"));
        assert_eq!(names.left_in("my-db"), None);
    }

    #[test]
    fn exposed_ports_are_one_a_number() {
        let number = |text: &str| {
            exposed(text)
                .into_iter()
                .map(|(port, _)| port)
                .collect::<Vec<_>>()
        };
        assert_eq!(number("3000-3002"), [3000, 3001, 3002]);
        assert_eq!(exposed("53/udp"), [(53, "udp".to_owned())]);
        assert_eq!(number("${PORT}"), [0; 0]);
    }
}
