//! The files of the log as they are read: whole, and line by line.

use std::io::ErrorKind;
use std::path::PathBuf;

use super::folder::{AuditFolder, unreadable};
use crate::error::Result;

/// A file of the log.
#[derive(Debug)]
pub(super) struct LogFile {
    pub path: PathBuf,
    text: Vec<u8>,
}

/// A line of a file, without its line end.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogLine<'a> {
    /// 1-based.
    pub number: u32,
    /// None: it is no UTF-8.
    pub text: Option<&'a str>,
}

impl LogFile {
    /// None: it is not there any more.
    ///
    /// # Errors
    /// [`crate::error::Code::AuditUnreadable`].
    pub(super) fn read(folder: &AuditFolder, number: u32) -> Result<Option<Self>> {
        let path = folder.file(number);
        match std::fs::read(&path) {
            Ok(text) => Ok(Some(Self { path, text })),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(unreadable(&path, &e)),
        }
    }

    /// The whole lines, the oldest first.
    pub(super) fn lines(&self) -> impl Iterator<Item = LogLine<'_>> {
        let ends = memchr::memchr_iter(b'\n', &self.text);
        let mut start = 0;
        ends.zip(1..).map(move |(end, number)| {
            let line = &self.text[start..end];
            start = end + 1;
            LogLine {
                number,
                text: str::from_utf8(line).ok(),
            }
        })
    }

    /// The bytes behind the last whole line: of a line that is being written, or was cut.
    pub(super) fn torn(&self) -> usize {
        let whole = memchr::memrchr(b'\n', &self.text).map_or(0, |at| at + 1);
        self.text.len() - whole
    }
}
