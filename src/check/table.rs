//! The table of all rules. `devk chart check`, docs/chart-check.md, SARIF and JSON are made from it.

use super::gates::{
    backends, constraints, files, images, ingress, installed, monitoring, objects, pod_security,
    probes, rbac, references, rendering, resources, scaling, schema, secrets, storage, upgrades,
    upkeep, values,
};
use super::rule::{ChartRule, Start};
use crate::config::{CheckConfig, did_you_mean};
use crate::error::{Code, Error};

const ALL: &[&[ChartRule]] = &[
    files::RULES,
    rendering::RULES,
    schema::RULES,
    objects::RULES,
    backends::RULES,
    references::RULES,
    values::RULES,
    pod_security::RULES,
    images::RULES,
    secrets::RULES,
    rbac::RULES,
    ingress::RULES,
    resources::RULES,
    probes::RULES,
    scaling::RULES,
    storage::RULES,
    monitoring::RULES,
    upkeep::RULES,
    upgrades::RULES,
    installed::RULES,
    constraints::RULES,
];

/// Every rule.
pub fn rules() -> impl Iterator<Item = &'static ChartRule> + Clone {
    ALL.iter().copied().flatten()
}

/// A rule by its id.
pub(super) fn rule(id: &str) -> Option<&'static ChartRule> {
    rules().find(|rule| rule.id == id)
}

/// The rules that look at charts with these constraints.
pub(super) fn active(config: &CheckConfig) -> impl Iterator<Item = &'static ChartRule> {
    rules().filter(|rule| match rule.start {
        // A rule of a constraint sees nothing where the constraint is not set.
        Start::On | Start::Constraint => true,
        Start::Off => config.enable.iter().any(|id| id == rule.id),
    })
}

/// Names of rules that there are not, in `enable` and `ignore`.
pub(super) fn unknown(config: &CheckConfig) -> Vec<Error> {
    let is_unknown = |id: &str| rule(id).is_none();
    let error = |id: &str| {
        let error = Error::new(Code::ConfigValue, format!("there is no rule `{id}`"));
        error.hint(did_you_mean(id, rules().map(|rule| rule.id), "rules"))
    };
    let enabled = config.enable.iter().filter(|id| is_unknown(id)).map(|id| {
        let error = error(id);
        match &config.enabled_at {
            Some(origin) => error.at(&origin.file, origin.line),
            None => error,
        }
    });
    let ignored = config
        .ignore
        .iter()
        .filter(|ignore| is_unknown(&ignore.rule));
    let ignored =
        ignored.map(|ignore| error(&ignore.rule).at(&ignore.origin.file, ignore.origin.line));
    enabled.chain(ignored).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::rule::Aspect;
    use super::*;

    #[test]
    fn there_are_ninety_rules_and_no_more_than_sixty_are_on() {
        let all: BTreeSet<_> = rules().map(|rule| rule.id).collect();
        assert_eq!(all.len(), rules().count(), "an id stands there twice");
        assert!(all.len() >= 90, "{}", all.len());
        let on = rules().filter(|rule| rule.start == Start::On).count();
        assert!(on <= 60, "{on}");
    }

    #[test]
    fn rules_take_no_more_from_an_aspect_than_it_has_and_all_aspects_have_rules() {
        let mut on: BTreeMap<Aspect, u32> = BTreeMap::new();
        for rule in rules() {
            assert!(rule.points <= rule.aspect.points(), "{}", rule.id);
            if rule.start == Start::On {
                *on.entry(rule.aspect).or_default() += u32::from(rule.points);
            }
        }
        for aspect in Aspect::ALL {
            let sum = on.get(&aspect).copied().unwrap_or_default();
            assert!(sum >= u32::from(aspect.points()), "{aspect:?}: {sum}");
        }
        let sum: u8 = Aspect::ALL.iter().map(|aspect| aspect.points()).sum();
        assert_eq!(sum, 100);
    }

    #[test]
    fn every_rule_says_why_what_to_do_and_where_it_comes_from() {
        for rule in rules() {
            let texts = [rule.why, rule.remedy, rule.source];
            assert!(texts.iter().all(|text| text.len() > 5), "{}", rule.id);
            assert!(texts.iter().all(|text| !text.ends_with('.')), "{}", rule.id);
            assert!(
                !texts
                    .iter()
                    .any(|text| text.contains("http://") && rule.id != "chart.dependency-http"),
                "{}",
                rule.id
            );
            let (subject, problem) = rule.id.split_once('.').unwrap();
            let is_word = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(
                subject.chars().chain(problem.chars()).all(is_word),
                "{}",
                rule.id
            );
        }
    }

    #[test]
    fn an_unknown_rule_is_told_with_a_suggestion() {
        let config = CheckConfig {
            enable: vec!["image.diget".to_owned()],
            ..CheckConfig::default()
        };
        let errors = unknown(&config);
        assert_eq!(
            errors[0].hint.as_deref(),
            Some("did you mean `image.digest`?")
        );
    }
}
