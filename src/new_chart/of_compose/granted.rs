//! `configs` and `secrets` of a service, and the files of the user's own that become keys of the Secret.

use std::path::{Path, PathBuf};

use super::files::{Bound, BoundFiles, FoundFile};
use super::mounts::{Mounting, file_name};
use crate::compose::{WholeCompose, YamlEntry, YamlNode};
use crate::new_chart::model::{Carried, MountSource};
use crate::place::Origin;

impl Mounting<'_, '_> {
    pub(super) fn config(&mut self, node: &YamlNode) {
        let Some((name, target, mode)) = self.granted("configs", node) else {
            return;
        };
        if let Some(key) = self.context.secrets.of_file(&config_id(&name)) {
            let why = format!(
                "only this machine has its content: it is the key {key} of the chart's Secret"
            );
            self.keys
                .note("configs", &node.place, Carried::Changed, why);
            return self.as_secret(&name, &target, key, mode);
        }
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

    pub(super) fn secret(&mut self, node: &YamlNode) {
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
        match self.context.secrets.of_file(&secret_id(&name)) {
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

/// A file that becomes a key of the Secret.
#[derive(Debug)]
pub(super) struct PrivateFile {
    /// By which a mount finds it ([`SecretBook::of_file`](super::secrets::SecretBook::of_file)).
    pub(super) id: String,
    pub(super) name: String,
    /// None: nobody here has it.
    pub(super) content: Option<String>,
    pub(super) at: Origin,
}

fn secret_id(name: &str) -> String {
    format!("secrets.{name}")
}

fn config_id(name: &str) -> String {
    format!("configs.{name}")
}

/// The id of a file that is mounted by its path.
pub(super) fn mount_id(source: &Path) -> String {
    source.display().to_string()
}

/// Files that only the user has: secrets, private keys, what git leaves out, and configs with texts out of `.env` or the
/// shell. `alone` is the project read without these two.
pub(super) fn private_files(
    whole: &WholeCompose,
    alone: Option<&WholeCompose>,
    files: &BoundFiles,
) -> Vec<PrivateFile> {
    let mut found = vec![];
    for secret in section(whole, "secrets") {
        let of = |key: &str| secret.value.get(key).map(YamlNode::printed);
        let content = match (of("file"), of("environment")) {
            (Some(file), _) => std::fs::read_to_string(file).ok(),
            (_, Some(variable)) => whole.variables.get(&variable).cloned(),
            _ => None,
        };
        found.push(PrivateFile {
            id: secret_id(&secret.key),
            name: secret.key.clone(),
            content,
            at: (&secret.place).into(),
        });
    }
    for config in section(whole, "configs") {
        if let Some(content) = private_content(config, alone, files) {
            found.push(PrivateFile {
                id: config_id(&config.key),
                name: config.key.clone(),
                content: Some(content),
                at: (&config.place).into(),
            });
        }
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
            if kind.printed() == "bind" && is_private(files, &source) {
                found.push(PrivateFile {
                    id: mount_id(&source),
                    name: file_name(&source),
                    content: std::fs::read_to_string(&source).ok(),
                    at: (&volume.place).into(),
                });
            }
        }
    }
    found
}

fn section<'a>(whole: &'a WholeCompose, name: &str) -> &'a [YamlEntry] {
    let section = whole.root.get(name);
    section.map(YamlNode::entries).unwrap_or_default()
}

fn is_private(files: &BoundFiles, source: &Path) -> bool {
    match files.at(source) {
        Bound::File(file) => file.is_private_key(),
        Bound::Ignored { is_file } => is_file,
        _ => false,
    }
}

/// The content of a config that no committed file may have.
fn private_content(
    config: &YamlEntry,
    alone: Option<&WholeCompose>,
    files: &BoundFiles,
) -> Option<String> {
    let of = |node: &YamlNode, key: &str| node.get(key).map(YamlNode::printed);
    if let Some(content) = of(&config.value, "content") {
        let public =
            alone.and_then(|alone| of(alone.root.get("configs")?.get(&config.key)?, "content"));
        return (public.as_ref() != Some(&content)).then_some(content);
    }
    let file = PathBuf::from(of(&config.value, "file")?);
    is_private(files, &file)
        .then(|| std::fs::read_to_string(&file).ok())
        .flatten()
}
