//! The Go packages of the API of each version, as texts, and when their kinds come and go.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use super::{MINORS, lifecycle, module, sources};

/// The Go files of packages, by `GROUP.VERSION` as in the names of definitions.
pub(super) type Texts = BTreeMap<String, String>;
/// `GROUP/VERSION` → kind → its life.
pub(super) type Lives = BTreeMap<String, Map<String, Value>>;

/// The Go files of each version by package, and the lifecycle of all kinds.
pub(super) fn read(scratch: &Path) -> Result<(Vec<Texts>, Lives)> {
    let mut lives: Lives = BTreeMap::new();
    let mut versions = vec![];
    let newest = MINORS.end();
    let meta =
        module(scratch, &format!("k8s.io/apimachinery@v0.{newest}.0"))?.join("pkg/apis/meta/v1");
    let meta = sources(&meta)?;
    for minor in MINORS {
        let api = module(scratch, &format!("k8s.io/api@v0.{minor}.0"))?;
        let mut texts = BTreeMap::from([("meta.v1".to_owned(), meta.clone())]);
        for folder in version_folders(&api)? {
            let text = read_package(&folder, &mut lives)?;
            texts.insert(package_name(&folder), text);
        }
        versions.push(texts);
    }
    for (name, below) in [
        ("apiextensions-apiserver", "apiextensions"),
        ("kube-aggregator", "apiregistration"),
    ] {
        let apis = module(scratch, &format!("k8s.io/{name}@v0.{newest}.0"))?.join("pkg/apis");
        for folder in version_folders(&apis)? {
            let text = read_package(&folder, &mut lives)?;
            if folder.ends_with(format!("{below}/v1")) {
                versions
                    .iter_mut()
                    .for_each(|texts| drop(texts.insert(package_name(&folder), text.clone())));
            }
        }
    }
    Ok((versions, lives))
}

/// `GROUP.VERSION`, by the names of the folders.
fn package_name(folder: &Path) -> String {
    let name = |path: Option<&Path>| {
        path.and_then(Path::file_name)
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    format!("{}.{}", name(folder.parent()), name(Some(folder)))
}

/// The folders `GROUP/VERSION` that have types.
fn version_folders(root: &Path) -> Result<Vec<PathBuf>> {
    let children = |folder: &Path| -> Result<Vec<PathBuf>> {
        let entries =
            fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
        Ok(entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.is_dir())
            .collect())
    };
    let mut found = vec![];
    for group in children(root)? {
        let versions = children(&group)?.into_iter();
        found.extend(versions.filter(|folder| folder.join("types.go").exists()));
    }
    found.sort();
    Ok(found)
}

/// The text of a package; its kinds are added to the lives.
fn read_package(folder: &Path, lives: &mut Lives) -> Result<String> {
    let text = sources(folder)?;
    let named = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("const GroupName = \""));
    let group = named.map(|rest| rest.trim_end_matches('"').to_owned());
    let group = match group {
        Some(group) => group,
        // The group's own package may have the name.
        None => group_of_parent(folder)?,
    };
    let version = folder.file_name().unwrap_or_default().to_string_lossy();
    let api_version = match group.as_str() {
        "" => version.into_owned(),
        _ => format!("{group}/{version}"),
    };
    let found = lifecycle::of_package(folder)?;
    if !found.is_empty() {
        lives.entry(api_version).or_default().extend(found);
    }
    Ok(text)
}

fn group_of_parent(folder: &Path) -> Result<String> {
    let parent = folder.parent().context("a package without a group")?;
    let text = sources(parent)?;
    let line = text
        .lines()
        .find_map(|line| Some(line.split_once("GroupName = \"")?.1));
    let line = line.with_context(|| format!("{} names no group", folder.display()))?;
    Ok(line.trim_end_matches('"').to_owned())
}
