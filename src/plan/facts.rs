//! The facts that the plan depends on.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ports::Forward;

/// The state of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterFact {
    Absent,
    HalfMade,
    Stopped,
    /// There, and not yet pinned.
    Foreign,
    /// Its nodes run, and its API server does not answer yet.
    Silent,
    /// It runs, but this project has no active namespace there, so another project's `down` may stop or remove it.
    Unclaimed,
    Ready,
}

/// One image that a chart uses.
#[derive(Debug, Clone)]
pub struct ImageFact {
    /// The name in devk.yaml; None for an image that devk does not build and that Docker happens to have.
    pub built_as: Option<String>,
    pub reference: String,
    pub in_docker: bool,
    /// The images of devk.yaml that it is built from.
    pub bases: BTreeSet<String>,
    /// Other images are built from it, and no chart uses it: it stays in Docker.
    pub is_base: bool,
    /// The images that its Dockerfile begins with and that Docker lacks: the build pulls them.
    pub pulls: BTreeSet<String>,
    /// Every node has the image. False if the nodes cannot be asked.
    pub on_nodes: bool,
    /// A node has something else under its name than Docker has.
    pub is_outdated: bool,
}

impl ImageFact {
    /// `name@sha256:…`. Docker saves such an image without a name and in another format, so the imported image has
    /// another digest.
    pub(super) fn is_pinned(&self) -> bool {
        self.reference.contains('@')
    }
}

/// One release.
#[derive(Debug, Clone)]
pub struct ReleaseFact {
    pub name: String,
    /// References of the images its manifests use.
    pub uses: Vec<String>,
    /// What devk changed in the rendered chart, in words.
    pub changes: Vec<String>,
    /// The cluster holds exactly this release. False if the cluster cannot be asked.
    pub installed: bool,
    /// Fields and objects of the release that were changed by hand, in words. If `installed` is false, an upgrade
    /// restores them; otherwise an upgrade would leave them alone.
    pub drift: Vec<String>,
}

/// A forward and the release that renders its Service.
#[derive(Debug, Clone)]
pub struct ForwardFact {
    pub forward: Forward,
    /// The name of the Service's port; empty where the Service gives none.
    pub port_name: String,
    pub release: String,
}

impl ForwardFact {
    /// Both have the same name, host port and Service port.
    pub fn leads_as(&self, other: &Self) -> bool {
        let lead = |fact: &Self| {
            let forward = fact.forward.clone();
            (
                forward.name,
                forward.local,
                forward.namespace,
                forward.service,
                forward.remote,
                fact.port_name.clone(),
            )
        };
        lead(self) == lead(other)
    }
}

/// Whether the bridge to Compose's database is to be made or removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum BridgeFact {
    /// There is no bridge, and there was none.
    #[default]
    None,
    Wanted {
        /// The release that uses it.
        release: String,
        database: String,
        /// The databases that the chart names, and those that it gets instead.
        mapped: BTreeMap<String, String>,
        /// What the chart runs of its own beside it, in words.
        stays: Vec<String>,
        /// The database exists with all its extensions.
        made: bool,
    },
    /// There was a bridge, and it is to be removed.
    Leaving,
}

/// Something that devk.yaml asks for and that devk deliberately does not do, such as opening a forward, with the
/// reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    pub name: String,
    pub why: String,
}

/// A Service, or one of its ports, that cannot be forwarded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    pub namespace: String,
    pub service: String,
    /// None: the whole Service.
    pub port: Option<u16>,
    pub reason: String,
}

/// Everything the plan depends on.
#[derive(Debug, Clone)]
pub struct Facts {
    pub cluster_name: String,
    pub cluster: ClusterFact,
    pub images: Vec<ImageFact>,
    /// What devk passed over in the Compose files.
    pub compose: Vec<String>,
    /// References that the releases use and that neither devk, nor Docker, nor every node has: nodes pull them.
    pub pulled: BTreeSet<String>,
    /// In the order of devk.yaml.
    pub releases: Vec<ReleaseFact>,
    /// Releases that devk installed and that devk.yaml does not name any more.
    pub orphaned_releases: Vec<LeftOut>,
    pub forwards: Vec<ForwardFact>,
    pub left_out: Vec<LeftOut>,
    pub bridge: BridgeFact,
    /// `devk up --sleep-others`.
    pub sleep_others: bool,
}
