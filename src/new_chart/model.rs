//! What a chart is made of: its components, and what they share. Compose's files are read into this (`of_compose/`), and
//! the chart's files are written from it (`text/`); neither knows the other.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use crate::place::Origin;

/// A whole chart.
#[derive(Debug, Clone, Default)]
pub(super) struct ChartModel {
    /// A DNS label.
    pub(super) name: String,
    pub(super) description: String,
    pub(super) app_version: String,
    pub(super) components: Vec<Component>,
    /// Claims that several components mount.
    pub(super) claims: Vec<SharedClaim>,
    /// Keys of the chart's one Secret.
    pub(super) secrets: Vec<SecretKey>,
    /// Below `files/`, for the ConfigMaps.
    pub(super) files: Vec<CopiedFile>,
    /// With an HPA, a PodDisruptionBudget and a ServiceMonitor.
    pub(super) for_production: bool,
}

/// One program of the chart.
#[derive(Debug, Clone, Default)]
pub(super) struct Component {
    /// What stands for it in the names of objects and in its labels; a DNS label.
    pub(super) name: String,
    /// What stands for it in values.yaml.
    pub(super) key: String,
    /// What the reader of values.yaml should know of it.
    pub(super) comment: String,
    pub(super) enabled: bool,
    pub(super) kind: ComponentKind,
    pub(super) image: ComponentImage,
    pub(super) replicas: u32,
    /// In place of the image's entry point.
    pub(super) command: Option<Vec<String>>,
    pub(super) args: Option<Vec<String>>,
    pub(super) working_dir: Option<String>,
    pub(super) hostname: Option<String>,
    pub(super) stdin: bool,
    pub(super) tty: bool,
    /// The pause container reaps what a program without an init leaves.
    pub(super) share_processes: bool,
    /// Values may name variables of `secret_env` as `$(NAME)`.
    pub(super) env: BTreeMap<String, String>,
    /// In a ConfigMap of its own.
    pub(super) env_file: BTreeMap<String, String>,
    /// A variable → the key of the chart's Secret.
    pub(super) secret_env: BTreeMap<String, String>,
    pub(super) ports: Vec<ComponentPort>,
    /// The Services that lead to it, the first of which is its own.
    pub(super) services: Vec<String>,
    pub(super) probes: Probes,
    pub(super) resources: Value,
    pub(super) security: Value,
    pub(super) pod_security: Value,
    /// Why the security contexts are not stricter.
    pub(super) security_comment: String,
    pub(super) mounts: Vec<ComponentMount>,
    pub(super) waits: Vec<Wait>,
    /// Seconds.
    pub(super) grace: u64,
    /// An address → names.
    pub(super) host_aliases: Vec<(String, Vec<String>)>,
    pub(super) dns: Option<Value>,
    pub(super) lifecycle: Option<Value>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) networks: Vec<String>,
    /// Reached from outside of its networks, as Compose publishes it.
    pub(super) published: Vec<u16>,
}

impl Component {
    /// Whether a Service can stand in front of it: without a TCP port that is known, its name leads to the pods.
    pub(super) fn is_headless(&self) -> bool {
        !self.ports.iter().any(|port| port.protocol == "TCP")
    }

    /// Whether metrics of it could be read: at the first of its ports, by HTTP.
    pub(super) fn may_have_metrics(&self) -> bool {
        let first = self.ports.first();
        self.kind != ComponentKind::Job && first.is_some_and(|port| port.protocol == "TCP")
    }

    /// The names of the volumes that outlive its pods.
    pub(super) fn kept_volumes(&self) -> impl Iterator<Item = &str> {
        let is_kept = |mount: &&ComponentMount| {
            let source = &mount.source;
            matches!(
                source,
                MountSource::OwnClaim { .. } | MountSource::SharedClaim { .. }
            )
        };
        self.mounts.iter().filter(is_kept).map(|mount| &*mount.name)
    }

    pub(super) fn claims(&self) -> impl Iterator<Item = (&ComponentMount, &str)> {
        self.mounts.iter().filter_map(|mount| match &mount.source {
            MountSource::OwnClaim { size } => Some((mount, size.as_str())),
            _ => None,
        })
    }

    /// Files of the chart that its ConfigMap holds.
    pub(super) fn config_items(&self) -> impl Iterator<Item = &ConfigItem> {
        self.mounts.iter().flat_map(|mount| match &mount.source {
            MountSource::Config { items, .. } => &items[..],
            _ => &[],
        })
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum ComponentKind {
    #[default]
    Deployment,
    /// One pod at a time has the volume.
    RecreatedDeployment,
    StatefulSet,
    Job,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ComponentImage {
    pub(super) repository: String,
    pub(super) tag: String,
    pub(super) digest: String,
    pub(super) pull_policy: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ComponentPort {
    /// At most 15 characters.
    pub(super) name: String,
    pub(super) number: u16,
    /// `TCP`, `UDP` or `SCTP`.
    pub(super) protocol: String,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Probes {
    pub(super) startup: Option<Value>,
    pub(super) readiness: Option<Value>,
    pub(super) liveness: Option<Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct ComponentMount {
    /// A DNS label, one for each volume of a pod.
    pub(super) name: String,
    pub(super) path: String,
    pub(super) read_only: bool,
    pub(super) sub_path: Option<String>,
    /// What the image has at its path goes into it while it is empty, as Docker does with a new volume.
    pub(super) is_filled: bool,
    pub(super) source: MountSource,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum MountSource {
    /// A claim that only this component has.
    OwnClaim { size: String },
    /// One of the chart's [`SharedClaim`]s, by its key.
    SharedClaim { key: String },
    /// Gone with the pod; `Memory` and its size where Compose has it in memory.
    Scratch { memory: bool, size: Option<String> },
    Config {
        items: Vec<ConfigItem>,
        mode: Option<u32>,
    },
    Secret {
        key: String,
        file: String,
        mode: Option<u32>,
    },
}

/// A key of a component's ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConfigItem {
    pub(super) key: String,
    /// Below the mount.
    pub(super) path: String,
    /// In the chart.
    pub(super) file: String,
    pub(super) binary: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SharedClaim {
    pub(super) key: String,
    pub(super) name: String,
    pub(super) size: String,
    pub(super) comment: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SecretKey {
    pub(super) key: String,
    pub(super) comment: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CopiedFile {
    /// In the chart.
    pub(super) path: PathBuf,
    pub(super) content: Vec<u8>,
}

/// What has to be there before a component starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wait {
    /// The name of the other component.
    pub(super) on: String,
    /// The key of the other component.
    pub(super) key: String,
    pub(super) until: WaitUntil,
    /// The key of the component whose image waits.
    pub(super) image_of: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WaitUntil {
    /// A Service accepts connections, which it does when a pod behind it is ready.
    Accepts {
        service: String,
        port: u16,
        /// Seconds; then the component starts all the same. None: as long as it takes.
        at_most: Option<u32>,
    },
    /// A name leads to a pod, which it does when one is ready.
    Resolves { service: String },
    /// The Job has ended well.
    Completed,
    /// The other component's own program has ended well: it runs here, before this one.
    RunHere,
}

/// What a Compose file says that the chart does not have, or has in another way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComposeKeyNote {
    /// None for what stands beside the services.
    pub service: Option<String>,
    pub key: String,
    pub file: PathBuf,
    /// 1-based.
    pub line: u32,
    pub carried: Carried,
    pub why: String,
}

/// What became of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Carried {
    /// The chart has nothing of it.
    No,
    /// The chart has it in another way.
    Changed,
}

impl ComposeKeyNote {
    pub(super) fn new(
        service: Option<&str>,
        key: &str,
        at: &Origin,
        carried: Carried,
        why: impl Into<String>,
    ) -> Self {
        Self {
            service: service.map(str::to_owned),
            key: key.to_owned(),
            file: at.file.clone(),
            line: at.line,
            carried,
            why: why.into(),
        }
    }
}
