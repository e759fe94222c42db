//! `devk.yaml` and profiles, read strictly into [`Project`]: unknown keys refused with a suggestion,
//! all problems reported together with file and line.
//!
//! text → [`yaml`] tree → [`merge`] over the profile's tree → [`check`] against the table in [`schema`]
//! → [`decode`]. The tree remembers where each value was written, through the merge.

mod ask;
mod bases;
mod catalog;
mod check;
mod checkout;
mod constraints;
mod decode;
mod describe;
mod did_you_mean;
mod format;
mod generate;
mod identity;
mod manifest_pattern;
mod merge;
mod profile;
mod profile_tree;
mod read;
mod scalar;
mod schema;
mod shape;
mod test_command;
mod user;
mod variables;
mod yaml;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use crate::place::Origin;
pub use ask::{AskConfig, AskMode, AskRights, AskRole, AskYes, UserAsk};
pub use bases::{build_waves, is_base};
pub use catalog::{ProfileForward, ProfileSummary, profile_readme, profiles};
pub use checkout::{COMPOSE_FILES, COMPOSE_OVERRIDES, Checkout};
pub use constraints::{
    CONSTRAINTS_FILE, CheckConfig, IgnoreConfig, constraints_above, parsed_constraints,
    project_constraints, team_constraints,
};
pub use describe::{KeyDoc, json_schema, keys, user_keys};
pub(crate) use did_you_mean::did_you_mean;
pub use format::{KUSTOMIZATION_FILES, duration};
pub use identity::{checked_out, git_folder, is_reserved, label};
pub use manifest_pattern::ManifestPattern;
pub use profile::names as profile_names;
pub use read::{FILE, RunningProject, Source, load, load_running, read_text};
pub use test_command::{TestCommand, TestPlace, TestRun};
pub use user::{USER_FILE, UserConfig};
pub use variables::names as forward_names;
pub(crate) use variables::{Piece, ReferenceTarget, pieces, unknown};

/// A project: one devk.yaml in one worktree. All paths are absolute.
#[derive(Debug, Clone)]
pub struct Project {
    /// `name` of devk.yaml; a DNS label.
    pub name: String,
    /// `<name>`, or `<name>-<worktree>` in a linked git worktree: the namespace, and the key of all state.
    pub id: String,
    pub worktree: Option<String>,
    /// The folder of devk.yaml.
    pub root: PathBuf,
    pub file: PathBuf,
    pub cluster: ClusterConfig,
    /// None: found by Compose's own rules. Empty: there is no Compose stack.
    pub compose: Option<Vec<PathBuf>>,
    /// In the order of devk.yaml.
    pub images: Vec<ImageConfig>,
    /// In the order of devk.yaml; a later release may need an earlier one.
    pub releases: Vec<ReleaseConfig>,
    /// None: every Service port is forwarded.
    pub forwards: Option<Vec<ForwardConfig>>,
    pub allow: Allow,
    /// None: no `bridge:` in devk.yaml.
    pub bridge: Option<BridgeConfig>,
    /// What charts are asked for.
    pub check: CheckConfig,
    /// By how much single objects are changed with less than the user's rights.
    pub ask: AskConfig,
    /// `test:`, in the order of devk.yaml.
    pub tests: Vec<TestCommand>,
}

impl Project {
    /// A project of which only this is known: what of it is on the cluster can be ended, and nothing started.
    pub fn without_file(id: &str, root: &Path, cluster: ClusterConfig) -> Self {
        Self {
            name: id.to_owned(),
            id: id.to_owned(),
            worktree: None,
            root: root.to_owned(),
            file: root.join(FILE),
            cluster,
            compose: None,
            images: vec![],
            releases: vec![],
            forwards: None,
            allow: Allow::default(),
            bridge: None,
            check: CheckConfig::default(),
            ask: AskConfig::default(),
            tests: vec![],
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    Kind,
    Minikube,
    K3d,
    Existing,
}

impl Provider {
    /// As devk.yaml spells it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Minikube => "minikube",
            Self::K3d => "k3d",
            Self::Existing => "existing",
        }
    }
}

#[derive(Debug, Clone)]
pub struct ClusterConfig {
    pub provider: Provider,
    /// `provider: auto`: what stands above is a guess until the machine has been looked at.
    pub auto: bool,
    /// With `auto`: what is taken first.
    pub prefer: Option<Provider>,
    /// The cluster's name, or the context of an existing one.
    pub name: String,
    /// The node image; None leaves the choice to the provider.
    pub image: Option<String>,
    /// `allow: {remote: true}`: an existing one may be on another machine.
    pub remote: bool,
}

impl ClusterConfig {
    /// The context under which kubectl knows the cluster.
    pub fn context(&self) -> String {
        match self.provider {
            Provider::Kind => format!("kind-{}", self.name),
            Provider::K3d => format!("k3d-{}", self.name),
            Provider::Minikube | Provider::Existing => self.name.clone(),
        }
    }

    /// A cluster of this name, and nothing else known of it.
    pub fn new(provider: Provider, name: &str) -> Self {
        Self {
            provider,
            auto: false,
            prefer: None,
            name: name.to_owned(),
            image: None,
            remote: false,
        }
    }

    /// The name of its state folder: kind's clusters under their own names, others behind their provider's, with a
    /// dot that no cluster's name has.
    pub fn folder(&self) -> String {
        match self.provider {
            Provider::Kind => self.name.clone(),
            provider => format!("{}.{}", provider.word(), identity::file_name(&self.name)),
        }
    }

    /// The cluster of a state folder. None for the user's own: their contexts cannot be told by it.
    pub fn of_folder(folder: &str) -> Option<Self> {
        match folder.split_once('.') {
            None => Some(Self::new(Provider::Kind, folder)),
            Some(("minikube", name)) => Some(Self::new(Provider::Minikube, name)),
            Some(("k3d", name)) => Some(Self::new(Provider::K3d, name)),
            Some(_) => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageConfig {
    pub name: String,
    pub context: PathBuf,
    pub dockerfile: PathBuf,
    pub target: Option<String>,
    /// `linux/amd64`; None: the Engine's own.
    pub platform: Option<String>,
    /// Build arguments, `${forward…}` not yet resolved.
    pub args: BTreeMap<String, String>,
    /// The references in the charts that the image replaces, with or without a tag. Empty: devk finds them.
    pub replaces: Vec<String>,
    /// What is synced into running containers.
    pub sync: Sync,
    pub secrets: Vec<BuildSecret>,
    pub ssh: Vec<BuildAgent>,
    pub origin: Origin,
}

/// A secret of a build, by the id under which the Dockerfile mounts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildSecret {
    pub id: String,
    pub source: BuildSecretSource,
    pub origin: Origin,
}

/// Where the secret is. The secret itself is read when the image is built, and kept nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildSecretSource {
    /// An absolute path, or one that begins with `~/`.
    File(PathBuf),
    /// An environment variable of whoever asks for the build.
    Variable(String),
}

/// An SSH agent that a build may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildAgent {
    /// `default` where the Dockerfile names none.
    pub id: String,
    /// As [`BuildSecretSource::File`]; None: the socket that SSH_AUTH_SOCK names.
    pub socket: Option<PathBuf>,
    pub origin: Origin,
}

/// What devk leaves as a chart has it although a local cluster cannot take it (`allow:`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allow {
    /// `nodePort`: Services of type NodePort and LoadBalancer.
    pub node_port: bool,
    /// `alwaysPull`: the pull policy of images that Docker has and devk does not build.
    pub always_pull: bool,
}

/// `sync:` of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Sync {
    /// What the Dockerfile says.
    #[default]
    Auto,
    /// The first one that takes a path counts.
    Rules(Vec<SyncRule>),
}

/// One entry of `sync:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncRule {
    /// Relative to the build context; empty for all of it.
    pub from: PathBuf,
    /// An absolute path in the container.
    pub to: String,
    /// The words of a command for the container; empty for none.
    pub run: Vec<String>,
    /// Patterns as in .dockerignore, relative to `from`.
    pub exclude: Vec<String>,
    pub origin: Origin,
}

/// The paths in the chart's values that take an image reference, such as `api.image.repository`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImagePaths {
    pub repository: String,
    pub tag: String,
}

/// How a generated secret is made. It is made once per project and kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generator {
    /// `hexN`: N hexadecimal characters.
    Hex(usize),
    /// `base64N`: N random bytes in base64.
    Base64(usize),
    Uuid,
}

/// A secret that is generated, and the values that take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedSecret {
    pub generator: Generator,
    /// Value paths, one at least.
    pub paths: Vec<String>,
}

/// What a release is made of.
#[derive(Debug, Clone)]
pub enum ReleaseSource {
    /// `chart`: a folder with Chart.yaml.
    Chart(PathBuf),
    /// `manifests`: files of Kubernetes objects.
    Manifests(Vec<ManifestPattern>),
    /// `kustomize`: a folder with a kustomization.
    Kustomize(PathBuf),
}

impl ReleaseSource {
    /// The chart's folder; None if the release is made of other files.
    pub fn chart(&self) -> Option<&Path> {
        match self {
            Self::Chart(folder) => Some(folder),
            Self::Manifests(_) | Self::Kustomize(_) => None,
        }
    }
}

#[derive(Debug, Clone)]
pub struct ReleaseConfig {
    pub name: String,
    pub source: ReleaseSource,
    /// Values files, later ones win.
    pub values: Vec<PathBuf>,
    /// Inline values (`set:`), above all files. A JSON object.
    pub set: serde_json::Value,
    /// image name -> value paths; an image that is absent is looked up in the chart's values.yaml.
    pub images: BTreeMap<String, ImagePaths>,
    /// name -> generated secret.
    pub generate: BTreeMap<String, GeneratedSecret>,
    /// How long the release may take to become ready.
    pub timeout: Duration,
    /// Jobs of the release that Kubernetes cannot change may be replaced.
    pub replace_jobs: bool,
    pub origin: Origin,
}

#[derive(Debug, Clone)]
pub struct ForwardConfig {
    pub name: String,
    /// None: the Service whose name is the forward's name, or ends in `-<name>`.
    pub service: Option<String>,
    /// The Service's port.
    pub port: u16,
    /// An explicit local port.
    pub local: Option<u16>,
    pub origin: Origin,
}

/// `bridge.postgres`: which of Compose's servers the cluster uses, and how the chart is told. What is None
/// is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeConfig {
    /// The Compose service.
    pub service: Option<String>,
    /// The separate database on its server.
    pub database: Option<String>,
    pub release: Option<String>,
    pub values: BridgePaths,
    pub origin: Origin,
}

/// Paths in the chart's values, such as `externalPostgresql.host`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BridgePaths {
    /// Turns the chart's own database on and off.
    pub enabled: Option<String>,
    /// Takes a whole connection URL, in place of the others.
    pub url: Option<String>,
    pub host: Option<String>,
    pub port: Option<String>,
    pub database: Option<String>,
    pub username: Option<String>,
    pub password: Option<String>,
}
