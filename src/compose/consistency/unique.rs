//! Values that may occur only once: the target of a mount in a service, a container's name in a project.

use std::collections::HashMap;

use super::{conflict, filled, texts};
use crate::compose::project::Model;
use crate::compose::yaml::{YamlEntry, YamlNode};
use crate::error::Result;

pub(super) fn mounts(_: &Model, service: &YamlEntry) -> Result<()> {
    let mut seen = HashMap::new();
    let tmpfs = texts(service, "tmpfs").into_iter().map(|(text, node)| {
        let target = text.split_once(':').map_or(text, |(target, _)| target);
        (target.to_owned(), node)
    });
    let volumes = service
        .value
        .get("volumes")
        .map(YamlNode::items)
        .unwrap_or_default()
        .iter()
        .map(|volume| {
            let target = volume
                .get("target")
                .and_then(YamlNode::text)
                .unwrap_or_default();
            (crate::go_path::clean(target), volume)
        });
    for (target, node) in tmpfs.chain(volumes) {
        let what = format!("mounts two things at `{target}`");
        if seen.insert(target, ()).is_some() {
            return Err(conflict(node, service, &what));
        }
    }
    Ok(())
}

pub(super) fn container_names(model: &Model) -> Result<()> {
    let mut names = HashMap::new();
    for service in model.active() {
        let Some(name) = filled(&service.value, "container_name") else {
            continue;
        };
        if let Some(other) = names.insert(name.printed(), service) {
            let what = format!("has the same `container_name` as service `{}`", other.key);
            return Err(conflict(name, service, &what));
        }
    }
    Ok(())
}
