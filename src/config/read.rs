//! Finds devk.yaml, reads it over its profile, and turns it into a [`Project`].

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use include_dir::Dir;

use super::decode::{Draft, decode};
use super::profile_tree::{named, over_profile, profile_tree};
use super::yaml::{ConfigData, ConfigNode, parse};
use super::{Project, check, identity, merge, profile, schema};
use crate::error::{Code, Error, Errors, Result};
use crate::paths::{Paths, read_bounded};

/// What a project's file is called.
pub const FILE: &str = "devk.yaml";

/// The keys that say what is to run, not which project on which cluster.
const CONTENT: [&str; 8] = [
    "images", "releases", "forwards", "compose", "allow", "bridge", "check", "test",
];

/// A larger file is refused, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

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

/// Reads the text of a devk.yaml that is not written yet; `file` is where it would stand.
///
/// # Errors
/// All problems of the text together, in the order of their lines.
pub fn read_text(text: &str, file: &Path) -> Result<Project, Errors> {
    let mut problems = Vec::new();
    let mut tree = parse(text, file, &mut problems);
    if let Some(tree) = &mut tree {
        merge::expand(tree, &schema::ROOT);
    }
    let root = root_of(file).to_owned();
    let worktree = identity::worktree(&root);
    let project = tree.map(|tree| project(&tree, file, root, worktree, &mut problems));
    project
        .filter(|_| problems.is_empty())
        .ok_or(Errors(problems))
}

/// A project as far as it can be read, for a command that only looks at what runs, or ends it.
#[derive(Debug)]
pub struct RunningProject {
    /// What has a problem is left out.
    pub project: Project,
    /// Problems that leave no doubt which project on which cluster is meant.
    pub problems: Vec<Error>,
}

/// Reads the project for a command that only looks at what runs, or ends it. Files that are gone (another git branch, a
/// deleted folder) are no obstacle to that; nor are problems below the keys that say what is to run.
///
/// # Errors
/// All problems, if some of them leave a doubt which project is meant, or on which cluster it is.
pub fn load_running(source: &Source, paths: &Paths) -> Result<RunningProject, Errors> {
    let (project, mut problems) = examine(source, paths, &profile::EMBEDDED)?;
    problems.retain(|problem| {
        !matches!(
            problem.code,
            Code::ConfigPath | Code::ChartMissing | Code::ImageContext
        )
    });
    let keys = match (&source.profile, problems.is_empty()) {
        (None, false) => top_keys(&project_file(source)?)?,
        _ => vec![],
    };
    let is_of_content = |problem: &Error| {
        let line = problem.line.unwrap_or_default();
        let above = keys.iter().rev().find(|(_, at)| *at <= line);
        above.is_some_and(|(key, _)| CONTENT.contains(&key.as_str()))
    };
    match project {
        Some(project) if problems.iter().all(is_of_content) => {
            Ok(RunningProject { project, problems })
        }
        _ => Err(Errors(problems)),
    }
}

/// The keys of a file's outermost map and their lines, in the order of the lines.
fn top_keys(file: &Path) -> Result<Vec<(String, u32)>> {
    let tree = tree(file, &mut vec![])?;
    let entries = tree.iter().flat_map(ConfigNode::entries);
    let mut keys: Vec<_> = entries
        .map(|entry| (entry.key.clone(), entry.place.line))
        .collect();
    keys.sort_by_key(|(_, line)| *line);
    Ok(keys)
}

pub(super) fn load_with(
    source: &Source,
    paths: &Paths,
    profiles: &Dir<'_>,
) -> Result<Project, Errors> {
    let (project, problems) = examine(source, paths, profiles)?;
    project
        .filter(|_| problems.is_empty())
        .ok_or(Errors(problems))
}

/// The project as far as it could be read, and what is wrong with it.
fn examine(
    source: &Source,
    paths: &Paths,
    profiles: &Dir<'_>,
) -> Result<(Option<Project>, Vec<Error>), Errors> {
    let mut problems = Vec::new();
    let (file, root, tree, worktree) = match &source.profile {
        Some(name) => {
            let near = absolute(&source.dir)?;
            let found = profile_tree(name, &near, paths, profiles, &mut problems)?;
            let tree = found.tree.map(|tree| named(tree, name));
            let worktree = found.checkout.as_deref().and_then(identity::worktree);
            let root = found.checkout.unwrap_or(root_of(&found.file).to_owned());
            (found.file, root, tree, worktree)
        }
        None => {
            let file = project_file(source)?;
            let root = root_of(&file).to_owned();
            let tree = tree(&file, &mut problems)?;
            let over = |tree| over_profile(tree, &root, paths, profiles, &mut problems);
            let tree = tree.and_then(over);
            let worktree = identity::worktree(&root);
            (file, root, tree, worktree)
        }
    };
    let project = tree.map(|tree| project(&tree, &file, root, worktree, &mut problems));
    problems.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    Ok((project, problems))
}

fn project_file(source: &Source) -> Result<PathBuf> {
    let dir = absolute(&source.dir)?;
    match &source.file {
        Some(file) => Ok(dir.join(file).components().collect()),
        None => find(&dir),
    }
}

fn absolute(dir: &Path) -> Result<PathBuf> {
    std::path::absolute(dir).map_err(|e| unreadable(dir, &e))
}

/// The nearest devk.yaml, in the folder or above it.
fn find(dir: &Path) -> Result<PathBuf> {
    if let Some(file) = dir
        .ancestors()
        .map(|dir| dir.join(FILE))
        .find(|file| file.exists())
    {
        return Ok(file);
    }
    let error = Error::new(
        Code::ConfigMissing,
        format!("there is no {FILE} in `{}` or above it", dir.display()),
    );
    if dir.join("devk.yml").exists() {
        return Err(error.hint(format!("rename the file: `mv devk.yml {FILE}`")));
    }
    Err(error.hint(
        "write one with `devk init`, name it with `--file FILE`, or try `devk up --profile demo`",
    ))
}

/// Incomplete if it adds to `problems`.
fn project(
    tree: &ConfigNode,
    file: &Path,
    root: PathBuf,
    worktree: Option<String>,
    problems: &mut Vec<Error>,
) -> Project {
    check::check(tree, &schema::ROOT, "", problems);
    let Draft {
        cluster,
        compose,
        images,
        releases,
        forwards,
        allow,
        bridge,
        check,
        ask,
        tests,
    } = decode(tree, problems);
    let name = tree
        .get("name")
        .and_then(ConfigNode::text)
        .map(str::to_owned)
        .or_else(|| default_name(&root));
    let name = name.unwrap_or_else(|| {
        problems.push(nameless(file));
        String::new()
    });
    let id = identity::project_id(&name, worktree.as_deref());
    if identity::is_reserved(&id) {
        let line = tree.get("name").map_or(1, |node| node.place.line);
        problems.push(reserved(&id).at(file, line));
    }
    let file = file.to_owned();
    Project {
        name,
        id,
        worktree,
        root,
        file,
        cluster,
        compose,
        images,
        releases,
        forwards,
        allow,
        bridge,
        check,
        ask,
        tests,
    }
}

fn root_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new("/"))
}

fn default_name(root: &Path) -> Option<String> {
    root.file_name()
        .and_then(|name| identity::label(&name.to_string_lossy()))
}

fn nameless(file: &Path) -> Error {
    let message =
        "`name` is missing, and the folder's name has no letter or digit to make one from";
    Error::new(Code::ConfigMissingKey, message)
        .at(file, 1)
        .hint("add `name: shop`")
}

fn reserved(id: &str) -> Error {
    Error::new(
        Code::ConfigValue,
        format!("the project cannot be called `{id}`: Kubernetes has a namespace of that name"),
    )
    .hint("add another `name:`")
}

/// A tree without one of its keys.
pub(super) fn without(mut tree: ConfigNode, key: &str) -> ConfigNode {
    if let ConfigData::Map(entries) = &mut tree.data {
        entries.retain(|entry| entry.key != key);
    }
    tree
}

/// The file as a tree; None, with the problem in the list, if it is no YAML.
pub(super) fn tree(file: &Path, problems: &mut Vec<Error>) -> Result<Option<ConfigNode>> {
    let text = read(file)?;
    let mut tree = parse(&text, file, problems);
    if let Some(tree) = &mut tree {
        merge::expand(tree, &schema::ROOT);
    }
    Ok(tree)
}

pub(super) fn read(file: &Path) -> Result<String> {
    let bytes = read_bounded(file, MAX_FILE_BYTES).map_err(|e| match e.kind() {
        ErrorKind::InvalidInput => Error::new(Code::ConfigMissing, "this is not a file")
            .at(file, None)
            .hint(format!("name the {FILE} itself")),
        ErrorKind::FileTooLarge => {
            let length = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
            let message = format!(
                "the file has {} bytes, and devk reads at most {MAX_FILE_BYTES}",
                length.max(MAX_FILE_BYTES + 1)
            );
            Error::new(Code::ConfigSyntax, message)
                .at(file, 1)
                .hint("move large values to a values file")
        }
        _ => unreadable(file, &e),
    })?;
    String::from_utf8(bytes).map_err(|e| {
        let before = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Error::new(Code::ConfigSyntax, "the file is not UTF-8 text")
            .at(file, u32::try_from(line).ok())
            .hint("save it as UTF-8")
    })
}

fn unreadable(file: &Path, cause: &std::io::Error) -> Error {
    Error::new(
        Code::ConfigMissing,
        format!("the file cannot be read: {cause}"),
    )
    .at(file, None)
    .hint(format!(
        "name a file that exists, or run devk in the folder of {FILE}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_is_found_in_spite_of_problems_that_leave_no_doubt_which_project_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let source = Source {
            dir: dir.path().to_owned(),
            file: None,
            profile: None,
        };
        let below = |name: &str| dir.path().join(name);
        let paths = Paths::below(dir.path());
        let text = "name: shop\nimages:\n  api: {context: ./gone}\nreleases:\n  - {name: shop, chart: ./gone}\n";
        std::fs::write(below(FILE), text).unwrap();
        assert!(load(&source, &paths).is_err());
        assert_eq!(load_running(&source, &paths).unwrap().project.id, "shop");
        let typo = text.replace("chart: ./gone", "chart: ./gone, vlaues: []");
        std::fs::write(below(FILE), typo).unwrap();
        let running = load_running(&source, &paths).unwrap();
        assert_eq!(running.project.id, "shop");
        assert_eq!(running.problems[0].code, Code::ConfigUnknownKey);
        for doubtful in [
            "nmae: x\n",
            "cluster: {nmae: other}\n",
            "clutser: {name: other}\n",
        ] {
            std::fs::write(below(FILE), format!("{text}{doubtful}")).unwrap();
            assert_eq!(
                load_running(&source, &paths).unwrap_err().0[0].code,
                Code::ConfigUnknownKey,
                "{doubtful}"
            );
        }
    }
}
