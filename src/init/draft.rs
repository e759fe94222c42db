//! A devk.yaml that is not written yet: every choice with its evidence.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::clue::shown;

/// How sure a choice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// The best of what there is.
    Guess,
    /// Several things point to it.
    Likely,
    /// The repository says so.
    Certain,
}

/// What goes into devk.yaml.
#[derive(Debug, Clone, Default, Serialize)]
pub struct InitDraft {
    pub name: String,
    pub images: Vec<DraftImage>,
    pub releases: Vec<DraftRelease>,
    /// Empty: devk forwards every Service.
    pub forwards: Vec<DraftForward>,
    pub compose: DraftCompose,
    /// Lines for the end of the file: what was not decided, and what only the user can.
    pub notes: Vec<String>,
}

/// Which Compose files devk reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DraftCompose {
    /// Those that Compose itself finds, or none.
    #[default]
    Found,
    /// These, relative to the root.
    Files(Vec<PathBuf>),
    /// None, though there are some, and why.
    None(String),
}

/// An image to build.
#[derive(Debug, Clone, Serialize)]
pub struct DraftImage {
    pub name: String,
    /// Relative to the root, as all paths here.
    pub context: PathBuf,
    pub dockerfile: PathBuf,
    pub target: Option<String>,
    pub args: Vec<(String, String)>,
    /// The references that it replaces, as devk.yaml lists them; empty: devk finds them by the image's name.
    pub replaces: Vec<String>,
    /// All references that it is for.
    pub references: Vec<String>,
    pub sync: Vec<DraftSync>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<DraftSecretMount>,
    /// SSH agents, as devk.yaml lists them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ssh: Vec<String>,
    pub confidence: Confidence,
    pub evidence: Vec<String>,
    /// Commented lines below the image.
    pub alternatives: Vec<String>,
    /// Why the image is commented out.
    pub off: Option<String>,
}

/// A secret that Compose gives to a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DraftSecretMount {
    pub id: String,
    /// `file` or `environment`.
    pub key: &'static str,
    /// The path or the variable's name.
    pub value: String,
}

/// A sync rule that Compose has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DraftSync {
    pub from: String,
    pub to: String,
    pub exclude: Vec<String>,
}

/// What is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum InitSource {
    Chart(PathBuf),
    /// Files, or patterns of files.
    Manifests(Vec<String>),
    Kustomize(PathBuf),
}

impl InitSource {
    /// The folder of a chart.
    pub fn chart(&self) -> Option<&Path> {
        match self {
            Self::Chart(chart) => Some(chart),
            _ => None,
        }
    }
}

/// As devk.yaml has it: `kustomize: ./overlays/dev`.
impl fmt::Display for InitSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chart(folder) => write!(f, "chart: {}", shown(folder)),
            Self::Manifests(files) => write!(f, "manifests: [{}]", files.join(", ")),
            Self::Kustomize(folder) => write!(f, "kustomize: {}", shown(folder)),
        }
    }
}

/// A release.
#[derive(Debug, Clone, Serialize)]
pub struct DraftRelease {
    pub name: String,
    pub source: InitSource,
    pub values: Vec<PathBuf>,
    pub set: Vec<DraftValue>,
    pub generate: Vec<DraftSecret>,
    /// The values that take an image which nothing else could replace: the image's name, and the map of the values.
    pub images: Vec<(String, String)>,
    pub confidence: Confidence,
    pub evidence: Vec<String>,
    pub alternatives: Vec<String>,
}

impl DraftRelease {
    pub(super) fn new(name: String, source: InitSource) -> Self {
        Self {
            name,
            source,
            values: vec![],
            set: vec![],
            generate: vec![],
            images: vec![],
            confidence: Confidence::Certain,
            evidence: vec![],
            alternatives: vec![],
        }
    }

    /// Whether `set` or `generate` gives a value already.
    pub(super) fn gives(&self, path: &str) -> bool {
        self.given().any(|given| given == path)
    }

    /// Whether a value is given that stands below this one.
    pub(super) fn gives_below(&self, path: &str) -> bool {
        let below = format!("{path}.");
        self.given().any(|given| given.starts_with(&below))
    }

    fn given(&self) -> impl Iterator<Item = &String> {
        let generated = self.generate.iter().flat_map(|secret| &secret.paths);
        self.set.iter().map(|value| &value.path).chain(generated)
    }
}

/// An inline value.
#[derive(Debug, Clone, Serialize)]
pub struct DraftValue {
    pub path: String,
    pub value: Value,
    pub why: String,
    /// Nobody but the user knows the real one.
    pub is_users: bool,
}

/// A secret that devk generates.
#[derive(Debug, Clone, Serialize)]
pub struct DraftSecret {
    pub length: String,
    pub paths: Vec<String>,
    pub why: Vec<String>,
}

/// A Service that is forwarded under a short name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DraftForward {
    pub name: String,
    pub service: String,
    pub port: u16,
    pub why: String,
}
