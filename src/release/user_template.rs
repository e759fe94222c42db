//! The template of a rendered object as the user has it on the disk, and where in it something is written.

use std::path::{Path, PathBuf};

use super::chart::Chart;
use super::manifest::Rendered;
use super::template;

/// A template with its text.
#[derive(Debug, Clone)]
pub struct UserTemplate {
    pub file: PathBuf,
    pub text: String,
}

impl UserTemplate {
    /// The template that helm calls `source`; None if it is in an archive. One that cannot be read has no lines.
    pub fn read(chart: &Chart, source: &str) -> Option<Self> {
        let file = chart.user_file(source)?;
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        Some(Self { file, text })
    }

    /// The first line that holds one of these words, as [`template::line_of`] finds it.
    pub fn line(
        &self,
        rendered: &Rendered,
        source: &str,
        object: &str,
        words: &[&str],
    ) -> Option<u32> {
        template::line_of(&self.text, rendered, source, object, words)
    }

    /// `FILE:LINE`, from `root` if the file is below it; `FILE` alone without a line.
    pub fn shown(&self, root: &Path, line: Option<u32>) -> String {
        let file = self.file.strip_prefix(root).unwrap_or(&self.file).display();
        match line {
            Some(line) => format!("{file}:{line}"),
            None => file.to_string(),
        }
    }
}
