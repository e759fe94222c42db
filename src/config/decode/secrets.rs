//! `secrets` and `ssh` of an image: what its build may use and the image does not keep.

use std::collections::HashMap;
use std::path::PathBuf;

use super::{entries, text};
use crate::config::yaml::{ConfigEntry, ConfigNode};
use crate::config::{BuildAgent, BuildSecret, BuildSecretSource, Origin};
use crate::error::{Code, Error};
use crate::place::Place;

pub(super) fn secrets(image: &ConfigNode) -> Vec<BuildSecret> {
    let secrets = entries(image, "secrets");
    secrets.iter().filter_map(secret).collect()
}

fn secret(entry: &ConfigEntry) -> Option<BuildSecret> {
    let file = text(&entry.value, "file");
    let file = file.map(|file| BuildSecretSource::File(path(file, &entry.value.place)));
    let variable = || {
        Some(BuildSecretSource::Variable(
            text(&entry.value, "environment")?.into(),
        ))
    };
    Some(BuildSecret {
        id: entry.key.clone(),
        source: file.or_else(variable)?,
        origin: Origin::from(&entry.place),
    })
}

/// The agents of `ssh`, in each of which a build sees one under its id.
pub(super) fn agents(image: &ConfigNode, problems: &mut Vec<Error>) -> Vec<BuildAgent> {
    let items = image.get("ssh").map_or(&[][..], ConfigNode::items);
    let mut lines = HashMap::new();
    let mut agents = vec![];
    for item in items {
        let Some(agent) = item.text().and_then(|text| agent(text, &item.place)) else {
            continue;
        };
        if let Some(first) = lines.insert(agent.id.clone(), item.place.line) {
            let message = format!("a second SSH agent has the id `{}`", agent.id);
            let error = item.place.error(Code::ConfigValue, message);
            problems.push(error.hint(format!("the first is in line {first}; remove one")));
        }
        agents.push(agent);
    }
    agents
}

fn agent(text: &str, place: &Place) -> Option<BuildAgent> {
    let (id, socket) = match text.split_once('=') {
        Some((id, socket)) => (id, Some(path(socket, place))),
        None => (text, None),
    };
    (!id.is_empty()).then(|| BuildAgent {
        id: id.to_owned(),
        socket,
        origin: Origin::from(place),
    })
}

/// The home folder is that of whoever asks for the build: `~` stays.
fn path(text: &str, place: &Place) -> PathBuf {
    match text.starts_with("~/") {
        true => PathBuf::from(text),
        false => place.path(text),
    }
}
