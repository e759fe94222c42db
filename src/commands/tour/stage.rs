//! How far the tour is, in the project's state: a stopped tour goes on there, and `devk down --delete` removes it.

use std::io::ErrorKind;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::paths::{Paths, refused, remove_file, write_atomic};

/// What the tour waits for, with what it has to know of the time before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub(super) enum TourStage {
    /// A change of the page; `before` is its text without.
    Edit { before: String },
    /// A change of the API's program with which it does not run.
    Break { before: String },
    /// One with which it runs again.
    Mend { before: String },
    /// A note with a higher number than all that there are.
    Note { last: i64 },
    /// The note after the demo was down and is up again.
    Return(Kept),
}

/// What there was before `devk down`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) note: TourNote,
    /// The process of the session.
    pub(super) session: u32,
    /// The containers of the database.
    pub(super) database: Vec<String>,
}

/// A note as the demo's API gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TourNote {
    pub(super) id: i64,
    pub(super) text: String,
}

/// The file that says how far the tour of a project is.
#[derive(Debug)]
pub(super) struct TourRecord {
    file: PathBuf,
}

impl TourRecord {
    pub(super) fn of(paths: &Paths, project: &str) -> Self {
        let file = paths.project(project).join("tour.json");
        Self { file }
    }

    /// None before the first step, and if the file is not from this version of devk.
    pub(super) fn read(&self) -> Result<Option<TourStage>> {
        match std::fs::read(&self.file) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(refused("read", &self.file, &e)),
        }
    }

    pub(super) fn write(&self, stage: &TourStage) -> Result<()> {
        let bytes = serde_json::to_vec(stage).map_err(|e| crate::error::internal(&e))?;
        write_atomic(&self.file, &bytes, 0o600)
    }

    pub(super) fn remove(&self) -> Result<()> {
        remove_file(&self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tour_goes_on_where_it_was_and_a_record_of_another_version_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let record = TourRecord {
            file: folder.path().join("demo/tour.json"),
        };
        assert_eq!(record.read().unwrap(), None);
        let stage = TourStage::Return(Kept {
            note: TourNote {
                id: 7,
                text: "über".to_owned(),
            },
            session: 12,
            database: vec!["containerd://1".to_owned()],
        });
        record.write(&stage).unwrap();
        assert_eq!(record.read().unwrap(), Some(stage));
        std::fs::write(&record.file, r#"{"stage": "swim"}"#).unwrap();
        assert_eq!(record.read().unwrap(), None);
        record.remove().unwrap();
        record.remove().unwrap();
        assert_eq!(record.read().unwrap(), None);
    }
}
