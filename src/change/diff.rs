//! What of an object changes, field by field: the object as it is beside what the API server's dry run makes of it.
//! Pure.

use serde::Serialize;
use serde_json::{Map, Value};

use super::kind::ObjectKind;
use crate::secret_forms::{has_secret, secret_words};
use crate::ui::harmless;

/// What stands in the place of a value that may be secret.
pub(super) const MASK: &str = "(secret)";
/// A longer value is cut.
const MOST_CHARS: usize = 200;
/// Names of variables and keys whose values are not shown.
const SECRET_WORDS: &[&str] = &[
    "PASS",
    "SECRET",
    "TOKEN",
    "KEY",
    "CREDENTIAL",
    "AUTH",
    "PRIVATE",
    "SIGNATURE",
    "DSN",
];
/// Mappings whose keys are names of the user's.
const HOLD_TEXTS: &[&str] = &["data", "stringData", "binaryData", "annotations"];
/// What the API server counts and notes by itself, below the object.
const OF_SERVER: &[&[&str]] = &[
    &["status"],
    &["metadata", "managedFields"],
    &["metadata", "resourceVersion"],
    &["metadata", "generation"],
    &["metadata", "uid"],
    &["metadata", "creationTimestamp"],
    &["metadata", "deletionTimestamp"],
    &["metadata", "deletionGracePeriodSeconds"],
];

/// A field before and after. Values that may be secret are masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// `spec.template.spec.containers[web].image`.
    pub path: String,
    /// None: the field is new.
    pub before: Option<String>,
    /// None: the field goes.
    pub after: Option<String>,
}

impl FieldChange {
    /// The change on one line.
    pub fn line(&self) -> String {
        format!("{}: {}", self.path, self.sides())
    }

    /// `1 → 2`.
    pub fn sides(&self) -> String {
        let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "(none)".to_owned());
        format!("{} → {}", side(&self.before), side(&self.after))
    }

    /// Whether the change is of the field at a path, or of one below it.
    pub(super) fn is_below(&self, path: &str) -> bool {
        let rest = self.path.strip_prefix(path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }
}

/// An object without what the API server counts and notes by itself.
pub(super) fn content(object: &Value) -> Value {
    let mut content = object.clone();
    for path in OF_SERVER {
        if let [keys @ .., last] = path {
            let parent = keys
                .iter()
                .try_fold(&mut content, |value, key| value.get_mut(*key));
            if let Some(Value::Object(map)) = parent {
                map.shift_remove(*last);
            }
        }
    }
    content
}

/// The fields that differ.
pub(super) fn differences(kind: ObjectKind, before: &Value, after: &Value) -> Vec<FieldChange> {
    let mut found = vec![];
    let place = Place {
        path: String::new(),
        holds: match kind {
            ObjectKind::Secret => Holds::Secrets,
            _ => Holds::Fields,
        },
    };
    place.compare(&content(before), &content(after), &mut found);
    found
}

/// What is known of the values at a place by the names above them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// Fields of Kubernetes.
    Fields,
    /// The same, and the data are secret.
    Secrets,
    /// Texts by names of the user's: data, annotations.
    Texts,
    /// Below a name whose values are secret: nothing is shown.
    Secret,
}

impl Holds {
    /// What is known one key further. `is_variable`: the mapping names itself as a variable that is secret.
    fn below(self, key: &str, is_variable: bool) -> Self {
        match self {
            Self::Secret => Self::Secret,
            Self::Texts if is_secret_name(key) => Self::Secret,
            Self::Texts => Self::Texts,
            Self::Secrets if matches!(key, "data" | "stringData") => Self::Secret,
            _ if key == "value" && is_variable => Self::Secret,
            _ if HOLD_TEXTS.contains(&key) => Self::Texts,
            other => other,
        }
    }
}

struct Place {
    path: String,
    holds: Holds,
}

impl Place {
    fn compare(&self, before: &Value, after: &Value, found: &mut Vec<FieldChange>) {
        if before == after {
            return;
        }
        match (parts(before), parts(after)) {
            (Some(old), Some(new)) => {
                let is_list = before.is_array() || after.is_array();
                self.members(is_list, &old, &new, found);
            }
            _ => found.push(FieldChange {
                path: self.path.clone(),
                before: self.shown(before, before, after),
                after: self.shown(after, before, after),
            }),
        }
    }

    fn members(
        &self,
        is_list: bool,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
        found: &mut Vec<FieldChange>,
    ) {
        let is_variable = !is_list && [old, new].into_iter().any(names_secret);
        let added = new.keys().filter(|key| !old.contains_key(*key));
        for key in old.keys().chain(added) {
            let at = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or_default();
            let path = match (self.path.as_str(), is_list || key.contains('.')) {
                ("", _) => key.clone(),
                (path, true) => format!("{path}[{key}]"),
                (path, false) => format!("{path}.{key}"),
            };
            let holds = match is_list {
                true => self.holds,
                false => self.holds.below(key, is_variable),
            };
            Self { path, holds }.compare(&at(old), &at(new), found);
        }
    }

    /// A value as text; None for a field that is not there.
    fn shown(&self, value: &Value, before: &Value, after: &Value) -> Option<String> {
        let text = match value {
            Value::Null => return None,
            Value::String(text) => text.clone(),
            // Its parts may be secret.
            Value::Object(_) => "(a mapping)".to_owned(),
            other => masked(other).to_string(),
        };
        let has_password = [before, after].iter().any(|value| has_password(value));
        if self.holds == Holds::Secret || has_password {
            return Some(MASK.to_owned());
        }
        Some(cut(&text))
    }
}

/// Whether a mapping has the `name` of a variable whose value is secret.
fn names_secret(map: &Map<String, Value>) -> bool {
    let name = map.get("name").and_then(Value::as_str);
    name.is_some_and(is_secret_name)
}

fn cut(text: &str) -> String {
    let text = harmless(&text.replace('\n', "⏎"));
    match text.char_indices().nth(MOST_CHARS) {
        Some((at, _)) => format!("{}… ({} characters)", &text[..at], text.chars().count()),
        None => text,
    }
}

/// Whether a variable or key of this name holds what is not shown.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// A manifest or patch without the values that may be secret: of variables, of data, of annotations, of URLs.
pub(super) fn masked(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let is_variable = names_secret(map);
            let members = map.iter().map(|(key, value)| {
                let is_masked = key == "value" && is_variable;
                let holds_texts = HOLD_TEXTS.contains(&key.as_str());
                let value = match value {
                    Value::Object(texts) if holds_texts => masked_texts(texts),
                    Value::String(_) if is_masked => Value::from(MASK),
                    other => masked(other),
                };
                (key.clone(), value)
            });
            Value::Object(members.collect())
        }
        Value::Array(items) => {
            let words = items.iter().map(|item| item.as_str().unwrap_or_default());
            let words = secret_words(&words.collect::<Vec<_>>());
            let items = items
                .iter()
                .zip(words)
                .map(|(item, is_secret)| match is_secret {
                    true => Value::from(MASK),
                    false => masked(item),
                });
            Value::Array(items.collect())
        }
        text if has_password(text) => Value::from(MASK),
        other => other.clone(),
    }
}

fn masked_texts(texts: &Map<String, Value>) -> Value {
    let texts = texts.iter().map(|(key, value)| {
        let is_secret = value.is_string() && is_secret_name(key);
        let value = match is_secret {
            true => Value::from(MASK),
            false => masked(value),
        };
        (key.clone(), value)
    });
    Value::Object(texts.collect())
}

/// Whether a value is a text with a secret in it, such as a URL with a password; or a list of words with one.
pub(super) fn has_password(value: &Value) -> bool {
    match value {
        Value::String(text) => has_secret(text),
        Value::Array(items) => {
            let words: Option<Vec<_>> = items.iter().map(Value::as_str).collect();
            words.is_some_and(|words| secret_words(&words).contains(&true))
        }
        _ => false,
    }
}

/// What a value consists of: a mapping by its keys, a list of mappings by their names or places; nothing for what is not
/// there. None for a value that is shown as a whole.
fn parts(value: &Value) -> Option<Map<String, Value>> {
    match value {
        Value::Null => Some(Map::new()),
        Value::Object(map) => Some(map.clone()),
        Value::Array(list) if list.iter().any(|item| item.is_object() || item.is_array()) => {
            let names: Vec<_> = list
                .iter()
                .filter_map(|item| item["name"].as_str())
                .collect();
            let unique: std::collections::BTreeSet<_> = names.iter().collect();
            let is_named = unique.len() == list.len();
            let key = |at: usize, item: &Value| match item["name"].as_str().filter(|_| is_named) {
                Some(name) => name.to_owned(),
                None => at.to_string(),
            };
            let items = list.iter().enumerate();
            Some(
                items
                    .map(|(at, item)| (key(at, item), item.clone()))
                    .collect(),
            )
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(kind: ObjectKind, before: Value, after: Value) -> Vec<String> {
        let found = differences(kind, &before, &after).into_iter();
        let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        found
            .map(|change| {
                format!(
                    "{}: {} → {}",
                    change.path,
                    text(change.before),
                    text(change.after)
                )
            })
            .collect()
    }

    fn with_env(name: &str, value: &str) -> Value {
        json!({"spec": {"containers": [{"name": "web", "env": [{"name": name, "value": value}]}]}})
    }

    #[test]
    fn only_what_changes_is_listed_and_lists_go_by_names() {
        let before = json!({
            "metadata": {"resourceVersion": "1", "generation": 1},
            "status": {"replicas": 1},
            "spec": {"replicas": 1, "c": [{"name": "a", "image": "x:1"}, {"name": "b", "image": "y"}]},
        });
        let after = json!({
            "metadata": {"resourceVersion": "1", "generation": 2},
            "status": {"replicas": 2},
            "spec": {"replicas": 3, "c": [{"name": "b", "image": "y"}, {"name": "a", "image": "x:2"}]},
        });
        assert_eq!(
            of(ObjectKind::Deployment, before, after),
            ["spec.replicas: 1 → 3", "spec.c[a].image: x:1 → x:2"]
        );
    }

    #[test]
    fn a_new_and_a_gone_field_have_one_side() {
        assert_eq!(
            of(
                ObjectKind::ConfigMap,
                json!({"data": {"a": "1"}}),
                json!({"data": {"b": "2"}})
            ),
            ["data.a: 1 → -", "data.b: - → 2"]
        );
    }

    #[test]
    fn no_value_that_may_be_secret_is_shown() {
        let data = |value: &str| json!({"data": {"any": value}});
        assert_eq!(
            of(ObjectKind::Secret, data("b2xk"), data("bmV3")),
            ["data.any: (secret) → (secret)"]
        );
        let token = of(
            ObjectKind::Deployment,
            with_env("API_TOKEN", "old"),
            with_env("API_TOKEN", "new"),
        );
        assert_eq!(
            token,
            ["spec.containers[web].env[API_TOKEN].value: (secret) → (secret)"]
        );
        let bare = json!({"spec": {"containers": [{"name": "web"}]}});
        let new = of(
            ObjectKind::Deployment,
            bare,
            with_env("API_TOKEN", "hunter2"),
        );
        assert_eq!(
            new,
            [
                "spec.containers[web].env[API_TOKEN].name: - → API_TOKEN",
                "spec.containers[web].env[API_TOKEN].value: - → (secret)"
            ]
        );
        let whole = of(ObjectKind::Pod, json!({}), with_env("API_TOKEN", "hunter2"));
        assert!(!whole.join(" ").contains("hunter2"), "{whole:?}");
        let url = of(
            ObjectKind::Deployment,
            with_env("URL", "postgres://u:hunter2@db/x"),
            with_env("URL", "postgres://db/x"),
        );
        assert_eq!(
            url,
            ["spec.containers[web].env[URL].value: (secret) → (secret)"]
        );
        let plain = of(
            ObjectKind::Deployment,
            with_env("LEVEL", "a"),
            with_env("LEVEL", "b"),
        );
        assert_eq!(plain, ["spec.containers[web].env[LEVEL].value: a → b"]);
    }

    #[test]
    fn a_name_that_says_secret_hides_what_is_below_it_whatever_its_form() {
        let hidden = |kind, before: Value, after: Value| {
            let shown = of(kind, before, after).join("\n");
            assert!(!shown.contains("hunter2"), "{shown}");
            assert!(shown.contains(MASK), "{shown}");
        };
        for key in [
            "auth.json",
            "password.txt",
            "tls.key",
            "password[0]",
            "auth.value",
        ] {
            let data = |value: &str| json!({"data": {key: value}});
            hidden(ObjectKind::ConfigMap, data("hunter2"), data("other"));
        }
        let pod = |container: Value| json!({"spec": {"containers": [container]}});
        let args = |url: &str| pod(json!({"name": "c", "args": ["--database", url]}));
        let with_url = args("postgres://u:hunter2@db/x");
        hidden(ObjectKind::Pod, with_url, args("postgres://db/x"));
        let twice = |value: &str| {
            let variable = json!({"name": "API_TOKEN", "value": value});
            pod(json!({"name": "c", "env": [variable, variable]}))
        };
        hidden(ObjectKind::Pod, twice("hunter2"), twice("other"));
        // A list of mappings that becomes an empty one is shown as a whole.
        let without = pod(json!({"name": "web", "env": []}));
        hidden(ObjectKind::Pod, with_env("API_TOKEN", "hunter2"), without);
    }

    #[test]
    fn a_manifest_is_shown_without_what_may_be_secret() {
        let pod = json!({"spec": {"containers": [{"env": [
            {"name": "API_TOKEN", "value": "hunter2"},
            {"name": "LEVEL", "value": "debug"},
            {"name": "URL", "value": "amqp://u:hunter2@mq/"},
        ]}]}, "data": {"password": "hunter2", "level": "debug", "gone": null}});
        let shown = masked(&pod).to_string();
        assert!(!shown.contains("hunter2"), "{shown}");
        assert_eq!(shown.matches("debug").count(), 2, "{shown}");
        assert_eq!(shown.matches(MASK).count(), 3, "{shown}");
    }

    #[test]
    fn control_characters_and_long_values_do_not_reach_the_terminal() {
        let long = "x".repeat(500);
        let shown = of(
            ObjectKind::ConfigMap,
            json!({"data": {"a": "\u{1b}[2J"}}),
            json!({"data": {"a": long}}),
        );
        assert!(!shown[0].contains('\u{1b}'), "{shown:?}");
        assert!(shown[0].ends_with("… (500 characters)"), "{shown:?}");
    }
}
