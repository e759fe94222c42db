//! How a service is worked on: what Compose watches, mounts from this machine, and starts in place of the image's
//! command.

use std::path::PathBuf;

use super::words::words;
use super::yaml::{YamlEntry, YamlNode};
use super::{Development, WatchRule};
use crate::config::Origin;

pub(super) fn of(entry: &YamlEntry) -> Development {
    let items = |node: Option<&YamlNode>| node.map(YamlNode::items).unwrap_or_default().to_vec();
    let service = &entry.value;
    let develop = service.get("develop");
    let watches = items(develop.and_then(|develop| develop.get("watch")));
    Development {
        watches: watches.iter().filter_map(watch).collect(),
        binds: items(service.get("volumes"))
            .iter()
            .filter_map(bind)
            .collect(),
        command: command(service.get("command")),
    }
}

fn watch(node: &YamlNode) -> Option<WatchRule> {
    let text = |key: &str| node.get(key).and_then(YamlNode::text);
    let ignore = node.get("ignore").map(YamlNode::items).unwrap_or_default();
    Some(WatchRule {
        action: text("action")?.to_owned(),
        path: PathBuf::from(text("path")?),
        target: text("target").map(str::to_owned),
        ignore: ignore
            .iter()
            .filter_map(YamlNode::text)
            .map(str::to_owned)
            .collect(),
        origin: Origin::from(&node.place),
    })
}

fn bind(volume: &YamlNode) -> Option<(PathBuf, String)> {
    let text = |key: &str| volume.get(key).and_then(YamlNode::text);
    let is_bind = text("type") == Some("bind");
    is_bind.then_some((PathBuf::from(text("source")?), text("target")?.to_owned()))
}

fn command(node: Option<&YamlNode>) -> Vec<String> {
    let Some(node) = node else { return vec![] };
    match node.text() {
        Some(text) => words(text).unwrap_or_else(|| vec![text.to_owned()]),
        None => node
            .items()
            .iter()
            .filter_map(YamlNode::text)
            .map(str::to_owned)
            .collect(),
    }
}
