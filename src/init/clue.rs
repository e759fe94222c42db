//! What a repository says of itself, and where: the evidence that a choice goes by.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Component, Path, PathBuf};

/// A line of the repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SourceLine {
    /// Relative to the repository's root.
    file: PathBuf,
    /// From 1.
    line: usize,
}

impl SourceLine {
    pub(super) fn new(file: &Path, line: usize) -> Self {
        Self {
            file: file.to_owned(),
            line,
        }
    }

    /// The first line of a text that holds `what`, else the first of all.
    pub(super) fn find(file: &Path, text: &str, what: &str) -> Self {
        let at = text.lines().position(|line| line.contains(what));
        Self::new(file, at.unwrap_or_default() + 1)
    }
}

impl fmt::Display for SourceLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// Who says something; the earlier, the more it counts where they contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Speaker {
    Skaffold,
    Tiltfile,
    Helmfile,
    Compose,
    Bake,
    Commands,
    Pipeline,
    Readme,
}

/// An image that the repository builds somewhere.
#[derive(Debug, Clone)]
pub(super) struct BuildClue {
    pub(super) speaker: Speaker,
    pub(super) at: SourceLine,
    /// Relative to the root.
    pub(super) context: PathBuf,
    /// Relative to the root.
    pub(super) dockerfile: PathBuf,
    pub(super) target: Option<String>,
    pub(super) args: BTreeMap<String, String>,
    /// The names of arguments whose values are not to be written down.
    pub(super) withheld: Vec<String>,
    /// The references that it gets; a part that nobody can know stands as `$…`.
    pub(super) tags: Vec<String>,
    /// What the speaker calls it: Compose's service, bake's target.
    pub(super) name: Option<String>,
}

/// A chart that the repository installs somewhere.
#[derive(Debug, Clone)]
pub(super) struct InstallClue {
    pub(super) speaker: Speaker,
    pub(super) at: SourceLine,
    /// Relative to the root.
    pub(super) chart: PathBuf,
    pub(super) release: Option<String>,
    /// Values files, relative to the root.
    pub(super) values: Vec<PathBuf>,
}

/// Manifests that the repository applies somewhere: files, folders, or one with a kustomization.
#[derive(Debug, Clone)]
pub(super) struct ApplyClue {
    pub(super) at: SourceLine,
    /// Relative to the root.
    pub(super) path: PathBuf,
}

/// All that the repository says.
#[derive(Debug, Clone, Default)]
pub(super) struct Clues {
    pub(super) builds: Vec<BuildClue>,
    pub(super) installs: Vec<InstallClue>,
    pub(super) applies: Vec<ApplyClue>,
    /// Charts of registries and repositories that are installed beside those of folders.
    pub(super) remote: Vec<(String, SourceLine)>,
}

/// A path by its text alone, without `.` and `..`; None if it leads out of where it starts.
pub(super) fn inside(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop().then_some(())?;
            }
            Component::Normal(part) => clean.push(part),
            _ => return None,
        }
    }
    Some(clean)
}

/// `./api`, as devk.yaml writes folders; the root is `.`.
pub(super) fn shown(path: &Path) -> String {
    if path.is_absolute() {
        return path.display().to_string();
    }
    // A repository's paths are written with `/` on every system.
    let parts: Vec<_> = path
        .components()
        .filter(|part| *part != Component::CurDir)
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    match parts.first().map(|part| &**part) {
        None => ".".to_owned(),
        Some("..") => parts.join("/"),
        Some(_) => format!("./{}", parts.join("/")),
    }
}

/// `todoApi`, `todo-api` and `todo_api` are the same name.
pub(super) fn plain(name: &str) -> String {
    let kept = name.chars().filter(char::is_ascii_alphanumeric);
    kept.map(|c| c.to_ascii_lowercase()).collect()
}
