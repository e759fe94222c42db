//! File and line of a key or value of a user's file, kept from reading to the last message about it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Code, Error};

/// The file and line of a key or value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: Arc<Path>,
    /// 1-based.
    pub(crate) line: u32,
}

impl Place {
    /// A problem at this place.
    pub(crate) fn error(&self, code: Code, message: impl Into<String>) -> Error {
        Error::new(code, message).at(&self.file, self.line)
    }

    /// The absolute form of a path written here: relative paths start at the file's folder.
    pub(crate) fn path(&self, text: &str) -> PathBuf {
        let dir = self.file.parent().unwrap_or(Path::new("/"));
        // `components` drops the `.` of `./chart`.
        dir.join(text).components().collect()
    }
}

/// The file and line of a value in the user's files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    pub file: PathBuf,
    /// 1-based.
    pub line: u32,
}

impl From<&Place> for Origin {
    fn from(place: &Place) -> Self {
        Self {
            file: place.file.to_path_buf(),
            line: place.line,
        }
    }
}
