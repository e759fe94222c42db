//! Where the images come from that pods run.

use std::collections::BTreeMap;

use serde::Serialize;

use super::facts::{Facts, ImageFact};

/// An image that pods run (the contract of `devk up --dry-run --format json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedImage {
    pub reference: String,
    pub from: ImageSource,
    /// The image of devk.yaml that it is; null for one that devk does not build.
    pub image: Option<String>,
    /// The releases whose pods run it.
    pub releases: Vec<String>,
}

/// Who has an image, or is to make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageSource {
    /// devk builds it.
    Build,
    /// Every node has it.
    Nodes,
    /// Docker has it, and devk loads it.
    Docker,
    /// The nodes pull it, if a registry has it.
    Registry,
}

impl ImageSource {
    /// In words for the user.
    pub fn told(self) -> &'static str {
        match self {
            Self::Build => "devk builds it",
            Self::Nodes => "every node has it",
            Self::Docker => "Docker has it",
            Self::Registry => "nobody here has it: the nodes pull it",
        }
    }
}

pub(super) fn sources(facts: &Facts) -> Vec<PlannedImage> {
    let mut found = BTreeMap::<&str, PlannedImage>::new();
    for release in &facts.releases {
        for reference in &release.uses {
            let fact = facts
                .images
                .iter()
                .find(|fact| fact.reference == *reference);
            let planned = found.entry(reference).or_insert_with(|| PlannedImage {
                reference: reference.clone(),
                from: source(fact, facts.pulled.contains(reference)),
                image: fact.and_then(|fact| fact.built_as.clone()),
                releases: vec![],
            });
            if !planned.releases.contains(&release.name) {
                planned.releases.push(release.name.clone());
            }
        }
    }
    found.into_values().collect()
}

/// What no fact tells of every node has: only what they lack is listed.
fn source(fact: Option<&ImageFact>, is_pulled: bool) -> ImageSource {
    match fact {
        _ if is_pulled => ImageSource::Registry,
        None => ImageSource::Nodes,
        Some(fact) if fact.on_nodes => ImageSource::Nodes,
        Some(fact) if fact.built_as.is_some() && !fact.in_docker => ImageSource::Build,
        Some(fact) if fact.is_pinned() => ImageSource::Registry,
        Some(_) => ImageSource::Docker,
    }
}
