//! Hostile plans: each is refused while it is read, refused for leaving the project, or shown at its risk.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::operation::Operation;
use super::plan::{ChangeAction, ChangePlan, ChangeStep};
use super::read_plan;
use super::risk::{ChangeRisk, risk};
use super::scope::ChangeScope;

const HOSTILE: &str = include_str!("../../tests/change/hostile.json");

/// What becomes of a plan before any cluster is asked.
fn verdict(plan: &str) -> Value {
    let Ok(plan) = read_plan(plan, Path::new("plan")) else {
        return json!("invalid");
    };
    let mut scope = ChangeScope {
        project: "shop".to_owned(),
        made: BTreeSet::new(),
        planned: BTreeSet::new(),
    };
    if plan.steps.iter().any(|step| scope.take(step).is_some()) {
        return json!("outside");
    }
    json!({"risk": worst(&plan)})
}

fn worst(plan: &ChangePlan) -> ChangeRisk {
    let risks = plan.steps.iter().map(|step| {
        let is_new = matches!(step.action, ChangeAction::Create(_));
        let live = (!is_new).then(live);
        let operation = Operation::of(step, live.as_ref(), &[], "now").unwrap();
        let changes = changed(step);
        risk(step, &operation, live.as_ref(), &changes).0
    });
    risks.max().unwrap()
}

fn live() -> Value {
    let container = json!({"name": "web", "image": "web:1"});
    json!({"spec": {"replicas": 2, "template": {"spec": {"containers": [container]}}}})
}

/// As the dry run would tell.
fn changed(step: &ChangeStep) -> Vec<super::FieldChange> {
    let path = match step.action {
        ChangeAction::Label(_) => "metadata.labels.a",
        ChangeAction::Scale(_) => "spec.replicas",
        _ => "spec.template.spec.containers[web].image",
    };
    vec![super::FieldChange {
        path: path.to_owned(),
        before: None,
        after: Some("x".to_owned()),
    }]
}

#[test]
fn every_hostile_plan_is_refused_or_shown_at_its_risk() {
    let cases: Vec<Value> = serde_json::from_str(HOSTILE).unwrap();
    assert!(cases.len() >= 60, "{}", cases.len());
    for case in cases {
        let plan = match case["text"].as_str() {
            Some(text) => text.to_owned(),
            None => case["plan"].to_string(),
        };
        assert_eq!(verdict(&plan), case["expect"], "{}", case["why"]);
    }
}

#[test]
fn all_problems_of_a_plan_are_told_with_their_lines() {
    let text = r#"{"version": 1, "steps": [
  {"verb": "scal", "object": {"kind": "Deployment", "namespace": "shop", "name": "web"}},
  {"verb": "delete", "object": {"kind": "Deploymnet", "namespace": "shop", "name": "web"}},
  {"verb": "scale", "object": {"kind": "Deployment", "namespace": "shop", "name": "web"}, "replcas": 3}
]}"#;
    let errors = read_plan(text, Path::new("plan.json")).unwrap_err().0;
    let said: Vec<_> = errors
        .iter()
        .map(|error| (error.to_string(), error.hint.clone().unwrap_or_default()))
        .collect();
    let line = |at: usize, what: &str| said[at].0.contains(what);
    assert!(
        line(0, "plan.json:2: no plan has the verb `scal`"),
        "{said:?}"
    );
    assert_eq!(said[0].1, "did you mean `scale`?");
    assert!(
        line(
            1,
            "plan.json:3: no plan has objects of the kind `Deploymnet`"
        ),
        "{said:?}"
    );
    assert_eq!(said[1].1, "did you mean `Deployment`?");
    assert!(
        line(2, "plan.json:4: a step of `scale` has no key `replcas`"),
        "{said:?}"
    );
    assert_eq!(said[2].1, "did you mean `replicas`?");
    assert_eq!(errors.len(), 3);
}

#[test]
fn a_plan_is_read_back_as_it_was_written() {
    let text = json!({"version": 1, "steps": [
        {"verb": "scale", "replicas": "+2", "object": {"kind": "Deployment", "namespace": "shop", "name": "web"}, "reason": "load"},
        {"verb": "roll-back", "revision": 3, "object": {"kind": "Deployment", "namespace": "shop", "name": "web"}},
        {"verb": "create", "body": {"data": {"a": "b"}}, "object": {"kind": "ConfigMap", "namespace": "shop", "name": "c"}},
        {"verb": "create", "object": {"kind": "Namespace", "name": "new"}},
    ]});
    let plan = read_plan(&text.to_string(), Path::new("plan")).unwrap();
    assert_eq!(serde_json::to_value(&plan).unwrap(), text);
}

#[test]
fn the_same_step_twice_and_a_verb_that_only_looks_are_refused() {
    let step = json!({"verb": "restart", "object": {"kind": "Deployment", "namespace": "shop", "name": "web"}});
    let twice = json!({"version": 1, "steps": [step, step]}).to_string();
    let error = read_plan(&twice, Path::new("plan")).unwrap_err();
    assert_eq!(
        error.0[0].message,
        "`restart` of deployment/web is there twice"
    );
    let get = twice.replace("restart", "get");
    let error = read_plan(&get, Path::new("plan")).unwrap_err();
    assert!(error.0[0].message.contains("only looks"), "{error:?}");
}
