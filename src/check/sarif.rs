//! Reports as SARIF 2.1.0, for code scanning (OASIS, "Static Analysis Results Interchange Format").

use std::path::Path;

use serde_json::{Value, json};

use super::finding::{ChartFinding, Counts};
use super::report::ChartReport;
use super::rule::{ChartRule, Severity};
use super::table::rules;
use crate::place::Origin;

/// The log of one run. Paths below `root` are relative to it.
pub fn sarif(reports: &[ChartReport], root: &Path) -> Value {
    let all: Vec<_> = rules().collect();
    let own = reports.iter().flat_map(|report| &report.findings);
    // Where one result has a state against the baseline, all have one (SARIF 2.1.0, 3.27.24).
    let has_baseline = own.clone().any(|finding| finding.counts == Counts::Known);
    let dependencies = reports.iter().flat_map(|report| &report.dependencies);
    let others = dependencies.flat_map(|dependency| &dependency.findings);
    let results: Vec<_> = own
        .chain(others)
        .map(|finding| result(finding, &all, root, has_baseline))
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "devk",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": all.iter().map(|rule| descriptor(rule)).collect::<Vec<_>>(),
            }},
            "columnKind": "utf16CodeUnits",
            "originalUriBaseIds": {"ROOT": {"uri": format!("file://{}/", encoded(root))}},
            "results": results,
        }],
    })
}

fn descriptor(rule: &ChartRule) -> Value {
    json!({
        "id": rule.id,
        "shortDescription": {"text": rule.why},
        "help": {"text": format!("{}. Source: {}", rule.remedy, rule.source)},
        "defaultConfiguration": {
            "level": level(rule.severity),
            "enabled": rule.start == super::rule::Start::On,
        },
        "properties": {
            "tags": [rule.gate.word()],
            "security-severity": security_severity(rule.severity),
        },
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "note",
    }
}

/// Code scanning sorts by it.
fn security_severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "3.0",
    }
}

fn result(finding: &ChartFinding, rules: &[&ChartRule], root: &Path, has_baseline: bool) -> Value {
    let index = rules.iter().position(|rule| rule.id == finding.rule.id);
    let object = finding.object.iter().map(|object| format!("{object}: "));
    let text = object.collect::<String>() + &finding.message;
    let mut result = json!({
        "ruleId": finding.rule.id,
        "ruleIndex": index,
        "level": level(finding.rule.severity),
        "message": {"text": text},
        "locations": finding.place.iter().map(|place| location(place, root)).collect::<Vec<_>>(),
        "partialFingerprints": {"devkFinding/v1": finding.fingerprint()},
    });
    if let Some(value) = &finding.value {
        let mut related = location(value, root);
        related["message"] = json!({"text": "the value that governs it"});
        result["relatedLocations"] = json!([related]);
    }
    match &finding.counts {
        Counts::Yes if has_baseline => result["baselineState"] = json!("new"),
        Counts::Yes => {}
        Counts::Known => result["baselineState"] = json!("unchanged"),
        Counts::Ignored(reason) => {
            result["suppressions"] =
                json!([{"kind": "external", "justification": reason, "status": "accepted"}]);
        }
    }
    result
}

fn location(place: &Origin, root: &Path) -> Value {
    let artifact = match place.file.strip_prefix(root) {
        Ok(below) => json!({"uri": encoded(below), "uriBaseId": "ROOT"}),
        Err(_) => json!({"uri": format!("file://{}", encoded(&place.file))}),
    };
    json!({"physicalLocation": {"artifactLocation": artifact, "region": {"startLine": place.line}}})
}

/// A path as a part of a URI (RFC 3986).
fn encoded(path: &Path) -> String {
    const KEPT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    percent_encoding::utf8_percent_encode(&path.to_string_lossy(), KEPT).to_string()
}
