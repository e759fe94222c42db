//! What earlier checks of this machine's charts have in common, offered as constraints: what is ignored again and again, and
//! what all charts do of their own accord. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::Counts;
use super::history::HistoryEntry;
use super::report::ChartReport;
use super::traits::{ChartTraits, common, equal};
use crate::config::CheckConfig;

/// So many findings of a rule are ignored before that is offered as a constraint.
const OFTEN: usize = 3;

/// So many charts have something in common before that is offered as a constraint.
const SEVERAL: usize = 3;

/// A constraint that could be taught.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConstraintOffer {
    pub why: String,
    /// As `devk chart teach` takes it.
    pub sentence: String,
}

/// What could be taught, after a check with these reports. `last` are the last checks of all charts of this machine.
pub fn offers(
    reports: &[ChartReport],
    config: &CheckConfig,
    last: &[HistoryEntry],
) -> Vec<ConstraintOffer> {
    // A chart may have been checked as a release and as a folder.
    let charts: BTreeMap<&str, &HistoryEntry> = last
        .iter()
        .map(|entry| (entry.chart.as_str(), entry))
        .collect();
    let mut offers = ignored(reports, config, &charts);
    offers.extend(shared(reports, config, &charts));
    offers
}

/// Rules of these reports that are ignored often, and not once for all.
fn ignored(
    reports: &[ChartReport],
    config: &CheckConfig,
    charts: &BTreeMap<&str, &HistoryEntry>,
) -> Vec<ConstraintOffer> {
    let here = reports.iter().flat_map(|report| &report.findings);
    let here = here.filter(|finding| matches!(finding.counts, Counts::Ignored(_)));
    let here: BTreeSet<_> = here.map(|finding| finding.rule.id).collect();
    let is_taught = |rule: &str| {
        let mut ignores = config.ignore.iter();
        ignores
            .any(|ignore| ignore.rule == rule && ignore.object.is_none() && ignore.chart.is_none())
    };
    let open = here.into_iter().filter(|rule| !is_taught(rule));
    let offers = open.filter_map(|rule| {
        let all = charts.values().flat_map(|entry| entry.ignored.values());
        let reasons: Vec<_> = all
            .filter(|(known, _)| known == rule)
            .map(|(_, reason)| reason.as_str())
            .collect();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for reason in &reasons {
            *counts.entry(reason).or_default() += 1;
        }
        let (reason, _) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        (reasons.len() >= OFTEN).then(|| ConstraintOffer {
            why: format!("`{rule}` is ignored {} times", reasons.len()),
            sentence: format!("ignore {rule} because {reason}"),
        })
    });
    offers.collect()
}

/// What all charts of this machine do, these ones included, and nobody asks of them.
fn shared(
    reports: &[ChartReport],
    config: &CheckConfig,
    charts: &BTreeMap<&str, &HistoryEntry>,
) -> Vec<ConstraintOffer> {
    let with_traits = charts.values().filter(|entry| !entry.traits.is_empty());
    let all: Vec<&ChartTraits> = with_traits.map(|entry| &entry.traits).collect();
    if all.len() < SEVERAL || reports.iter().all(|report| report.traits.is_empty()) {
        return vec![];
    }
    let why = |what: &str| format!("all {} charts that were checked here {what}", all.len());
    let mut offers = vec![];
    let labels = common(&all, "labels").into_iter();
    let asked = |label: &&str| config.labels.iter().any(|known| known == label);
    offers.extend(
        labels
            .filter(|label| !asked(label))
            .map(|label| ConstraintOffer {
                why: why(&format!("have the label `{label}`")),
                sentence: format!("label {label} required"),
            }),
    );
    let lists = [
        (
            "registries",
            &config.registries,
            "take their images from",
            "images only from",
        ),
        (
            "ingressClasses",
            &config.ingress_classes,
            "name the ingress class",
            "no ingress class but",
        ),
        (
            "storageClasses",
            &config.storage_classes,
            "name the storage class",
            "no storage class but",
        ),
    ];
    for (key, given, does, form) in lists {
        if let Some(values) = equal(&all, key).filter(|_| given.is_empty()) {
            let values: Vec<_> = values.iter().map(String::as_str).collect();
            offers.push(ConstraintOffer {
                why: why(&format!(
                    "{does} {}",
                    values
                        .iter()
                        .map(|value| format!("`{value}`"))
                        .collect::<Vec<_>>()
                        .join(", ")
                )),
                sentence: format!("{form} {}", values.join(" and ")),
            });
        }
    }
    offers
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::facts::{ChartFacts, CheckRendering, RenderingUse};
    use super::super::judge::{Judgement, judge};
    use super::super::teach::understood;
    use super::*;

    const TEXT: &str = "kind: Deployment\napiVersion: apps/v1\nmetadata:\n  name: NAME\n  labels: {team: a}\n  annotations: {ignore.devk/image.latest: built here}\nspec: {template: {spec: {containers: [{name: a, image: registry.example/NAME/api}]}}}\n";

    fn report(name: &str) -> ChartReport {
        let mut facts = ChartFacts::new(name, name, std::path::Path::new("/c"), vec![]);
        let text = TEXT.replace("NAME/", "shop/").replace("NAME", name);
        let rendering =
            CheckRendering::new("a", RenderingUse::Judged, &text, serde_json::Value::Null);
        facts.renderings.push(rendering.unwrap());
        let config = CheckConfig::default();
        judge(&facts, Judgement::new(&config, jiff::civil::Date::ZERO))
    }

    fn sentences(charts: &[&str], config: &CheckConfig) -> Vec<String> {
        let reports: Vec<_> = charts.iter().map(|name| report(name)).collect();
        let entries: Vec<_> = reports
            .iter()
            .map(|report| HistoryEntry::of(report, Timestamp::UNIX_EPOCH))
            .collect();
        let found = offers(&reports[..1], config, &entries);
        found.into_iter().map(|offer| offer.sentence).collect()
    }

    #[test]
    fn what_three_charts_have_in_common_is_offered_until_it_is_asked_for() {
        let nothing = CheckConfig::default();
        assert_eq!(sentences(&["a", "b"], &nothing), [""; 0]);
        assert_eq!(
            sentences(&["a", "b", "b"], &nothing),
            [""; 0],
            "one chart counts once"
        );
        let found = sentences(&["a", "b", "c"], &nothing);
        assert_eq!(
            found,
            [
                "ignore image.latest because built here",
                "label team required",
                "images only from registry.example/shop"
            ]
        );
        found
            .iter()
            .for_each(|sentence| drop(understood(sentence).unwrap()));
        let taught = CheckConfig {
            labels: vec!["team".into()],
            registries: vec!["registry.example".into()],
            ..CheckConfig::default()
        };
        assert_eq!(
            sentences(&["a", "b", "c"], &taught),
            ["ignore image.latest because built here"]
        );
    }
}
