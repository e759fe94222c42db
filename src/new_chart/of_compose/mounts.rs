//! What a service mounts: volumes, files of the repository, memory, configs and secrets.
//!
//! A named volume that one service has becomes the claim of a StatefulSet: Kubernetes runs at most one pod on it, also when
//! a node is lost, and the claim outlives the release as the volume outlives `docker compose down`. A volume that several
//! services share, or a Job has, becomes a claim of the chart, and its Deployments end the old pod before the new one.

use std::path::{Path, PathBuf};

use super::files::{Bound, BoundFiles, FoundFile};
use super::keys::{ServiceKeys, is_true};
use super::limits::size;
use super::network::HostNames;
use super::secrets::SecretBook;
use crate::compose::{ServiceBuild, WholeCompose, YamlNode};
use crate::new_chart::model::{
    Carried, ComponentMount, ConfigItem, CopiedFile, MountSource, SharedClaim,
};
use crate::new_chart::names::{service_name, unlike, values_key};

/// How large a claim is: Compose does not say.
const CLAIM_SIZE: &str = "1Gi";

/// Where a claim's root may hold what the file system keeps there (`lost+found`), the data is in a folder.
const DATA_FOLDER: &str = "data";

/// What the mounts of a project have in common.
#[derive(Debug)]
pub(super) struct MountContext<'a> {
    pub(super) whole: &'a WholeCompose,
    pub(super) files: &'a BoundFiles,
    pub(super) names: &'a HostNames,
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
    context: &'a MountContext<'a>,
    keys: &'a ServiceKeys<'k>,
    /// The component's name.
    component: &'a str,
    build: Option<&'a ServiceBuild>,
    is_job: bool,
    is_read_only: bool,
    /// Nobody knows that the image has none.
    has_shell: bool,
    found: FoundMounts,
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

    fn push(&mut self, wish: &str, path: &str, source: MountSource) -> &mut ComponentMount {
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

    fn bind(&mut self, node: &YamlNode, source: &Path, target: &str, read_only: bool) {
        if let Some(build) = self.build.filter(|build| is_source(build, source)) {
            let shown = source
                .strip_prefix(&build.context)
                .unwrap_or(source)
                .display()
                .to_string();
            let shown = if shown.is_empty() {
                ".".to_owned()
            } else {
                shown
            };
            let why = format!(
                "sources: the image has what its Dockerfile copies of {shown}, and devk brings saves into the container"
            );
            self.keys.note("volumes", &node.place, Carried::No, why);
            return;
        }
        match self.context.files.at(source) {
            Bound::File(file) if file.is_private_key() => {
                self.key_file(node, source, target, &file)
            }
            Bound::File(file) => self.copied(node, source, target, vec![file]),
            Bound::Folder(files) if files.iter().any(FoundFile::is_private_key) => {
                self.keys.note("volumes", &node.place, Carried::No, "the folder has a private key, which no chart should have: mount the file itself");
            }
            Bound::Folder(files) => self.copied(node, source, target, files),
            Bound::Nothing | Bound::Ignored { is_file: false } if !read_only => {
                self.data(node, source, target)
            }
            Bound::Nothing => self.keys.note(
                "volumes",
                &node.place,
                Carried::No,
                "there is nothing at its source",
            ),
            Bound::Ignored { is_file: true } => {
                match std::fs::read_to_string(source) {
                    // Nobody has it but the user: so is the Secret's value.
                    Ok(_) => self.secret_mount(node, source, target),
                    Err(_) => self.keys.note(
                        "volumes",
                        &node.place,
                        Carried::No,
                        "git leaves the file out, and it is no text",
                    ),
                }
            }
            Bound::Ignored { .. } => self.keys.note(
                "volumes",
                &node.place,
                Carried::No,
                "git leaves the folder out, so the chart does, too",
            ),
            Bound::Not(why) => self.keys.note("volumes", &node.place, Carried::No, why),
        }
    }

    fn key_file(&mut self, node: &YamlNode, source: &Path, target: &str, _: &FoundFile) {
        self.secret_mount(node, source, target);
    }

    fn secret_mount(&mut self, node: &YamlNode, source: &Path, target: &str) {
        let name = file_name(source);
        let Some(key) = self.context.secrets.named(&name) else {
            self.keys.note(
                "volumes",
                &node.place,
                Carried::No,
                "nobody but you has the file",
            );
            return;
        };
        self.keys.note(
            "volumes",
            &node.place,
            Carried::Changed,
            format!("the file is the key {key} of the chart's Secret"),
        );
        self.as_secret(&name, target, key, None);
    }

    fn as_secret(&mut self, wish: &str, target: &str, key: String, mode: Option<u32>) {
        let file = file_name(Path::new(target));
        let mount = self.push(
            wish,
            target,
            MountSource::Secret {
                key,
                file: file.clone(),
                mode,
            },
        );
        mount.read_only = true;
        mount.sub_path = Some(file);
    }

    /// A folder that only holds what the program writes.
    fn data(&mut self, node: &YamlNode, source: &Path, target: &str) {
        let why = format!(
            "a claim has the place of the folder {}, empty at first",
            file_name(source)
        );
        self.keys
            .note("volumes", &node.place, Carried::Changed, why);
        if self.is_job {
            self.keys.note(
                "volumes",
                &node.place,
                Carried::No,
                "a Job has no claim of its own",
            );
            return;
        }
        let size = CLAIM_SIZE.to_owned();
        let mount = self.push(&file_name(source), target, MountSource::OwnClaim { size });
        mount.sub_path = Some(DATA_FOLDER.to_owned());
    }

    /// Files of the repository become files of the chart, and a ConfigMap.
    fn copied(&mut self, node: &YamlNode, source: &Path, target: &str, files: Vec<FoundFile>) {
        let is_file = source.is_file();
        let is_executable = files.iter().any(|file| file.is_executable);
        let mut items = vec![];
        for mut file in files {
            if file.renamed(self.context.names) {
                let why = format!(
                    "the chart's copy of {} has the names of Services that DNS takes",
                    file_name(source)
                );
                self.keys
                    .note("volumes", &node.place, Carried::Changed, why);
            }
            if is_file {
                file.path = file_name(source);
            }
            items.push(self.item(&items, file));
        }
        self.keys.note(
            "volumes",
            &node.place,
            Carried::Changed,
            format!(
                "a copy of {} is in the chart: what is changed there is not changed here",
                file_name(source)
            ),
        );
        let mode = is_executable.then_some(0o755);
        let first = items.first().map(|item| item.path.clone());
        let mount = self.push(
            &file_name(source),
            target,
            MountSource::Config { items, mode },
        );
        mount.read_only = true;
        mount.sub_path = first.filter(|_| is_file);
    }

    fn item(&mut self, others: &[ConfigItem], file: FoundFile) -> ConfigItem {
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() || "._-".contains(c) {
                c
            } else {
                '_'
            }
        };
        let known: Vec<_> = self
            .found
            .mounts
            .iter()
            .flat_map(|mount| match &mount.source {
                MountSource::Config { items, .. } => items.clone(),
                _ => vec![],
            })
            .chain(others.iter().cloned())
            .collect();
        let key: String = file.path.chars().map(plain).collect();
        let key = unlike(key, |key| known.iter().any(|item| item.key == key), "-");
        let path = format!("files/{}/{key}", self.component);
        let item = ConfigItem {
            key,
            path: file.path.clone(),
            file: path.clone(),
            binary: !file.is_text(),
        };
        self.found.copied.push(CopiedFile {
            path: PathBuf::from(path),
            content: file.content,
        });
        item
    }

    fn config(&mut self, node: &YamlNode) {
        let Some((name, target, mode)) = self.granted("configs", node) else {
            return;
        };
        let declared = self
            .context
            .whole
            .root
            .get("configs")
            .and_then(|configs| configs.get(&name));
        let of = |key: &str| {
            declared
                .and_then(|declared| declared.get(key))
                .map(YamlNode::printed)
        };
        let content = match (of("content"), of("file"), of("environment")) {
            (Some(content), ..) => Ok(content.into_bytes()),
            (_, Some(file), _) => match self.context.files.at(Path::new(&file)) {
                Bound::File(file) => Ok(file.content),
                Bound::Not(why) => Err(why),
                _ => Err("the file is not there, or git leaves it out".to_owned()),
            },
            (_, _, Some(variable)) => Err(format!(
                "its content is the variable {variable} of your shell"
            )),
            _ => Err("it is external: put a ConfigMap of your own into the template".to_owned()),
        };
        let mut content = match content {
            Ok(content) => FoundFile {
                path: file_name(Path::new(&target)),
                content,
                is_executable: false,
            },
            Err(why) => return self.keys.note("configs", &node.place, Carried::No, why),
        };
        if content.renamed(self.context.names) {
            self.keys.note(
                "configs",
                &node.place,
                Carried::Changed,
                "the chart's copy has the names of Services that DNS takes",
            );
        }
        let item = self.item(&[], content);
        let sub_path = Some(item.path.clone());
        let mount = self.push(
            &name,
            &target,
            MountSource::Config {
                items: vec![item],
                mode,
            },
        );
        mount.read_only = true;
        mount.sub_path = sub_path;
    }

    fn secret(&mut self, node: &YamlNode) {
        let Some((name, target, mode)) = self.granted("secrets", node) else {
            return;
        };
        let target = match target.starts_with("/run/secrets")
            || node
                .get("target")
                .is_some_and(|target| target.printed().starts_with('/'))
        {
            true => target,
            false => format!("/run/secrets/{}", target.trim_start_matches('/')),
        };
        match self.context.secrets.named(&name) {
            Some(key) => self.as_secret(&name, &target, key, mode),
            None => self.keys.note(
                "secrets",
                &node.place,
                Carried::No,
                "nobody knows where it comes from",
            ),
        }
    }

    /// Source, target and mode of an entry of `configs` or `secrets`.
    fn granted(&self, kind: &str, node: &YamlNode) -> Option<(String, String, Option<u32>)> {
        let name = node.get("source")?.printed();
        let target = node
            .get("target")
            .map_or(format!("/{name}"), YamlNode::printed);
        for key in ["uid", "gid"] {
            if let Some(said) = node.get(key) {
                self.keys.note(
                    &format!("{kind}.{key}"),
                    &said.place,
                    Carried::No,
                    "the files of a pod belong to root, or to the group `fsGroup`",
                );
            }
        }
        let mode = node.get("mode").map(YamlNode::printed).and_then(|mode| {
            match node.get("mode").and_then(YamlNode::text) {
                Some(text) => u32::from_str_radix(text.trim_start_matches("0o"), 8).ok(),
                None => mode.parse().ok(),
            }
        });
        Some((name, target, mode))
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

/// Whether a mount is for sources of the service's own image.
fn is_source(build: &ServiceBuild, source: &Path) -> bool {
    source.starts_with(&build.context)
        && !source.is_file()
        && (source == build.context || source.exists())
}

fn file_name(path: &Path) -> String {
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

/// Files of the user's own that become keys of the Secret: their names, contents and places.
pub(super) fn private_files(
    whole: &WholeCompose,
    files: &BoundFiles,
) -> Vec<(String, Option<String>, crate::place::Origin)> {
    let mut found = vec![];
    let declared = whole
        .root
        .get("secrets")
        .map(YamlNode::entries)
        .unwrap_or_default();
    for secret in declared {
        let of = |key: &str| secret.value.get(key).map(YamlNode::printed);
        let content = match (of("file"), of("environment")) {
            (Some(file), _) => std::fs::read_to_string(file).ok(),
            (_, Some(variable)) => whole.variables.get(&variable).cloned(),
            _ => None,
        };
        found.push((secret.key.clone(), content, (&secret.place).into()));
    }
    for entry in whole.services.values() {
        for volume in entry
            .value
            .get("volumes")
            .map(YamlNode::items)
            .unwrap_or_default()
        {
            let (Some(kind), Some(source)) = (volume.get("type"), volume.get("source")) else {
                continue;
            };
            let source = PathBuf::from(source.printed());
            let is_private = kind.printed() == "bind"
                && match files.at(&source) {
                    Bound::File(file) => file.is_private_key(),
                    Bound::Ignored { is_file } => is_file,
                    _ => false,
                };
            if is_private {
                let content = std::fs::read_to_string(&source).ok();
                found.push((file_name(&source), content, (&volume.place).into()));
            }
        }
    }
    found
}
