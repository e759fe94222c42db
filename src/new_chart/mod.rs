//! Charts that devk writes into the user's tree: out of a Compose project, or for a new program.
//!
//! Compose's files become a model of components (`of_compose/`), and the model the chart's files (`text/`). The chart is
//! the user's from then on: devk writes it once, and over nothing that is there.

mod model;
mod names;
mod of_compose;
mod skeleton;
mod text;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::config::label;
use crate::error::{Code, Error, Errors, Result};
use crate::paths::{refused, write_atomic};

use model::ComponentKind;
pub use model::{Carried, ComposeKeyNote};
pub use of_compose::{ComposeChart, FactsOfServices, LocalSecret, from_compose, look_at_images};
pub(crate) use text::yaml_scalar;

/// The values of this machine, beside the chart's own.
pub const LOCAL_VALUES: &str = "values-local.yaml";

/// The files of a chart that is not written yet, by their paths in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewChart {
    pub name: String,
    pub files: Vec<(PathBuf, Vec<u8>)>,
}

impl ComposeChart {
    /// The chart's files.
    pub fn chart(&self) -> NewChart {
        of_files(&self.model.name, text::files(&self.model, &self.notes))
    }

    /// The values of this machine; None if there are none. `made_up` says of which secrets devk makes up the values.
    pub fn local_values(&self, made_up: &dyn Fn(&LocalSecret) -> bool) -> Option<String> {
        let mut values = Map::new();
        let own = self
            .secrets
            .iter()
            .filter(|secret| !secret.value.is_empty() && !made_up(secret));
        let secrets: Map<String, Value> = own
            .map(|secret| (secret.key.clone(), json!(secret.value)))
            .collect();
        if !secrets.is_empty() {
            values.insert("secrets".to_owned(), secrets.into());
        }
        values.extend(self.local.clone());
        (!values.is_empty()).then(|| text::local_text(&values))
    }

    /// Components whose image a Job has: the repository, and the path of the image in the values.
    pub fn job_images(&self) -> Vec<(String, String)> {
        let components = || self.model.components.iter();
        let is_job_of = |repository: &str| {
            let mut jobs = components().filter(|component| component.kind == ComponentKind::Job);
            jobs.any(|job| job.image.repository == repository)
        };
        let found = components().filter(|component| is_job_of(&component.image.repository));
        found
            .map(|component| {
                (
                    component.image.repository.clone(),
                    format!("{}.image", component.key),
                )
            })
            .collect()
    }

    /// The short names of Services that stand beside a component's own.
    pub fn aliases(&self) -> Vec<String> {
        let components = self.model.components.iter();
        components
            .flat_map(|component| component.services.iter().skip(1).cloned())
            .collect()
    }
}

/// A chart for one new program.
///
/// # Errors
/// [`Code::Usage`] for a name that no chart can have.
pub fn skeleton(name: &str, stateful: bool) -> Result<NewChart> {
    if label(name).as_deref() != Some(name) || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        let error = Error::new(
            Code::Usage,
            format!(
                "`{name}` is no name of a chart: lowercase letters, digits and inner hyphens, a letter first"
            ),
        );
        return Err(match label(name) {
            Some(label) => error.hint(format!("devk chart new {}", names::service_name(&label))),
            None => error,
        });
    }
    let model = skeleton::model(name, stateful);
    Ok(of_files(name, text::files(&model, &[])))
}

fn of_files(name: &str, files: Vec<model::CopiedFile>) -> NewChart {
    NewChart {
        name: name.to_owned(),
        files: files
            .into_iter()
            .map(|file| (file.path, file.content))
            .collect(),
    }
}

impl NewChart {
    /// Writes all files below a folder that is not there, or is empty.
    ///
    /// # Errors
    /// [`Code::ChartExists`] if there is something, and what the system refuses.
    pub fn write(&self, folder: &Path) -> Result<(), Errors> {
        let mut inside = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let is_taken = folder.is_file() || inside.any(|entry| entry.file_name() != LOCAL_VALUES);
        if is_taken {
            let message = format!(
                "`{}` is there, and devk writes over nothing",
                folder.display()
            );
            return Err(Error::new(Code::ChartExists, message)
                .hint("name another folder, or move this one away")
                .into());
        }
        for (path, content) in &self.files {
            let file = folder.join(path);
            let parent = file.parent().unwrap_or(folder);
            std::fs::create_dir_all(parent).map_err(|e| refused("make", parent, &e))?;
            write_atomic(&file, content, 0o644)?;
        }
        Ok(())
    }
}
