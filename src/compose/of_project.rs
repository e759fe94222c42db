//! Which Compose stack belongs to a project.

use std::path::{Path, PathBuf};

use super::{Compose, Options, load_tolerantly, unless_refused_by_docker};
use crate::config::Project;
use crate::environment::Environment;
use crate::error::Errors;

/// The Compose stack of a project as it was read, or all problems of its files.
pub type Stack = Result<Option<Compose>, Errors>;

/// The Compose stack beside the project: the files that devk.yaml names, else what Compose itself would
/// find from the project's folder. None: there is none.
///
/// # Errors
/// What keeps devk from knowing which ports the stack will take.
pub fn of_project(project: &Project, environment: &Environment) -> Stack {
    match options(project, environment) {
        Some(options) => load_tolerantly(&options),
        None => Ok(None),
    }
}

/// The stack of a project that was read: where devk's reader refuses it, Docker's own is asked.
///
/// # Errors
/// As [`unless_refused_by_docker`].
pub async fn as_docker_takes_it(
    project: &Project,
    environment: &Environment,
    stack: Stack,
) -> Stack {
    match options(project, environment) {
        Some(options) => unless_refused_by_docker(&options, environment, stack).await,
        None => stack,
    }
}

/// None: the project wants no Compose stack.
fn options(project: &Project, environment: &Environment) -> Option<Options> {
    let files = project.compose.clone().unwrap_or_default();
    let none = project.compose.as_ref().is_some_and(Vec::is_empty);
    (!none).then(|| in_folder(&project.root, files, environment))
}

/// The Compose stack that Compose itself would find from a folder, for which there is no devk.yaml.
///
/// # Errors
/// As [`of_project`].
pub fn of_folder(dir: &Path, environment: &Environment) -> Stack {
    load_tolerantly(&in_folder(dir, vec![], environment))
}

fn in_folder(dir: &Path, files: Vec<PathBuf>, environment: &Environment) -> Options {
    let mut variables = environment.variables().clone();
    // As if `docker compose` were started there.
    variables.insert("PWD".to_owned(), dir.display().to_string());
    Options {
        dir: dir.to_owned(),
        files,
        environment: variables,
        ..Options::default()
    }
}
