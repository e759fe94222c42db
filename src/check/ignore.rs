//! Findings that do not count: by `check.ignore`, or by an annotation of the object or of its pod template. Each has a
//! reason. One that has expired ignores nothing, and is a finding itself.

use jiff::civil::Date;
use serde_json::Value;

use super::finding::{ChartFinding, Counts};
use crate::config::{CheckConfig, IgnoreConfig};

/// An annotation `ignore.devk/RULE: REASON`.
const PREFIX: &str = "ignore.devk/";

/// Marks what `check.ignore` ignores.
pub(super) fn by_config(findings: &mut [ChartFinding], config: &CheckConfig, today: Date) {
    for finding in findings {
        let current = |ignore: &&IgnoreConfig| ignore.until.is_none_or(|until| today <= until);
        let found = config
            .ignore
            .iter()
            .filter(current)
            .find(|ignore| fits(ignore, finding));
        if let Some(ignore) = found {
            finding.counts = Counts::Ignored(ignore.reason.clone());
        }
    }
}

fn fits(ignore: &IgnoreConfig, finding: &ChartFinding) -> bool {
    let object = finding.object.as_deref().unwrap_or_default();
    let is_chart =
        |chart: &String| *chart == finding.chart || Some(chart) == finding.dependency.as_ref();
    ignore.rule == finding.rule.id
        && ignore
            .object
            .as_deref()
            .is_none_or(|pattern| is_like(pattern, object))
        && ignore.chart.as_ref().is_none_or(is_chart)
}

/// Whether a text is like a pattern in which `*` stands for any text.
fn is_like(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut left) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<_> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.ends_with(last)
}

/// The reason that an object itself, or its pod template, gives for ignoring a rule; an empty one is none.
pub(super) fn by_annotation(object: &Value, rule: &str) -> Option<String> {
    let key = format!("{PREFIX}{rule}");
    let places = [
        "/metadata/annotations",
        "/spec/template/metadata/annotations",
        "/spec/jobTemplate/spec/template/metadata/annotations",
    ];
    let mut reasons = places
        .iter()
        .filter_map(|place| object.pointer(place)?.get(&key)?.as_str())
        .map(str::trim);
    reasons.find(|reason| !reason.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text) in [
            ("*", "Deployment/api"),
            ("Deployment/*", "Deployment/api"),
            ("*/api", "Deployment/api"),
            ("D*t/a*i", "Deployment/api"),
            ("Deployment/api", "Deployment/api"),
        ] {
            assert!(is_like(pattern, text), "{pattern}");
        }
        for pattern in ["Job/*", "Deployment/a", "*/apis", "x*api"] {
            assert!(!is_like(pattern, "Deployment/api"), "{pattern}");
        }
    }

    #[test]
    fn an_annotation_needs_a_reason_and_may_stand_on_the_pod_template() {
        let with = |reason: &str| json!({"metadata": {"annotations": {"ignore.devk/image.latest": reason}}});
        assert_eq!(
            by_annotation(&with("once"), "image.latest").as_deref(),
            Some("once")
        );
        assert_eq!(by_annotation(&with(" "), "image.latest"), None);
        assert_eq!(by_annotation(&with("once"), "image.digest"), None);
        let of_pod = json!({"spec": {"template": with("once")}});
        assert!(by_annotation(&of_pod, "image.latest").is_some());
    }
}
