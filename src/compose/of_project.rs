//! Which Compose stack belongs to a project.

use std::path::{Path, PathBuf};

use super::{Compose, Options, load_tolerantly};
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
    if project.compose.as_ref().is_some_and(Vec::is_empty) {
        return Ok(None);
    }
    let files = project.compose.clone().unwrap_or_default();
    in_folder(&project.root, files, environment)
}

/// The Compose stack that Compose itself would find from a folder, for which there is no devk.yaml.
///
/// # Errors
/// As [`of_project`].
pub fn of_folder(dir: &Path, environment: &Environment) -> Stack {
    in_folder(dir, vec![], environment)
}

fn in_folder(dir: &Path, files: Vec<PathBuf>, environment: &Environment) -> Stack {
    let mut variables = environment.variables().clone();
    // As if `docker compose` were started there.
    variables.insert("PWD".to_owned(), dir.display().to_string());
    let options = Options {
        dir: dir.to_owned(),
        files,
        environment: variables,
        ..Options::default()
    };
    load_tolerantly(&options)
}
