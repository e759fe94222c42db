//! `devk chart check --fix`: findings remedied in the text of the chart's files, values first, then templates.
//!
//! Every change is made in a copy of the chart and judged by what the copy renders to with every set of values, for every
//! release that has the chart: its finding has to be gone, no rule may find anything new, and no field may differ but the one
//! that is meant. A change that fails is not made, and its finding is left to people with the reason. The user's files are
//! replaced at the end, all or none.

mod draft;
mod files;
mod frozen;
mod nesting;
mod outcome;
mod proof;
mod remedy;
mod template;
mod units;
mod values;

pub use files::{ChangedText, is_committed, write_all};
pub use frozen::{FrozenFiles, frozen_files};
pub use outcome::{ChartFix, FixFigures, FixedChart, KeptFix, LeftFinding};

use std::collections::{BTreeMap, BTreeSet};

use super::facts::ChartFacts;
use super::finding::ChartFinding;
use super::gather::{ChartGatherer, CheckedChart};
use super::judge::Judgement;
use super::report::ChartReport;
use crate::error::Errors;
use crate::paths::scratch;
use crate::release::variant::ChartFile;
use tempfile::TempDir;

use draft::{ChartTexts, drafted};
use proof::{ChangeProof, JudgedChart, Unproven};
use remedy::{Remedy, remedy};
use units::{FixUnit, Way, units};

/// Remedies the findings of one chart.
#[derive(Debug)]
pub struct ChartFixer<'a> {
    pub gatherer: &'a ChartGatherer<'a>,
    /// The chart, as each of these has it; their findings are remedied.
    pub charts: &'a [CheckedChart<'a>],
    /// Others that have the same chart: what is changed is proven for them, too.
    pub others: &'a [CheckedChart<'a>],
    pub judgement: Judgement<'a>,
    pub figures: &'a FixFigures,
    /// Only findings of these rules; None: of all.
    pub only: Option<&'a [&'static str]>,
    pub frozen: &'a FrozenFiles,
}

/// The chart as it is changed so far.
struct Progress {
    texts: ChartTexts,
    /// As the fixer's `charts` have it, then the others.
    charts: Vec<JudgedChart>,
    /// Rendered once more, as soon as that is asked for.
    again: BTreeMap<usize, ChartFacts>,
    kept: Vec<KeptFix>,
    /// Units that are left, and why, by the position of their chart.
    refused: BTreeMap<(usize, String), String>,
    /// What is rendered on the way.
    cache: TempDir,
}

/// What a change is meant to do.
struct MeantChange<'a> {
    /// The position of the chart whose findings are remedied.
    at: usize,
    rules: &'a BTreeSet<&'static str>,
    targets: &'a BTreeSet<String>,
}

impl ChartFixer<'_> {
    /// Finds the changes that can be kept.
    ///
    /// # Errors
    /// What keeps the chart from being looked at.
    pub async fn run(&self) -> Result<ChartFix, Errors> {
        let mut charts = vec![];
        for chart in self.all() {
            let facts = self.gatherer.facts(chart).await?;
            charts.push(JudgedChart::of(facts, self.judgement));
        }
        // What is written stands in the place of these texts, and of no others that come meanwhile.
        let original = charts.first().map(|chart| chart.facts.files.clone());
        let before: Vec<_> = charts.iter().map(|chart| chart.report.clone()).collect();
        let cache = scratch()?;
        self.gatherer.share_dependencies(cache.path())?;
        let mut progress = Progress {
            texts: ChartTexts::new(),
            charts,
            again: BTreeMap::new(),
            kept: vec![],
            refused: BTreeMap::new(),
            cache,
        };
        for at in 0..self.charts.len() {
            self.remedied(&mut progress, at).await?;
        }
        Ok(self.fix(progress, before, &original.unwrap_or_default()))
    }

    /// Remedies the findings of one of the charts.
    async fn remedied(&self, progress: &mut Progress, at: usize) -> Result<(), Errors> {
        let mut at_once = true;
        loop {
            let open = self.open(progress, at);
            if at_once && open.len() > 1 {
                at_once = self.all_at_once(progress, at, &open).await?;
                continue;
            }
            match open.first() {
                Some(unit) => self.one(progress, at, unit).await?,
                None => return Ok(()),
            }
        }
    }

    fn fix(
        &self,
        progress: Progress,
        before: Vec<ChartReport>,
        original: &[ChartFile],
    ) -> ChartFix {
        let own = before.into_iter().take(self.charts.len()).enumerate();
        let left: Vec<_> = own
            .map(|(at, before)| (self.left(&progress, at, &before), before))
            .collect();
        let files = changed(&progress, original);
        let others = progress.charts[self.charts.len()..].iter();
        let proven = others.map(|chart| chart.facts.release.clone()).collect();
        let fixed = left.into_iter().zip(progress.charts);
        let fixed = fixed.map(|((by_hand, before), chart)| FixedChart {
            before,
            after: chart.report,
            by_hand,
        });
        ChartFix {
            charts: fixed.collect(),
            kept: progress.kept,
            files,
            proven,
        }
    }

    fn all(&self) -> impl Iterator<Item = &CheckedChart<'_>> {
        self.charts.iter().chain(self.others)
    }

    /// A unit's ways, without those that change a file which has to stay as it is.
    fn ways(&self, unit: &FixUnit, progress: &Progress, at: usize, texts: &ChartTexts) -> Vec<Way> {
        let ways = unit.ways(&progress.charts[at].facts, texts).into_iter();
        let allowed = ways.map(|way| {
            let (file, text) = way?;
            match self.frozen.get(&file) {
                Some(why) => Err(why.clone()),
                None => Ok((file, text)),
            }
        });
        allowed.collect()
    }

    fn is_meant(&self, finding: &ChartFinding) -> bool {
        finding.is_charged() && self.only.is_none_or(|only| only.contains(&finding.rule.id))
    }

    /// What can be tried. Nothing of a chart that does not render.
    fn open(&self, progress: &Progress, at: usize) -> Vec<FixUnit> {
        let JudgedChart { facts, report, .. } = &progress.charts[at];
        let findings = report.findings.iter();
        let meant = findings.filter(|finding| self.is_meant(finding));
        let remedied = meant.filter_map(|finding| {
            let found = remedy(finding, facts, self.judgement.config, self.figures);
            (!matches!(found, Remedy::ByHand(_))).then_some((finding, found))
        });
        let mut open = units(facts, remedied);
        open.retain(|unit| !progress.refused.contains_key(&(at, unit.key.clone())));
        open
    }

    /// Tries the first way of every unit together; false if that cannot be kept.
    async fn all_at_once(
        &self,
        progress: &mut Progress,
        at: usize,
        open: &[FixUnit],
    ) -> Result<bool, Errors> {
        let mut texts = progress.texts.clone();
        let (mut rules, mut targets, mut kept) = (BTreeSet::new(), BTreeSet::new(), vec![]);
        for unit in open {
            let ways = self.ways(unit, progress, at, &texts);
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
        let (rules, targets) = (&rules, &targets);
        let meant = MeantChange { at, rules, targets };
        Ok(match self.proven(progress, &texts, &meant).await? {
            Ok(charts) => {
                progress.keep(texts, charts, kept);
                true
            }
            Err(_) => false,
        })
    }

    /// Tries the ways of one unit, one after the other, and keeps the first that does what it is meant to do.
    async fn one(&self, progress: &mut Progress, at: usize, unit: &FixUnit) -> Result<(), Errors> {
        let mut reasons = vec![];
        for way in self.ways(unit, progress, at, &progress.texts) {
            let (file, text) = match way {
                Ok(way) => way,
                Err(reason) => {
                    reasons.push(reason);
                    continue;
                }
            };
            let mut texts = progress.texts.clone();
            texts.insert(file.clone(), text);
            let (rules, targets) = (&unit.rules, &unit.targets);
            let meant = MeantChange { at, rules, targets };
            match self.proven(progress, &texts, &meant).await? {
                Ok(charts) => {
                    progress.keep(texts, charts, vec![unit.kept(file)]);
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
            .insert((at, unit.key.clone()), reasons.join("; "));
        Ok(())
    }

    /// The changed chart as each release has it, if the change is proven for all of them; else why not.
    async fn proven(
        &self,
        progress: &mut Progress,
        texts: &ChartTexts,
        meant: &MeantChange<'_>,
    ) -> Result<Result<Vec<JudgedChart>, String>, Errors> {
        let mut all = vec![];
        for (at, chart) in self.all().enumerate() {
            match self.proven_for(progress, (at, chart), texts, meant).await? {
                Ok(judged) => all.push(judged),
                Err(why) if at == meant.at => return Ok(Err(why.why())),
                Err(why) => {
                    let release = &progress.charts[at].facts.release;
                    let why = why.why();
                    return Ok(Err(format!("for the release `{release}`, {why}")));
                }
            }
        }
        Ok(Ok(all))
    }

    async fn proven_for(
        &self,
        progress: &mut Progress,
        (at, chart): (usize, &CheckedChart<'_>),
        texts: &ChartTexts,
        meant: &MeantChange<'_>,
    ) -> Result<Result<JudgedChart, Unproven>, Errors> {
        let after = drafted(self.gatherer, chart, texts, progress.cache.path()).await?;
        let after = JudgedChart::of(after, self.judgement);
        let none = BTreeSet::new();
        let check = |again: Option<&ChartFacts>| {
            let proof = ChangeProof {
                before: &progress.charts[at],
                again,
                config: self.judgement.config,
                figures: self.figures,
                rules: meant.rules,
                // What is found in one release need not be found in another one.
                targets: if at == meant.at { meant.targets } else { &none },
            };
            proof.of(&after)
        };
        let mut proven = check(progress.again.get(&at));
        if matches!(proven, Err(Unproven::Field(_))) && !progress.again.contains_key(&at) {
            // Without what was rendered before, what is random is another text.
            let cache = scratch()?;
            self.gatherer.share_dependencies(cache.path())?;
            let again = drafted(self.gatherer, chart, &progress.texts, cache.path()).await?;
            proven = check(Some(&again));
            progress.again.insert(at, again);
        }
        Ok(proven.map(|()| after))
    }

    fn left(&self, progress: &Progress, at: usize, before: &ChartReport) -> Vec<LeftFinding> {
        let JudgedChart { facts, report, .. } = &progress.charts[at];
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
                        .and_then(|unit| progress.refused.get(&(at, unit.key.clone())));
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
    let Some(chart) = progress.charts.first() else {
        return vec![];
    };
    let changed = progress.texts.iter().map(|(path, after)| {
        let before = original.iter().find(|file| file.path == *path);
        ChangedText {
            file: chart.facts.folder.join(path),
            before: before.and_then(|file| file.text.clone()),
            after: after.clone(),
        }
    });
    changed.collect()
}

impl Progress {
    fn keep(&mut self, texts: ChartTexts, charts: Vec<JudgedChart>, kept: Vec<KeptFix>) {
        (self.texts, self.charts) = (texts, charts);
        self.again.clear();
        self.kept.extend(kept);
    }
}
