//! From the merged tree to the project: what services depend on, which are active, what they refer to.

use std::collections::{BTreeMap, HashMap};

use super::merge::dependency;
use super::yaml::{YamlData, YamlEntry, YamlNode};
use crate::error::{Code, Result};

/// A merged project, its services told apart.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) services: BTreeMap<String, YamlEntry>,
    /// Which of the services no profile keeps out.
    pub(super) active: Vec<String>,
    /// The sections other than `services`.
    pub(super) root: YamlNode,
}

impl Model {
    /// Completes the tree as Compose does before it looks at the whole.
    ///
    /// # Errors
    /// A tree with nothing in it.
    pub(super) fn new(mut root: YamlNode, profiles: &[String]) -> Result<Self> {
        if root.entries().is_empty() {
            return Err(root
                .place
                .error(Code::ComposeValue, "the Compose file is empty")
                .hint("add a `services:` section"));
        }
        let services = root
            .remove("services")
            .map_or(YamlData::Null, |entry| entry.value.data);
        let mut services: BTreeMap<String, YamlEntry> = match services {
            YamlData::Map(entries) => entries
                .into_iter()
                .map(|entry| (entry.key.clone(), entry))
                .collect(),
            _ => BTreeMap::new(),
        };
        default_network(&mut root, services.values_mut());
        services
            .values_mut()
            .for_each(|entry| implied_dependencies(&mut entry.value));
        let active = services
            .values()
            .filter(|entry| is_active(&entry.value, profiles));
        let active = active.map(|entry| entry.key.clone()).collect();
        Ok(Self {
            services,
            active,
            root,
        })
    }

    pub(super) fn active(&self) -> impl Iterator<Item = &YamlEntry> {
        self.active
            .iter()
            .filter_map(|name| self.services.get(name))
    }

    pub(super) fn is_active(&self, name: &str) -> bool {
        self.active
            .binary_search_by(|active| active.as_str().cmp(name))
            .is_ok()
    }

    /// Whether a section has an entry.
    pub(super) fn has(&self, section: &str, name: &str) -> bool {
        self.root
            .get(section)
            .is_some_and(|section| section.get(name).is_some())
    }
}

/// A service without networks is on the default one, which then exists.
fn default_network<'a>(root: &mut YamlNode, services: impl Iterator<Item = &'a mut YamlEntry>) {
    let mut used = false;
    for service in services.map(|entry| &mut entry.value) {
        if service.get("provider").is_some() || service.get("network_mode").is_some() {
            continue;
        }
        let networks = service
            .get("networks")
            .map(YamlNode::entries)
            .unwrap_or_default();
        used |= networks.is_empty() || networks.iter().any(|network| network.key == "default");
    }
    if used {
        root.default("networks", YamlData::Map(Vec::new()));
        if let Some(networks) = root.get_mut("networks") {
            networks.default("default", YamlData::Null);
        }
    }
}

/// Links, shared namespaces and shared volumes are dependencies too.
fn implied_dependencies(service: &mut YamlNode) {
    let mut implied: Vec<(String, YamlNode)> = Vec::new();
    for link in service
        .get("links")
        .map(YamlNode::items)
        .unwrap_or_default()
    {
        let Some(text) = link.text() else { continue };
        let name = match text.split(':').collect::<Vec<_>>().as_slice() {
            [name, _] => name,
            _ => text,
        };
        implied.push((name.to_owned(), link.clone()));
    }
    for namespace in ["network_mode", "ipc", "pid", "uts", "cgroup"] {
        let Some(node) = service.get(namespace) else {
            continue;
        };
        if let Some(name) = node.text().and_then(|text| text.strip_prefix("service:")) {
            implied.push((name.to_owned(), node.clone()));
        }
    }
    for source in service
        .get("volumes_from")
        .map(YamlNode::items)
        .unwrap_or_default()
    {
        let name = source
            .text()
            .filter(|text| !text.starts_with("container:"))
            .and_then(|text| text.split(':').next());
        implied.extend(name.map(|name| (name.to_owned(), source.clone())));
    }
    if implied.is_empty() {
        return;
    }
    service.default("depends_on", YamlData::Map(Vec::new()));
    let Some(dependencies) = service.get_mut("depends_on") else {
        return;
    };
    for (name, node) in implied {
        if dependencies.get(&name).is_none() {
            dependencies.set(&name, dependency(&node));
        }
    }
}

fn is_active(service: &YamlNode, profiles: &[String]) -> bool {
    let own = service
        .get("profiles")
        .map(YamlNode::items)
        .unwrap_or_default();
    own.is_empty()
        || own
            .iter()
            .filter_map(YamlNode::text)
            .any(|own| profiles.iter().any(|chosen| chosen == "*" || chosen == own))
}

/// Refuses dependencies that lead back to where they began.
///
/// # Errors
/// The first circle.
pub(super) fn check_circles(model: &Model) -> Result<()> {
    let mut done: HashMap<&str, bool> = HashMap::new();
    for entry in model.active() {
        // A stack of (service, its dependencies that are still to be visited).
        let mut stack = vec![(entry, dependencies(model, entry))];
        if done.contains_key(entry.key.as_str()) {
            continue;
        }
        done.insert(&entry.key, false);
        while let Some((current, rest)) = stack.last_mut() {
            let Some(next) = rest.pop() else {
                done.insert(&current.key, true);
                stack.pop();
                continue;
            };
            match done.get(next.key.as_str()) {
                Some(true) => {}
                Some(false) => return Err(circle(&stack, next)),
                None => {
                    done.insert(&next.key, false);
                    stack.push((next, dependencies(model, next)));
                }
            }
        }
    }
    Ok(())
}

fn dependencies<'a>(model: &'a Model, entry: &YamlEntry) -> Vec<&'a YamlEntry> {
    let names = entry
        .value
        .get("depends_on")
        .map(YamlNode::entries)
        .unwrap_or_default();
    let active = names.iter().filter(|name| model.is_active(&name.key));
    active
        .filter_map(|name| model.services.get(&name.key))
        .collect()
}

fn circle(stack: &[(&YamlEntry, Vec<&YamlEntry>)], next: &YamlEntry) -> crate::error::Error {
    let names: Vec<_> = stack
        .iter()
        .map(|(entry, _)| entry.key.as_str())
        .skip_while(|name| *name != next.key)
        .collect();
    let message = format!(
        "services depend on each other in a circle: {} → {}",
        names.join(" → "),
        next.key
    );
    next.place.error(Code::ComposeCycle, message)
}
