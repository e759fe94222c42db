//! Which Compose stack belongs to a project.

use super::{Compose, Options, load};
use crate::config::Project;
use crate::environment::Environment;
use crate::error::Errors;

/// The Compose stack of a project as it was read, or all problems of its files.
pub type Stack = Result<Option<Compose>, Errors>;

/// The Compose stack beside the project: the files that devk.yaml names, else what Compose itself would
/// find from the project's folder. None: there is none.
///
/// # Errors
/// All that is wrong with the files: as long as they cannot be read, nobody knows what they will take.
pub fn of_project(project: &Project, environment: &Environment) -> Stack {
    if project.compose.as_ref().is_some_and(Vec::is_empty) {
        return Ok(None);
    }
    let mut variables = environment.variables().clone();
    // As if `docker compose` were started there.
    variables.insert("PWD".to_owned(), project.root.display().to_string());
    let options = Options {
        dir: project.root.clone(),
        files: project.compose.clone().unwrap_or_default(),
        environment: variables,
        ..Options::default()
    };
    load(&options)
}
