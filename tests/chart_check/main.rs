//! `devk chart check` on committed charts: the ladder of scores, a chart in which no rule finds anything, and for each rule
//! that chart with one thing changed. helm renders the charts: it has to be on PATH.

// Clippy exempts test functions by itself, but not what they call.
#![allow(clippy::unwrap_used, clippy::panic)]

mod case;
mod cases;
mod commands;
mod document;
mod fix;
mod places;
mod speed;
mod stacks;
mod ugly;

use std::collections::BTreeSet;

use case::{all_rules, facts, report};
use devk::check::rules;
use devk::config::CheckConfig;

#[test]
fn the_ladder_is_exact() {
    let steps = [
        ("ladder/1-skeleton", 40),
        ("ladder/2-resources", 60),
        ("ladder/3-context", 75),
        ("ladder/4-probes", 85),
        ("ladder/5-monitoring", 95),
    ];
    for (chart, score) in steps {
        let report = report(&facts(chart), &CheckConfig::default());
        let found: Vec<_> = report
            .findings
            .iter()
            .map(|f| (f.rule.id, &f.message))
            .collect();
        assert_eq!(report.score, score, "{chart}: {found:#?}");
        assert_eq!(report.passed, score >= 90, "{chart}: {found:#?}");
    }
}

#[test]
fn a_whole_chart_has_no_finding_with_every_rule_on() {
    let facts = facts("whole");
    let report = report(&facts, &all_rules());
    let found: Vec<_> = report
        .findings
        .iter()
        .map(|f| (f.rule.id, &f.object, &f.message))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
    assert_eq!(report.score, 100);
    assert!(report.passed && report.gates.iter().all(|gate| gate.passed));
    // The values file and the one `enabled`, flipped.
    assert_eq!(report.renderings, ["values.yaml", "ingress.enabled: false"]);
}

#[test]
fn each_rule_finds_what_was_changed_and_nothing_else_does() {
    let base = facts("whole");
    let mut wrong = vec![];
    for (rule, change) in cases::CASES {
        match std::panic::catch_unwind(|| case::found(&base, *change)) {
            Ok(found) if found.keys().eq([rule]) => {}
            Ok(found) => wrong.push(format!("{rule}: {found:?}")),
            Err(_) => wrong.push(format!("{rule}: cannot be changed")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_rule_has_a_case() {
    let cases: BTreeSet<_> = cases::CASES.iter().map(|(rule, _)| *rule).collect();
    let rules: BTreeSet<_> = rules().map(|rule| rule.id).collect();
    let missing: Vec<_> = rules.symmetric_difference(&cases).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
