//! Looks at what a draft renders, with the code that `devk up` uses: the draft's text is read as devk.yaml, and helm
//! renders the charts. Nothing stays of it.

use std::path::Path;

use tempfile::TempDir;

use super::draft::InitDraft;
use super::write;
use crate::config::{self, FILE};
use crate::environment::Environment;
use crate::error::Errors;
use crate::observe::{self, PreparedRelease};
use crate::paths::{Paths, scratch};

/// Renders drafts.
#[derive(Debug)]
pub(super) struct DraftLook<'a> {
    root: &'a Path,
    environment: &'a Environment,
    paths: Paths,
    _folder: TempDir,
}

impl<'a> DraftLook<'a> {
    /// Everything is kept in a folder that goes with this: charts and values hold secrets.
    pub(super) fn new(
        root: &'a Path,
        environment: &'a Environment,
        paths: &Paths,
    ) -> Result<Self, Errors> {
        let folder = scratch()?;
        let paths = Paths {
            cache: folder.path().join("cache"),
            scratch: Some(folder.path().to_owned()),
            ..paths.clone()
        };
        Ok(Self {
            root,
            environment,
            paths,
            _folder: folder,
        })
    }

    /// What the releases of a draft render, its images in place.
    ///
    /// # Errors
    /// All that `devk up` would say of the file.
    pub(super) async fn at(&self, draft: &InitDraft) -> Result<Vec<PreparedRelease>, Errors> {
        let project = config::read_text(&write::text(draft), &self.root.join(FILE))?;
        // A draft has no bridge, so neither Compose nor Docker is looked at.
        let drafts = observe::drafts(&project, None, None, &self.paths, self.environment).await;
        drafts?.releases
    }
}
