//! Lists whose items have an identity: of two with the same one, the later takes the place of the earlier.

use std::collections::HashMap;

use super::trail::{Trail, TrailMatch, TrailRules};
use super::volume;
use super::yaml::{YamlData, YamlNode};
use crate::error::Result;

/// What makes two items the same.
#[derive(Debug, Clone, Copy)]
enum Identity {
    /// What stands before `=`.
    Key,
    /// The place in the container. A text's place is this folder and its name.
    Mount(&'static str),
    Device,
    EnvFile,
    Expose,
    Port,
    Volume,
}

const RULES: &TrailRules<Identity> = &[
    (&["networks", "*", "labels"], Identity::Key),
    (&["networks", "*", "ipam", "options"], Identity::Key),
    (&["services", "*", "annotations"], Identity::Key),
    (&["services", "*", "build", "args"], Identity::Key),
    (
        &["services", "*", "build", "additional_contexts"],
        Identity::Key,
    ),
    (&["services", "*", "build", "platform"], Identity::Key),
    (&["services", "*", "build", "tags"], Identity::Key),
    (&["services", "*", "build", "labels"], Identity::Key),
    (&["services", "*", "cap_add"], Identity::Key),
    (&["services", "*", "cap_drop"], Identity::Key),
    (&["services", "*", "configs"], Identity::Mount("")),
    (&["services", "*", "deploy", "labels"], Identity::Key),
    (&["services", "*", "devices"], Identity::Device),
    (&["services", "*", "dns"], Identity::Key),
    (&["services", "*", "dns_opt"], Identity::Key),
    (&["services", "*", "dns_search"], Identity::Key),
    (&["services", "*", "environment"], Identity::Key),
    (&["services", "*", "env_file"], Identity::EnvFile),
    (&["services", "*", "expose"], Identity::Expose),
    (&["services", "*", "labels"], Identity::Key),
    (&["services", "*", "links"], Identity::Key),
    (
        &["services", "*", "networks", "*", "aliases"],
        Identity::Key,
    ),
    (
        &["services", "*", "networks", "*", "link_local_ips"],
        Identity::Key,
    ),
    (&["services", "*", "ports"], Identity::Port),
    (&["services", "*", "profiles"], Identity::Key),
    (
        &["services", "*", "secrets"],
        Identity::Mount("/run/secrets"),
    ),
    (&["services", "*", "sysctls"], Identity::Key),
    (&["services", "*", "tmpfs"], Identity::Key),
    (&["services", "*", "volumes"], Identity::Volume),
];

/// Removes the earlier of two items that are the same.
///
/// # Errors
/// An item without an identity.
pub(super) fn enforce(node: &mut YamlNode) -> Result<()> {
    walk(node, &mut Trail::default())
}

fn walk(node: &mut YamlNode, trail: &mut Trail) -> Result<()> {
    match (trail.find(RULES), &mut node.data) {
        (TrailMatch::Rule(identity), YamlData::List(items)) => {
            *items = distinct(std::mem::take(items), identity, trail)?;
        }
        (TrailMatch::Above | TrailMatch::Rule(_), YamlData::Map(entries)) => {
            for entry in entries {
                trail.within(&entry.key, |trail| walk(&mut entry.value, trail))?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn distinct(items: Vec<YamlNode>, identity: Identity, trail: &Trail) -> Result<Vec<YamlNode>> {
    let mut kept: Vec<YamlNode> = Vec::with_capacity(items.len());
    let mut places = HashMap::with_capacity(items.len());
    for item in items {
        match places.entry(identity_of(&item, identity, trail)?) {
            std::collections::hash_map::Entry::Occupied(place) => kept[*place.get()] = item,
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(kept.len());
                kept.push(item);
            }
        }
    }
    Ok(kept)
}

fn identity_of(item: &YamlNode, identity: Identity, trail: &Trail) -> Result<String> {
    match identity {
        Identity::Key => {
            let text = item.expect_text(trail)?;
            Ok(text.split_once('=').map_or(text, |(key, _)| key).to_owned())
        }
        Identity::Mount(folder) => mount(item, folder, trail),
        Identity::Device => device(item, trail),
        Identity::EnvFile => env_file(item, trail),
        Identity::Expose => match &item.data {
            YamlData::Text(text) => Ok(text.clone()),
            YamlData::Int(port) if i64::try_from(*port).is_ok() => Ok(port.to_string()),
            _ => Err(item.mistyped(trail, "a list of ports")),
        },
        Identity::Port => port(item, trail),
        Identity::Volume => volume_target(item, trail),
    }
}

fn mount(item: &YamlNode, folder: &str, trail: &Trail) -> Result<String> {
    match &item.data {
        YamlData::Text(name) => Ok(format!("{folder}/{name}")),
        YamlData::Map(_) => match item.get("target") {
            Some(target) => target.expect_text(trail).map(str::to_owned),
            None => Ok(format!(
                "{folder}/{}",
                item.get("source")
                    .map(YamlNode::printed)
                    .unwrap_or_default()
            )),
        },
        _ => Err(item.mistyped(trail, "a list of names or mappings")),
    }
}

fn device(item: &YamlNode, trail: &Trail) -> Result<String> {
    match &item.data {
        YamlData::Map(_) => target(item, trail),
        YamlData::Text(text) => Ok(text.split(':').nth(1).unwrap_or(text).to_owned()),
        _ => Ok(String::new()),
    }
}

fn volume_target(item: &YamlNode, trail: &Trail) -> Result<String> {
    match &item.data {
        YamlData::Map(_) => target(item, trail),
        YamlData::Text(text) => volume::parse(text)
            .map(|volume| volume.target)
            .map_err(|what| item.problem(trail, &what)),
        _ => Ok(String::new()),
    }
}

fn target(item: &YamlNode, trail: &Trail) -> Result<String> {
    let target = item.get("target").and_then(YamlNode::text);
    target
        .map(str::to_owned)
        .ok_or_else(|| item.problem(trail, "has an item without a `target`"))
}

fn env_file(item: &YamlNode, trail: &Trail) -> Result<String> {
    match &item.data {
        YamlData::Text(path) => Ok(path.clone()),
        YamlData::Map(_) => {
            let path = item
                .get("path")
                .ok_or_else(|| item.problem(trail, "has an item without a `path`"))?;
            path.expect_text(trail).map(str::to_owned)
        }
        _ => Ok(String::new()),
    }
}

/// Address, published, target and protocol. A published number and the same as a text are two ports to Compose.
fn port(item: &YamlNode, trail: &Trail) -> Result<String> {
    match &item.data {
        YamlData::Int(port) => Ok(port.to_string()),
        YamlData::Text(text) => Ok(text.clone()),
        YamlData::Map(_) => {
            let target = item
                .get("target")
                .ok_or_else(|| item.problem(trail, "has a port without a `target`"))?;
            let field = |key: &str, default: &str| {
                item.get(key).map_or(default.to_owned(), YamlNode::printed)
            };
            let published = match item.get("published") {
                Some(number) if number.text().is_none() => format!("number {}", number.printed()),
                _ => field("published", ""),
            };
            let ip = field("host_ip", "0.0.0.0");
            let protocol = field("protocol", "tcp");
            Ok(format!("{ip}:{published}:{}/{protocol}", target.printed()))
        }
        _ => Ok(String::new()),
    }
}
