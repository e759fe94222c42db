//! Hostile plans: each is refused while it is read, refused for leaving the project, or shown at its risk.

use std::collections::{BTreeMap, BTreeSet};
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
        of_others: BTreeMap::new(),
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
        {"verb": "roll-back", "revision": 3, "object": {"kind": "Deployment", "namespace": "shop", "name": "api"}},
        {"verb": "create", "body": {"data": {"a": "b"}}, "object": {"kind": "ConfigMap", "namespace": "shop", "name": "c"}},
        {"verb": "create", "object": {"kind": "Namespace", "name": "new"}},
    ]});
    let plan = read_plan(&text.to_string(), Path::new("plan")).unwrap();
    assert_eq!(serde_json::to_value(&plan).unwrap(), text);
}

#[test]
fn two_steps_on_one_object_are_refused_with_the_names_of_both() {
    let of = |verb: &str, kind: &str, name: &str, more: Value| {
        let mut step = more;
        step["verb"] = json!(verb);
        step["object"] = json!({"kind": kind, "namespace": "shop", "name": name});
        step
    };
    let scale = of("scale", "Deployment", "web", json!({"replicas": "x2"}));
    let image = of("set-image", "Deployment", "web", json!({"image": ":2"}));
    let expose = of("expose", "Deployment", "web", json!({"port": 80}));
    let service = of("delete", "Service", "web", json!({}));
    let data = json!({"body": {"data": {"a": "b"}}});
    let create = of("create", "ConfigMap", "c", data);
    let label = of("label", "ConfigMap", "c", json!({"set": {"a": "b"}}));
    for (first, second) in [
        (&scale, &image),
        (&scale, &scale),
        (&scale, &expose),
        (&expose, &scale),
        (&expose, &service),
        (&service, &expose),
        (&create, &label),
    ] {
        let plan = json!({"version": 1, "steps": [first, second]}).to_string();
        let message = read_plan(&plan, Path::new("plan")).unwrap_err().0[0]
            .message
            .clone();
        for (at, step) in [(1, first), (2, second)] {
            let (verb, name) = (&step["verb"], &step["object"]["name"]);
            let part = format!("step {at}, `{}` of ", verb.as_str().unwrap());
            assert!(message.contains(&part), "{message}");
            assert!(
                message.contains(&format!("/{}", name.as_str().unwrap())),
                "{message}"
            );
        }
    }
    let other = of(
        "expose",
        "Deployment",
        "web",
        json!({"port": 81, "service": "b"}),
    );
    let plan = json!({"version": 1, "steps": [expose, other, create, scale]}).to_string();
    assert_eq!(read_plan(&plan, Path::new("plan")).unwrap_err().0.len(), 1);
}

#[test]
fn a_verb_that_only_looks_is_refused() {
    let get = json!({"version": 1, "steps": [
        {"verb": "get", "object": {"kind": "Deployment", "namespace": "shop", "name": "web"}},
    ]});
    let error = read_plan(&get.to_string(), Path::new("plan")).unwrap_err();
    assert!(error.0[0].message.contains("only looks"), "{error:?}");
}
