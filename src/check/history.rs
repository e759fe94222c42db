//! What became of a chart over time: one line of JSON a check, appended and never changed.
//!
//! A check that finds what the last one found adds nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::finding::{ChartFinding, Counts};
use super::report::ChartReport;
use super::rule::Severity;
use crate::config::{Project, ReleaseConfig};
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
    /// `name` of Chart.yaml; empty in lines of an older devk.
    #[serde(default)]
    pub chart: String,
    /// What the chart does of its own accord, by the key of `check:` that could ask for it.
    #[serde(default)]
    pub traits: BTreeMap<String, BTreeSet<String>>,
}

/// What changed from one check to the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryChange {
    /// Rules whose findings are gone, once for each.
    pub gone: Vec<String>,
    /// Rules with new findings, once for each.
    pub new: Vec<String>,
}

/// How the names of files begin that are of installed releases.
const INSTALLED: &str = "up-";

/// The folder that the chart of a release is known by.
fn source<'a>(project: &'a Project, release: &'a ReleaseConfig) -> &'a Path {
    release.source.chart().unwrap_or(&project.root)
}

/// Where the checks of a chart are kept; `prefix` begins the file's name.
fn file(paths: &Paths, folder: &Path, release: &str, prefix: &str) -> PathBuf {
    let mut hasher = Sha256::new();
    hasher.update(folder.as_os_str().as_encoded_bytes());
    hasher.update([0]);
    hasher.update(release);
    let name = crate::hex::hex(&hasher.finalize()[..12]);
    let folder = paths.state.join("charts");
    folder.join(format!("{prefix}{name}.jsonl"))
}

/// Where the checks of what `devk up` has installed are kept.
fn installed_file(paths: &Paths, project: &Project, release: &ReleaseConfig) -> PathBuf {
    let key = format!("{INSTALLED}{}", release.name);
    file(paths, source(project, release), &key, INSTALLED)
}

fn entry(line: &str) -> Option<HistoryEntry> {
    serde_json::from_str(line).ok()
}

fn last_entry(file: &Path) -> Option<HistoryEntry> {
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().rev().find_map(entry)
}

/// When a chart was checked last, whether or not that found anything else; None if it never was.
fn checked_at(file: &Path) -> Option<Timestamp> {
    let modified = std::fs::metadata(file).ok()?.modified().ok()?;
    Timestamp::try_from(modified).ok()
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
        Self::open(paths, source(project, release), &release.name)
    }

    /// What `devk up` has installed of the release: judged by one rendering, and compared with nothing else.
    pub fn of_installed(paths: &Paths, project: &Project, release: &ReleaseConfig) -> Self {
        Self::of_file(installed_file(paths, project, release))
    }

    /// When what `devk up` has installed of the release was judged last; None if it never was.
    pub fn installed_at(
        paths: &Paths,
        project: &Project,
        release: &ReleaseConfig,
    ) -> Option<Timestamp> {
        checked_at(&installed_file(paths, project, release))
    }

    /// The last checks of all charts of this machine; what `devk up` has judged is none.
    pub fn last_of_all(paths: &Paths) -> Vec<HistoryEntry> {
        let folder = std::fs::read_dir(paths.state.join("charts"));
        let files = folder.into_iter().flatten().flatten();
        let names = files.map(|file| file.path());
        let checks = names.filter(|file| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            name.ends_with(".jsonl") && !name.starts_with(INSTALLED)
        });
        checks.filter_map(|file| last_entry(&file)).collect()
    }

    /// The history of the chart of a release in a folder; empty if there is none. A line that cannot be read, such as one
    /// that a full disk cut, is left out.
    pub fn open(paths: &Paths, folder: &Path, release: &str) -> Self {
        Self::of_file(file(paths, folder, release, ""))
    }

    fn of_file(file: PathBuf) -> Self {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        Self {
            entries: text.lines().filter_map(entry).collect(),
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
            // When it was checked last is the time of the file; without that a check is made once more.
            let _ = File::open(&self.file).and_then(|file| file.set_modified(SystemTime::now()));
            return Ok(false);
        }
        let line = serde_json::to_string(&entry).map_err(|e| internal(&e))? + "\n";
        let append = || {
            self.file.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            let mut file = File::options().create(true).append(true).open(&self.file)?;
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
    pub(super) fn of(report: &ChartReport, time: Timestamp) -> Self {
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
            chart: report.chart.clone(),
            traits: report.traits.clone(),
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
    use serde_json::Value;

    use super::super::facts::{ChartFacts, CheckRendering, RenderingUse};
    use super::super::judge::{Judgement, judge};
    use super::*;
    use crate::config::CheckConfig;

    fn paths(dir: &Path) -> Paths {
        Paths::all_at(dir)
    }

    fn report(version: &str) -> ChartReport {
        let file = crate::release::variant::ChartFile {
            path: "Chart.yaml".into(),
            text: Some(format!("apiVersion: v2\nname: shop\nversion: {version}\n")),
        };
        let mut facts = ChartFacts::new("shop", "shop", Path::new("/c"), vec![file]);
        let nothing = CheckRendering::new("values", RenderingUse::Judged, "", Value::Null);
        facts.renderings.push(nothing.unwrap());
        let config = CheckConfig::default();
        judge(&facts, Judgement::new(&config, jiff::civil::Date::ZERO))
    }

    #[test]
    fn checks_are_appended_and_the_same_result_adds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        let now = Timestamp::UNIX_EPOCH;
        for version in ["1.0.0", "1.0.0", "one", "1.0.0"] {
            let mut history = ChartHistory::open(&paths, Path::new("/c"), "shop");
            history.add(&report(version), now).unwrap();
            assert!(checked_at(&history.file).is_some());
        }
        let history = ChartHistory::open(&paths, Path::new("/c"), "shop");
        let scores: Vec<_> = history.entries.iter().map(|entry| entry.score).collect();
        assert_eq!(scores, [100, 95, 100]);
        // A check that finds the same is a check.
        let long_ago = SystemTime::UNIX_EPOCH;
        let file = File::open(&history.file).unwrap();
        file.set_modified(long_ago).unwrap();
        let mut history = history;
        assert_eq!(checked_at(&history.file), Some(now));
        history.add(&report("1.0.0"), now).unwrap();
        assert!(checked_at(&history.file).unwrap() > now);
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
        let mut file = File::options().append(true).open(&history.file).unwrap();
        file.write_all(b"{\"time\": \n").unwrap();
        let mut history = ChartHistory::open(&paths, Path::new("/c"), "shop");
        history.add(&report("one"), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!((history.entries.len(), history.fall()), (2, Some(5)));
    }
}
