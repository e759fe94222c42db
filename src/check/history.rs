//! What became of a chart over time: one line of JSON a check, appended and never changed.
//!
//! A check that finds what the last one found adds nothing.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::finding::{ChartFinding, Counts};
use super::report::ChartReport;
use super::rule::Severity;
use crate::config::{Project, ReleaseConfig, ReleaseSource};
use crate::error::{Result, internal};
use crate::paths::{Paths, refused};

/// One check of a chart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    pub time: Timestamp,
    pub score: u8,
    pub passed: bool,
    /// By severity, the worst first.
    pub counts: [usize; 4],
    /// What cost points: fingerprint → rule.
    pub findings: BTreeMap<String, String>,
    /// What did not, with the reasons: fingerprint → rule and reason.
    pub ignored: BTreeMap<String, (String, String)>,
}

/// What changed from one check to the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryChange {
    /// Rules whose findings are gone, once for each.
    pub gone: Vec<String>,
    /// Rules with new findings, once for each.
    pub new: Vec<String>,
}

/// The checks of one chart, the oldest first.
#[derive(Debug)]
pub struct ChartHistory {
    file: PathBuf,
    pub entries: Vec<HistoryEntry>,
}

impl ChartHistory {
    /// The history of the chart of a project's release.
    pub fn of_release(paths: &Paths, project: &Project, release: &ReleaseConfig) -> Self {
        let folder = match &release.source {
            ReleaseSource::Chart(folder) => folder,
            ReleaseSource::Manifests(_) | ReleaseSource::Kustomize(_) => &project.root,
        };
        Self::open(paths, folder, &release.name)
    }

    /// The history of the chart of a release in a folder; empty if there is none. A line that cannot be read, such as one
    /// that a full disk cut, is left out.
    pub fn open(paths: &Paths, folder: &Path, release: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(folder.as_os_str().as_encoded_bytes());
        hasher.update([0]);
        hasher.update(release);
        let name = crate::hex::hex(&hasher.finalize()[..12]);
        let file = paths.state.join("charts").join(format!("{name}.jsonl"));
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let entries = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        Self {
            entries: entries.collect(),
            file,
        }
    }

    /// Adds a check; false if the last one says the same.
    ///
    /// # Errors
    /// [`crate::error::Code::StateIo`].
    pub fn add(&mut self, report: &ChartReport, now: Timestamp) -> Result<bool> {
        let entry = HistoryEntry::of(report, now);
        let is_known = self.entries.last().is_some_and(|last| {
            let same_time = HistoryEntry {
                time: entry.time,
                ..last.clone()
            };
            same_time == entry
        });
        if is_known {
            return Ok(false);
        }
        let line = serde_json::to_string(&entry).map_err(|e| internal(&e))? + "\n";
        let append = || {
            self.file.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            let mut file = std::fs::File::options()
                .create(true)
                .append(true)
                .open(&self.file)?;
            // One write: lines of two checks at once stay whole.
            file.write_all(line.as_bytes())
        };
        append().map_err(|e| refused("write", &self.file, &e))?;
        self.entries.push(entry);
        Ok(true)
    }

    /// By how many points the score fell with the last check; None if it did not.
    pub fn fall(&self) -> Option<u8> {
        let [.., before, last] = &self.entries[..] else {
            return None;
        };
        before
            .score
            .checked_sub(last.score)
            .filter(|fall| *fall > 0)
    }

    /// Each check with what changed since the one before it.
    pub fn changes(&self) -> Vec<(&HistoryEntry, HistoryChange)> {
        let mut before: Option<&HistoryEntry> = None;
        let mut found = vec![];
        for entry in &self.entries {
            let change = before.map(|before| entry.since(before));
            found.push((entry, change.unwrap_or_default()));
            before = Some(entry);
        }
        found
    }
}

impl HistoryEntry {
    fn of(report: &ChartReport, time: Timestamp) -> Self {
        let named = |finding: &ChartFinding| (finding.fingerprint(), finding.rule.id.to_owned());
        let ignored = report
            .findings
            .iter()
            .filter_map(|finding| match &finding.counts {
                Counts::Ignored(reason) => {
                    let (fingerprint, rule) = named(finding);
                    Some((fingerprint, (rule, reason.clone())))
                }
                _ => None,
            });
        let counted = report
            .findings
            .iter()
            .filter(|finding| finding.is_charged());
        Self {
            time,
            score: report.score,
            passed: report.passed,
            counts: Severity::ALL.map(|severity| report.count(severity)),
            findings: counted.map(named).collect(),
            ignored: ignored.collect(),
        }
    }

    fn since(&self, before: &Self) -> HistoryChange {
        let only = |one: &Self, other: &Self| {
            let own = one.findings.iter();
            let own = own.filter(|(fingerprint, _)| !other.findings.contains_key(*fingerprint));
            own.map(|(_, rule)| rule.clone()).collect()
        };
        HistoryChange {
            gone: only(before, self),
            new: only(self, before),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::ChartFacts;
    use super::super::judge::{Judgement, judge};
    use super::*;
    use crate::config::CheckConfig;

    fn paths(dir: &Path) -> Paths {
        Paths {
            state: dir.to_owned(),
            cache: dir.to_owned(),
            data: dir.to_owned(),
            scratch: None,
        }
    }

    fn report(version: &str) -> ChartReport {
        let file = crate::release::variant::ChartFile {
            path: "Chart.yaml".into(),
            text: Some(format!("apiVersion: v2\nname: shop\nversion: {version}\n")),
        };
        let facts = ChartFacts::new("shop", "shop", Path::new("/c"), vec![file]);
        let judgement = Judgement {
            config: &CheckConfig::default(),
            today: jiff::civil::Date::ZERO,
            baseline: None,
        };
        judge(&facts, judgement)
    }

    #[test]
    fn checks_are_appended_and_the_same_result_adds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        let now = Timestamp::UNIX_EPOCH;
        for version in ["1.0.0", "1.0.0", "one", "1.0.0"] {
            let mut history = ChartHistory::open(&paths, Path::new("/c"), "shop");
            history.add(&report(version), now).unwrap();
        }
        let history = ChartHistory::open(&paths, Path::new("/c"), "shop");
        let scores: Vec<_> = history.entries.iter().map(|entry| entry.score).collect();
        assert_eq!(scores, [100, 95, 100]);
        let changes = history.changes();
        assert_eq!(changes[1].1.new, ["chart.version"]);
        assert_eq!(changes[2].1.gone, ["chart.version"]);
        assert_eq!(history.fall(), None);
        assert!(
            ChartHistory::open(&paths, Path::new("/d"), "shop")
                .entries
                .is_empty()
        );
    }

    #[test]
    fn a_cut_line_is_left_out_and_a_fall_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        let mut history = ChartHistory::open(&paths, Path::new("/c"), "shop");
        history
            .add(&report("1.0.0"), Timestamp::UNIX_EPOCH)
            .unwrap();
        let mut file = std::fs::File::options()
            .append(true)
            .open(&history.file)
            .unwrap();
        file.write_all(b"{\"time\": \n").unwrap();
        let mut history = ChartHistory::open(&paths, Path::new("/c"), "shop");
        history.add(&report("one"), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!((history.entries.len(), history.fall()), (2, Some(5)));
    }
}
