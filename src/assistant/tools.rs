//! What a model may call: two tools that look, and one that proposes.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use kube::Api;
use kube::api::{DynamicObject, ListParams};
use serde_json::{Value, json};

use crate::ask::{AskReply, Asker};
use crate::change::kind::ObjectKind;
use crate::change::plan::ChangeAction;
use crate::error::chain;
use crate::mcp::mask::is_secret;
use crate::model::{ToolCall, ToolSpec};

pub(super) const LOOK: &str = "look";
pub(super) const GET: &str = "get";
pub(super) const PROPOSE: &str = "propose_plan";

/// What stands where a secret was.
const LEFT_OUT: &str = "(left out)";
/// So much of one result goes to a model.
const MOST_BYTES: usize = 16 * 1024;
/// So long one look may take.
const LONGEST: Duration = Duration::from_secs(20);
/// The kinds whose names [`names`] reads.
const NAMED_KINDS: [ObjectKind; 11] = [
    ObjectKind::Deployment,
    ObjectKind::StatefulSet,
    ObjectKind::DaemonSet,
    ObjectKind::Pod,
    ObjectKind::Job,
    ObjectKind::CronJob,
    ObjectKind::Service,
    ObjectKind::Ingress,
    ObjectKind::ConfigMap,
    ObjectKind::Secret,
    ObjectKind::PersistentVolumeClaim,
];

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// What the model asked: a question of `devk ask`, or an object.
    pub at: String,
    /// It was a question of `devk ask`.
    pub is_question: bool,
    /// What it was shown, before secrets were taken out.
    pub text: String,
    /// Commands that show the same.
    pub kubectl: Vec<String>,
}

pub(super) fn specs() -> Vec<ToolSpec> {
    let text = |about: &str| json!({"type": "string", "description": about});
    let kinds: Vec<_> = ObjectKind::ALL.iter().map(|kind| kind.name()).collect();
    let object = json!({"type": "object", "required": ["kind", "name"], "properties": {
        "kind": {"type": "string", "enum": kinds},
        "namespace": {"type": "string"},
        "name": {"type": "string"},
    }});
    vec![
        ToolSpec {
            name: LOOK,
            about: "Answers a short question in plain English about the cluster, for example: `what is wrong`, `pods in shop`, \
                    `why is deploy/api not ready`, `describe service web`, `logs of pod api-1`, `events of api`, `what changed \
                    since 10:00`, `who talks to redis`, `memory of the pods`, `image of deploy/api`. It only looks.",
            parameters: json!({"type": "object", "required": ["question"], "additionalProperties": false, "properties": {
                "question": text("One question of that kind"),
            }}),
        },
        ToolSpec {
            name: GET,
            about: "The manifest and status of one object as JSON. Values of Secrets are left out.",
            parameters: object.clone(),
        },
        ToolSpec {
            name: PROPOSE,
            about: "Proposes a change for the user to approve; nothing is done by the call. A step has a `verb`, an `object`, \
                    a `reason`, and the verb's own keys: scale {replicas: 3 | \"+1\" | \"50%\"}, restart {}, roll-back \
                    {revision?}, set-image {container?, image}, set-env {container?, set: {NAME: value}, unset: [NAME]}, \
                    set-resources {container?, requests: {cpu, memory}, limits: {…}}, patch {patch: {spec: …}}, label {set, \
                    unset}, create {labels, body: {spec: …} | {data: …}}, delete {}, expose {port, target_port?, service?}.",
            parameters: json!({"type": "object", "required": ["steps"], "additionalProperties": false, "properties": {
                "steps": {"type": "array", "minItems": 1, "items": {
                    "type": "object", "required": ["verb", "object"], "properties": {
                        "verb": {"type": "string", "enum": ChangeAction::VERBS},
                        "object": object,
                        "reason": text("Why, in a sentence"),
                    },
                }},
            }}),
        },
    ]
}

/// What a tool that looks shows, or why it shows nothing.
pub(super) async fn call(asker: &Asker, call: &ToolCall) -> Result<Looked, String> {
    let look = async {
        match call.name.as_str() {
            LOOK => look(asker, argument(call, "question")?).await,
            GET => get(asker, call).await,
            other => Err(format!(
                "there is no tool `{other}`; the tools are {LOOK}, {GET} and {PROPOSE}"
            )),
        }
    };
    let late = |_| format!("nothing was read within {} s", LONGEST.as_secs());
    let mut looked = tokio::time::timeout(LONGEST, look).await.map_err(late)??;
    cut(&mut looked.text);
    Ok(looked)
}

fn argument<'c>(call: &'c ToolCall, name: &str) -> Result<&'c str, String> {
    let text = call.arguments.get(name).and_then(Value::as_str);
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    text.ok_or_else(|| format!("`{}` needs `{name}`, a text", call.name))
}

async fn look(asker: &Asker, question: &str) -> Result<Looked, String> {
    match asker.reply(question).await {
        Ok(reply @ AskReply::AskAnswer(_)) => {
            let text = reply.text();
            let AskReply::AskAnswer(answer) = reply else {
                return Err("no answer".to_owned());
            };
            Ok(Looked {
                at: question.to_owned(),
                is_question: true,
                text,
                kubectl: answer.kubectl,
            })
        }
        Ok(AskReply::Change(_)) => Err(format!(
            "this asks for a change; {LOOK} only looks, and {PROPOSE} proposes a change"
        )),
        Err(error) => Err(error.on_one_line()),
    }
}

async fn get(asker: &Asker, call: &ToolCall) -> Result<Looked, String> {
    let word = argument(call, "kind")?;
    let kind =
        ObjectKind::of_word(word).ok_or_else(|| format!("`{GET}` knows no kind `{word}`"))?;
    let name = argument(call, "name")?;
    let namespace = match kind.is_namespaced() {
        true => argument(call, "namespace").unwrap_or(&asker.project.namespace),
        false => "",
    };
    let is_own = !kind.is_namespaced() || asker.project.namespaces.contains(namespace);
    if !is_own {
        let own = asker.project.namespaces.iter().map(String::as_str);
        let own = own.collect::<Vec<_>>().join(", ");
        return Err(format!(
            "`{GET}` looks into the namespaces of the project: {own}"
        ));
    }
    let object = api(asker, kind, namespace)
        .get(name)
        .await
        .map_err(|e| chain(&e))?;
    let mut object = serde_json::to_value(object).map_err(|e| e.to_string())?;
    strip(&mut object, kind);
    let place = match kind.is_namespaced() {
        true => format!(" --namespace {namespace}"),
        false => String::new(),
    };
    Ok(Looked {
        at: format!("{}/{name}", kind.word()),
        is_question: false,
        text: format!("{object:#}"),
        kubectl: vec![format!(
            "kubectl get {} {name}{place} --output yaml",
            kind.word()
        )],
    })
}

/// Takes out what says nothing, and the values of Secrets, also where kubectl has kept a copy.
fn strip(object: &mut Value, kind: ObjectKind) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
    }
    if kind == ObjectKind::Secret {
        for key in ["data", "stringData"] {
            let values = object.get_mut(key).and_then(Value::as_object_mut);
            for (_, value) in values.into_iter().flatten() {
                *value = Value::from(LEFT_OUT);
            }
        }
    }
    strip_secrets(object);
}

/// Takes out values that look like secrets by their names, as in variables of containers and in ConfigMaps.
fn strip_secrets(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(strip_secrets),
        Value::Object(members) => {
            let name = members
                .get("name")
                .and_then(Value::as_str)
                .map(str::to_owned);
            for (key, member) in members {
                let name = match key.as_str() {
                    "value" => name.as_deref().unwrap_or(key),
                    key => key,
                };
                match member.as_str() {
                    Some(text) if is_secret(name, text) => *member = Value::from(LEFT_OUT),
                    _ => strip_secrets(member),
                }
            }
        }
        _ => {}
    }
}

/// The names of the objects in the project's namespaces, and of these.
pub(super) async fn names(asker: &Asker) -> Result<BTreeSet<String>, String> {
    let project = &asker.project;
    let places = project.namespaces.iter().flat_map(|namespace| {
        NAMED_KINDS
            .iter()
            .map(move |kind| (namespace.as_str(), *kind))
    });
    let lists = places.map(|(namespace, kind)| async move {
        let params = ListParams::default();
        let list = api(asker, kind, namespace).list_metadata(&params).await;
        let list = list.map_err(|e| {
            format!(
                "the names to be masked could not be read, so nothing was sent: {}",
                chain(&e)
            )
        })?;
        let names = list
            .items
            .into_iter()
            .filter_map(|object| object.metadata.name);
        Ok::<_, String>(names.collect::<Vec<_>>())
    });
    let mut names: BTreeSet<_> = project.namespaces.iter().cloned().collect();
    names.extend(project.releases.iter().cloned());
    for list in join_all(lists).await {
        names.extend(list?);
    }
    Ok(names)
}

fn api(asker: &Asker, kind: ObjectKind, namespace: &str) -> Api<DynamicObject> {
    let resource = kind.resource();
    match kind.is_namespaced() {
        true => Api::namespaced_with(asker.client.clone(), namespace, &resource),
        false => Api::all_with(asker.client.clone(), &resource),
    }
}

fn cut(text: &mut String) {
    if text.len() > MOST_BYTES {
        let more = text.len() - MOST_BYTES;
        text.truncate(text.floor_char_boundary(MOST_BYTES));
        text.push_str(&format!("\n({more} bytes more were left out)"));
    }
}
