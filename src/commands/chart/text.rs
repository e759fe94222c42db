//! The report of `devk chart check` for a terminal.

use std::path::Path;

use console::style;

use super::place;
use crate::check::{
    ChartFinding, ChartReport, ConstraintOffer, Counts, GateResult, READY, Severity,
};
use crate::shell::quote;

/// So many findings of one rule are shown with their places.
const MOST_PLACES: usize = 8;

/// All reports, one below the other. `falls`: by how many points each score fell since the check before.
pub(super) fn reports(reports: &[ChartReport], falls: &[Option<u8>], dir: &Path) -> String {
    let texts = reports.iter().zip(falls);
    let texts: Vec<_> = texts
        .map(|(report, fall)| one(report, *fall, dir))
        .collect();
    texts.join("\n")
}

/// One line each.
pub(super) fn offers(offers: &[ConstraintOffer]) -> String {
    let line = |offer: &ConstraintOffer| {
        let (why, sentence) = (&offer.why, quote(&offer.sentence));
        format!("{} {why}: devk chart teach {sentence}\n", style("?").cyan())
    };
    offers.iter().map(line).collect()
}

fn one(report: &ChartReport, fall: Option<u8>, dir: &Path) -> String {
    let counted: Vec<_> = report.findings.iter().filter(|f| f.is_counted()).collect();
    let mut text = headline(report, fall) + "\n";
    for of_rule in by_rule(&counted) {
        text += &rule(&of_rule, dir);
    }
    if !counted.is_empty() {
        text += "\n";
    }
    text += &gates(&report.gates);
    text += &gains(report);
    text += &dependencies(report);
    text += &left_out(report);
    for note in &report.notes {
        text += &format!("{} {note}\n", style("-").dim());
    }
    text
}

fn headline(report: &ChartReport, fall: Option<u8>) -> String {
    let score = format!("{} of 100", report.score);
    let score = match report.passed {
        true => style(score).green().bold(),
        false => style(score).red().bold(),
    };
    let of: Vec<_> = report
        .aspects
        .iter()
        .map(|aspect| format!("{} {}/{}", aspect.aspect.word(), aspect.points, aspect.of))
        .collect();
    let name = match report.chart == report.release {
        true => report.chart.clone(),
        false => format!("{} ({})", report.chart, report.release),
    };
    let fall = fall.map(|points| format!(", {points} less than at the check before"));
    let fall = fall.unwrap_or_default();
    format!(
        "{}: {score}{fall}\n  {}\n",
        style(name).bold(),
        style(of.join(", ")).dim()
    )
}

/// Findings of one rule together, in the order of the findings.
fn by_rule<'a>(findings: &[&'a ChartFinding]) -> Vec<Vec<&'a ChartFinding>> {
    let mut groups: Vec<Vec<&ChartFinding>> = vec![];
    for finding in findings {
        match groups
            .last_mut()
            .filter(|group| group[0].rule.id == finding.rule.id)
        {
            Some(group) => group.push(finding),
            None => groups.push(vec![finding]),
        }
    }
    groups
}

fn rule(findings: &[&ChartFinding], dir: &Path) -> String {
    let rule = findings[0].rule;
    let mark = match rule.severity {
        Severity::Critical | Severity::High => style("✗").red().bold(),
        Severity::Medium => style("!").yellow().bold(),
        Severity::Low => style("·").dim(),
    };
    let mut text = format!(
        "{mark} {:<9}{:<28}{}\n",
        rule.severity.word(),
        rule.id,
        rule.why
    );
    for finding in findings.iter().take(MOST_PLACES) {
        text += &format!("    {}\n", line(finding, dir));
    }
    if let Some(more) = findings
        .len()
        .checked_sub(MOST_PLACES)
        .filter(|more| *more > 0)
    {
        text += &format!("    and {more} more\n");
    }
    text + &format!("    {} {}\n", style("→").cyan(), rule.remedy)
}

fn line(finding: &ChartFinding, dir: &Path) -> String {
    let object = finding.object.iter().map(|object| format!("{object}: "));
    let mut text = object.collect::<String>() + &finding.message;
    if !finding.with.is_empty() {
        text += &format!(" (with {})", finding.with.join(", "));
    }
    let places = finding.place.iter().chain(&finding.value);
    let places: Vec<_> = places.map(|origin| place(origin, dir)).collect();
    match places.is_empty() {
        true => text,
        false => format!("{} {text}", style(format!("{}:", places.join(", "))).dim()),
    }
}

fn gates(gates: &[GateResult]) -> String {
    let gate = |result: &GateResult| {
        let (mark, name) = (result.passed, result.gate.word());
        let mark = match mark {
            true => style("✓").green(),
            false => style("✗").red().bold(),
        };
        format!("{mark} {name}")
    };
    let gates: Vec<_> = gates.iter().map(gate).collect();
    format!("{}\n", gates.join("  "))
}

fn gains(report: &ChartReport) -> String {
    if report.gains.is_empty() {
        return String::new();
    }
    let mut text = match report.score < READY {
        true => format!("what gains most on the way to {READY}:\n"),
        false => "what gains most:\n".to_owned(),
    };
    for gain in &report.gains {
        text += &format!(
            "  {:>3} {:<26}{}\n",
            format!("+{}", gain.points),
            gain.rule,
            gain.remedy
        );
    }
    text
}

fn dependencies(report: &ChartReport) -> String {
    let line = |dependency: &crate::check::DependencyReport| {
        let findings = dependency
            .findings
            .iter()
            .filter(|f| f.is_counted())
            .count();
        let (name, score) = (&dependency.name, dependency.score);
        format!(
            "{} dependency `{name}`: {score} of 100, {findings} findings\n",
            style("-").dim()
        )
    };
    report.dependencies.iter().map(line).collect()
}

fn left_out(report: &ChartReport) -> String {
    let known = report
        .findings
        .iter()
        .filter(|f| f.counts == Counts::Known)
        .count();
    let mut text = String::new();
    if known > 0 {
        text += &format!(
            "{} {known} findings are in the baseline\n",
            style("-").dim()
        );
    }
    for finding in &report.findings {
        if let Counts::Ignored(reason) = &finding.counts {
            let object = finding.object.as_deref().unwrap_or("the chart");
            let rule = finding.rule.id;
            text += &format!(
                "{} ignored: {rule} of {object}: {reason}\n",
                style("-").dim()
            );
        }
    }
    text
}
