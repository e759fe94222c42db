//! What a service mounts: volumes, files of the repository, memory, configs and secrets.
//!
//! A named volume that one service has becomes the claim of a StatefulSet: Kubernetes runs at most one pod on it, also when
//! a node is lost, and the claim outlives the release as the volume outlives `docker compose down`. A volume that several
//! services share, or a Job has, becomes a claim of the chart, and its Deployments end the old pod before the new one.

use std::path::Path;

use super::files::BoundFiles;
use super::keys::{ServiceKeys, is_true};
use super::limits::size;
use super::network::ComposeNames;
use super::secrets::SecretBook;
use crate::compose::{ServiceBuild, WholeCompose, YamlNode};
use crate::new_chart::model::{Carried, ComponentMount, CopiedFile, MountSource, SharedClaim};
use crate::new_chart::names::{service_name, unlike, values_key};

/// How large a claim is: Compose does not say.
pub(super) const CLAIM_SIZE: &str = "1Gi";

/// Where a claim's root may hold what the file system keeps there (`lost+found`), the data is in a folder.
pub(super) const DATA_FOLDER: &str = "data";

/// What the mounts of a project have in common.
#[derive(Debug)]
pub(super) struct MountContext<'a> {
    pub(super) whole: &'a WholeCompose,
    pub(super) files: &'a BoundFiles,
    pub(super) names: &'a ComposeNames,
    pub(super) secrets: &'a SecretBook,
}

/// What one service mounts, and what the chart gets for it.
#[derive(Debug, Default)]
pub(super) struct FoundMounts {
    pub(super) mounts: Vec<ComponentMount>,
    pub(super) shared: Vec<SharedClaim>,
    pub(super) copied: Vec<CopiedFile>,
}

pub(super) struct Mounting<'a, 'k> {
    pub(super) context: &'a MountContext<'a>,
    pub(super) keys: &'a ServiceKeys<'k>,
    /// The component's name.
    pub(super) component: &'a str,
    pub(super) build: Option<&'a ServiceBuild>,
    pub(super) is_job: bool,
    pub(super) is_read_only: bool,
    /// Nobody knows that the image has none.
    pub(super) has_shell: bool,
    pub(super) found: FoundMounts,
}

impl<'a, 'k> Mounting<'a, 'k> {
    pub(super) fn new(
        context: &'a MountContext<'a>,
        keys: &'a ServiceKeys<'k>,
        component: &'a str,
        build: Option<&'a ServiceBuild>,
        is_job: bool,
        has_shell: bool,
    ) -> Self {
        Self {
            context,
            keys,
            component,
            build,
            is_job,
            is_read_only: keys.flag("read_only"),
            has_shell,
            found: FoundMounts::default(),
        }
    }

    pub(super) fn all(mut self) -> FoundMounts {
        for volume in self
            .keys
            .take("volumes")
            .map(YamlNode::items)
            .unwrap_or_default()
        {
            self.volume(volume);
        }
        for text in self.keys.texts("tmpfs") {
            let (path, options) = text.split_once(':').unwrap_or((&text, ""));
            let size = options
                .split(',')
                .find_map(|option| option.strip_prefix("size="));
            self.memory(path, size.and_then(memory_text));
        }
        if let Some(shm) = self.keys.take("shm_size") {
            self.memory("/dev/shm", size(shm));
        }
        for config in self
            .keys
            .take("configs")
            .map(YamlNode::items)
            .unwrap_or_default()
        {
            self.config(config);
        }
        for secret in self
            .keys
            .take("secrets")
            .map(YamlNode::items)
            .unwrap_or_default()
        {
            self.secret(secret);
        }
        self.found
    }

    pub(super) fn push(
        &mut self,
        wish: &str,
        path: &str,
        source: MountSource,
    ) -> &mut ComponentMount {
        let mounts = &self.found.mounts;
        let mut name = service_name(wish);
        // The name is that of a volume, with a number behind it if need be.
        name.truncate(55);
        let name = unlike(
            name,
            |name| mounts.iter().any(|mount| mount.name == name),
            "-",
        );
        let at = mounts.len();
        self.found.mounts.push(ComponentMount {
            name,
            path: path.to_owned(),
            read_only: false,
            sub_path: None,
            is_filled: false,
            source,
        });
        &mut self.found.mounts[at]
    }

    fn memory(&mut self, path: &str, size: Option<String>) {
        let wish = format!("memory{}", path.replace('/', "-"));
        self.push(&wish, path, MountSource::Scratch { memory: true, size });
    }

    fn volume(&mut self, node: &YamlNode) {
        let text = |key: &str| {
            node.get(key)
                .map(YamlNode::printed)
                .filter(|text| !text.is_empty())
        };
        let Some(target) = text("target") else { return };
        let read_only = node.get("read_only").is_some_and(is_true);
        match (text("type").as_deref(), text("source")) {
            (Some("bind"), Some(source)) => self.bind(node, Path::new(&source), &target, read_only),
            (Some("tmpfs"), _) => {
                let size = node
                    .get("tmpfs")
                    .and_then(|tmpfs| tmpfs.get("size"))
                    .and_then(size);
                self.memory(&target, size);
            }
            (Some("volume") | None, Some(source)) => self.named(node, &source, &target, read_only),
            (Some("volume") | None, None) => self.anonymous(node, &target),
            (Some(other), _) => {
                self.keys.note(
                    "volumes",
                    &node.place,
                    Carried::No,
                    format!("a mount of type `{other}` has no counterpart"),
                );
            }
        }
    }

    /// A volume without a name lives as long as its container; so does the image's own folder in a pod.
    fn anonymous(&mut self, node: &YamlNode, target: &str) {
        if self.is_read_only {
            self.push(
                &target.replace('/', "-"),
                target,
                MountSource::Scratch {
                    memory: false,
                    size: None,
                },
            );
        } else {
            self.keys.note(
                "volumes",
                &node.place,
                Carried::Changed,
                format!("a volume without a name: what is written to {target} goes with the pod"),
            );
        }
    }

    fn named(&mut self, node: &YamlNode, source: &str, target: &str, read_only: bool) {
        let declared = self
            .context
            .whole
            .root
            .get("volumes")
            .and_then(|volumes| volumes.get(source));
        for key in ["external", "driver", "driver_opts"] {
            let said = declared.and_then(|declared| declared.get(key));
            if said.is_some_and(|said| {
                !said.is_null() && !matches!(said.printed().as_str(), "false" | "local")
            }) {
                self.keys.note(
                    &format!("volumes.{source}.{key}"),
                    &node.place,
                    Carried::No,
                    "the chart has a claim in its place, empty at first",
                );
            }
        }
        let sub = node
            .get("volume")
            .and_then(|volume| volume.get("subpath"))
            .map(YamlNode::printed);
        let sub_path = sub.map_or(DATA_FOLDER.to_owned(), |sub| format!("{DATA_FOLDER}/{sub}"));
        let nocopy = node.get("volume").and_then(|volume| volume.get("nocopy"));
        let fills = !read_only && !nocopy.is_some_and(is_true);
        let has_shell = self.has_shell;
        let is_shared = self.is_job || users(self.context.whole, source) > 1;
        let mount = match is_shared {
            false => {
                let size = CLAIM_SIZE.to_owned();
                self.push(source, target, MountSource::OwnClaim { size })
            }
            true => {
                let key = values_key(source);
                self.found.shared.push(SharedClaim {
                    key: key.clone(),
                    name: service_name(source),
                    size: CLAIM_SIZE.to_owned(),
                    comment: format!("Compose's volume {source}."),
                });
                self.push(source, target, MountSource::SharedClaim { key })
            }
        };
        mount.read_only = read_only;
        mount.sub_path = Some(sub_path);
        mount.is_filled = fills && has_shell;
        if fills && !has_shell {
            let why = format!(
                "the image has no shell that could copy what it has at {target} into the new volume, as Docker does"
            );
            self.keys.note("volumes", &node.place, Carried::No, why);
        }
    }
}

/// How many services have a named volume.
fn users(whole: &WholeCompose, source: &str) -> usize {
    let of = |node: &YamlNode| {
        let items = node.get("volumes").map(YamlNode::items).unwrap_or_default();
        items.iter().any(|item| {
            let is_volume = item
                .get("type")
                .is_none_or(|kind| kind.printed() == "volume");
            is_volume
                && item
                    .get("source")
                    .is_some_and(|other| other.printed() == source)
        })
    };
    whole
        .services
        .values()
        .filter(|entry| of(&entry.value))
        .count()
}

pub(super) fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn memory_text(text: &str) -> Option<String> {
    let place = crate::place::Place {
        file: Path::new("").into(),
        line: 1,
    };
    size(&YamlNode {
        place,
        data: crate::compose::YamlData::Text(text.to_owned()),
    })
}
