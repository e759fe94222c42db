//! Finds devk.yaml, reads it over its profile, and turns it into a [`Project`].

use std::io::Read;
use std::path::{Path, PathBuf};

use include_dir::Dir;

use super::decode::{Draft, decode};
use super::yaml::{Data, Entry, Node, parse};
use super::{Project, check, identity, merge, profile, schema};
use crate::error::{Code, Error, Errors, Result};
use crate::paths::Paths;

/// What a project's file is called.
pub const FILE: &str = "devk.yaml";

/// A larger file is refused, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// Where to look for the project.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Source {
    /// The folder to start from; devk.yaml is looked for there and in the folders above.
    pub dir: PathBuf,
    /// This file instead, from `dir`.
    pub file: Option<PathBuf>,
    /// This built-in profile instead, as a project of its own; no devk.yaml is read.
    pub profile: Option<String>,
}

/// Reads the project. A profile it needs is written to the data folder.
///
/// # Errors
/// All problems of the files together, in the order of their lines.
pub fn load(source: &Source, paths: &Paths) -> Result<Project, Errors> {
    load_with(source, paths, &profile::EMBEDDED)
}

pub(super) fn load_with(source: &Source, paths: &Paths, profiles: &Dir<'_>) -> Result<Project, Errors> {
    if let Some(name) = &source.profile {
        let dir = profile::materialise(profiles, name, &paths.data)?;
        return project(&dir.join(FILE), Some(name), paths, profiles);
    }
    let dir = std::path::absolute(&source.dir).map_err(|e| unreadable(&source.dir, &e))?;
    let file = match &source.file {
        Some(file) => dir.join(file).components().collect(),
        None => find(&dir)?,
    };
    project(&file, None, paths, profiles)
}

/// The nearest devk.yaml, in the folder or above it.
fn find(dir: &Path) -> Result<PathBuf> {
    if let Some(file) = dir.ancestors().map(|dir| dir.join(FILE)).find(|file| file.exists()) {
        return Ok(file);
    }
    let error = Error::new(Code::ConfigMissing, format!("there is no {FILE} in `{}` or above it", dir.display()));
    if dir.join("devk.yml").exists() {
        return Err(error.hint(format!("rename the file: `mv devk.yml {FILE}`")));
    }
    Err(error.hint("write one, name it with `-f FILE`, or try `devk up --profile demo`"))
}

/// `own_profile`: the file is that profile's, run as a project of its own.
fn project(file: &Path, own_profile: Option<&str>, paths: &Paths, profiles: &Dir<'_>) -> Result<Project, Errors> {
    let mut problems = Vec::new();
    let Some(tree) = tree(file, &mut problems)? else { return Err(Errors(problems)) };
    let tree = match own_profile {
        Some(_) => tree,
        None => over_profile(tree, paths, profiles, &mut problems),
    };
    check::check(&tree, &schema::ROOT, "", &mut problems);
    let draft = decode(&tree, &mut problems);
    let root = file.parent().unwrap_or(Path::new("/"));
    let name = match own_profile {
        Some(profile) => Some(profile.to_owned()),
        None => tree.get("name").and_then(Node::text).map(str::to_owned).or_else(|| default_name(root)),
    };
    let name = name.unwrap_or_else(|| {
        problems.push(nameless(file));
        String::new()
    });
    let worktree = if own_profile.is_some() { None } else { identity::worktree(root) };
    problems.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    Errors::unless_empty(problems, assemble(name, worktree, file, draft))
}

fn assemble(name: String, worktree: Option<String>, file: &Path, draft: Draft) -> Project {
    Project {
        id: identity::project_id(&name, worktree.as_deref()),
        name,
        worktree,
        root: file.parent().unwrap_or(Path::new("/")).to_owned(),
        file: file.to_owned(),
        cluster: draft.cluster,
        images: draft.images,
        releases: draft.releases,
        forwards: draft.forwards,
        allow_node_port: draft.allow_node_port,
    }
}

fn default_name(root: &Path) -> Option<String> {
    root.file_name().and_then(|name| identity::label(&name.to_string_lossy()))
}

fn nameless(file: &Path) -> Error {
    Error::new(
        Code::ConfigMissingKey,
        "`name` is missing, and the folder's name has no letter or digit to make one from",
    )
    .at(file, 1)
    .hint("add `name: shop`")
}

/// The tree over that of the profile it names, if it names one.
fn over_profile(tree: Node, paths: &Paths, profiles: &Dir<'_>, problems: &mut Vec<Error>) -> Node {
    let Some(node) = tree.get("profile").filter(|node| node.text().is_some()) else { return tree };
    let place = node.place.clone();
    let base = profile::materialise(profiles, node.text().unwrap_or_default(), &paths.data)
        .map_err(|problem| problem.at(&place.file, place.line))
        .and_then(|dir| self::tree(&dir.join(FILE), problems));
    match base {
        Ok(Some(base)) => merge::merge(without_name(base), tree, &schema::ROOT),
        Ok(None) => tree,
        Err(problem) => {
            problems.push(problem);
            tree
        }
    }
}

/// A profile's name is that of the profile as a project of its own, not of those who start from it.
fn without_name(mut base: Node) -> Node {
    if let Data::Map(entries) = &mut base.data {
        entries.retain(|Entry { key, .. }| key != "name");
    }
    base
}

/// The file as a tree; None, with the problem in the list, if it is no YAML.
fn tree(file: &Path, problems: &mut Vec<Error>) -> Result<Option<Node>> {
    let text = read(file)?;
    let mut tree = parse(&text, file, problems);
    if let Some(tree) = &mut tree {
        merge::expand(tree, &schema::ROOT);
    }
    Ok(tree)
}

fn read(file: &Path) -> Result<String> {
    let metadata = std::fs::metadata(file).map_err(|e| unreadable(file, &e))?;
    if !metadata.is_file() {
        return Err(Error::new(Code::ConfigMissing, "this is not a file").at(file, None));
    }
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).map_err(|e| unreadable(file, &e))?;
    opened.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|e| unreadable(file, &e))?;
    if bytes.len() as u64 > LARGEST {
        let message =
            format!("the file has {} bytes, and devk reads at most {LARGEST}", metadata.len().max(LARGEST + 1));
        return Err(Error::new(Code::ConfigSyntax, message).at(file, 1).hint("move large values to a values file"));
    }
    String::from_utf8(bytes).map_err(|e| {
        let before = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Error::new(Code::ConfigSyntax, "the file is not UTF-8 text").at(file, u32::try_from(line).ok())
    })
}

fn unreadable(file: &Path, cause: &std::io::Error) -> Error {
    Error::new(Code::ConfigMissing, format!("cannot read `{}`: {cause}", file.display()))
        .hint(format!("name a file that exists, or run devk in the folder of {FILE}"))
}
