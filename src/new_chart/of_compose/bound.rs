//! Bind mounts: sources stay out, files become files of the chart, what git leaves out is data or a secret.

use std::path::{Path, PathBuf};

use super::files::{Bound, FoundFile};
use super::granted::mount_id;
use super::mounts::{CLAIM_SIZE, DATA_FOLDER, Mounting, file_name};
use crate::compose::{ServiceBuild, YamlNode};
use crate::new_chart::model::{Carried, ConfigItem, CopiedFile, MountSource};
use crate::new_chart::names::unlike;

impl Mounting<'_, '_> {
    pub(super) fn bind(&mut self, node: &YamlNode, source: &Path, target: &str, read_only: bool) {
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
            Bound::File(file) if file.is_private_key() => self.secret_mount(node, source, target),
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

    fn secret_mount(&mut self, node: &YamlNode, source: &Path, target: &str) {
        let name = file_name(source);
        let Some(key) = self.context.secrets.of_file(&mount_id(source)) else {
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

    pub(super) fn as_secret(&mut self, wish: &str, target: &str, key: String, mode: Option<u32>) {
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
        if self.is_job {
            self.keys.note(
                "volumes",
                &node.place,
                Carried::No,
                "a Job has no claim of its own",
            );
            return;
        }
        let why = format!(
            "a claim has the place of the folder {}, empty at first",
            file_name(source)
        );
        self.keys
            .note("volumes", &node.place, Carried::Changed, why);
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

    pub(super) fn item(&mut self, others: &[ConfigItem], file: FoundFile) -> ConfigItem {
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
}

/// Whether a mount is for sources of the service's own image.
fn is_source(build: &ServiceBuild, source: &Path) -> bool {
    source.starts_with(&build.context)
        && !source.is_file()
        && (source == build.context || source.exists())
}
