//! The real stack in place of a profile's miniature: a profile with a `checkout.yaml` says where a checkout has the
//! chart, and what devk.yaml would say of it.
//!
//! The chart and the Compose files come as absolute paths into a tree that is checked and read as every other.

use std::path::{Path, PathBuf};

use super::yaml::{ConfigData, ConfigEntry, ConfigNode, Place};

/// The file of a profile that says it. Keys: `charts`, folders that are looked for in the folder where devk starts
/// and above it; `compose`, the name of the folder that has the Compose files, beside the checkout; `project`, a
/// devk.yaml without the first release's chart.
pub(super) const FILE: &str = "checkout.yaml";

/// The names under which a Compose file is found; the first that exists counts.
pub const COMPOSE_FILES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
];
/// The names of the file that is laid over it.
pub const COMPOSE_OVERRIDES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// Where the real stack of a profile is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Checkout {
    /// The checkout that has the chart.
    pub root: PathBuf,
    pub chart: PathBuf,
    /// Empty: neither the folder beside it nor the checkout itself has a Compose file.
    pub compose: Vec<PathBuf>,
}

impl Checkout {
    /// Looks for one of the charts in a folder and above it; the nearest counts.
    pub(super) fn find(rules: &ConfigNode, near: &Path) -> Option<Self> {
        let charts = rules.get("charts").map_or(&[][..], ConfigNode::items);
        let charts: Vec<_> = charts.iter().filter_map(ConfigNode::text).collect();
        let (root, chart) = near
            .ancestors()
            .find_map(|dir| charts.iter().find_map(|chart| chart_below(dir, chart)))?;
        let name = rules.get("compose").and_then(ConfigNode::text);
        let beside = name.and_then(|name| Some(root.parent()?.join(name)));
        let compose = [beside.as_deref(), Some(&root)]
            .into_iter()
            .flatten()
            .map(compose_files)
            .find(|files| !files.is_empty());
        Some(Self {
            compose: compose.unwrap_or_default(),
            root,
            chart,
        })
    }

    /// What devk.yaml would say of it. None if the rules have no project with a release.
    pub(super) fn project(&self, rules: &ConfigNode) -> Option<ConfigNode> {
        let mut project = rules.get("project")?.clone();
        let place = project.place.clone();
        let release = entry_mut(&mut project, "releases").and_then(|releases| {
            let ConfigData::List(items) = &mut releases.data else {
                return None;
            };
            items.first_mut()
        })?;
        add(release, "chart", scalar(&self.chart, &place), &place);
        let files = self.compose.iter().map(|file| scalar(file, &place));
        let compose = ConfigNode {
            place: place.clone(),
            data: ConfigData::List(files.collect()),
        };
        add(&mut project, "compose", compose, &place);
        Some(project)
    }
}

/// The checkout that has a chart below a folder, and the chart. The last two parts of `geniro-dist/helm/geniro` are
/// the chart's place in its checkout.
fn chart_below(dir: &Path, chart: &str) -> Option<(PathBuf, PathBuf)> {
    let chart = dir.join(chart);
    let root = chart.ancestors().nth(2)?.to_owned();
    chart.join("Chart.yaml").is_file().then_some((root, chart))
}

/// The files that Compose itself would find in a folder.
fn compose_files(dir: &Path) -> Vec<PathBuf> {
    let first = |names: &[&str]| {
        let mut files = names.iter().map(|name| dir.join(name));
        files.find(|file| file.is_file())
    };
    let Some(file) = first(&COMPOSE_FILES) else {
        return vec![];
    };
    std::iter::once(file)
        .chain(first(&COMPOSE_OVERRIDES))
        .collect()
}

fn entry_mut<'a>(node: &'a mut ConfigNode, key: &str) -> Option<&'a mut ConfigNode> {
    let ConfigData::Map(entries) = &mut node.data else {
        return None;
    };
    let entry = entries.iter_mut().find(|entry| entry.key == key);
    entry.map(|entry| &mut entry.value)
}

fn add(node: &mut ConfigNode, key: &str, value: ConfigNode, place: &Place) {
    if let ConfigData::Map(entries) = &mut node.data {
        entries.retain(|entry| entry.key != key);
        entries.push(ConfigEntry {
            key: key.to_owned(),
            place: place.clone(),
            value,
        });
    }
}

fn scalar(path: &Path, place: &Place) -> ConfigNode {
    ConfigNode {
        place: place.clone(),
        data: ConfigData::Scalar {
            text: path.to_string_lossy().into_owned(),
            plain: false,
        },
    }
}
