//! The score: 100 points in six aspects. Each rule that has found something takes its points from its aspect once, and no
//! aspect loses more than it has.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::finding::ChartFinding;
use super::rule::{Aspect, ChartRule};

/// The points of an aspect that are left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AspectScore {
    pub aspect: Aspect,
    pub points: u8,
    pub of: u8,
}

/// What would be gained if a rule found nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gain {
    pub rule: &'static str,
    pub points: u8,
    pub findings: usize,
    pub remedy: &'static str,
}

/// The changes that a report names.
const MOST_GAINS: usize = 3;

/// The rules that cost points, each once.
fn costing<'a>(
    findings: impl IntoIterator<Item = &'a ChartFinding>,
) -> BTreeMap<&'static str, &'static ChartRule> {
    let counted = findings.into_iter().filter(|finding| finding.is_charged());
    counted
        .map(|finding| (finding.rule.id, finding.rule))
        .collect()
}

fn left(
    aspect: Aspect,
    rules: &BTreeMap<&'static str, &'static ChartRule>,
    without: &[&str],
) -> u8 {
    let of_aspect = rules.values().filter(|rule| rule.aspect == aspect);
    let lost: u32 = of_aspect
        .filter(|rule| !without.contains(&rule.id))
        .map(|rule| u32::from(rule.points))
        .sum();
    aspect
        .points()
        .saturating_sub(u8::try_from(lost).unwrap_or(u8::MAX))
}

/// The points of each aspect.
pub(super) fn aspects<'a>(
    findings: impl IntoIterator<Item = &'a ChartFinding>,
) -> Vec<AspectScore> {
    let rules = costing(findings);
    let of = |aspect: &Aspect| AspectScore {
        aspect: *aspect,
        points: left(*aspect, &rules, &[]),
        of: aspect.points(),
    };
    Aspect::ALL.iter().map(of).collect()
}

pub(super) fn total(aspects: &[AspectScore]) -> u8 {
    aspects.iter().map(|aspect| aspect.points).sum()
}

/// The rules whose remedy gains most, the largest first. Where an aspect has lost more than it had, one remedy alone may
/// gain nothing: each is counted after those before it.
pub(super) fn gains(findings: &[ChartFinding]) -> Vec<Gain> {
    let rules = costing(findings);
    let mut done: Vec<&str> = vec![];
    let mut gains: Vec<Gain> = vec![];
    let mut open: BTreeSet<_> = rules.keys().copied().collect();
    while let Some(next) = best(&rules, &open, &done) {
        let rule = rules[next];
        let aspect = rule.aspect;
        let before = left(aspect, &rules, &done);
        done.push(next);
        open.remove(next);
        let gained = left(aspect, &rules, &done) - before;
        let of_rule = findings
            .iter()
            .filter(|f| f.is_charged() && f.rule.id == next);
        gains.push(Gain {
            rule: next,
            points: gained,
            findings: of_rule.count(),
            remedy: rule.remedy,
        });
    }
    gains.retain(|gain| gain.points > 0);
    gains.sort_by(|a, b| b.points.cmp(&a.points).then(a.rule.cmp(b.rule)));
    gains.truncate(MOST_GAINS);
    gains
}

/// The rule that gains most after those that are done; where several are needed to gain anything, the most costly.
fn best<'a>(
    rules: &BTreeMap<&'static str, &'static ChartRule>,
    open: &BTreeSet<&'a str>,
    done: &[&str],
) -> Option<&'a str> {
    let gained = |id: &str| {
        let aspect = rules[id].aspect;
        let with: Vec<_> = done.iter().copied().chain([id]).collect();
        left(aspect, rules, &with) - left(aspect, rules, done)
    };
    let costs = open.iter().filter(|id| rules[**id].points > 0);
    costs
        .copied()
        .max_by_key(|id| (gained(id), rules[id].points))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Counts;
    use super::super::table::rule;
    use super::*;

    fn finding(id: &str, counts: Counts) -> ChartFinding {
        ChartFinding {
            rule: rule(id).unwrap(),
            chart: "shop".into(),
            dependency: None,
            object: None,
            path: None,
            file: None,
            message: String::new(),
            place: None,
            value: None,
            with: vec![],
            counts,
            subject: super::super::seen::Subject::Chart,
            governing: vec![],
        }
    }

    fn score(ids: &[&str]) -> u8 {
        let findings: Vec<_> = ids.iter().map(|id| finding(id, Counts::Yes)).collect();
        total(&aspects(&findings))
    }

    #[test]
    fn a_rule_costs_its_points_once_and_an_aspect_no_more_than_it_has() {
        assert_eq!(score(&[]), 100);
        assert_eq!(score(&["probes.readiness", "probes.readiness"]), 94);
        assert_eq!(
            score(&["probes.readiness", "probes.liveness", "probes.same"]),
            90
        );
        assert_eq!(score(&["docs.readme", "docs.notes", "labels.standard"]), 95);
    }

    #[test]
    fn what_is_ignored_costs_nothing_and_what_is_known_does() {
        let ignored = finding("probes.readiness", Counts::Ignored("x".into()));
        let known = finding("probes.liveness", Counts::Known);
        assert_eq!(total(&aspects(&[ignored, known])), 96);
    }

    #[test]
    fn the_three_changes_that_gain_most_come_first() {
        let ids = [
            "monitoring.none",
            "docs.readme",
            "resources.memory-limit",
            "probes.readiness",
        ];
        let findings: Vec<_> = ids.iter().map(|id| finding(id, Counts::Yes)).collect();
        let gains: Vec<_> = gains(&findings)
            .iter()
            .map(|g| (g.rule, g.points))
            .collect();
        assert_eq!(
            gains,
            [
                ("monitoring.none", 10),
                ("resources.memory-limit", 7),
                ("probes.readiness", 6)
            ]
        );
    }
}
