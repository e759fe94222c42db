//! A step as the kubectl command that does the same, for learning and for pasting. devk itself never runs or reads it:
//! all that a plan holds is quoted as one word. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::diff::{MASK, has_password, is_secret_name, masked};
use super::history::Revision;
use super::kind::ObjectKind;
use super::operation::{Deed, Operation, replicas};
use super::plan::{ChangeAction, ChangeStep, ObjectName};
use crate::error::on_cluster;
use crate::shell::quote;

/// The command of a step.
pub(super) fn command(step: &ChangeStep, operation: &Operation) -> String {
    let object = &step.object;
    let words = match (&step.action, &operation.deed) {
        (ChangeAction::Scale(_), Deed::Patch(patch)) => {
            format!("scale {} --replicas={}", word(object), replicas(patch))
        }
        (ChangeAction::Restart(_), _) => format!("rollout restart {}", word(object)),
        (ChangeAction::RollBack(back), _) => match back.revision {
            Some(revision) => format!("rollout undo {} --to-revision={revision}", word(object)),
            None => format!("rollout undo {}", word(object)),
        },
        (ChangeAction::SetImage(_), Deed::Patch(patch)) => {
            let container = first_container(patch);
            let (name, image) = (&container["name"], &container["image"]);
            let pair = format!("{}={}", plain(name), plain(image));
            format!("set image {} {}", word(object), quote(pair))
        }
        (ChangeAction::SetEnv(set), Deed::Patch(patch)) => {
            let container = plain(&first_container(patch)["name"]).to_owned();
            let values = set.set.iter().map(|(name, value)| variable(name, value));
            let gone = set.unset.iter().map(|name| quote(format!("{name}-")));
            let words: Vec<_> = values.chain(gone).collect();
            let (object, container) = (word(object), quote(container));
            format!(
                "set env {object} --containers={container} {}",
                words.join(" ")
            )
        }
        (ChangeAction::SetResources(set), Deed::Patch(patch)) => {
            let container = quote(plain(&first_container(patch)["name"]));
            let mut words = format!("set resources {} --containers={container}", word(object));
            for (option, quantities) in [("requests", &set.requests), ("limits", &set.limits)] {
                if !quantities.is_empty() {
                    words += &format!(" --{option}={}", quote(pairs(quantities)));
                }
            }
            words
        }
        (ChangeAction::Label(set), _) => {
            let values = set
                .set
                .iter()
                .map(|(key, value)| quote(format!("{key}={value}")));
            let gone = set.unset.iter().map(|key| quote(format!("{key}-")));
            let words: Vec<_> = values.chain(gone).collect();
            format!("label --overwrite {} {}", word(object), words.join(" "))
        }
        (ChangeAction::Expose(expose), _) => {
            let mut words = format!("expose {} --port={}", word(object), expose.port);
            if let Some(target) = expose.target_port {
                words += &format!(" --target-port={target}");
            }
            if let Some(name) = &expose.service {
                words += &format!(" --name={}", quote(name));
            }
            words
        }
        (_, Deed::Delete) => format!("delete {}", word(object)),
        (_, Deed::Create(manifest)) => {
            let (manifest, note) = shown(manifest);
            let create = on("create --filename -", object);
            return format!("printf %s {manifest} | {create}{note}");
        }
        (_, Deed::Patch(patch)) => {
            let (patch, note) = shown(patch);
            let words = format!("patch {} --type strategic --patch {patch}", word(object));
            return on(&words, object) + &note;
        }
        (_, Deed::Replace(_)) => format!("edit {}", word(object)),
    };
    on(&words, object)
}

/// How to take a step back; None if nothing does. `before` is the object as it is.
pub(super) fn undo(
    step: &ChangeStep,
    operation: &Operation,
    before: Option<&Value>,
    history: &[Revision],
    replaces_pods: bool,
) -> Option<String> {
    let object = &operation.target;
    let words = match &operation.deed {
        Deed::Create(_) => format!("delete {}", word(object)),
        Deed::Delete => return None,
        _ if matches!(step.action, ChangeAction::Restart(_)) => return None,
        // A claim takes no smaller size.
        Deed::Patch(_) if object.kind == ObjectKind::PersistentVolumeClaim => return None,
        Deed::Patch(_) if matches!(step.action, ChangeAction::Scale(_)) => {
            format!(
                "scale {} --replicas={}",
                word(object),
                before.map_or(1, replicas)
            )
        }
        _ if replaces_pods => {
            let current = history.iter().find(|revision| revision.current)?;
            let number = current.number;
            format!("rollout undo {} --to-revision={number}", word(object))
        }
        Deed::Patch(patch) => {
            let back = inverse(patch, before?);
            if masked(&back) != back {
                return Some(unshown(object));
            }
            let back = quote(back.to_string());
            format!("patch {} --type merge --patch {back}", word(object))
        }
        Deed::Replace(_) => return None,
    };
    Some(on(&words, object))
}

/// The command that shows an object.
pub(super) fn look(object: &ObjectName) -> String {
    on(&format!("get {} --output yaml", word(object)), object)
}

/// What stands in the place of a command that would hold a value that may be secret: for a shell it is a comment.
fn unshown(object: &ObjectName) -> String {
    format!(
        "# a value that was there may be secret and is not shown; a copy, before the change: {}",
        keep(object)
    )
}

/// The command that keeps a copy of what a step deletes.
pub(super) fn keep(object: &ObjectName) -> String {
    let file = quote(format!("{}-{}.yaml", object.kind.word(), object.name));
    format!("{} >{file}", look(object))
}

/// The merge patch that puts back what a patch changes. Lists are put back as a whole.
fn inverse(patch: &Value, before: &Value) -> Value {
    match (patch, before) {
        (Value::Object(patch), before) if before.is_object() || before.is_null() => {
            let back = patch.iter().map(|(key, value)| {
                let old = before.get(key).unwrap_or(&Value::Null);
                (key.clone(), inverse(value, old))
            });
            Value::Object(back.collect())
        }
        (_, before) => before.clone(),
    }
}

/// A manifest or patch as one word of a shell, and what is to be done before it is pasted.
fn shown(value: &Value) -> (String, String) {
    let masked = masked(value);
    let note = match masked == *value {
        true => String::new(),
        false => format!("    # put the value in the place of {MASK}"),
    };
    (quote(masked.to_string()), note)
}

fn on(words: &str, object: &ObjectName) -> String {
    let namespace = match &object.namespace {
        Some(namespace) => format!(" --namespace {}", quote(namespace)),
        None => String::new(),
    };
    on_cluster(format!("kubectl {words}{namespace}"))
}

fn word(object: &ObjectName) -> String {
    quote(object.to_string())
}

fn plain(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn first_container(patch: &Value) -> Value {
    let spec = &patch["spec"]["template"]["spec"];
    let lists = ["containers", "initContainers"].into_iter();
    let mut members = lists.filter_map(|list| spec[list].get(0));
    members.next().cloned().unwrap_or_default()
}

/// `LEVEL=debug`; of a variable that may be secret a word that takes its value from the shell that pastes it.
fn variable(name: &str, value: &str) -> String {
    if is_secret_name(name) || has_password(&json!(value)) {
        // Kubernetes takes names here that a shell does not.
        let of_shell = name.replace(['-', '.'], "_");
        return format!("{}\"${of_shell}\"", quote(format!("{name}=")));
    }
    quote(format!("{name}={value}"))
}

fn pairs(quantities: &BTreeMap<String, String>) -> String {
    let pairs: Vec<_> = quantities
        .iter()
        .map(|(name, quantity)| format!("{name}={quantity}"))
        .collect();
    pairs.join(",")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::read_plan;
    use super::*;

    fn live() -> Value {
        let container = json!({"name": "web", "image": "web:1"});
        json!({
            "metadata": {"labels": {"old": "x"}},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}},
                     "template": {"spec": {"containers": [container]}}},
        })
    }

    fn printed(step: &str) -> (String, Option<String>) {
        let text = format!(r#"{{"version": 1, "steps": [{step}]}}"#);
        let plan = read_plan(&text, Path::new("plan")).unwrap();
        let step = &plan.steps[0];
        let is_new = matches!(step.action, ChangeAction::Create(_));
        let before = (!is_new).then(live);
        let history = [Revision {
            number: 7,
            current: true,
            content: json!({}),
        }];
        let operation = Operation::of(step, before.as_ref(), &history, "now").unwrap();
        let replaces = matches!(
            step.action,
            ChangeAction::SetImage(_) | ChangeAction::SetEnv(_)
        );
        let undo = undo(step, &operation, before.as_ref(), &history, replaces);
        let short = |text: String| text.replace(" --kubeconfig \"$(devk kubeconfig)\"", "");
        (short(command(step, &operation)), undo.map(short))
    }

    fn of_deployment(verb: &str, more: &str) -> (String, Option<String>) {
        printed(&format!(
            r#"{{"verb": "{verb}", "object": {{"kind": "Deployment", "namespace": "shop", "name": "web"}}{more}}}"#
        ))
    }

    #[test]
    fn each_verb_has_its_command_and_what_takes_it_back() {
        let cases = [
            (
                of_deployment("scale", r#", "replicas": "+1""#),
                "kubectl scale deployment/web --replicas=3 --namespace shop",
                Some("kubectl scale deployment/web --replicas=2 --namespace shop"),
            ),
            (
                of_deployment("restart", ""),
                "kubectl rollout restart deployment/web --namespace shop",
                None,
            ),
            (
                of_deployment("set-image", r#", "image": ":2""#),
                "kubectl set image deployment/web web=web:2 --namespace shop",
                Some("kubectl rollout undo deployment/web --to-revision=7 --namespace shop"),
            ),
            (
                of_deployment(
                    "set-env",
                    r#", "set": {"LEVEL": "a b", "API_TOKEN": "hunter2"}"#,
                ),
                "kubectl set env deployment/web --containers=web API_TOKEN=\"$API_TOKEN\" 'LEVEL=a b' --namespace shop",
                Some("kubectl rollout undo deployment/web --to-revision=7 --namespace shop"),
            ),
            (
                of_deployment(
                    "set-resources",
                    r#", "limits": {"cpu": "1", "memory": "64Mi"}"#,
                ),
                "kubectl set resources deployment/web --containers=web --limits=cpu=1,memory=64Mi --namespace shop",
                Some(
                    "kubectl patch deployment/web --type merge --patch '{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"web\",\"image\":\"web:1\"}]}}}}' --namespace shop",
                ),
            ),
            (
                of_deployment("label", r#", "set": {"new": "y"}, "unset": ["old"]"#),
                "kubectl label --overwrite deployment/web new=y old- --namespace shop",
                Some(
                    "kubectl patch deployment/web --type merge --patch '{\"metadata\":{\"labels\":{\"new\":null,\"old\":\"x\"}}}' --namespace shop",
                ),
            ),
            (
                of_deployment("expose", r#", "port": 80, "service": "front""#),
                "kubectl expose deployment/web --port=80 --name=front --namespace shop",
                Some("kubectl delete service/front --namespace shop"),
            ),
            (
                of_deployment("delete", ""),
                "kubectl delete deployment/web --namespace shop",
                None,
            ),
        ];
        for ((command, undo), expected, back) in cases {
            assert_eq!((command.as_str(), undo.as_deref()), (expected, back));
        }
    }

    #[test]
    fn no_secret_of_a_new_object_is_printed() {
        let step = json!({
            "verb": "create",
            "object": {"kind": "Pod", "namespace": "shop", "name": "p"},
            "body": {"spec": {"containers": [{"name": "c", "image": "i", "env": [
                {"name": "API_TOKEN", "value": "hunter2"},
                {"name": "LEVEL", "value": "debug"},
            ]}]}},
        });
        let (command, _) = printed(&step.to_string());
        assert!(!command.contains("hunter2"), "{command}");
        assert!(command.contains("debug"), "{command}");
        assert!(
            command.ends_with("# put the value in the place of (secret)"),
            "{command}"
        );
    }

    #[test]
    fn no_old_secret_is_in_the_command_that_takes_a_step_back() {
        let text = json!({"version": 1, "steps": [{
            "verb": "patch",
            "object": {"kind": "ConfigMap", "namespace": "shop", "name": "c"},
            "patch": {"data": {"password": "new", "level": "info"}},
        }]});
        let plan = read_plan(&text.to_string(), Path::new("plan")).unwrap();
        let back = |before: Value| {
            let operation = Operation::of(&plan.steps[0], Some(&before), &[], "now").unwrap();
            undo(&plan.steps[0], &operation, Some(&before), &[], false).unwrap()
        };
        let unshown = back(json!({"data": {"password": "hunter2", "level": "debug"}}));
        assert!(!unshown.contains("hunter2"), "{unshown}");
        assert!(
            unshown.starts_with("# a value that was there may be secret"),
            "{unshown}"
        );
        assert!(
            unshown.contains("get configmap/c --output yaml"),
            "{unshown}"
        );
        let shown = back(json!({"data": {"level": "debug"}}));
        assert!(shown.starts_with("kubectl patch configmap/c"), "{shown}");
    }

    #[test]
    fn what_was_not_there_goes_by_itself_and_not_with_all_beside_it() {
        let patch = json!({"metadata": {"labels": {"new": "y"}}});
        assert_eq!(
            inverse(&patch, &json!({"metadata": {"name": "c"}})),
            json!({"metadata": {"labels": {"new": null}}})
        );
    }

    #[test]
    fn what_a_plan_holds_is_one_word_for_a_shell() {
        let text = r#"$(touch /tmp/x); 'a' "b" `id`"#;
        let step = json!({
            "verb": "create",
            "object": {"kind": "ConfigMap", "namespace": "shop", "name": "c"},
            "body": {"data": {"a": text}},
        });
        let (command, _) = printed(&step.to_string());
        let script = command.split(" | kubectl").next().unwrap();
        let output = std::process::Command::new("sh")
            .args(["-c", script])
            .output()
            .unwrap();
        let back: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(back["data"]["a"], text);
    }
}
