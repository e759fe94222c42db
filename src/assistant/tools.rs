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
use crate::cluster::client::objects_of;
use crate::error::{chain, on_cluster};
use crate::mcp::mask::is_secret;
use crate::model::{ModelCall, ToolSpec};
use crate::secret_forms::secret_words;

pub(super) const LOOK: &str = "look";
pub(super) const GET: &str = "get";
pub(super) const PROPOSE: &str = "propose_plan";

/// Fields that name something, and have a word of secrets in their own names.
const NAMES: [&str; 6] = [
    "key",
    "secretName",
    "tokenExpirationSeconds",
    "topologyKey",
    "serviceAccountName",
    "serviceAccount",
];
/// What stands where a secret was.
const LEFT_OUT: &str = "(left out)";
/// So much of one result goes to a model.
const MOST_BYTES: usize = 16 * 1024;
/// So long one look may take.
const LONGEST: Duration = Duration::from_secs(20);
/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelLook {
    /// What the model asked: a question of `devk ask`, or an object.
    pub at: String,
    /// It was a question of `devk ask`.
    pub is_question: bool,
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
            proposes: false,
        },
        ToolSpec {
            name: GET,
            about: "The manifest and status of one object as JSON. Values of Secrets are left out.",
            parameters: object.clone(),
            proposes: false,
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
            proposes: true,
        },
    ]
}

/// What a tool that looks shows, and as a text; or why it shows nothing.
pub(super) async fn call(asker: &Asker, call: &ModelCall) -> Result<(ModelLook, String), String> {
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
    tokio::time::timeout(LONGEST, look).await.map_err(late)?
}

fn argument<'c>(call: &'c ModelCall, name: &str) -> Result<&'c str, String> {
    let text = call.arguments.get(name).and_then(Value::as_str);
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    text.ok_or_else(|| format!("`{}` needs `{name}`, a text", call.name))
}

async fn look(asker: &Asker, question: &str) -> Result<(ModelLook, String), String> {
    match asker.reply_in_project(question).await {
        Ok(AskReply::AskAnswer(answer)) => {
            let looked = ModelLook {
                at: question.to_owned(),
                is_question: true,
                kubectl: answer.kubectl.clone(),
            };
            Ok((looked, AskReply::AskAnswer(answer).text()))
        }
        Ok(AskReply::Change(_)) => Err(format!(
            "this asks for a change; {LOOK} only looks, and {PROPOSE} proposes a change"
        )),
        Err(error) => Err(error.on_one_line()),
    }
}

async fn get(asker: &Asker, call: &ModelCall) -> Result<(ModelLook, String), String> {
    let word = argument(call, "kind")?;
    let kind =
        ObjectKind::of_word(word).ok_or_else(|| format!("`{GET}` knows no kind `{word}`"))?;
    let name = argument(call, "name")?;
    let namespace = match kind.is_namespaced() {
        true => argument(call, "namespace").unwrap_or(&asker.project.namespace),
        false => "",
    };
    let own = &asker.project.namespaces;
    let is_own = match kind {
        ObjectKind::Namespace => own.contains(name),
        _ => own.contains(namespace),
    };
    if !is_own {
        let own: Vec<_> = own.iter().map(String::as_str).collect();
        let own = own.join(", ");
        return Err(format!(
            "`{GET}` looks into the namespaces of the project: {own}"
        ));
    }
    // A name becomes a part of a path.
    if !kind.takes_name(name) {
        return Err(format!("`{GET}` needs the name of a {kind}"));
    }
    let object = api(asker, kind, namespace).get(name).await;
    let object = object.map_err(|e| chain(&e))?;
    let mut object = serde_json::to_value(object).map_err(|e| e.to_string())?;
    strip(&mut object);
    let place = match kind.is_namespaced() {
        true => format!(" --namespace {namespace}"),
        false => String::new(),
    };
    let looked = ModelLook {
        at: format!("{}/{name}", kind.word()),
        is_question: false,
        kubectl: vec![on_cluster(format!(
            "kubectl get {} {name}{place} --output yaml",
            kind.word()
        ))],
    };
    Ok((looked, format!("{object:#}")))
}

/// Takes out what says nothing, and what may be secret: the values of Secrets, also where tools have kept copies, and values
/// with the name of a secret.
fn strip(object: &mut Value) {
    let is_secret = object["kind"] == "Secret";
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        match metadata.get_mut("annotations") {
            Some(Value::Object(annotations)) if !is_secret => {
                // A copy of the object.
                annotations.retain(|_, text| !text.as_str().is_some_and(|text| text.contains('{')));
            }
            _ => drop(metadata.remove("annotations")),
        }
    }
    if is_secret {
        for key in ["data", "stringData"] {
            let values = object.get_mut(key).and_then(Value::as_object_mut);
            for (_, value) in values.into_iter().flatten() {
                *value = Value::from(LEFT_OUT);
            }
        }
    }
    strip_secrets(object);
}

/// Takes out values that are secrets by their names, as in variables, arguments and ConfigMaps, and URLs with a password.
fn strip_secrets(value: &mut Value) {
    match value {
        Value::Array(items) => {
            let words = items.iter().map(|item| item.as_str().unwrap_or_default());
            let known = secret_words(&words.collect::<Vec<_>>());
            // `--password x`
            let mut is_next_secret = false;
            for (item, is_known) in items.iter_mut().zip(known) {
                let Some(text) = item.as_str() else {
                    strip_secrets(item);
                    continue;
                };
                let (name, inline) = text.split_once('=').unwrap_or((text, ""));
                let is_flag = text.starts_with('-');
                let is_pass = name.to_ascii_lowercase().contains("pass");
                let is_secret_flag = is_flag && (is_pass || is_secret(name, ""));
                let is_left_out = is_known
                    || is_next_secret && !is_flag
                    || is_secret_flag && !inline.is_empty()
                    || is_secret("", text)
                    || is_secret("", inline);
                is_next_secret = is_secret_flag && inline.is_empty();
                if is_left_out {
                    *item = Value::from(LEFT_OUT);
                }
            }
        }
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
                    // A reference to a Secret is none.
                    Some(text) if is_secret(name, text) && !NAMES.contains(&name) => {
                        *member = Value::from(LEFT_OUT);
                    }
                    _ => strip_secrets(member),
                }
            }
        }
        _ => {}
    }
}

/// The names of the project: of its namespaces and releases, and of the objects in its namespaces.
pub(super) async fn names(asker: &Asker) -> Result<BTreeSet<String>, String> {
    let project = &asker.project;
    let kinds = ObjectKind::ALL.iter().filter(|kind| kind.is_namespaced());
    let places = project
        .namespaces
        .iter()
        .flat_map(|namespace| kinds.clone().map(move |kind| (namespace.as_str(), *kind)));
    let lists = places.map(|(namespace, kind)| async move {
        let params = ListParams::default();
        let list = api(asker, kind, namespace).list_metadata(&params).await;
        let list = list.map_err(|e| {
            format!(
                "the names to be hidden could not be read, so nothing was sent: {}",
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
    names.extend(project.forwards.values().cloned());
    for list in join_all(lists).await {
        names.extend(list?);
    }
    Ok(names)
}

fn api(asker: &Asker, kind: ObjectKind, namespace: &str) -> Api<DynamicObject> {
    let namespace = kind.is_namespaced().then_some(namespace);
    objects_of(&asker.client, namespace, &kind.resource())
}

/// So much of a text as goes to a model.
pub(super) fn cut(mut text: String) -> String {
    if text.len() > MOST_BYTES {
        let more = text.len() - MOST_BYTES;
        text.truncate(text.floor_char_boundary(MOST_BYTES));
        text += &format!("\n({more} bytes more were left out)");
    }
    text
}
