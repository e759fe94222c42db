//! Values of a chart that wait for something: images without a repository, secrets without a text. A chart that renders
//! with them runs nothing, or a database without a password.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::builds::FoundBuild;
use super::clue::{SourceLine, plain};
use super::draft::{DraftImage, DraftValue, InitDraft};
use super::references::{GENERAL, ReleaseLook};
use super::required::{Demand, is_own_secret, value_path};
use crate::observe::PreparedRelease;
use crate::release::manifest::Manifest;
use crate::release::values::{get_path, leaves, split};

/// Gives images that no reference is for to the values that have none. The images of `draft` are in the order of
/// `builds`' pairing; an image finds its build by its Dockerfile.
pub(super) fn images(draft: &mut InitDraft, builds: &[FoundBuild], looks: &[ReleaseLook<'_>]) {
    let InitDraft {
        images, releases, ..
    } = draft;
    let only = builds.len() == 1;
    for image in images.iter_mut().filter(|image| image.off.is_some()) {
        let same = |build: &&FoundBuild| {
            build.dockerfile == image.dockerfile && build.target == image.target
        };
        let Some(build) = builds.iter().find(same) else {
            continue;
        };
        let mut found = vec![];
        for look in looks {
            let blocks = look
                .blocks
                .iter()
                .filter(|block| block.repository.is_none());
            let blocks = blocks.map(|block| (block.path.clone(), true));
            let texts = leaves(&look.values).into_iter();
            let texts = texts
                .filter(|(path, value)| *value == "" && path.to_lowercase().ends_with("image"))
                .map(|(path, _)| (path, false));
            let fits = blocks
                .chain(texts)
                .filter(|(path, _)| is_named(path, build, only));
            found.extend(fits.map(|(path, is_block)| (look.release, path, is_block)));
        }
        let [(release, path, is_block)] = &found[..] else {
            continue;
        };
        if let Some(release) = releases.iter_mut().find(|other| other.name == *release) {
            take(image, path);
            match is_block {
                true => release.images.push((image.name.clone(), path.clone())),
                false => release.set.push(DraftValue {
                    path: path.clone(),
                    value: Value::String(format!("${{image.{}.reference}}", image.name)),
                    why: format!("the chart has no image of its own for {path}"),
                    is_users: false,
                }),
            }
        }
    }
}

fn take(image: &mut DraftImage, path: &str) {
    image.off = None;
    image
        .evidence
        .insert(0, format!("the chart's value {path} waits for an image"));
}

fn is_named(path: &str, build: &FoundBuild, only: bool) -> bool {
    let parts: Vec<_> = split(path)
        .into_iter()
        .filter(|part| !GENERAL.contains(&part.as_str()))
        .collect();
    match parts.is_empty() {
        true => only,
        false => parts
            .iter()
            .any(|part| build.names.iter().any(|name| plain(name) == plain(part))),
    }
}

/// The secrets that render empty and that a stack may make for itself, by the values that their templates name. `root` is
/// the repository's.
pub(super) fn secrets(root: &Path, release: &PreparedRelease, values: &Value) -> Vec<Demand> {
    let found = empty_values(root, release, values, own_secrets).into_iter();
    let own = found.filter(|(path, _)| is_own_secret(path));
    own.map(|(path, at)| Demand::of_empty(path, at.to_string()))
        .collect()
}

/// What nobody but the user can fill in of the Secrets of a release, in a sentence.
pub(super) fn users_secrets(
    root: &Path,
    release: &PreparedRelease,
    values: &Value,
) -> Option<String> {
    let mut found = empty_values(root, release, values, keys_of_secret);
    found.retain(|(path, _)| !is_own_secret(path));
    let (_, first) = found.first()?;
    let paths: Vec<_> = found.iter().map(|(path, _)| format!("`{path}`")).collect();
    Some(format!(
        "only you know {}: in a Secret of release {} nothing stands for {} ({first}); give what the program needs under `set:`, from variables of `.env`",
        paths.join(", "),
        release.prepared.name,
        if paths.len() == 1 { "it" } else { "them" },
    ))
}

/// The empty values that the templates of empty keys name, each with its line.
fn empty_values(
    root: &Path,
    release: &PreparedRelease,
    values: &Value,
    keys: impl Fn(&Manifest) -> Vec<String>,
) -> Vec<(String, SourceLine)> {
    let mut found = vec![];
    let mut seen = BTreeSet::new();
    for manifest in &release.rendered.manifests {
        let empty = keys(manifest);
        if empty.is_empty() {
            continue;
        }
        let Some(file) = release.prepared.chart.user_file(&manifest.source) else {
            continue;
        };
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            if !empty.iter().any(|key| names_key(line, key)) {
                continue;
            }
            let near = lines[at..].iter().take(2);
            let Some(path) = near.into_iter().find_map(|line| value_path(line)) else {
                continue;
            };
            let is_empty = get_path(values, &path).is_some_and(|value| value == "");
            if is_empty && seen.insert(path.clone()) {
                let line = SourceLine::new(file.strip_prefix(root).unwrap_or(&file), at + 1);
                found.push((path, line));
            }
        }
    }
    found
}

/// `KEY:` or `name: KEY`.
fn names_key(line: &str, key: &str) -> bool {
    let line = line.trim().trim_start_matches("- ").trim_start_matches('{');
    let name = line
        .strip_prefix("name:")
        .map(|rest| rest.split(',').next().unwrap_or_default());
    let name = name.or_else(|| line.split_once(':').map(|(name, _)| name));
    name.is_some_and(|name| name.trim().trim_matches(['"', '\'']) == key)
}

/// The keys of a Secret, and the variables of containers, that are secrets by their name and empty.
fn own_secrets(manifest: &Manifest) -> Vec<String> {
    let mut found = keys_of_secret(manifest);
    variables(&manifest.object["spec"], &mut found);
    found.retain(|key| is_own_secret(key));
    found
}

/// The empty keys of a Secret.
fn keys_of_secret(manifest: &Manifest) -> Vec<String> {
    if manifest.kind() != "Secret" {
        return vec![];
    }
    let parts = ["data", "stringData"].into_iter();
    let entries = parts.flat_map(|part| manifest.object[part].as_object().into_iter().flatten());
    let empty = entries.filter(|(_, value)| value.is_null() || *value == "");
    empty.map(|(key, _)| key.clone()).collect()
}

fn variables(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for variable in map
                .get("env")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                let name = variable["name"].as_str();
                found.extend(name.filter(|_| variable["value"] == "").map(str::to_owned));
            }
            map.values().for_each(|below| variables(below, found));
        }
        Value::Array(items) => items.iter().for_each(|item| variables(item, found)),
        _ => {}
    }
}
