//! `devk chart`.

use std::path::PathBuf;

use super::Context;
use crate::error::{Code, Error, Errors, Exit};

/// How `devk chart check` prints its report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChartFormat {
    Text,
    Json,
    Markdown,
    Sarif,
}

/// What the command line asks of `devk chart check`.
#[derive(Debug, Default)]
pub struct CheckOptions {
    /// Names of releases, or folders. None: all charts of devk.yaml.
    pub charts: Vec<String>,
    /// From the folder in which devk was started.
    pub baseline: Option<PathBuf>,
    pub write_baseline: bool,
}

/// Judges charts.
///
/// # Errors
/// What keeps the charts from being looked at.
pub async fn check(
    context: &Context,
    _options: &CheckOptions,
    _format: ChartFormat,
) -> Result<Exit, Errors> {
    context.project()?;
    Err(Error::new(Code::Usage, "no rule looks at charts yet").into())
}
