//! What is known of a chart when rules look at it: its files, what it renders to, what is installed of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::Error;
use crate::place::Origin;
use crate::release::chart::normalize;
use crate::release::lined::{RenderedDocument, rendered_documents};
use crate::release::manifest::{Manifest, Rendered};
use crate::release::variant::ChartFile;
use crate::release::yaml;

/// All that rules look at.
#[derive(Debug)]
pub struct ChartFacts {
    /// `name` of Chart.yaml, or of the release if it has no chart of the user's.
    pub name: String,
    pub release: String,
    pub namespace: String,
    /// The user's folder.
    pub folder: PathBuf,
    /// The files of the chart's folder; none if devk made the chart of manifests.
    pub files: Vec<ChartFile>,
    /// Chart.yaml as helm reads it; null if it is none, or there is none.
    pub metadata: Value,
    /// The documents of `crds/`.
    pub definitions: Vec<Value>,
    pub renderings: Vec<CheckRendering>,
    pub failures: Vec<RenderFailure>,
    /// helm's names of templates that are the user's files, with the files.
    pub templates: Vec<(String, PathBuf)>,
    /// Objects that are installed, as they would be installed now.
    pub installed: Vec<InstalledObject>,
    /// Jobs that Kubernetes cannot change are replaced (`replaceJobs`).
    pub replaces_jobs: bool,
    /// Of the release in devk.yaml, or Chart.yaml.
    pub origin: Origin,
    /// What was not looked at, and why.
    pub notes: Vec<String>,
}

/// An object that helm has installed.
#[derive(Clone)]
pub struct InstalledObject {
    /// As helm's record has it.
    pub before: Value,
    /// As an upgrade would make it.
    pub now: Value,
}

impl std::fmt::Debug for InstalledObject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The rest may be secret.
        f.debug_struct("InstalledObject")
            .field("kind", &self.now["kind"])
            .finish_non_exhaustive()
    }
}

impl InstalledObject {
    /// The objects of a rendering that are installed. Hooks are made anew each time, and are none.
    pub fn of(now: &Rendered, before: &Rendered, namespace: &str) -> Vec<Self> {
        let key = |manifest: &Manifest| {
            let version = manifest.object["apiVersion"].as_str().unwrap_or_default();
            let group = version.split_once('/').map_or("", |(group, _)| group);
            let name = manifest.name().unwrap_or_default();
            let kind = manifest.kind();
            [group, kind, &manifest.namespace(namespace), name].map(str::to_owned)
        };
        let installed = before
            .manifests
            .iter()
            .filter(|manifest| !manifest.is_hook());
        let installed: BTreeMap<_, _> = installed
            .map(|manifest| (key(manifest), manifest))
            .collect();
        let rendered = now.manifests.iter().filter(|manifest| !manifest.is_hook());
        let pairs = rendered.filter_map(|now| Some((now, installed.get(&key(now))?)));
        let pairs = pairs.map(|(now, before)| Self {
            before: before.object.clone(),
            now: now.object.clone(),
        });
        pairs.collect()
    }
}

/// What a rendering is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenderingUse {
    /// It is judged as what is installed.
    Judged,
    /// It has to work: values for tests, a value flipped.
    Working,
}

/// What a chart renders to with some values.
pub struct CheckRendering {
    /// Which values, for people: `devk.yaml`, `values.yaml`, `ci/small-values.yaml`, `ingress.enabled: true`.
    pub label: String,
    pub usage: RenderingUse,
    pub documents: Vec<RenderedDocument>,
    /// The chart's values with those of this rendering over them.
    pub values: Value,
}

impl std::fmt::Debug for CheckRendering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The rest may be secret.
        f.debug_struct("CheckRendering")
            .field("label", &self.label)
            .field("usage", &self.usage)
            .finish_non_exhaustive()
    }
}

impl CheckRendering {
    /// # Errors
    /// The source of a document that is no YAML, and why it is none.
    pub fn new(
        label: impl Into<String>,
        usage: RenderingUse,
        text: &str,
        values: Value,
    ) -> Result<Self, (String, String)> {
        Ok(Self {
            label: label.into(),
            usage,
            documents: rendered_documents(text)?,
            values,
        })
    }
}

/// Values with which a chart does not render.
#[derive(Debug)]
pub struct RenderFailure {
    /// As in [`CheckRendering`].
    pub label: String,
    pub usage: RenderingUse,
    pub error: Error,
    /// The chart asks for a value that it has no default for.
    pub asks_for_value: bool,
}

impl ChartFacts {
    /// Of a chart's files alone; nothing is rendered yet.
    pub fn new(release: &str, namespace: &str, folder: &Path, files: Vec<ChartFile>) -> Self {
        let text = files
            .iter()
            .find(|file| file.path == Path::new("Chart.yaml"));
        let text = text
            .and_then(|file| file.text.as_deref())
            .unwrap_or_default();
        let metadata = yaml::chart(text);
        let definitions = files.iter().filter(|file| file.path.starts_with("crds"));
        let definitions = definitions.filter_map(|file| file.text.as_deref());
        let definitions = definitions.flat_map(yaml::documents).collect();
        Self {
            name: metadata["name"].as_str().unwrap_or(release).to_owned(),
            release: release.to_owned(),
            namespace: namespace.to_owned(),
            folder: normalize(folder),
            metadata,
            definitions,
            files,
            renderings: vec![],
            failures: vec![],
            templates: vec![],
            installed: vec![],
            replaces_jobs: false,
            origin: Origin {
                file: normalize(folder).join("Chart.yaml"),
                line: 1,
            },
            notes: vec![],
        }
    }

    /// The text of a file of the chart.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        let file = self.files.iter().find(|file| file.path == Path::new(path));
        file.and_then(|file| file.text.as_deref())
    }

    /// The chart's own templates with their texts, partials and NOTES.txt included.
    pub(super) fn own_templates(&self) -> impl Iterator<Item = (&Path, &str)> {
        let below = self.files.iter();
        let below = below.filter(|file| file.path.starts_with("templates"));
        below.filter_map(|file| Some((file.path.as_path(), file.text.as_deref()?)))
    }

    /// The chart's own values files: values.yaml, those beside it and those in `ci`.
    pub(super) fn values_files(&self) -> impl Iterator<Item = (&Path, &str)> {
        let files = self.files.iter().filter(|file| is_values_file(&file.path));
        files.filter_map(|file| Some((file.path.as_path(), file.text.as_deref()?)))
    }

    /// devk made the chart of manifests: there are no files that rules could ask for.
    pub(super) fn has_files(&self) -> bool {
        !self.files.is_empty()
    }

    pub(super) fn is_library(&self) -> bool {
        self.metadata["type"] == "library"
    }
}

/// `values.yaml`, `values-dev.yaml`, `values.prod.yml`, `ci/x-values.yaml`.
pub(super) fn is_values_file(path: &Path) -> bool {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let is_yaml = name.ends_with(".yaml") || name.ends_with(".yml");
    let folder = path.parent().unwrap_or(Path::new(""));
    match folder.to_str() {
        Some("") => is_yaml && name.starts_with("values"),
        Some("ci") => is_yaml && name.contains("values"),
        _ => false,
    }
}
