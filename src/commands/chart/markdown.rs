//! The report of `devk chart check` as Markdown, for a pull request or a wiki.

use std::path::Path;

use super::place;
use crate::check::{ChartFinding, ChartReport, READY};
use crate::ui;

/// All reports, one below the other.
pub(super) fn reports(reports: &[ChartReport], dir: &Path) -> String {
    let texts: Vec<_> = reports.iter().map(|report| one(report, dir)).collect();
    texts.join("\n")
}

fn one(report: &ChartReport, dir: &Path) -> String {
    let verdict = match report.passed {
        true => "passed",
        false => "not passed",
    };
    let mut text = format!(
        "## {}: {} of 100, {verdict}\n\nThe bar is {READY}, with no critical or high finding.\n\n",
        report.chart, report.score
    );
    text += &ui::markdown(&gates(report));
    let counted: Vec<_> = report.findings.iter().filter(|f| f.is_counted()).collect();
    if !counted.is_empty() {
        let mut rows = vec![row(["Severity", "Rule", "Finding", "Place", "Remedy"])];
        rows.extend(counted.iter().map(|finding| cells(finding, dir)));
        text += &format!("\n{}", ui::markdown(&rows));
    }
    if !report.gains.is_empty() {
        text += "\nWhat gains most:\n\n";
        for gain in &report.gains {
            text += &format!("- +{} `{}`: {}\n", gain.points, gain.rule, gain.remedy);
        }
    }
    for dependency in &report.dependencies {
        let count = dependency
            .findings
            .iter()
            .filter(|f| f.is_counted())
            .count();
        text += &format!(
            "\nDependency `{}`: {} of 100, {count} findings.\n",
            dependency.name, dependency.score
        );
    }
    if !report.notes.is_empty() {
        text += "\nNotes:\n\n";
        text += &report
            .notes
            .iter()
            .map(|note| format!("- {note}\n"))
            .collect::<String>();
    }
    text
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn gates(report: &ChartReport) -> Vec<Vec<String>> {
    let mut rows = vec![row(["Gate", "Passed", "Findings"])];
    rows.extend(report.gates.iter().map(|result| {
        let passed = if result.passed { "yes" } else { "**no**" };
        row([result.gate.word(), passed, &result.findings.to_string()])
    }));
    rows
}

fn cells(finding: &ChartFinding, dir: &Path) -> Vec<String> {
    let object = finding.object.iter().map(|object| format!("`{object}`: "));
    let message = object.collect::<String>() + &finding.message;
    let places = finding.place.iter().chain(&finding.value);
    let places: Vec<_> = places
        .map(|origin| format!("`{}`", place(origin, dir)))
        .collect();
    row([
        finding.rule.severity.word(),
        &format!("`{}`", finding.rule.id),
        &message,
        &places.join(", "),
        finding.rule.remedy,
    ])
}
