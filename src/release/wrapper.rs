//! A chart of devk's own for a release that is none: for manifests, and for what a kustomization renders to.
//!
//! helm keeps what it installed and removes what is gone, and devk's hashes, readiness, drift and pruning go by helm's
//! record. With a private chart around the manifests all of that serves them, too. Each manifest file becomes a template
//! in which nothing is a template; CustomResourceDefinitions go to `crds`, where helm installs them before the rest.
//!
//! devk's own changes (`src/release/rewrite.rs`) are made in this chart and not by a post-renderer, between which and the
//! cluster helm 4 writes the YAML anew: that adds lines to texts in `|+` and `>` style (seen with helm 4.3).
//!
//! Invariant: the objects that helm reads in the chart are those that the user wrote, but for the values that devk changes.

mod document;
mod kustomization;
mod kustomize;
mod object;
mod template;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use self::document::{ManifestDocument, ManifestFile, documents};
use self::kustomize::Kustomize;
use self::object::{Object, twice};
use self::template::Templates;
use super::chart::Chart;
use super::files::{self, FileEntry};
use super::hasher::PartsHasher;
use super::rewrite::Rewrite;
use crate::config::{ManifestPattern, Origin, ReleaseConfig};
use crate::environment::Environment;
use crate::error::{Code, Error, Errors, Problems, Result, internal};
use crate::paths::{forget_old, refused};

pub use self::kustomization::KustomizationInputs;

/// Part of every key in the cache: a devk that wraps in another way finds none of these charts.
const FORMAT: &str = "wrapper 1";

/// What devk knows of a chart that it made, beside the chart.
const RECORD: &str = "wrapped.json";

/// What the user wrote, by what stands for it in the chart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrapped {
    /// Over the files of the chart.
    hash: String,
    /// A file of the chart → the user's, in the cache relative to the folder of devk.yaml.
    files: BTreeMap<PathBuf, PathBuf>,
    /// The CustomResourceDefinitions, which helm installs with the first revision and never changes.
    pub definitions: Vec<CrdManifest>,
    /// Namespaces that are left out of a project that has the name: devk makes a project's own.
    pub namespaces: BTreeSet<String>,
}

/// A CustomResourceDefinition in a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrdManifest {
    pub name: String,
    /// The document in the user's words.
    pub text: String,
    pub file: PathBuf,
    pub line: u32,
    /// The file of the chart that holds it, with no other objects.
    pub copy: PathBuf,
}

impl Wrapped {
    /// The user's file behind a file of the chart.
    pub(super) fn user_file(&self, path: &Path) -> Option<&Path> {
        self.files.get(path).map(PathBuf::as_path)
    }

    /// The file, if it is one of the user's.
    pub(super) fn has(&self, file: PathBuf) -> Option<PathBuf> {
        self.files
            .values()
            .any(|known| *known == file)
            .then_some(file)
    }

    /// Files of the chart with the user's.
    pub(super) fn files(&self) -> impl Iterator<Item = (&Path, &Path)> {
        self.files.iter().map(|(ours, theirs)| (&**ours, &**theirs))
    }

    /// As it is kept.
    fn relative_to(mut self, root: &Path) -> Self {
        let relative = |file: &mut PathBuf| {
            if let Ok(path) = file.strip_prefix(root) {
                *file = path.to_owned();
            }
        };
        self.files.values_mut().for_each(relative);
        self.definitions
            .iter_mut()
            .for_each(|definition| relative(&mut definition.file));
        self
    }

    /// Paths start at `root`.
    fn below(mut self, root: &Path) -> Self {
        self.files
            .values_mut()
            .for_each(|file| *file = root.join(&*file));
        for definition in &mut self.definitions {
            definition.file = root.join(&definition.file);
        }
        self
    }
}

/// The chart around the files of some patterns.
///
/// # Errors
/// All problems of all files together: [`Code::ConfigPath`] at devk.yaml's line for a pattern without files,
/// [`Code::ManifestInvalid`] at the line of the manifest.
pub(super) fn of_manifests(
    release: &ReleaseConfig,
    patterns: &[ManifestPattern],
    cache: &Path,
) -> Result<Chart, Errors> {
    let mut problems = Problems::default();
    let mut files: Vec<ManifestFile> = vec![];
    for pattern in patterns {
        for path in problems.collect(pattern.files()).unwrap_or_default() {
            if !files.iter().any(|file| file.path == path) {
                files.extend(problems.collect(read(path)));
            }
        }
    }
    Errors::unless_empty(problems.0, ())?;
    let place = Cache::of(release, cache);
    let key = hash(&files, &place.root).part(&release.name).hex();
    if let Some(chart) = place.kept(&key)? {
        return Ok(chart);
    }
    let mut problems = vec![];
    let found: Vec<ManifestDocument> = files
        .iter()
        .flat_map(|file| documents(file, &mut problems))
        .collect();
    problems.extend(twice(found.iter().flat_map(|document| &document.objects)));
    let found = Errors::unless_empty(problems, found)?;
    Ok(place.write(&key, &Templates::of(found, &place.root))?)
}

/// The chart around what a kustomization renders to. While nothing that the kustomization reads has changed, no program
/// runs.
///
/// # Errors
/// [`Code::ToolMissing`], [`Code::KustomizeBuild`], and [`Code::ManifestInvalid`] for an object that helm cannot keep.
pub(super) async fn of_kustomization(
    release: &ReleaseConfig,
    folder: &Path,
    environment: &Environment,
    cache: &Path,
) -> Result<Chart, Errors> {
    let kustomize = Kustomize::find(environment)
        .map_err(|error| error.at(&release.origin.file, release.origin.line))?;
    let place = Cache::of(release, cache);
    let key_of = |inputs: &KustomizationInputs| {
        let key = hash(&contents(inputs)?, &place.root)
            .part(&release.name)
            .part(folder.as_os_str().as_encoded_bytes())
            .part(kustomize.identity());
        Ok::<_, Errors>(key.hex())
    };
    let mut inputs = KustomizationInputs::of(folder);
    let mut key = key_of(&inputs)?;
    let text = loop {
        if let Some(chart) = place.kept(&key)? {
            return Ok(chart);
        }
        let text = kustomize.render(folder, &release.origin).await?;
        inputs = KustomizationInputs::of(folder);
        // The program has read the files by itself: what was saved meanwhile would be kept under the earlier name.
        let now = key_of(&inputs)?;
        if std::mem::replace(&mut key, now.clone()) == now {
            break text;
        }
    };
    let rendered = ManifestFile {
        path: folder.join("kustomization.yaml"),
        content: text.into_bytes(),
    };
    let mut problems = vec![];
    let mut found = documents(&rendered, &mut problems);
    // The lines of what was rendered are in no file of the user's.
    problems.iter_mut().for_each(|problem| problem.line = None);
    let origins = Origins::of(&inputs, folder);
    for object in found.iter_mut().flat_map(|document| &mut document.objects) {
        (object.file, object.line) = origins.of_object(object);
    }
    let found = Errors::unless_empty(problems, found)?;
    Ok(place.write(&key, &Templates::of(found, &place.root))?)
}

/// What a kustomization reads, with its content.
fn contents(inputs: &KustomizationInputs) -> Result<Vec<ManifestFile>, Errors> {
    let mut found = vec![];
    for path in inputs.files.iter().filter(|path| path.is_file()) {
        found.push(read(path.clone())?);
    }
    for folder in &inputs.folders {
        found.extend(files::read(folder)?.into_iter().map(|entry| ManifestFile {
            path: folder.join(entry.path),
            content: entry.content,
        }));
    }
    Ok(found)
}

/// The chart with devk's changes made in its templates. The chart itself stays, for the next rendering.
///
/// # Errors
/// [`Code::ManifestInvalid`] if a document to change cannot be read, [`Code::StateIo`].
pub(super) fn rewritten(
    chart: &Chart,
    wrapped: &Wrapped,
    rewrite: &Rewrite,
    release: &str,
    cache: &Path,
) -> Result<Chart> {
    let place = Cache {
        charts: cache.join("charts"),
        release,
        root: chart.source.clone(),
    };
    let changes = serde_json::to_string(rewrite).map_err(|e| internal(&e))?;
    let key = PartsHasher::default()
        .part(FORMAT)
        .part(chart.dir.as_os_str().as_encoded_bytes())
        .part(changes)
        .hex();
    if let Some(chart) = place.kept(&key)? {
        return Ok(chart);
    }
    let mut entries = files::read(&chart.dir)?;
    for entry in entries
        .iter_mut()
        .filter(|entry| entry.path.starts_with("templates"))
    {
        let template = String::from_utf8_lossy(&entry.content);
        let change = |text: &str| rewrite.apply(text).map(|(text, _)| text);
        let text = template::changed(&template, change).map_err(|said| {
            let message = format!("the manifest cannot be read: {said}");
            let file = wrapped.user_file(&entry.path).unwrap_or(&entry.path);
            Error::new(Code::ManifestInvalid, message).at(file, None)
        })?;
        entry.content = text.into_bytes();
    }
    place.keep(&key, &entries, &wrapped.clone().relative_to(&chart.source))
}

fn read(path: PathBuf) -> Result<ManifestFile> {
    match std::fs::read(&path) {
        Ok(content) => Ok(ManifestFile { path, content }),
        Err(e) => Err(
            Error::new(Code::ConfigPath, format!("cannot read the manifest: {e}")).at(path, None),
        ),
    }
}

fn hash(files: &[ManifestFile], root: &Path) -> PartsHasher {
    files
        .iter()
        .fold(PartsHasher::default().part(FORMAT), |hasher, file| {
            let path = file.path.strip_prefix(root).unwrap_or(&file.path);
            hasher
                .part(path.as_os_str().as_encoded_bytes())
                .part(&file.content)
        })
}

/// Where the objects of a rendered kustomization were written, as far as their kinds and names tell: kustomize puts
/// prefixes and suffixes around names.
struct Origins {
    written: Vec<Object>,
    /// Of what no file has.
    kustomization: PathBuf,
}

impl Origins {
    fn of(inputs: &KustomizationInputs, folder: &Path) -> Self {
        // What cannot be read is no place of an object.
        let files = inputs
            .resources
            .iter()
            .filter_map(|path| read(path.clone()).ok());
        let documents = files.flat_map(|file| documents(&file, &mut vec![]));
        let made = inputs.made.iter().map(|((kind, name), file)| Object {
            group: String::new(),
            kind: kind.clone(),
            name: name.clone(),
            namespace: None,
            file: file.clone(),
            line: 1,
        });
        let own = crate::config::KUSTOMIZATION_FILES.map(|name| folder.join(name));
        let kustomization = own
            .iter()
            .find(|file| file.is_file())
            .unwrap_or(&own[0])
            .clone();
        Self {
            written: documents
                .flat_map(|document| document.objects)
                .chain(made)
                .collect(),
            kustomization,
        }
    }

    fn of_object(&self, object: &Object) -> (PathBuf, u32) {
        let of_kind = self
            .written
            .iter()
            .filter(|written| written.kind == object.kind && written.group == object.group);
        let named = of_kind.filter(|written| object.name.contains(&written.name));
        let nearest = named.max_by_key(|written| written.name.len());
        nearest.map_or((self.kustomization.clone(), 1), |written| {
            (written.file.clone(), written.line)
        })
    }
}

/// The place of devk's own charts among the chart copies.
struct Cache<'a> {
    charts: PathBuf,
    release: &'a str,
    /// The folder of devk.yaml.
    root: PathBuf,
}

impl<'a> Cache<'a> {
    fn of(release: &'a ReleaseConfig, cache: &Path) -> Self {
        let Origin { file, .. } = &release.origin;
        Self {
            charts: cache.join("charts"),
            release: &release.name,
            root: file.parent().unwrap_or(Path::new("/")).to_owned(),
        }
    }

    /// The chart that was made of the same files.
    fn kept(&self, key: &str) -> Result<Option<Chart>> {
        let home = self.charts.join(key);
        let Ok(text) = std::fs::read(home.join(RECORD)) else {
            return Ok(None);
        };
        files::touch(&home);
        let wrapped: Wrapped = serde_json::from_slice(&text).map_err(|e| {
            let message = format!("`{}` is damaged: {e}", home.join(RECORD).display());
            Error::new(Code::StateIo, message).hint(format!("rm -r {}", crate::shell::quote(&home)))
        })?;
        Ok(Some(self.chart(&home, wrapped)))
    }

    fn chart(&self, home: &Path, wrapped: Wrapped) -> Chart {
        let wrapped = wrapped.below(&self.root);
        Chart::of_wrapped(
            self.release,
            &self.root,
            home.join(self.release),
            wrapped.hash.clone(),
            wrapped,
        )
    }

    fn write(&self, key: &str, templates: &Templates) -> Result<Chart> {
        let entries = templates.chart(self.release);
        self.keep(key, &entries, &templates.record(&entries))
    }

    /// Writes the chart beside its place and renames it: what stands under its key is whole.
    fn keep(&self, key: &str, entries: &[FileEntry], wrapped: &Wrapped) -> Result<Chart> {
        let home = self.charts.join(key);
        let io = |e: std::io::Error| refused("write", &home, &e);
        let temp = files::begin(&home)?;
        files::write(entries, &temp.path().join(self.release))?;
        let record = serde_json::to_vec_pretty(wrapped)
            .map_err(|e| Error::new(Code::StateIo, format!("cannot write `{RECORD}`: {e}")))?;
        std::fs::write(temp.path().join(RECORD), record).map_err(io)?;
        files::finish(&temp, &home)?;
        forget_old(&self.charts, super::chart::MAX_UNUSED_AGE);
        Ok(self.chart(&home, wrapped.clone()))
    }
}

#[cfg(test)]
mod tests;
