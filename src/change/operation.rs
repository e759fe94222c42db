//! What a step becomes on the object that is there: one request to the API server. Pure.

use serde_json::{Map, Value, json};

use super::body;
use super::history::Revision;
use super::kind::ObjectKind;
use super::plan::{
    ChangeAction, ChangeStep, Expose, ObjectName, Scale, SetEnv, SetImage, SetResources,
};
use crate::error::suggest;
use crate::release::pods;

/// The annotation by which `kubectl rollout restart` makes new pods, too.
pub(super) const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// One write.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Operation {
    /// The object that is written: the step's own, or the Service of an `expose`.
    pub(super) target: ObjectName,
    pub(super) deed: Deed,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Deed {
    /// A strategic merge patch.
    Patch(Value),
    /// The whole object, but for its version.
    Replace(Value),
    Create(Value),
    Delete,
}

impl Deed {
    /// The verb of RBAC.
    pub(super) const fn right(&self) -> &'static str {
        match self {
            Self::Patch(_) => "patch",
            Self::Replace(_) => "update",
            Self::Create(_) => "create",
            Self::Delete => "delete",
        }
    }
}

/// Why there is none: what is wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Impossible {
    pub(super) what: String,
    pub(super) hint: Option<String>,
}

type Found<T> = Result<T, Impossible>;

pub(super) fn impossible(what: impl Into<String>) -> Impossible {
    Impossible {
        what: what.into(),
        hint: None,
    }
}

impl Operation {
    /// The request of a step. `history` is read for a `roll-back` only; `now` is the time of a restart.
    pub(super) fn of(
        step: &ChangeStep,
        live: Option<&Value>,
        history: &[Revision],
        now: &str,
    ) -> Found<Self> {
        let object = &step.object;
        let deed = match (&step.action, live) {
            (ChangeAction::Create(_), Some(_)) => {
                return Err(impossible(format!("{object} is there already")));
            }
            (ChangeAction::Create(create), None) => Deed::Create(body::manifest(object, create)),
            (_, None) => return Err(impossible(format!("there is no {object}"))),
            (ChangeAction::Scale(scale), Some(live)) => Deed::Patch(scaled(object, scale, live)?),
            (ChangeAction::Restart(_), Some(_)) => {
                let notes = json!({RESTARTED_AT: now});
                Deed::Patch(json!({"spec": {"template": {"metadata": {"annotations": notes}}}}))
            }
            (ChangeAction::RollBack(back), Some(live)) => {
                rolled_back(object, back.revision, live, history)?
            }
            (ChangeAction::SetImage(set), Some(live)) => Deed::Patch(with_image(set, live)?),
            (ChangeAction::SetEnv(set), Some(live)) => Deed::Patch(with_env(set, live)?),
            (ChangeAction::SetResources(set), Some(live)) => {
                Deed::Patch(with_resources(set, live)?)
            }
            (ChangeAction::Patch(patch), Some(_)) => {
                Deed::Patch(Value::Object(patch.patch.clone()))
            }
            (ChangeAction::Label(labels), Some(_)) => {
                let set = labels
                    .set
                    .iter()
                    .map(|(key, value)| (key.clone(), json!(value)));
                let unset = labels.unset.iter().map(|key| (key.clone(), Value::Null));
                let labels: Map<_, _> = set.chain(unset).collect();
                Deed::Patch(json!({"metadata": {"labels": labels}}))
            }
            (ChangeAction::Delete(_), Some(_)) => Deed::Delete,
            (ChangeAction::Expose(expose), Some(live)) => {
                Deed::Create(exposed(step, expose, live)?)
            }
        };
        Ok(Self {
            target: step.target(),
            deed,
        })
    }
}

/// The count of replicas that an object asks for.
pub(super) fn replicas(object: &Value) -> u32 {
    let asked = object["spec"]["replicas"].as_u64();
    asked.map_or(1, |asked| u32::try_from(asked).unwrap_or(u32::MAX))
}

fn scaled(object: &ObjectName, scale: &Scale, live: &Value) -> Found<Value> {
    let present = replicas(live);
    match scale.replicas.of(present) {
        Some(count) if count == present => Err(impossible(format!(
            "{object} has {present} replica(s) already"
        ))),
        Some(count) => Ok(json!({"spec": {"replicas": count}})),
        None => Err(impossible(format!(
            "{object} has {present} replica(s), and `{}` leads out of 0 to {}",
            scale.replicas,
            super::plan::MOST_REPLICAS
        ))),
    }
}

fn rolled_back(
    object: &ObjectName,
    revision: Option<u64>,
    live: &Value,
    history: &[Revision],
) -> Found<Deed> {
    let numbers: Vec<_> = history
        .iter()
        .map(|revision| revision.number.to_string())
        .collect();
    let kept = Some(match numbers.as_slice() {
        [] => "no earlier revision is kept".to_owned(),
        numbers => format!("the kept revisions are {}", numbers.join(", ")),
    });
    let found = match revision {
        Some(number) => history.iter().find(|revision| revision.number == number),
        None => history.iter().rfind(|revision| !revision.current),
    };
    let Some(found) = found else {
        let what = match revision {
            Some(number) => format!("{object} has no revision {number}"),
            None => format!("{object} has no revision to go back to"),
        };
        return Err(Impossible { what, hint: kept });
    };
    if found.current {
        let what = format!("{object} runs revision {} already", found.number);
        return Err(Impossible { what, hint: kept });
    }
    Ok(match object.kind {
        ObjectKind::Deployment => {
            let mut whole = live.clone();
            whole["spec"]["template"] = found.content.clone();
            Deed::Replace(whole)
        }
        // Kubernetes keeps these as patches.
        _ => Deed::Patch(found.content.clone()),
    })
}

/// The list that the container is in, and its name.
fn container<'v>(live: &'v Value, name: Option<&str>) -> Found<(&'static str, &'v Value)> {
    let spec = &live["spec"]["template"]["spec"];
    let of = |key: &'static str| pods::list(&spec[key]).map(move |member| (key, member));
    let all: Vec<_> = of("containers").chain(of("initContainers")).collect();
    let called = |(_, member): &(&str, &Value)| member["name"].as_str().map(str::to_owned);
    let names: Vec<_> = all.iter().filter_map(called).collect();
    match name {
        Some(name) => {
            let found = all.iter().find(|(_, member)| member["name"] == name);
            found.copied().ok_or_else(|| Impossible {
                what: format!("there is no container `{name}`"),
                hint: Some(match suggest(name, names.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("the containers are {}", names.join(", ")),
                }),
            })
        }
        None => {
            let mut plain = of("containers");
            match (plain.next(), plain.next()) {
                (Some(only), None) => Ok(only),
                _ => Err(Impossible {
                    what: "there are several containers, and the step names none".to_owned(),
                    hint: Some(format!("the containers are {}", names.join(", "))),
                }),
            }
        }
    }
}

/// A patch of one container.
fn patched(list: &str, container: &Value, mut change: Value) -> Value {
    change["name"] = container["name"].clone();
    json!({"spec": {"template": {"spec": {list: [change]}}}})
}

fn with_image(set: &SetImage, live: &Value) -> Found<Value> {
    let (list, found) = container(live, set.container.as_deref())?;
    let present = found["image"].as_str().unwrap_or_default();
    let image = match set.image.strip_prefix(':') {
        Some(tag) => format!("{}:{tag}", untagged(present)),
        None => set.image.clone(),
    };
    if image == present {
        return Err(impossible(format!("the container runs `{image}` already")));
    }
    Ok(patched(list, found, json!({"image": image})))
}

/// A reference without tag and digest. A colon before the last slash is that of a port.
fn untagged(image: &str) -> &str {
    let image = image.split_once('@').map_or(image, |(name, _)| name);
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}

fn with_env(set: &SetEnv, live: &Value) -> Found<Value> {
    let (list, found) = container(live, set.container.as_deref())?;
    let has = |name: &str| {
        let mut variables = pods::list(&found["env"]);
        variables.any(|variable| variable["name"] == name)
    };
    if let Some(missing) = set.unset.iter().find(|name| !has(name)) {
        let what = format!("the container has no variable `{missing}` of its own");
        return Err(impossible(what));
    }
    let values = set.set.iter().map(|(name, value)| {
        // A value takes the place of a reference.
        json!({"name": name, "value": value, "valueFrom": null})
    });
    let gone = set
        .unset
        .iter()
        .map(|name| json!({"name": name, "$patch": "delete"}));
    let env: Vec<_> = values.chain(gone).collect();
    Ok(patched(list, found, json!({"env": env})))
}

fn with_resources(set: &SetResources, live: &Value) -> Found<Value> {
    let (list, found) = container(live, set.container.as_deref())?;
    let mut resources = json!({});
    for (key, quantities) in [("requests", &set.requests), ("limits", &set.limits)] {
        if !quantities.is_empty() {
            resources[key] = json!(quantities);
        }
    }
    Ok(patched(list, found, json!({"resources": resources})))
}

/// The Service that selects the pods of a workload.
fn exposed(step: &ChangeStep, expose: &Expose, live: &Value) -> Found<Value> {
    let selector = &live["spec"]["selector"]["matchLabels"];
    if selector.as_object().is_none_or(Map::is_empty) {
        let what = format!(
            "{} selects its pods by expressions, which a Service cannot",
            step.object
        );
        return Err(impossible(what));
    }
    let target = step.target();
    let port = json!({
        "port": expose.port,
        "targetPort": expose.target_port.unwrap_or(expose.port),
        "protocol": "TCP",
    });
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": target.name, "namespace": target.namespace},
        "spec": {"selector": selector, "ports": [port]},
    }))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::read_plan;
    use super::*;

    fn step(verb: &str, more: &str) -> ChangeStep {
        let text = format!(
            r#"{{"version": 1, "steps": [{{"verb": "{verb}", "object": {{"kind": "Deployment", "namespace": "shop", "name": "web"}}{more}}}]}}"#
        );
        read_plan(&text, Path::new("plan")).unwrap().steps.remove(0)
    }

    fn live() -> Value {
        json!({"spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"spec": {"containers": [
                {"name": "web", "image": "localhost:5000/shop/web:1.0@sha256:00", "env": [{"name": "A", "value": "1"}]},
            ]}},
        }})
    }

    fn deed(verb: &str, more: &str) -> Found<Deed> {
        Operation::of(&step(verb, more), Some(&live()), &[], "now").map(|found| found.deed)
    }

    fn patch(container: Value) -> Deed {
        Deed::Patch(json!({"spec": {"template": {"spec": {"containers": [container]}}}}))
    }

    #[test]
    fn a_relative_count_goes_by_the_one_that_is_there() {
        let scaled = |count: &str| deed("scale", &format!(r#", "replicas": "{count}""#));
        assert_eq!(
            scaled("+1"),
            Ok(Deed::Patch(json!({"spec": {"replicas": 3}})))
        );
        assert_eq!(
            scaled("x2"),
            Ok(Deed::Patch(json!({"spec": {"replicas": 4}})))
        );
        assert_eq!(
            scaled("2").unwrap_err().what,
            "deployment/web has 2 replica(s) already"
        );
        assert!(scaled("-3").unwrap_err().what.contains("leads out of"));
    }

    #[test]
    fn a_tag_alone_keeps_the_image_and_its_registry() {
        assert_eq!(
            deed("set-image", r#", "image": ":2.0""#),
            Ok(patch(
                json!({"image": "localhost:5000/shop/web:2.0", "name": "web"})
            ))
        );
        assert_eq!(untagged("localhost:5000/web"), "localhost:5000/web");
        let missing = deed("set-image", r#", "container": "wbe", "image": "x""#).unwrap_err();
        assert_eq!(missing.hint.unwrap(), "did you mean `web`?");
    }

    #[test]
    fn a_variable_is_set_in_the_place_of_a_reference_or_goes() {
        assert_eq!(
            deed("set-env", r#", "set": {"B": "2"}, "unset": ["A"]"#),
            Ok(patch(json!({"env": [
                {"name": "B", "value": "2", "valueFrom": null},
                {"name": "A", "$patch": "delete"},
            ], "name": "web"})))
        );
        assert!(deed("set-env", r#", "unset": ["C"]"#).is_err());
    }

    #[test]
    fn a_roll_back_goes_to_the_newest_kept_revision_that_does_not_run() {
        let kept = |number, current| Revision {
            number,
            current,
            content: json!({"of": number}),
        };
        let history = [kept(1, false), kept(3, false), kept(4, true)];
        let back =
            |more: &str| Operation::of(&step("roll-back", more), Some(&live()), &history, "");
        let Deed::Replace(whole) = back("").unwrap().deed else {
            panic!("no replacement")
        };
        assert_eq!(whole["spec"]["template"], json!({"of": 3}));
        assert_eq!(whole["spec"]["replicas"], 2);
        let missing = back(r#", "revision": 2"#).unwrap_err();
        assert_eq!(missing.hint.unwrap(), "the kept revisions are 1, 3, 4");
        assert!(
            back(r#", "revision": 4"#)
                .unwrap_err()
                .what
                .contains("already")
        );
    }

    #[test]
    fn what_is_there_is_not_created_and_what_is_not_is_not_changed() {
        let create = step(
            "create",
            r#", "body": {"spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}"#,
        );
        assert!(Operation::of(&create, Some(&live()), &[], "").is_err());
        assert!(Operation::of(&create, None, &[], "").is_ok());
        let gone = Operation::of(&step("delete", ""), None, &[], "").unwrap_err();
        assert_eq!(gone.what, "there is no deployment/web");
    }

    #[test]
    fn an_exposed_workload_gets_a_service_that_selects_its_pods() {
        let exposed = Operation::of(
            &step("expose", r#", "port": 80, "target_port": 8080"#),
            Some(&live()),
            &[],
            "",
        )
        .unwrap();
        assert_eq!(exposed.target.to_string(), "service/web");
        let Deed::Create(service) = exposed.deed else {
            panic!("nothing created")
        };
        assert_eq!(service["spec"]["selector"], json!({"app": "web"}));
        assert_eq!(service["spec"]["ports"][0]["targetPort"], 8080);
    }
}
