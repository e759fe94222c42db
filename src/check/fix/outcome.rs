//! What remedies take, and what became of a chart.

use std::path::PathBuf;

use super::super::report::ChartReport;
use super::files::ChangedText;
use crate::place::Origin;

/// What remedies take where a chart says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixFigures {
    pub cpu_request: String,
    pub memory_request: String,
    pub memory_limit: String,
    /// As whom programs run; None: nobody knows.
    pub user: Option<u32>,
}

impl Default for FixFigures {
    fn default() -> Self {
        Self {
            cpu_request: "50m".to_owned(),
            memory_request: "128Mi".to_owned(),
            memory_limit: "512Mi".to_owned(),
            user: None,
        }
    }
}

/// What became of a chart; nothing is written yet.
#[derive(Debug)]
pub struct ChartFix {
    /// In the order of the fixer's `charts`.
    pub charts: Vec<FixedChart>,
    pub kept: Vec<KeptFix>,
    pub files: Vec<ChangedText>,
    /// The other releases for which the changes are proven.
    pub proven: Vec<String>,
}

/// What became of a chart as one release has it.
#[derive(Debug)]
pub struct FixedChart {
    pub before: ChartReport,
    pub after: ChartReport,
    /// Findings that are left, and why.
    pub by_hand: Vec<LeftFinding>,
}

/// A change that removes findings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFix {
    pub rules: Vec<&'static str>,
    /// `Deployment/api`.
    pub object: String,
    /// Of the chart's folder.
    pub file: PathBuf,
}

/// A finding that is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftFinding {
    pub rule: &'static str,
    pub object: Option<String>,
    pub message: String,
    /// In the user's file once it is changed.
    pub place: Option<Origin>,
    /// The same in the file as it was.
    pub place_before: Option<Origin>,
    pub why: String,
}
