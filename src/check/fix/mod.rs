//! `devk chart check --fix`: findings remedied in the text of the chart's files, values first, then templates.
//!
//! Every change is made in a copy of the chart and judged by what the copy renders to with every set of values: its finding
//! has to be gone, no rule may find anything new, and no field may differ but the one that is meant. A change that fails is
//! not made, and its finding is left to people with the reason. The user's files are replaced at the end, all or none.

mod draft;
mod files;
mod nesting;
mod proof;
mod remedy;
mod template;
mod units;
mod values;

pub use files::{ChangedText, is_committed, write_all};

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::facts::ChartFacts;
use super::finding::ChartFinding;
use super::gather::{ChartGatherer, CheckedChart};
use super::judge::Judgement;
use super::report::ChartReport;
use crate::error::Errors;
use crate::paths::scratch;
use crate::place::Origin;
use crate::release::variant::ChartFile;
use tempfile::TempDir;

use draft::{ChartTexts, drafted};
use proof::{ChangeProof, JudgedChart, Unproven};
use remedy::{Remedy, remedy};
use units::{FixUnit, units};

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

/// Remedies the findings of one chart.
#[derive(Debug)]
pub struct ChartFixer<'a> {
    pub gatherer: &'a ChartGatherer<'a>,
    pub chart: &'a CheckedChart<'a>,
    pub judgement: Judgement<'a>,
    pub figures: &'a FixFigures,
    /// Only findings of these rules; None: of all.
    pub only: Option<&'a [&'static str]>,
}

/// What became of a chart; nothing is written yet.
#[derive(Debug)]
pub struct ChartFix {
    pub before: ChartReport,
    pub after: ChartReport,
    pub kept: Vec<KeptFix>,
    /// Findings that are left, and why.
    pub by_hand: Vec<LeftFinding>,
    pub files: Vec<ChangedText>,
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

/// The chart as it is changed so far.
struct Progress {
    texts: ChartTexts,
    chart: JudgedChart,
    /// Rendered once more, as soon as that is asked for.
    again: Option<ChartFacts>,
    kept: Vec<KeptFix>,
    /// Units that are left, and why.
    refused: BTreeMap<String, String>,
    /// What is rendered on the way.
    cache: TempDir,
}

impl ChartFixer<'_> {
    /// Finds the changes that can be kept.
    ///
    /// # Errors
    /// What keeps the chart from being looked at.
    pub async fn run(&self) -> Result<ChartFix, Errors> {
        let facts = self.gatherer.facts(self.chart).await?;
        // What is written stands in the place of these texts, and of no others that come meanwhile.
        let original = facts.files.clone();
        let chart = JudgedChart::of(facts, self.judgement);
        let before = chart.report.clone();
        let mut progress = Progress {
            texts: ChartTexts::new(),
            chart,
            again: None,
            kept: vec![],
            refused: BTreeMap::new(),
            cache: scratch()?,
        };
        let mut at_once = true;
        loop {
            let open = self.open(&progress);
            if open.is_empty() {
                break;
            }
            if at_once && open.len() > 1 {
                at_once = self.all_at_once(&mut progress, &open).await?;
                continue;
            }
            if let Some(unit) = open.first() {
                self.one(&mut progress, unit).await?;
            }
        }
        Ok(ChartFix {
            by_hand: self.left(&progress, &before),
            files: changed(&progress, &original),
            kept: progress.kept,
            before,
            after: progress.chart.report,
        })
    }

    async fn look(&self, texts: &ChartTexts, cache: &Path) -> Result<ChartFacts, Errors> {
        drafted(self.gatherer, self.chart, texts, cache).await
    }

    fn is_meant(&self, finding: &ChartFinding) -> bool {
        finding.is_charged() && self.only.is_none_or(|only| only.contains(&finding.rule.id))
    }

    /// What can be tried. Nothing of a chart that does not render.
    fn open(&self, progress: &Progress) -> Vec<FixUnit> {
        let JudgedChart { facts, report, .. } = &progress.chart;
        let findings = report.findings.iter();
        let meant = findings.filter(|finding| self.is_meant(finding));
        let remedied = meant.filter_map(|finding| {
            let found = remedy(finding, facts, self.judgement.config, self.figures);
            (!matches!(found, Remedy::ByHand(_))).then_some((finding, found))
        });
        let mut open = units(facts, remedied);
        open.retain(|unit| !progress.refused.contains_key(&unit.key));
        open
    }

    /// Tries the first way of every unit together; false if that cannot be kept.
    async fn all_at_once(&self, progress: &mut Progress, open: &[FixUnit]) -> Result<bool, Errors> {
        let mut texts = progress.texts.clone();
        let (mut rules, mut targets, mut kept) = (BTreeSet::new(), BTreeSet::new(), vec![]);
        for unit in open {
            let ways = unit.ways(&progress.chart.facts, &texts);
            if let Some((file, text)) = ways.into_iter().find_map(Result::ok) {
                texts.insert(file.clone(), text);
                rules.extend(&unit.rules);
                targets.extend(unit.targets.iter().cloned());
                kept.push(unit.kept(file));
            }
        }
        if kept.is_empty() {
            return Ok(false);
        }
        Ok(
            match self.proven(progress, &texts, &rules, &targets).await? {
                Ok(chart) => {
                    progress.keep(texts, chart, kept);
                    true
                }
                Err(_) => false,
            },
        )
    }

    /// Tries the ways of one unit, one after the other, and keeps the first that does what it is meant to do.
    async fn one(&self, progress: &mut Progress, unit: &FixUnit) -> Result<(), Errors> {
        let mut reasons = vec![];
        for way in unit.ways(&progress.chart.facts, &progress.texts) {
            let (file, text) = match way {
                Ok(way) => way,
                Err(reason) => {
                    reasons.push(reason);
                    continue;
                }
            };
            let mut texts = progress.texts.clone();
            texts.insert(file.clone(), text);
            let proven = self.proven(progress, &texts, &unit.rules, &unit.targets);
            match proven.await? {
                Ok(chart) => {
                    progress.keep(texts, chart, vec![unit.kept(file)]);
                    return Ok(());
                }
                Err(reason) => {
                    let file = file.display();
                    reasons.push(format!("a change of `{file}` was undone: {reason}"));
                }
            }
        }
        progress
            .refused
            .insert(unit.key.clone(), reasons.join("; "));
        Ok(())
    }

    /// The changed chart if the change is proven; else why not.
    async fn proven(
        &self,
        progress: &mut Progress,
        texts: &ChartTexts,
        rules: &BTreeSet<&'static str>,
        targets: &BTreeSet<String>,
    ) -> Result<Result<JudgedChart, String>, Errors> {
        let after = self.look(texts, progress.cache.path()).await?;
        let after = JudgedChart::of(after, self.judgement);
        let check = |again: Option<&ChartFacts>| {
            let proof = ChangeProof {
                before: &progress.chart,
                again,
                config: self.judgement.config,
                figures: self.figures,
                rules,
                targets,
            };
            proof.of(&after)
        };
        let mut proven = check(progress.again.as_ref());
        if matches!(proven, Err(Unproven::Field(_))) && progress.again.is_none() {
            // Without what was rendered before, what is random is another text.
            let again = self.look(&progress.texts, scratch()?.path()).await?;
            proven = check(Some(&again));
            progress.again = Some(again);
        }
        Ok(proven.map(|()| after).map_err(Unproven::why))
    }

    fn left(&self, progress: &Progress, before: &ChartReport) -> Vec<LeftFinding> {
        let JudgedChart { facts, report, .. } = &progress.chart;
        let findings = report.findings.iter();
        let left = findings.filter(|finding| self.is_meant(finding));
        let left = left.map(|finding| {
            let found = remedy(finding, facts, self.judgement.config, self.figures);
            let why = match &found {
                Remedy::ByHand(why) => why.clone(),
                _ => {
                    let unit = units(facts, [(finding, found)]);
                    let refused = unit
                        .first()
                        .and_then(|unit| progress.refused.get(&unit.key));
                    refused
                        .cloned()
                        .unwrap_or_else(|| finding.rule.remedy.to_owned())
                }
            };
            let fingerprint = finding.fingerprint();
            let before = before
                .findings
                .iter()
                .find(|known| known.fingerprint() == fingerprint);
            LeftFinding {
                rule: finding.rule.id,
                object: finding.object.clone(),
                message: finding.message.clone(),
                place: finding.place.clone(),
                place_before: before.and_then(|before| before.place.clone()),
                why,
            }
        });
        left.collect()
    }
}

/// The changed files of the chart.
fn changed(progress: &Progress, original: &[ChartFile]) -> Vec<ChangedText> {
    let changed = progress.texts.iter().map(|(path, after)| {
        let before = original.iter().find(|file| file.path == *path);
        ChangedText {
            file: progress.chart.facts.folder.join(path),
            before: before.and_then(|file| file.text.clone()),
            after: after.clone(),
        }
    });
    changed.collect()
}

impl Progress {
    fn keep(&mut self, texts: ChartTexts, chart: JudgedChart, kept: Vec<KeptFix>) {
        (self.texts, self.chart, self.again) = (texts, chart, None);
        self.kept.extend(kept);
    }
}
