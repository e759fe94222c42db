//! What there is to say of the built-in profiles, for a person who chooses one. Nothing is written.

use std::path::{Path, PathBuf};

use include_dir::Dir;
use serde::Serialize;

use super::checkout::{self, Checkout};
use super::yaml::{ConfigNode, parse};
use super::{merge, profile, read, schema};
use crate::error::Result;
use crate::paths::Paths;

/// A built-in profile.
#[derive(Debug, Serialize)]
pub struct ProfileSummary {
    pub name: String,
    /// That of its chart.
    pub description: String,
    /// The images that devk builds for it.
    pub images: Vec<String>,
    pub forwards: Vec<ProfileForward>,
    /// Where devk writes its files, and the user may edit them.
    pub folder: PathBuf,
    /// Whether they are there.
    pub written: bool,
    /// The real stack that counts in its place here; images and forwards are then what its chart has.
    pub checkout: Option<Checkout>,
}

/// A Service port that a profile opens.
#[derive(Debug, Serialize)]
pub struct ProfileForward {
    pub name: String,
    pub service: String,
    pub port: u16,
}

/// The built-in profiles, by name, as they are for a folder.
pub fn profiles(near: &Path, paths: &Paths) -> Vec<ProfileSummary> {
    let mut names = profile::names();
    names.sort();
    let summary = |name: String| summary(&profile::EMBEDDED, name, near, paths);
    names.into_iter().map(summary).collect()
}

/// The README of a built-in profile.
///
/// # Errors
/// [`crate::error::Code::ConfigProfile`] for an unknown name.
pub fn profile_readme(name: &str) -> Result<&'static str> {
    profile::known(&profile::EMBEDDED, name)?;
    Ok(text_of(&profile::EMBEDDED, name, "README.md").unwrap_or_default())
}

fn text_of<'a>(profiles: &'a Dir<'_>, name: &str, file: &str) -> Option<&'a str> {
    let path = Path::new(name).join(file);
    profiles.get_file(path)?.contents_utf8()
}

/// The tree of a file of a profile. Their problems are those of devk's own tests.
fn tree_of(profiles: &Dir<'_>, name: &str, file: &str) -> Option<ConfigNode> {
    let text = text_of(profiles, name, file)?;
    parse(text, &Path::new(name).join(file), &mut vec![])
}

fn summary(profiles: &Dir<'_>, name: String, near: &Path, paths: &Paths) -> ProfileSummary {
    let mut tree = tree_of(profiles, &name, read::FILE);
    if let Some(tree) = &mut tree {
        merge::expand(tree, &schema::ROOT);
    }
    let checkout =
        tree_of(profiles, &name, checkout::FILE).and_then(|rules| Checkout::find(&rules, near));
    let tree = tree.filter(|_| checkout.is_none());
    let entries = |key| {
        let node = tree.as_ref().and_then(|tree| tree.get(key));
        node.map_or(&[][..], ConfigNode::entries)
    };
    let chart = tree_of(profiles, &name, "chart/Chart.yaml");
    let description = chart
        .as_ref()
        .and_then(|chart| chart.get("description")?.text());
    let folder = profile::folder(&paths.data, &name);
    ProfileSummary {
        description: description.unwrap_or_default().to_owned(),
        images: entries("images")
            .iter()
            .map(|entry| entry.key.clone())
            .collect(),
        forwards: entries("forwards")
            .iter()
            .filter_map(|entry| forward(&entry.key, &entry.value))
            .collect(),
        written: folder.join(read::FILE).is_file(),
        folder,
        checkout,
        name,
    }
}

fn forward(name: &str, node: &ConfigNode) -> Option<ProfileForward> {
    let service = node.get("service").and_then(ConfigNode::text);
    Some(ProfileForward {
        name: name.to_owned(),
        service: service.unwrap_or(name).to_owned(),
        port: node.get("port")?.text()?.parse().ok()?,
    })
}
