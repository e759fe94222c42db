//! What is collected of a run that failed, where `--artifacts` names a folder.

use std::path::PathBuf;

use super::mask::CiMask;
use crate::ci::artifacts::Artifacts;
use crate::commands::{Context, pinned, status};
use crate::config::Project;
use crate::error::Result;
use crate::ui::event::Event;

type Masked<'a> = Box<dyn Fn(&str) -> String + 'a>;

/// The folder, if one is named, and what no text in it may show.
pub(super) struct CiEvidence<'a> {
    folder: Option<Artifacts<Masked<'a>>>,
    pub(super) mask: &'a CiMask<'a>,
}

impl<'a> CiEvidence<'a> {
    /// # Errors
    /// [`crate::error::Code::StateIo`], as all below.
    pub(super) fn begin(folder: Option<PathBuf>, mask: &'a CiMask<'a>) -> Result<Self> {
        let masked = || -> Masked<'a> { Box::new(|text| mask.text(text)) };
        let folder = folder.map(|folder| Artifacts::begin(folder, masked()));
        Ok(Self {
            folder: folder.transpose()?,
            mask,
        })
    }

    /// The output of a test, passed or not.
    pub(super) fn test(&self, name: &str, output: &str) -> Result<()> {
        self.folder
            .as_ref()
            .map_or(Ok(()), |folder| folder.test(name, output))
    }

    /// The steps of `up`, the state, the logs and the events. A cluster that does not answer has none.
    pub(super) async fn collect(
        &self,
        context: &Context,
        project: &Project,
        events: &[Event],
    ) -> Result<()> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        folder.steps(events)?;
        match status::now(context, project).await {
            Ok(status) => folder.status(&status.text()?)?,
            Err(errors) => folder.status(&serde_json::json!({"errors": errors.0}).to_string())?,
        }
        match pinned(context, project).await {
            Ok(access) => folder.cluster(&access.client, &project.id).await,
            // The status says it.
            Err(_) => Ok(()),
        }
    }
}
