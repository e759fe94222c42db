//! `build.secrets` and `build.ssh` of a service: what its build may use and the image does not keep.

use std::path::PathBuf;

use super::project::Model;
use super::yaml::{YamlData, YamlNode};
use crate::config::{BuildAgent, BuildSecret, BuildSecretSource, Origin};

/// The secrets that a file or a variable holds. Compose gives an external one to no build.
pub(super) fn secrets(build: &YamlNode, model: &Model) -> Vec<BuildSecret> {
    let mounts = build.get("secrets").map(YamlNode::items);
    let mounts = mounts.unwrap_or_default().iter();
    mounts.filter_map(|mount| secret(mount, model)).collect()
}

fn secret(mount: &YamlNode, model: &Model) -> Option<BuildSecret> {
    let text = |node: &YamlNode, key: &str| {
        let text = node.get(key).and_then(YamlNode::text);
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let name = text(mount, "source")?;
    let held = model.root.get("secrets")?.get(&name)?;
    let file = text(held, "file").map(|file| BuildSecretSource::File(file.into()));
    let variable = || text(held, "environment").map(BuildSecretSource::Variable);
    Some(BuildSecret {
        source: file.or_else(variable)?,
        // The Dockerfile knows it by its target, if it has one.
        id: text(mount, "target").unwrap_or(name),
        origin: Origin::from(&mount.place),
    })
}

pub(super) fn agents(build: &YamlNode) -> Vec<BuildAgent> {
    let entries = build.get("ssh").map(YamlNode::entries);
    let agents = entries.unwrap_or_default().iter().map(|entry| BuildAgent {
        id: entry.key.clone(),
        socket: match &entry.value.data {
            YamlData::Null => None,
            _ => entry.value.text().map(PathBuf::from),
        }
        .filter(|path| !path.as_os_str().is_empty()),
        origin: Origin::from(&entry.place),
    });
    agents.collect()
}
