//! Relative paths in a Compose file, seen from the folder they are relative to; and variables that
//! `environment` names without a value.

use super::options::ComposeVariables;
use super::trail::{Trail, TrailMatch, TrailRules};
use super::yaml::{YamlData, YamlNode};
use crate::error::{Code, Result};
use crate::go_path::join;

#[derive(Debug, Clone, Copy)]
enum PathKind {
    /// A file or folder.
    Path,
    /// A build context, which may be remote.
    Context,
    /// A path that may be absolute in the way of Windows.
    Host,
    /// A file or folder behind its symbolic links.
    Real,
    Mount,
    /// A volume, which may stand for a folder.
    Volume,
}

const RULES: &TrailRules<PathKind> = &[
    (&["services", "*", "build", "context"], PathKind::Context),
    (
        &["services", "*", "build", "additional_contexts", "*"],
        PathKind::Context,
    ),
    (&["services", "*", "build", "ssh", "*"], PathKind::Host),
    (&["services", "*", "env_file", "*", "path"], PathKind::Path),
    (&["services", "*", "label_file", "*"], PathKind::Path),
    (&["services", "*", "extends", "file"], PathKind::Path),
    (
        &["services", "*", "develop", "watch", "*", "path"],
        PathKind::Real,
    ),
    (&["services", "*", "volumes", "*"], PathKind::Mount),
    (&["configs", "*", "file"], PathKind::Host),
    (&["secrets", "*", "file"], PathKind::Host),
    (&["volumes", "*"], PathKind::Volume),
];

/// Makes the paths of a file relative to what `dir` is relative to.
#[derive(Debug, Clone, Copy)]
pub(super) struct RelativePaths<'a> {
    /// The folder that the paths are relative to; itself absolute or not.
    pub(super) dir: &'a str,
    /// What `~` stands for.
    pub(super) home: Option<&'a str>,
}

impl RelativePaths<'_> {
    /// # Errors
    /// A bind mount without a source, a watched path behind a broken link.
    pub(super) fn resolve(self, root: &mut YamlNode) -> Result<()> {
        self.walk(root, &mut Trail::default())
    }

    fn walk(self, node: &mut YamlNode, trail: &mut Trail) -> Result<()> {
        match (trail.find(RULES), &mut node.data) {
            (TrailMatch::Rule(kind), _) => self.apply(kind, node, trail),
            (TrailMatch::Above, YamlData::Map(entries)) => {
                entries.iter_mut().try_for_each(|entry| {
                    trail.within(&entry.key, |trail| self.walk(&mut entry.value, trail))
                })
            }
            (TrailMatch::Above, YamlData::List(items)) => items
                .iter_mut()
                .try_for_each(|item| trail.within("[]", |trail| self.walk(item, trail))),
            _ => Ok(()),
        }
    }

    fn apply(self, kind: PathKind, node: &mut YamlNode, trail: &Trail) -> Result<()> {
        match (kind, &mut node.data) {
            (PathKind::Path, YamlData::Text(text)) => *text = self.path(text),
            (PathKind::Context, YamlData::Text(text)) if !is_remote(text) => {
                *text = self.path(text)
            }
            (PathKind::Host, YamlData::Text(text)) => *text = self.host(text),
            (PathKind::Real, YamlData::Text(text)) => {
                *text = self.path(text);
                real(node, trail)?;
            }
            (PathKind::Mount, YamlData::Map(_)) => self.mount(node, trail)?,
            (PathKind::Volume, YamlData::Map(_)) => self.volume(node),
            (
                PathKind::Path | PathKind::Context | PathKind::Real,
                YamlData::Map(_) | YamlData::List(_) | YamlData::Null,
            ) => {
                return Err(node.mistyped(trail, "a path"));
            }
            _ => {}
        }
        Ok(())
    }

    fn expand(self, text: &str) -> String {
        match (text.strip_prefix('~'), self.home) {
            (Some(rest), Some(home)) => join(home, rest),
            _ => text.to_owned(),
        }
    }

    fn path(self, text: &str) -> String {
        let text = self.expand(text);
        if text.is_empty() || text.starts_with('/') {
            text
        } else {
            join(self.dir, &text)
        }
    }

    fn host(self, text: &str) -> String {
        let text = self.expand(text);
        if text.starts_with('/') || is_windows(&text) {
            text
        } else {
            join(self.dir, &text)
        }
    }

    fn mount(self, node: &mut YamlNode, trail: &Trail) -> Result<()> {
        if node.get("type").and_then(YamlNode::text) != Some("bind") {
            return Ok(());
        }
        match node.get_mut("source") {
            Some(YamlNode {
                data: YamlData::Text(source),
                ..
            }) => *source = self.host(source),
            _ => return Err(node.problem(trail, "has a bind mount without a `source`")),
        }
        Ok(())
    }

    fn volume(self, node: &mut YamlNode) {
        let local = node.get("driver").and_then(YamlNode::text) == Some("local");
        let Some(options) = node.get_mut("driver_opts").filter(|_| local) else {
            return;
        };
        if options.get("o").and_then(YamlNode::text) != Some("bind") {
            return;
        }
        if let Some(YamlNode {
            data: YamlData::Text(device),
            ..
        }) = options.get_mut("device")
        {
            *device = self.host(device);
        }
    }
}

fn is_remote(context: &str) -> bool {
    let prefixes = [
        "service:",
        "https://",
        "http://",
        "git://",
        "ssh://",
        "github.com/",
        "git@",
    ];
    context.contains("://") || prefixes.iter().any(|prefix| context.starts_with(prefix))
}

/// `C:\`, `C:/`, `\\server\share`.
fn is_windows(path: &str) -> bool {
    let mut chars = path.chars();
    let drive = (chars.next(), chars.next(), chars.next());
    path.starts_with("\\\\")
        || matches!(drive, (Some(letter), Some(':'), Some('\\' | '/')) if letter.is_ascii_alphabetic())
}

/// Follows the first link on the way; Compose stops at one that leads nowhere.
fn real(node: &mut YamlNode, trail: &Trail) -> Result<()> {
    let YamlData::Text(text) = &node.data else {
        return Ok(());
    };
    let path = std::path::Path::new(text);
    let link = path.ancestors().filter(|part| part.is_symlink()).last();
    let Some(link) = link else { return Ok(()) };
    match link.canonicalize() {
        Ok(target) => {
            let rest = path.strip_prefix(link).unwrap_or(std::path::Path::new(""));
            node.data = YamlData::Text(target.join(rest).to_string_lossy().into_owned());
            Ok(())
        }
        Err(e) => Err(node
            .place
            .error(Code::ComposeFile, format!("`{trail}` leads nowhere: {e}"))),
    }
}

/// Gives variables that a list names alone the value they have around the project. (Where `environment`
/// is a mapping, Compose does so at the end, with the main project's variables.)
pub(super) fn variables(root: &mut YamlNode, environment: &ComposeVariables) {
    let Some(services) = root.get_mut("services") else {
        return;
    };
    for service in services.entries_mut() {
        let Some(list) = service.value.get_mut("environment") else {
            continue;
        };
        for item in list.items_mut() {
            let YamlData::Text(name) = &item.data else {
                continue;
            };
            if let Some(value) = environment.get(name) {
                item.data = YamlData::Text(format!("{name}={value}"));
            }
        }
    }
    configs(root, environment);
}

/// A config's content may stand in a variable.
fn configs(root: &mut YamlNode, environment: &ComposeVariables) {
    let Some(configs) = root.get_mut("configs") else {
        return;
    };
    for config in configs.entries_mut() {
        let value = config
            .value
            .get("environment")
            .and_then(YamlNode::text)
            .and_then(|name| environment.get(name));
        if let Some(value) = value.cloned() {
            let content = YamlNode::new(&config.place, YamlData::Text(value));
            config.value.set("content", content);
        }
    }
}
