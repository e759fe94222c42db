//! The findings of an old chart that are known: only new ones fail.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::finding::ChartFinding;
use super::report::ChartReport;
use crate::error::{Code, Error, Result, internal};
use crate::paths::write_atomic;

/// The version of the file.
const VERSION: u32 = 1;

/// A file of known findings.
#[derive(Debug, Serialize, Deserialize)]
pub struct CheckBaseline {
    version: u32,
    findings: Vec<KnownFinding>,
}

/// A known finding, with what people need to read the file.
#[derive(Debug, Serialize, Deserialize)]
struct KnownFinding {
    fingerprint: String,
    rule: String,
    chart: String,
    object: Option<String>,
    message: String,
}

impl CheckBaseline {
    /// # Errors
    /// [`Code::Usage`] if there is no such file, or it is none of devk's.
    pub fn read(file: &Path) -> Result<Self> {
        let unusable = |why: String| {
            Error::new(Code::Usage, format!("the baseline cannot be used: {why}"))
                .at(file, None)
                .hint("write it with `devk chart check --baseline FILE --write-baseline`")
        };
        let text = std::fs::read_to_string(file).map_err(|e| unusable(e.to_string()))?;
        let found: Self = serde_json::from_str(&text).map_err(|e| unusable(e.to_string()))?;
        match found.version {
            VERSION => Ok(found),
            other => Err(unusable(format!("its version is {other}, not {VERSION}"))),
        }
    }

    /// All findings of some reports that count.
    pub fn of(reports: &[ChartReport]) -> Self {
        let findings = reports.iter().flat_map(|report| &report.findings);
        let known = |finding: &ChartFinding| KnownFinding {
            fingerprint: finding.fingerprint(),
            rule: finding.rule.id.to_owned(),
            chart: finding.chart.clone(),
            object: finding.object.clone(),
            message: finding.message.clone(),
        };
        Self {
            version: VERSION,
            findings: findings.filter(|f| f.is_counted()).map(known).collect(),
        }
    }

    /// # Errors
    /// [`Code::StateIo`].
    pub fn write(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(|e| internal(&e))?;
        write_atomic(file, format!("{text}\n").as_bytes(), 0o644)
    }

    /// The fingerprints of the known findings.
    pub fn fingerprints(&self) -> BTreeSet<&str> {
        let findings = self.findings.iter();
        findings
            .map(|finding| finding.fingerprint.as_str())
            .collect()
    }
}
