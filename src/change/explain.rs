//! Pasted kubectl commands and YAML as a plan, so that its preview explains what they would do. Only a closed subset is
//! read, nothing of it is run, and what lies outside of the subset is named.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::command_words::Words;
use super::kind::ObjectKind;
use super::plan::{ChangePlan, ObjectName, PLAN_VERSION};
use super::read_plan;
use crate::error::{Code, Error, Errors, Result, suggest};

/// Commands of kubectl that the subset has.
const COMMANDS: &[&str] = &[
    "scale", "rollout", "set", "patch", "label", "delete", "expose", "create",
];
/// Commands that only look.
const LOOKS: &[&str] = &[
    "get",
    "describe",
    "logs",
    "top",
    "explain",
    "events",
    "diff",
    "version",
    "api-resources",
    "auth",
    "cluster-info",
    "wait",
];
/// The plan of a pasted kubectl command. Without `--namespace` it is about the project's.
///
/// # Errors
/// [`Code::ChangeInvalid`] for what is outside of the subset, with the parts that are.
pub fn plan_of_command(text: &str, project: &str) -> Result<ChangePlan, Errors> {
    let found = command(text, project)?;
    let plan = json!({"version": PLAN_VERSION, "steps": found});
    read_plan(&plan.to_string(), Path::new("(command)"))
}

/// The plan of pasted YAML: objects that are not there are created, others patched. `is_there` says which are.
///
/// # Errors
/// [`Code::ChangeInvalid`] for what is outside of the subset.
pub fn plan_of_objects(
    objects: &[Value],
    project: &str,
    is_there: impl Fn(&ObjectName) -> bool,
) -> Result<ChangePlan, Errors> {
    let mut problems = vec![];
    let steps: Vec<_> = objects
        .iter()
        .filter(|object| !object.is_null())
        .filter_map(|object| {
            step_of(object, project, &is_there)
                .map_err(|e| problems.push(e))
                .ok()
        })
        .collect();
    if !problems.is_empty() {
        return Err(Errors(problems));
    }
    if steps.is_empty() {
        return Err(outside("the text holds no object").into());
    }
    let plan = json!({"version": PLAN_VERSION, "steps": steps});
    read_plan(&plan.to_string(), Path::new("(objects)"))
}

pub(super) fn outside(what: impl Into<String>) -> Error {
    Error::new(Code::ChangeInvalid, what)
}

/// Which object a manifest is of. Without a namespace it is in the project's.
///
/// # Errors
/// [`Code::ChangeInvalid`] for a kind that no plan has.
pub fn object_of(manifest: &Value, project: &str) -> Result<ObjectName> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, version) = (text(&manifest["kind"]), text(&manifest["apiVersion"]));
    let known = ObjectKind::named(&kind).filter(|kind| kind.api_version() == version);
    let kind = known.ok_or_else(|| {
        outside(format!(
            "devk explains no objects of the kind `{kind}` of `{version}`"
        ))
    })?;
    let given = manifest["metadata"]["namespace"].as_str();
    let namespace = given.unwrap_or(project).to_owned();
    Ok(ObjectName {
        kind,
        namespace: kind.is_namespaced().then_some(namespace),
        name: text(&manifest["metadata"]["name"]),
    })
}

fn step_of(object: &Value, project: &str, is_there: impl Fn(&ObjectName) -> bool) -> Result<Value> {
    let name = object_of(object, project)?;
    let mut parts = object.as_object().cloned().unwrap_or_default();
    for key in ["apiVersion", "kind", "metadata", "status"] {
        parts.shift_remove(key);
    }
    let labels = object["metadata"]["labels"].clone();
    let mut step = json!({"object": name});
    if is_there(&name) {
        if !labels.is_null() {
            parts.insert("metadata".to_owned(), json!({"labels": labels}));
        }
        step["verb"] = json!("patch");
        step["patch"] = Value::Object(parts);
    } else {
        step["verb"] = json!("create");
        if !labels.is_null() {
            step["labels"] = labels;
        }
        step["body"] = Value::Object(parts);
    }
    Ok(step)
}

fn command(text: &str, project: &str) -> Result<Vec<Value>, Errors> {
    let mut words = Words::read(text)?;
    if words.plain.is_empty() {
        return Err(outside("the command does nothing").into());
    }
    let command = words.plain.remove(0);
    if LOOKS.contains(&command.as_str()) {
        return Err(outside(format!(
            "`kubectl {command}` only looks, and changes nothing"
        ))
        .into());
    }
    if !COMMANDS.contains(&command.as_str()) {
        let error = outside(format!("devk does not explain `kubectl {command}`"));
        let near = suggest(&command, COMMANDS.iter().copied());
        return Err(match near {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(format!("it explains {}", COMMANDS.join(", "))),
        }
        .into());
    }
    let namespace = words
        .option("--namespace")
        .unwrap_or_else(|| project.to_owned());
    let sub = match command.as_str() {
        "rollout" | "set" | "create" if !words.plain.is_empty() => words.plain.remove(0),
        _ => String::new(),
    };
    let full = format!("{command} {sub}").trim().to_owned();
    let more = match full.as_str() {
        "scale" => scale(&mut words)?,
        "rollout restart" => json!({"verb": "restart"}),
        "rollout undo" => {
            let revision = words
                .number("--to-revision")?
                .filter(|revision| *revision > 0);
            with(
                json!({"verb": "roll-back"}),
                "revision",
                revision.map(Value::from),
            )
        }
        "set image" => pairs(&mut words, "set-image")?,
        "set env" => pairs(&mut words, "set-env")?,
        "set resources" => resources(&mut words)?,
        "label" => pairs(&mut words, "label")?,
        "patch" => patch(&mut words)?,
        "delete" => json!({"verb": "delete"}),
        "expose" => expose(&mut words)?,
        "create namespace"
        | "create ns"
        | "create serviceaccount"
        | "create sa"
        | "create configmap"
        | "create cm" => create(&mut words, &sub)?,
        other => return Err(outside(format!("devk does not explain `kubectl {other}`")).into()),
    };
    let objects = objects(&mut words, &full)?;
    words.done(&full)?;
    let steps = objects.into_iter().map(|(kind, name)| {
        let namespace = kind.is_namespaced().then(|| namespace.clone());
        let object = ObjectName {
            kind,
            namespace,
            name,
        };
        with(more.clone(), "object", Some(json!(object)))
    });
    Ok(steps.collect())
}

fn with(mut value: Value, key: &str, more: Option<Value>) -> Value {
    if let Some(more) = more {
        value[key] = more;
    }
    value
}

/// `deployment/web`, `deployment web other`.
fn objects(words: &mut Words, command: &str) -> Result<Vec<(ObjectKind, String)>> {
    let mut found = vec![];
    let mut kind = None;
    for word in std::mem::take(&mut words.plain) {
        let of = |kind: &str| {
            let known = ObjectKind::of_word(kind);
            known.ok_or_else(|| outside(format!("devk explains no objects of the kind `{kind}`")))
        };
        match (word.split_once('/'), kind) {
            (Some((kind, name)), _) => found.push((of(kind)?, name.to_owned())),
            (None, None) => kind = Some(of(&word)?),
            (None, Some(kind)) => found.push((kind, word)),
        }
    }
    if found.is_empty() {
        let what = format!(
            "`kubectl {command}` names no object: devk explains named objects, and no selectors"
        );
        return Err(outside(what));
    }
    Ok(found)
}

fn scale(words: &mut Words) -> Result<Value> {
    let replicas = words.number("--replicas")?;
    let replicas = replicas.ok_or_else(|| outside("`kubectl scale` takes `--replicas`"))?;
    Ok(json!({"verb": "scale", "replicas": replicas}))
}

/// The words `key=value` and `key-` of `set image`, `set env` and `label`.
fn pairs(words: &mut Words, verb: &str) -> Result<Value> {
    let is_pair =
        |word: &String| word.contains('=') || (word.ends_with('-') && verb != "set-image");
    let (pairs, plain): (Vec<_>, Vec<_>) = std::mem::take(&mut words.plain)
        .into_iter()
        .partition(is_pair);
    words.plain = plain;
    let set = pairs.iter().filter_map(|word| word.split_once('='));
    let set: Map<_, _> = set
        .map(|(key, value)| (key.to_owned(), json!(value)))
        .collect();
    let unset = pairs.iter().filter(|word| !word.contains('='));
    let unset: Vec<_> = unset.filter_map(|word| word.strip_suffix('-')).collect();
    if verb != "set-image" {
        let step = json!({"verb": verb, "set": set, "unset": unset});
        let container = words.option("--containers").filter(|_| verb == "set-env");
        return Ok(with(step, "container", container.map(Value::from)));
    }
    let mut images = set.into_iter();
    match (images.next(), images.next()) {
        (Some((container, image)), None) if container != "*" => {
            Ok(json!({"verb": verb, "container": container, "image": image}))
        }
        _ => Err(outside(
            "devk explains `kubectl set image` of one named container",
        )),
    }
}

fn resources(words: &mut Words) -> Result<Value> {
    let mut step = json!({"verb": "set-resources"});
    for key in ["requests", "limits"] {
        let Some(text) = words.option(&format!("--{key}")) else {
            continue;
        };
        let pairs = text.split(',').map(|pair| {
            let (resource, quantity) = pair.split_once('=')?;
            Some((resource.to_owned(), json!(quantity)))
        });
        let pairs: Option<Map<_, _>> = pairs.collect();
        let pairs =
            pairs.ok_or_else(|| outside(format!("`--{key}` takes `cpu=500m,memory=64Mi`")))?;
        step[key] = Value::Object(pairs);
    }
    let container = words.option("--containers").map(Value::from);
    Ok(with(step, "container", container))
}

fn patch(words: &mut Words) -> Result<Value> {
    let kind = words
        .option("--type")
        .unwrap_or_else(|| "strategic".to_owned());
    if kind != "strategic" {
        return Err(outside(format!(
            "devk explains strategic patches, and none of the type `{kind}`"
        )));
    }
    let text = words.option("--patch");
    let text = text.ok_or_else(|| outside("`kubectl patch` takes `--patch`"))?;
    let patch: Value =
        serde_json::from_str(&text).map_err(|e| outside(format!("the patch is no JSON: {e}")))?;
    Ok(json!({"verb": "patch", "patch": patch}))
}

fn expose(words: &mut Words) -> Result<Value> {
    let mut step = json!({"verb": "expose", "port": words.number("--port")?});
    step = with(
        step,
        "target_port",
        words.number("--target-port")?.map(Value::from),
    );
    Ok(with(
        step,
        "service",
        words.option("--name").map(Value::from),
    ))
}

fn create(words: &mut Words, kind: &str) -> Result<Value> {
    words.plain.insert(0, kind.to_owned());
    let mut data = Map::new();
    while let Some(pair) = words.option("--from-literal") {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| outside("`--from-literal` takes `key=value`"))?;
        data.insert(key.to_owned(), json!(value));
    }
    let body = match data.is_empty() {
        true => json!({}),
        false => json!({"data": data}),
    };
    Ok(json!({"verb": "create", "body": body}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(text: &str) -> Result<Value, String> {
        let plan = plan_of_command(text, "shop").map_err(|errors| {
            let messages = errors.0.iter().map(|error| error.message.clone());
            messages.collect::<Vec<_>>().join("; ")
        })?;
        Ok(serde_json::to_value(&plan).unwrap()["steps"].clone())
    }

    fn object(kind: &str, namespace: &str) -> Value {
        json!({"kind": kind, "namespace": namespace, "name": "web"})
    }

    #[test]
    fn a_pasted_command_is_the_step_that_it_would_do() {
        let web = object("Deployment", "shop");
        for (text, expected) in [
            (
                "kubectl scale deploy/web --replicas=3",
                json!({"verb": "scale", "replicas": 3, "object": web}),
            ),
            (
                "kubectl -n other scale deployment web --replicas 3",
                json!({"verb": "scale", "replicas": 3, "object": object("Deployment", "other")}),
            ),
            (
                "kubectl rollout restart deploy/web",
                json!({"verb": "restart", "object": web}),
            ),
            (
                "kubectl rollout undo deploy/web --to-revision=2",
                json!({"verb": "roll-back", "revision": 2, "object": web}),
            ),
            (
                "kubectl set image deploy/web web=x:2",
                json!({"verb": "set-image", "container": "web", "image": "x:2", "object": web}),
            ),
            (
                "kubectl set env deploy/web A=1 B-",
                json!({"verb": "set-env", "set": {"A": "1"}, "unset": ["B"], "object": web}),
            ),
            (
                "kubectl set resources deploy/web -c web --limits=cpu=1,memory=64Mi",
                json!({"verb": "set-resources", "container": "web", "limits": {"cpu": "1", "memory": "64Mi"}, "object": web}),
            ),
            (
                "kubectl patch deploy/web -p '{\"spec\":{\"paused\":true}}'",
                json!({"verb": "patch", "patch": {"spec": {"paused": true}}, "object": web}),
            ),
            (
                "kubectl delete po web",
                json!({"verb": "delete", "object": object("Pod", "shop")}),
            ),
            (
                "kubectl expose deploy web --port 80 --target-port 8080",
                json!({"verb": "expose", "port": 80, "target_port": 8080, "object": web}),
            ),
            (
                "kubectl create cm web --from-literal=a=b",
                json!({"verb": "create", "body": {"data": {"a": "b"}}, "object": object("ConfigMap", "shop")}),
            ),
        ] {
            assert_eq!(steps(text), Ok(json!([expected])), "{text}");
        }
        assert_eq!(
            steps("kubectl delete pod a b")
                .unwrap()
                .as_array()
                .unwrap()
                .len(),
            2
        );
    }

    #[test]
    fn what_is_outside_of_the_subset_is_named() {
        for (text, named) in [
            ("kubectl get pods", "only looks"),
            ("kubectl exec web -- sh", "`kubectl exec`"),
            ("kubectl delete pods --all", "names no object"),
            ("kubectl delete pod web --force", "`--force`"),
            ("kubectl delete pod -l app=web", "names no object"),
            ("kubectl delete node n1", "`node`"),
            (
                "kubectl scale deploy/web --replicas=3 --dry-run=none",
                "`--dry-run`",
            ),
            (
                "kubectl scale deploy/web --replicas=3; rm -rf /",
                "more than one command",
            ),
            (
                "kubectl delete pod $(kubectl get pods -o name)",
                "more than one command",
            ),
            ("kubectl delete pod web | sh", "more than one command"),
            (
                "kubectl patch deploy/web -p '{\"a\":\"(x)\"}'; id",
                "more than one command",
            ),
            ("kubectl delete pod \"$X\"", "more than one command"),
            ("helm uninstall shop", "commands of kubectl"),
            ("kubectl drain n1", "`kubectl drain`"),
            (
                "kubectl rollout status deploy/web",
                "`kubectl rollout status`",
            ),
            ("kubectl set image deploy/web *=x", "one named container"),
            (
                "kubectl patch deploy/web --type=json -p '[]'",
                "none of the type `json`",
            ),
            ("kubectl", "does nothing"),
        ] {
            let said = steps(text).unwrap_err();
            assert!(said.contains(named), "{text}: {said}");
        }
    }

    #[test]
    fn yaml_creates_what_is_not_there_and_patches_what_is() {
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "b"},
        });
        let verb = |is_there: bool| {
            let plan = plan_of_objects(std::slice::from_ref(&object), "shop", |_| is_there);
            plan.unwrap().steps[0].action.verb()
        };
        assert_eq!(verb(false), "create");
        assert_eq!(verb(true), "patch");
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}});
        let error = plan_of_objects(&[node], "shop", |_| false).unwrap_err();
        assert!(error.0[0].message.contains("`Node`"));
    }
}
