//! The Compose stack of the repository: which files, what is read of them, and what must not be written down of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::draft::DraftCompose;
use super::references::ReleaseLook;
use super::scan::{FileKind, RepositoryTree};
use crate::compose::{self, Compose, Options, Variable, WholeCompose};
use crate::environment::Environment;
use crate::error::{Errors, internal};
use crate::image::ReferenceParts;

/// Parts of names of build arguments that are nobody's business.
const SECRET: [&str; 6] = ["password", "passwd", "secret", "token", "credential", "key"];

/// The stack, and what devk.yaml says of its files.
#[derive(Debug, Default)]
pub(super) struct FoundStack {
    pub(super) stack: Option<ReadStack>,
    pub(super) draft: DraftCompose,
}

/// A Compose stack without what must not be written down.
#[derive(Debug)]
pub(super) struct ReadStack {
    pub(super) compose: Compose,
    /// By service: the build arguments that were taken out.
    pub(super) withheld: BTreeMap<String, Vec<String>>,
}

/// Where the Compose files are: those at the root, else those of the folder nearest to it. The files are named only
/// where Compose itself would not find them.
fn place(tree: &RepositoryTree) -> Option<(PathBuf, Vec<PathBuf>)> {
    let names: Vec<_> = compose::found_names().collect();
    let is_usual = |file: &Path| {
        let name = file.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| names.contains(&name))
    };
    let files: Vec<_> = tree.of_kind(FileKind::Compose).collect();
    let usual = files.iter().find(|file| is_usual(file));
    let first = usual.or(files.first()).copied()?;
    let folder = tree.root.join(first.parent().unwrap_or(Path::new("")));
    let given = match is_usual(first) {
        true => vec![],
        false => vec![tree.root.join(first)],
    };
    Some((folder, given))
}

/// A Compose project with all that its files say, and the same read without `.env` and the shell.
#[derive(Debug)]
pub struct WholeStack {
    pub(super) whole: WholeCompose,
    pub(super) alone: Option<WholeCompose>,
}

/// Reads the whole of the stack, with the profiles that are on. None: there is none.
///
/// # Errors
/// As [`compose::load_whole`].
pub(super) fn whole(
    tree: &RepositoryTree,
    environment: &Environment,
) -> Result<Option<WholeStack>, Errors> {
    match place(tree) {
        Some((folder, files)) => whole_of(&folder, files, environment),
        None => Ok(None),
    }
}

/// The same, of these files.
///
/// # Errors
/// As [`compose::load_whole`].
pub fn whole_of(
    folder: &Path,
    files: Vec<PathBuf>,
    environment: &Environment,
) -> Result<Option<WholeStack>, Errors> {
    let mut variables = environment.variables().clone();
    variables.insert("PWD".to_owned(), folder.display().to_string());
    let options = Options {
        dir: folder.to_owned(),
        files: files.clone(),
        environment: variables,
        ..Options::default()
    };
    let Some(whole) = compose::load_whole(&options)? else {
        return Ok(None);
    };
    let empty = tempfile::NamedTempFile::new().map_err(|e| internal(&e))?;
    let alone = Options {
        dir: folder.to_owned(),
        files,
        env_files: vec![empty.path().to_owned()],
        environment: BTreeMap::from([("PWD".to_owned(), folder.display().to_string())]),
        ..Options::default()
    };
    // What only `.env` makes whole is no project without it.
    let alone = compose::load_whole(&alone).ok().flatten();
    Ok(Some(WholeStack { whole, alone }))
}

/// Reads the Compose files at the root, else those of the folder nearest to it.
pub(super) fn find(tree: &RepositoryTree, environment: &Environment) -> FoundStack {
    let Some((folder, given)) = place(tree) else {
        return FoundStack::default();
    };
    match load(
        &folder,
        given.clone(),
        environment.variables().clone(),
        None,
    ) {
        Ok(found) => {
            let is_found = folder == tree.root && given.is_empty();
            let own = found
                .as_ref()
                .map(|found| names_of(tree, found, &folder, &given));
            FoundStack {
                draft: match own {
                    Some(files) if !is_found => DraftCompose::Files(files),
                    _ => DraftCompose::Found,
                },
                stack: found.map(|found| without_secrets(found, &folder, given)),
            }
        }
        Err(why) => FoundStack {
            stack: None,
            draft: DraftCompose::None(format!(
                "{} cannot be read ({why}), so devk looks at no Compose stack; remove this line once it can be",
                unread(tree, &folder, &given).display()
            )),
        },
    }
}

/// The file to name if a project cannot be read, relative to the root.
fn unread(tree: &RepositoryTree, folder: &Path, given: &[PathBuf]) -> PathBuf {
    let mut files = tree
        .of_kind(FileKind::Compose)
        .map(|file| tree.root.join(file));
    let first = given
        .first()
        .cloned()
        .or_else(|| files.find(|file| file.parent() == Some(folder)));
    let first = first.unwrap_or_else(|| folder.to_owned());
    first.strip_prefix(&tree.root).unwrap_or(&first).to_owned()
}

/// The first file of a project, and the one that is laid over it; not what they include.
fn names_of(
    tree: &RepositoryTree,
    found: &Compose,
    folder: &Path,
    given: &[PathBuf],
) -> Vec<PathBuf> {
    let names: Vec<_> = compose::found_names().collect();
    let is_usual = |file: &Path| {
        let name = file.file_name().and_then(|name| name.to_str());
        given.is_empty() && name.is_some_and(|name| names.contains(&name))
    };
    let own = found
        .files
        .iter()
        .filter(|file| file.parent() == Some(folder) && (is_usual(file) || given.contains(file)));
    let mut own: Vec<_> = own
        .filter_map(|file| file.strip_prefix(&tree.root).ok().map(Path::to_owned))
        .collect();
    own.sort_by_key(|file| file.to_string_lossy().contains("override"));
    own
}

fn load(
    folder: &Path,
    files: Vec<PathBuf>,
    mut environment: BTreeMap<String, String>,
    env_file: Option<PathBuf>,
) -> Result<Option<Compose>, String> {
    environment.insert("PWD".to_owned(), folder.display().to_string());
    let options = Options {
        dir: folder.to_owned(),
        files,
        env_files: env_file.into_iter().collect(),
        environment,
        profiles: vec!["*".to_owned()],
    };
    compose::load_tolerantly(&options).map_err(|errors| {
        let first = errors.0.first();
        first.map(|error| error.message.clone()).unwrap_or_default()
    })
}

/// FoundBuild arguments come out of `.env` and the shell, too: only those stay that the Compose files themselves have, under
/// a name that is none of a secret.
fn without_secrets(mut found: Compose, folder: &Path, files: Vec<PathBuf>) -> ReadStack {
    let empty = tempfile::NamedTempFile::new().ok();
    let path = empty.as_ref().map(|file| file.path().to_owned());
    let alone = match path {
        Some(path) => load(folder, files, BTreeMap::new(), Some(path))
            .ok()
            .flatten(),
        None => None,
    };
    let mut withheld = BTreeMap::new();
    for service in found.services.values_mut() {
        let Some(build) = &mut service.build else {
            continue;
        };
        let written = alone
            .as_ref()
            .and_then(|alone| alone.services.get(&service.name)?.build.as_ref());
        let before: Vec<_> = build.args.keys().cloned().collect();
        build.args.retain(|name, arg| {
            let is_written = written.is_some_and(|written| written.args.get(name) == Some(arg));
            is_written && !arg.value.is_empty() && !is_secret(name)
        });
        let gone = before
            .into_iter()
            .filter(|name| !build.args.contains_key(name));
        withheld.insert(service.name.clone(), gone.collect());
        service.environment.retain(|name, _| !is_secret(name));
    }
    ReadStack {
        compose: found,
        withheld,
    }
}

fn is_secret(name: &str) -> bool {
    let lower = name.to_lowercase();
    SECRET.iter().any(|word| lower.contains(word))
}

/// The variables of a service that a page gets.
pub(super) fn variables<'a>(
    found: &'a Compose,
    service: &str,
) -> Option<&'a BTreeMap<String, Variable>> {
    found
        .services
        .get(service)
        .map(|service| &service.environment)
}

/// Bridge mode, where Compose and the charts both have a Postgres.
pub(super) fn bridge_note(stack: Option<&Compose>, looks: &[ReleaseLook<'_>]) -> Option<String> {
    let is_postgres = |image: &str| {
        ReferenceParts::parse(image).is_some_and(|parts| {
            [
                "postgres",
                "postgresql",
                "pgvector",
                "postgis",
                "timescaledb",
            ]
            .contains(&parts.last_part())
        })
    };
    let service = stack?.services.values().find(|service| {
        service.image.as_deref().is_some_and(is_postgres) && !service.ports.is_empty()
    })?;
    let uses = looks.iter().flat_map(|look| look.rendered.images());
    uses.into_iter().find(|used| is_postgres(&used.image))?;
    Some(format!(
        "Compose runs Postgres, too (service {}, line {}). To use that server with a separate database: `devk up --bridge`, or\nbridge: {{postgres: {{service: {}}}}}",
        service.name, service.origin.line, service.name
    ))
}
