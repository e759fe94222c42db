//! Compose files, read as `docker compose config` reads them, without calling it: which ports they
//! publish, which databases their services name, and in which file and line.

mod asked;
mod build_access;
mod canonical;
mod cast;
mod checks;
mod consistency;
mod development;
mod dotenv;
mod environment;
mod extends;
mod include;
mod interpolate;
mod keys;
mod load;
mod merge;
mod name;
mod of_project;
mod options;
mod pairs;
mod ports;
mod project;
mod raw;
mod read;
mod reset;
mod resolve;
mod schema;
mod shapes;
mod trail;
mod tree;
mod types;
mod unique;
mod units;
mod volume;
mod words;
mod yaml;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::config::{BuildAgent, BuildSecret, ImageConfig, Origin};
use crate::database::Named;
use crate::docker::PublishedPort;
use crate::error::Error;

pub use asked::unless_refused_by_docker;
pub use of_project::{Stack, as_docker_takes_it, of_folder, of_project};
pub use options::{ENV_FILE, found_names};
pub use read::{WholeCompose, load, load_tolerantly, load_whole};
pub(crate) use units::{bytes, number, seconds};
pub(crate) use words::words;
pub(crate) use yaml::{YamlData, YamlEntry, YamlNode};

/// What is read. The fields are the options of `docker compose` of the same meaning.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The folder to start from; absolute.
    pub dir: PathBuf,
    /// `-f`; relative to `dir`. Empty: `COMPOSE_FILE`, else discovery in `dir` and above.
    pub files: Vec<PathBuf>,
    /// `--env-file`; relative to `dir`. Empty: `COMPOSE_ENV_FILES`, else `.env`.
    pub env_files: Vec<PathBuf>,
    /// `--profile`; empty: `COMPOSE_PROFILES`.
    pub profiles: Vec<String>,
    /// The environment of the process; it beats every file.
    pub environment: BTreeMap<String, String>,
}

/// A Compose project.
#[derive(Debug, Clone, Default)]
pub struct Compose {
    /// The project's name, as Compose labels its containers.
    pub name: String,
    /// The project's folder; absolute.
    pub dir: PathBuf,
    /// Every file that was read: Compose files, what they include and extend. Absolute.
    pub files: Vec<PathBuf>,
    /// By name.
    pub services: BTreeMap<String, Service>,
    /// What `docker compose config` would refuse, or this reader does not know, and that says nothing of ports.
    pub passed_over: Vec<Error>,
}

impl Compose {
    /// What `docker compose config` lists: every entry under `ports` of the active services.
    pub fn published(&self) -> impl Iterator<Item = &Port> {
        self.ports_of(true)
    }

    /// The entries under `ports` of services that a profile keeps out: devk keeps clear of them all the same.
    pub fn inactive(&self) -> impl Iterator<Item = &Port> {
        self.ports_of(false)
    }

    fn ports_of(&self, active: bool) -> impl Iterator<Item = &Port> {
        let services = self.services.values();
        services
            .filter(move |service| service.active == active)
            .flat_map(|service| &service.ports)
    }

    /// The container is this project's: by the project's name, or by its files where another name was given on the
    /// command line.
    pub fn has_started(&self, container: &PublishedPort) -> bool {
        container.compose_project.as_ref() == Some(&self.name)
            || container
                .compose_files()
                .any(|file| self.files.iter().any(|own| own == file))
    }
}

/// What a service builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceBuild {
    pub context: PathBuf,
    /// Absolute; None for a Dockerfile that stands in the Compose file.
    pub dockerfile: Option<PathBuf>,
    pub target: Option<String>,
    /// The names of `additional_contexts`.
    pub additional_contexts: Vec<String>,
    /// Those with a value.
    pub args: BTreeMap<String, Variable>,
    /// Those that a file or a variable holds, with absolute paths.
    pub secrets: Vec<BuildSecret>,
    /// Agents; the path may also be that of a key.
    pub ssh: Vec<BuildAgent>,
}

impl ServiceBuild {
    /// Whether Compose builds from the context and the Dockerfile of an image of devk.yaml, of whatever stage.
    pub fn has_files_of(&self, image: &ImageConfig) -> bool {
        self.context == image.context && self.dockerfile.as_ref() == Some(&image.dockerfile)
    }
}

#[derive(Debug, Clone)]
pub struct Service {
    pub name: String,
    /// No profile keeps it out. `docker compose config` lists active services only.
    pub active: bool,
    pub image: Option<String>,
    /// Where the image is built; absolute. None: the service does not build, or builds from a remote context.
    pub build: Option<ServiceBuild>,
    pub network_mode: Option<String>,
    /// Resolved: `env_file` below `environment`, as the container would see it. Inactive services: `environment` alone.
    pub environment: BTreeMap<String, Variable>,
    pub ports: Vec<Port>,
    /// Every database that the service creates or connects to.
    pub databases: Vec<ComposeDatabase>,
    pub development: Development,
    pub origin: Origin,
}

/// How a service is worked on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Development {
    /// `develop.watch`.
    pub watches: Vec<WatchRule>,
    /// Folders and files of this machine under `volumes`: source and target.
    pub binds: Vec<(PathBuf, String)>,
    /// `command`, where Compose sets one.
    pub command: Vec<String>,
}

/// One entry of `develop.watch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchRule {
    /// `sync`, `rebuild`, `restart`, `sync+restart` or `sync+exec`.
    pub action: String,
    /// Absolute.
    pub path: PathBuf,
    /// In the container.
    pub target: Option<String>,
    pub ignore: Vec<String>,
    pub origin: Origin,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    pub value: String,
    /// Of the line that set it, in a Compose file or an env file.
    pub origin: Origin,
}

/// One published port (the contract of `devk ports --compose-only --format json`), as
/// `docker compose config --format json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Port {
    pub service: String,
    pub host_ip: Option<String>,
    /// A port or a range, as text; None: Docker picks one.
    pub published: Option<String>,
    /// Compose lets numbers above 65535 pass.
    pub target: u32,
    /// `tcp`, `udp` or `sctp`; the long form takes any word.
    pub protocol: String,
    /// Relative to [`Compose::dir`] where it lies inside, else absolute.
    pub file: PathBuf,
    /// 1-based.
    pub line: u32,
}

/// A database that a service names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeDatabase {
    pub service: String,
    pub named: Named,
    pub origin: Origin,
}
