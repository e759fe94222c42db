//! Where findings stand: every place is a line of a file that is there, and the lines of some are known.

use std::collections::BTreeSet;

use devk::check::{ChartFinding, sarif};
use devk::config::{CheckConfig, Origin};

use super::case::{facts, folder, report};

pub(crate) fn is_there(origin: &Origin) -> bool {
    let text = std::fs::read_to_string(&origin.file).unwrap_or_default();
    (1..=text.lines().count()).contains(&(origin.line as usize))
}

#[test]
fn findings_stand_at_lines_of_the_templates_and_of_the_values_that_govern_them() {
    let facts = facts("ladder/2-resources");
    let report = report(&facts, &CheckConfig::default());
    let of = |rule: &str| {
        let finding = report.findings.iter().find(|f| f.rule.id == rule).unwrap();
        let place = finding.place.as_ref().unwrap();
        let file = place.file.strip_prefix(&facts.folder).unwrap();
        (file.to_string_lossy().into_owned(), place.line)
    };
    // The container, whose probe is missing, and the chart.
    assert_eq!(
        of("probes.readiness"),
        ("templates/deployment.yaml".to_owned(), 18)
    );
    assert_eq!(of("docs.readme"), ("Chart.yaml".to_owned(), 1));
    let places = |finding: &ChartFinding| {
        finding
            .place
            .clone()
            .into_iter()
            .chain(finding.value.clone())
    };
    let all: Vec<_> = report.findings.iter().flat_map(places).collect();
    assert!(!all.is_empty() && all.iter().all(is_there), "{all:?}");
}

#[test]
fn sarif_has_every_finding_once_at_a_line_with_a_fingerprint_of_its_own() {
    let facts = facts("ladder/1-skeleton");
    let report = report(&facts, &CheckConfig::default());
    let count = report.findings.len();
    let log = sarif(&[report], &folder(""));
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), count);
    let fingerprints: BTreeSet<_> = results
        .iter()
        .map(|result| {
            result["partialFingerprints"]["devkFinding/v1"]
                .as_str()
                .unwrap()
        })
        .collect();
    assert_eq!(fingerprints.len(), count);
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    for result in results {
        let rule = &rules[result["ruleIndex"].as_u64().unwrap() as usize];
        assert_eq!(rule["id"], result["ruleId"]);
        let place = &result["locations"][0]["physicalLocation"];
        let file = folder("").join(place["artifactLocation"]["uri"].as_str().unwrap());
        let line = u32::try_from(place["region"]["startLine"].as_u64().unwrap()).unwrap();
        assert!(is_there(&Origin { file, line }), "{place}");
    }
}
