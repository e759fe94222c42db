//! `releases` of a checked tree, and the checks of a release that take more than one value.

use std::time::Duration;

use super::{entries, named_once, path, paths, text};
use crate::config::generate::generated;
use crate::config::variables::References;
use crate::config::yaml::{ConfigEntry, ConfigNode, Place};
use crate::config::{ImagePaths, ManifestPattern, Origin, ReleaseConfig, ReleaseSource, scalar};
use crate::config::{did_you_mean, format};
use crate::error::{Code, Error};

/// A release's time to become ready, if devk.yaml says nothing.
const DEFAULT_READY_TIMEOUT: Duration = Duration::from_secs(180);

pub(super) fn releases(
    root: &ConfigNode,
    references: &References,
    problems: &mut Vec<Error>,
) -> Vec<ReleaseConfig> {
    let nodes = root.get("releases").map_or(&[][..], ConfigNode::items);
    named_once(nodes, "release", problems);
    nodes
        .iter()
        .map(|node| release(node, references, problems))
        .collect()
}

fn release(node: &ConfigNode, references: &References, problems: &mut Vec<Error>) -> ReleaseConfig {
    for entry in entries(node, "images") {
        problems.extend(references.unknown_image(&entry.key, &entry.place));
    }
    let source = source(node);
    problems.extend(for_charts_only(node));
    let is_chart = matches!(source, ReleaseSource::Chart(_));
    let charts_own = |key| node.get(key).filter(|node| is_chart && !node.is_null());
    let set = charts_own("set");
    set.into_iter()
        .for_each(|set| references.check(set, problems));
    ReleaseConfig {
        name: text(node, "name").unwrap_or_default().to_owned(),
        values: charts_own("values").map(paths).unwrap_or_default(),
        // Its problems are in the list already.
        set: set.map_or_else(
            || serde_json::json!({}),
            |set| scalar::json(set, &mut Vec::new()),
        ),
        images: charts_own("images")
            .map_or(&[][..], ConfigNode::entries)
            .iter()
            .filter_map(image_paths)
            .collect(),
        generate: generated(
            charts_own("generate").map_or(&[], ConfigNode::entries),
            problems,
        ),
        source,
        timeout: text(node, "timeout")
            .and_then(format::duration)
            .unwrap_or(DEFAULT_READY_TIMEOUT),
        replace_jobs: text(node, "replaceJobs") == Some("true"),
        origin: Origin::from(&node.place),
    }
}

fn source(node: &ConfigNode) -> ReleaseSource {
    let given = |key| node.get(key).filter(|node| !node.is_null());
    let pattern = |item: &ConfigNode| Some(ManifestPattern::new(item.text()?, &item.place));
    if let Some(manifests) = given("manifests") {
        return ReleaseSource::Manifests(manifests.items().iter().filter_map(pattern).collect());
    }
    match given("kustomize").and_then(|_| path(node, "kustomize")) {
        Some(folder) => ReleaseSource::Kustomize(folder),
        None => ReleaseSource::Chart(path(node, "chart").unwrap_or_default()),
    }
}

/// Keys that only a chart can take, beside manifests or a kustomization. What stands in a profile below is no problem of
/// the file above it.
fn for_charts_only(release: &ConfigNode) -> Vec<Error> {
    let given = |key| release.get(key).filter(|node| !node.is_null());
    let source = ["manifests", "kustomize"]
        .into_iter()
        .find_map(|key| Some((key, given(key)?)));
    let Some((source, node)) = source else {
        return vec![];
    };
    let change = match source {
        "manifests" => {
            "write it into the manifest, or make an overlay and name that: `kustomize: overlays/dev`"
        }
        _ => "write it as a patch in the kustomization",
    };
    let secret = match source {
        "manifests" => {
            "write a Secret as a manifest, or make it by `secretGenerator` of a kustomization"
        }
        _ => "make the Secret by `secretGenerator` of the kustomization",
    };
    let instead = [
        ("values", change),
        ("set", change),
        (
            "images",
            "devk finds the references by itself; to name one: `images.NAME.replaces: [registry.example/shop/api]`",
        ),
        ("generate", secret),
    ];
    let beside = instead.into_iter().filter_map(|(key, hint)| {
        let unused = given(key).filter(|other| other.place.file == node.place.file)?;
        let message = format!("`{key}` is for charts: `{source}` takes no Helm values");
        Some(unused.place.error(Code::ConfigValue, message).hint(hint))
    });
    beside.collect()
}

fn image_paths(entry: &ConfigEntry) -> Option<(String, ImagePaths)> {
    let text = |key| text(&entry.value, key).map(str::to_owned);
    Some((
        entry.key.clone(),
        ImagePaths {
            repository: text("repository")?,
            tag: text("tag")?,
        },
    ))
}

impl References {
    fn unknown_image(&self, name: &str, place: &Place) -> Option<Error> {
        if self.images.contains(name) {
            return None;
        }
        let error = place.error(Code::ConfigValue, format!("`{name}` is none of the images"));
        Some(error.hint(did_you_mean(
            name,
            self.images.iter().map(String::as_str),
            "images",
        )))
    }
}
