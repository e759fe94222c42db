//! Repositories without a chart: an overlay of kustomize for development, else folders of plain manifests. They are read
//! here only to see their images; what they install is for kustomize and kubectl to say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::clue::{Clues, inside, shown};
use super::draft::{Confidence, DraftRelease, InitSource};
use super::scan::{FileKind, RepositoryTree};
use crate::config::KUSTOMIZATION_FILES;
use crate::release::manifest::{Manifest, Rendered};
use crate::release::yaml;

/// Overlays for a developer's machine, the best first.
const FOR_DEVELOPMENT: [&str; 4] = ["dev", "local", "development", "minikube"];

/// Of more overlays than these, the others are only named.
const MAX_OVERLAYS: usize = 6;

/// Bases are followed at most this deep.
const MAX_DEPTH: usize = 16;

/// Folders whose manifests show how something is written.
const OF_DOCUMENTS: [&str; 5] = ["content", "doc", "docs", "documentation", "website"];

/// A release without a chart, and what its files hold as they are written.
#[derive(Debug)]
pub(super) struct ManifestRelease {
    pub(super) release: DraftRelease,
    pub(super) written: Rendered,
}

/// What the stack may be installed by where no chart is, the best first.
pub(super) fn candidates(tree: &RepositoryTree, clues: &Clues, name: &str) -> Vec<ManifestRelease> {
    let mut found = overlays(tree, clues, name);
    found.extend(plain(tree, clues, name));
    found
}

/// Comments for kustomizations beside charts: they would install the same things a second time.
pub(super) fn beside_charts(tree: &RepositoryTree) -> Vec<String> {
    let tops = tops(tree).into_iter();
    tops.map(|folder| {
        format!(
            "left out: `kustomize: {}`, since a chart installs the stack",
            shown(&folder)
        )
    })
    .collect()
}

/// Whether a folder is within one that kustomize builds: a chart there is a source of its objects.
pub(super) fn is_within_kustomization(tree: &RepositoryTree, folder: &Path) -> bool {
    let files: BTreeSet<_> = tree
        .of_kind(FileKind::Kustomization)
        .filter_map(Path::parent)
        .filter(|above| *above != Path::new(""))
        .collect();
    folder
        .ancestors()
        .skip(1)
        .any(|above| files.contains(above))
}

/// The kustomizations that no other one uses.
fn tops(tree: &RepositoryTree) -> Vec<PathBuf> {
    let folders: Vec<_> = tree
        .of_kind(FileKind::Kustomization)
        .filter_map(Path::parent)
        .map(Path::to_owned)
        .filter(|folder| !is_component(tree, folder))
        .collect();
    let used: BTreeSet<_> = folders
        .iter()
        .flat_map(|folder| bases(tree, folder))
        .collect();
    folders
        .into_iter()
        .filter(|folder| !used.contains(folder))
        .collect()
}

fn overlays(tree: &RepositoryTree, clues: &Clues, name: &str) -> Vec<ManifestRelease> {
    let mut tops = tops(tree);
    let applied = |folder: &PathBuf| clues.applies.iter().find(|clue| clue.path == *folder);
    let word = |folder: &Path| {
        folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase()
    };
    let is_of_production = |folder: &Path| word(folder).contains("prod");
    let rank = |folder: &PathBuf| {
        let name = word(folder);
        let for_development = FOR_DEVELOPMENT.iter().position(|word| name == *word);
        (
            for_development.unwrap_or(FOR_DEVELOPMENT.len()),
            applied(folder).is_none(),
            is_of_production(folder),
        )
    };
    tops.sort_by_key(rank);
    let each = tops.iter().enumerate().take(MAX_OVERLAYS);
    each.map(|(at, chosen)| {
        let source = InitSource::Kustomize(chosen.clone());
        let mut release = DraftRelease::new(name.to_owned(), source);
        let is_for_development = FOR_DEVELOPMENT.contains(&word(chosen).as_str());
        release.evidence.push(match is_for_development {
            true => format!("the overlay for development ({})", chosen.display()),
            false => format!(
                "a kustomization that no other one uses ({})",
                chosen.display()
            ),
        });
        release
            .evidence
            .extend(applied(chosen).map(|clue| format!("applied by {}", clue.at)));
        let others = || {
            tops.iter()
                .enumerate()
                .filter(move |(other, _)| *other != at)
        };
        if others().any(|(_, other)| rank(chosen) == rank(other)) {
            release.confidence = Confidence::Guess;
        }
        let others = others().filter(|(other, _)| *other > at);
        release.alternatives = others
            .map(|(_, other)| format!("another overlay: `kustomize: {}`", shown(other)))
            .collect();
        let mut manifests = vec![];
        built(tree, chosen, MAX_DEPTH, &mut manifests);
        ManifestRelease {
            written: Rendered { manifests },
            release,
        }
    })
    .collect()
}

fn kustomization(tree: &RepositoryTree, folder: &Path) -> Option<Value> {
    let names = KUSTOMIZATION_FILES.iter();
    let text = names
        .map(|name| folder.join(name))
        .find_map(|file| tree.read(&file))?;
    yaml::parse(&text).ok()
}

fn is_component(tree: &RepositoryTree, folder: &Path) -> bool {
    kustomization(tree, folder).is_some_and(|found| found["kind"] == "Component")
}

/// What a kustomization names: folders and files.
fn named(tree: &RepositoryTree, folder: &Path) -> Vec<PathBuf> {
    let found = kustomization(tree, folder).unwrap_or_default();
    let keys = ["resources", "bases", "components"].into_iter();
    let items = keys.flat_map(|key| found[key].as_array().cloned().unwrap_or_default());
    items
        .filter_map(|item| inside(&folder.join(item.as_str()?)))
        .collect()
}

fn bases(tree: &RepositoryTree, folder: &Path) -> Vec<PathBuf> {
    let named = named(tree, folder).into_iter();
    named.filter(|path| tree.is_dir(path)).collect()
}

/// The objects of a kustomization, with the names that it gives to images.
fn built(tree: &RepositoryTree, folder: &Path, depth: usize, manifests: &mut Vec<Manifest>) {
    if depth == 0 {
        return;
    }
    let before = manifests.len();
    for path in named(tree, folder) {
        match tree.is_dir(&path) {
            true => built(tree, &path, depth - 1, manifests),
            false => manifests.extend(objects(tree, &path).unwrap_or_default()),
        }
    }
    let found = kustomization(tree, folder).unwrap_or_default();
    for image in found["images"].as_array().into_iter().flatten() {
        for manifest in &mut manifests[before..] {
            rename(&mut manifest.object, image);
        }
    }
}

/// `images:` of a kustomization: another name, another tag.
fn rename(value: &mut Value, image: &Value) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(text)) = map.get_mut("image") {
                let (name, tag) = match text.rsplit_once(':') {
                    Some((name, tag)) if !tag.contains('/') => {
                        (name.to_owned(), Some(tag.to_owned()))
                    }
                    _ => (text.clone(), None),
                };
                if image["name"] == name.as_str() {
                    let name = image["newName"].as_str().unwrap_or(&name);
                    let tag = image["newTag"].as_str().map(str::to_owned).or(tag);
                    *text = tag.map_or_else(|| name.to_owned(), |tag| format!("{name}:{tag}"));
                }
            }
            map.values_mut().for_each(|below| rename(below, image));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, image)),
        _ => {}
    }
}

/// The Kubernetes objects of a file; None if it holds anything else.
fn objects(tree: &RepositoryTree, file: &Path) -> Option<Vec<Manifest>> {
    let text = tree.read(file)?;
    if !text.contains("apiVersion") {
        return None;
    }
    let documents = yaml::documents(&text).into_iter();
    let documents: Vec<_> = documents.filter(|document| !document.is_null()).collect();
    let is_object = |object: &Value| object["apiVersion"].is_string() && object["kind"].is_string();
    if documents.is_empty() || !documents.iter().all(is_object) {
        return None;
    }
    let manifests = documents.into_iter().map(|object| Manifest {
        source: file.display().to_string(),
        object,
    });
    Some(manifests.collect())
}

fn plain(tree: &RepositoryTree, clues: &Clues, name: &str) -> Option<ManifestRelease> {
    let mut folders: Vec<(PathBuf, Vec<Manifest>)> = vec![];
    // What kustomize reads is no manifest by itself, but a part of one.
    let of_kustomize: BTreeSet<_> = tree
        .of_kind(FileKind::Kustomization)
        .filter_map(Path::parent)
        .collect();
    for file in tree.of_kind(FileKind::Yaml) {
        if file
            .parent()
            .is_some_and(|folder| of_kustomize.contains(folder))
        {
            continue;
        }
        let Some(found) = objects(tree, file) else {
            continue;
        };
        let folder = file.parent().unwrap_or(Path::new("")).to_owned();
        match folders.iter_mut().find(|(other, _)| *other == folder) {
            Some((_, all)) => all.extend(found),
            None => folders.push((folder, found)),
        }
    }
    folders.retain(|(_, manifests)| manifests.iter().any(has_pods));
    let applied = |folder: &Path| {
        clues
            .applies
            .iter()
            .find(|clue| clue.path.starts_with(folder) || folder.starts_with(&clue.path))
    };
    let has_applied = folders.iter().any(|(folder, _)| applied(folder).is_some());
    let is_elsewhere = |folder: &Path| {
        let path = folder.to_string_lossy().to_lowercase();
        path.contains("prod") || path.split('/').any(|part| OF_DOCUMENTS.contains(&part))
    };
    let (chosen, others): (Vec<_>, Vec<_>) =
        folders
            .into_iter()
            .partition(|(folder, _)| match has_applied {
                true => applied(folder).is_some(),
                false => !is_elsewhere(folder),
            });
    let patterns: Vec<_> = chosen
        .iter()
        .flat_map(|(folder, manifests)| patterns(tree, folder, manifests))
        .collect();
    if patterns.is_empty() {
        return None;
    }
    let mut release = DraftRelease::new(name.to_owned(), InitSource::Manifests(patterns));
    for (folder, manifests) in &chosen {
        let count = manifests.len();
        release
            .evidence
            .push(format!("{count} objects in {}", shown(folder)));
        release
            .evidence
            .extend(applied(folder).map(|clue| format!("applied by {}", clue.at)));
    }
    release.alternatives = others
        .iter()
        .map(|(folder, _)| format!("left out: manifests in {}", shown(folder)))
        .collect();
    let manifests = chosen
        .into_iter()
        .flat_map(|(_, manifests)| manifests)
        .collect();
    Some(ManifestRelease {
        written: Rendered { manifests },
        release,
    })
}

/// `k8s/*.yaml`, by the ends that the files have; file by file where others are beside them.
fn patterns(tree: &RepositoryTree, folder: &Path, manifests: &[Manifest]) -> Vec<String> {
    let files: BTreeSet<_> = manifests.iter().map(|manifest| &manifest.source).collect();
    let end = |file: &str| file.rsplit_once('.').map(|(_, end)| end.to_owned());
    let ends: BTreeSet<_> = files.iter().filter_map(|file| end(file)).collect();
    let items = std::fs::read_dir(tree.root.join(folder));
    let beside: BTreeSet<_> = items
        .into_iter()
        .flatten()
        .flatten()
        .map(|item| folder.join(item.file_name()).display().to_string())
        .filter(|file| !files.contains(file))
        .filter_map(|file| end(&file))
        .collect();
    let of_end = |wanted: String| match beside.contains(&wanted) {
        false => vec![format!(
            "{}/*.{wanted}",
            shown(folder).trim_start_matches("./")
        )],
        true => files
            .iter()
            .filter(|file| end(file).as_ref() == Some(&wanted))
            .map(|file| (**file).clone())
            .collect(),
    };
    ends.into_iter().flat_map(of_end).collect()
}

fn has_pods(manifest: &Manifest) -> bool {
    [
        "Deployment",
        "StatefulSet",
        "DaemonSet",
        "Pod",
        "Job",
        "CronJob",
    ]
    .contains(&manifest.kind())
}
