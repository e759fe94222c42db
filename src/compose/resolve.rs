//! Relative paths in a Compose file, seen from the folder they are relative to; and variables that
//! `environment` names without a value.

use super::options::Environment;
use super::trail::{Found, Rules, Trail};
use super::yaml::{Data, Node};
use crate::error::{Code, Result};
use crate::go_path::join;

#[derive(Debug, Clone, Copy)]
enum Kind {
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

const RULES: &Rules<Kind> = &[
    (&["services", "*", "build", "context"], Kind::Context),
    (
        &["services", "*", "build", "additional_contexts", "*"],
        Kind::Context,
    ),
    (&["services", "*", "build", "ssh", "*"], Kind::Host),
    (&["services", "*", "env_file", "*", "path"], Kind::Path),
    (&["services", "*", "label_file", "*"], Kind::Path),
    (&["services", "*", "extends", "file"], Kind::Path),
    (
        &["services", "*", "develop", "watch", "*", "path"],
        Kind::Real,
    ),
    (&["services", "*", "volumes", "*"], Kind::Mount),
    (&["configs", "*", "file"], Kind::Host),
    (&["secrets", "*", "file"], Kind::Host),
    (&["volumes", "*"], Kind::Volume),
];

/// Makes the paths of a file relative to what `dir` is relative to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paths<'a> {
    /// The folder that the paths are relative to; itself absolute or not.
    pub(super) dir: &'a str,
    /// What `~` stands for.
    pub(super) home: Option<&'a str>,
}

impl Paths<'_> {
    /// # Errors
    /// A bind mount without a source, a watched path behind a broken link.
    pub(super) fn resolve(self, root: &mut Node) -> Result<()> {
        self.walk(root, &mut Trail::default())
    }

    fn walk(self, node: &mut Node, trail: &mut Trail) -> Result<()> {
        match (trail.find(RULES), &mut node.data) {
            (Found::Rule(kind), _) => self.apply(kind, node, trail),
            (Found::Above, Data::Map(entries)) => entries.iter_mut().try_for_each(|entry| {
                trail.within(&entry.key, |trail| self.walk(&mut entry.value, trail))
            }),
            (Found::Above, Data::List(items)) => items
                .iter_mut()
                .try_for_each(|item| trail.within("[]", |trail| self.walk(item, trail))),
            _ => Ok(()),
        }
    }

    fn apply(self, kind: Kind, node: &mut Node, trail: &Trail) -> Result<()> {
        match (kind, &mut node.data) {
            (Kind::Path, Data::Text(text)) => *text = self.path(text),
            (Kind::Context, Data::Text(text)) if !is_remote(text) => *text = self.path(text),
            (Kind::Host, Data::Text(text)) => *text = self.host(text),
            (Kind::Real, Data::Text(text)) => {
                *text = self.path(text);
                real(node, trail)?;
            }
            (Kind::Mount, Data::Map(_)) => self.mount(node, trail)?,
            (Kind::Volume, Data::Map(_)) => self.volume(node),
            (
                Kind::Path | Kind::Context | Kind::Real,
                Data::Map(_) | Data::List(_) | Data::Null,
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

    fn mount(self, node: &mut Node, trail: &Trail) -> Result<()> {
        if node.get("type").and_then(Node::text) != Some("bind") {
            return Ok(());
        }
        match node.get_mut("source") {
            Some(Node {
                data: Data::Text(source),
                ..
            }) => *source = self.host(source),
            _ => return Err(node.problem(trail, "has a bind mount without a `source`")),
        }
        Ok(())
    }

    fn volume(self, node: &mut Node) {
        let local = node.get("driver").and_then(Node::text) == Some("local");
        let Some(options) = node.get_mut("driver_opts").filter(|_| local) else {
            return;
        };
        if options.get("o").and_then(Node::text) != Some("bind") {
            return;
        }
        if let Some(Node {
            data: Data::Text(device),
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
fn real(node: &mut Node, trail: &Trail) -> Result<()> {
    let Data::Text(text) = &node.data else {
        return Ok(());
    };
    let path = std::path::Path::new(text);
    let link = path.ancestors().filter(|part| part.is_symlink()).last();
    let Some(link) = link else { return Ok(()) };
    match link.canonicalize() {
        Ok(target) => {
            let rest = path.strip_prefix(link).unwrap_or(std::path::Path::new(""));
            node.data = Data::Text(target.join(rest).to_string_lossy().into_owned());
            Ok(())
        }
        Err(e) => Err(node
            .place
            .error(Code::ComposeFile, format!("`{trail}` leads nowhere: {e}"))),
    }
}

/// Gives variables that a list names alone the value they have around the project. (Where `environment`
/// is a mapping, Compose does so at the end, with the main project's variables.)
pub(super) fn variables(root: &mut Node, environment: &Environment) {
    let Some(services) = root.get_mut("services") else {
        return;
    };
    for service in services.entries_mut() {
        let Some(list) = service.value.get_mut("environment") else {
            continue;
        };
        for item in list.items_mut() {
            let Data::Text(name) = &item.data else {
                continue;
            };
            if let Some(value) = environment.get(name) {
                item.data = Data::Text(format!("{name}={value}"));
            }
        }
    }
    configs(root, environment);
}

/// A config's content may stand in a variable.
fn configs(root: &mut Node, environment: &Environment) {
    let Some(configs) = root.get_mut("configs") else {
        return;
    };
    for config in configs.entries_mut() {
        let value = config
            .value
            .get("environment")
            .and_then(Node::text)
            .and_then(|name| environment.get(name));
        if let Some(value) = value.cloned() {
            let content = Node::new(&config.place, Data::Text(value));
            config.value.set("content", content);
        }
    }
}
