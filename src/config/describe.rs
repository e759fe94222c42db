//! The table of keys for others: as a JSON Schema for editors, and as rows for docs/configuration.md.

use serde_json::{Value, json};

use super::schema::{Key, Need, ROOT, Shape, USER};

/// One key of devk.yaml, for people.
#[derive(Debug)]
pub struct KeyDoc {
    /// `images.NAME.context`, `releases[].chart`.
    pub path: String,
    /// What a value looks like.
    pub value: String,
    /// What holds without the key; None if the file needs it.
    pub absent: Option<&'static str>,
    /// A value as it may stand in the file, in one line; empty if there is none.
    pub example: &'static str,
    pub help: &'static str,
}

/// Every key of devk.yaml, each mapping before the keys in it.
pub fn keys() -> Vec<KeyDoc> {
    let mut rows = vec![];
    inside(&ROOT, "", &mut rows);
    rows
}

/// Every key of the user's configuration, each mapping before the keys in it.
pub fn user_keys() -> Vec<KeyDoc> {
    let mut rows = vec![];
    each(USER, "", &mut rows);
    rows
}

fn inside(shape: &Shape, path: &str, rows: &mut Vec<KeyDoc>) {
    match shape {
        Shape::Object(keys) | Shape::Short(_, keys) => each(keys, path, rows),
        Shape::Named(keys) => each(keys, &format!("{path}[]"), rows),
        Shape::List(shape) => inside(shape, &format!("{path}[]"), rows),
        Shape::Table(_, shape) => inside(shape, &format!("{path}.NAME"), rows),
        Shape::Word(_, shape) => inside(shape, path, rows),
        Shape::Text(_)
        | Shape::Scalar
        | Shape::Flag
        | Shape::Command
        | Shape::Port
        | Shape::Values
        | Shape::Refused { .. } => {}
    }
}

fn each(keys: &[Key], path: &str, rows: &mut Vec<KeyDoc>) {
    for key in keys {
        let path = match path {
            "" => key.name.to_owned(),
            _ => format!("{path}.{}", key.name),
        };
        rows.push(KeyDoc {
            path: path.clone(),
            value: value(&key.shape),
            absent: absent(key),
            example: key.example,
            help: key.help,
        });
        inside(&key.shape, &path, rows);
    }
}

fn absent(key: &Key) -> Option<&'static str> {
    match key.need {
        Need::Optional(absent) | Need::OneOf(_, absent) => Some(absent),
        Need::Somewhere | Need::Here => None,
    }
}

fn value(shape: &Shape) -> String {
    match shape {
        Shape::Text(format) => format.meaning().to_owned(),
        Shape::Scalar => "text, number or boolean".to_owned(),
        Shape::Flag => "`true` or `false`".to_owned(),
        Shape::Command => "text for a shell, or list: words".to_owned(),
        Shape::Port => "port from 1 to 65535".to_owned(),
        Shape::Object(_) => "mapping".to_owned(),
        Shape::Short(main, _) => format!("{main} or mapping"),
        Shape::Table(names, shape) => {
            format!("mapping: {} → {}", names.meaning(), value(shape))
        }
        Shape::List(shape) => format!("list: {}", value(shape)),
        Shape::Named(_) => "list: mapping".to_owned(),
        Shape::Word(word, shape) => format!("`{word}` or {}", value(shape)),
        Shape::Values => "mapping of Helm values".to_owned(),
        Shape::Refused { why, .. } => format!("refused: {why}"),
    }
}

/// The JSON Schema (draft 7, which editors know best) of devk.yaml. Keys that a profile may bring are
/// not required there: an editor does not see the profile.
pub fn json_schema() -> Value {
    let mut schema = shape_schema(&ROOT);
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("devk.yaml");
    schema["anyOf"] = json!([{"required": ["profile"]}, {"required": ["releases"]}]);
    schema
}

fn shape_schema(shape: &Shape) -> Value {
    match shape {
        Shape::Text(format) => json!({"type": "string", "pattern": format.pattern()}),
        Shape::Scalar => json!({"type": ["string", "number", "boolean"]}),
        Shape::Flag => json!({"type": "boolean"}),
        Shape::Command => json!({"anyOf": [
            {"type": "string", "minLength": 1},
            {"type": "array", "items": {"type": ["string", "number", "boolean"]}, "minItems": 1},
        ]}),
        Shape::Port => json!({"type": "integer", "minimum": 1, "maximum": 65535}),
        Shape::Object(keys) => object_schema(keys),
        Shape::Short(main, keys) => {
            let short = keys
                .iter()
                .find(|key| key.name == *main)
                .map(|key| shape_schema(&key.shape));
            json!({"anyOf": [short, object_schema(keys)]})
        }
        Shape::Table(names, shape) => json!({
            "type": "object", "propertyNames": {"pattern": names.pattern()}, "additionalProperties": shape_schema(shape),
        }),
        Shape::List(shape) => json!({"type": "array", "items": shape_schema(shape)}),
        Shape::Named(keys) => json!({"type": "array", "items": object_schema(keys)}),
        Shape::Word(word, shape) => json!({"anyOf": [{"const": word}, shape_schema(shape)]}),
        Shape::Values => json!({"type": "object"}),
        Shape::Refused { .. } => json!(false),
    }
}

fn object_schema(keys: &[Key]) -> Value {
    let properties: serde_json::Map<_, _> = keys
        .iter()
        .map(|key| {
            let mut schema = shape_schema(&key.shape);
            // `false` takes nothing, and no description either.
            if let Value::Object(schema) = &mut schema {
                schema.insert("description".to_owned(), json!(description(key)));
            }
            (key.name.to_owned(), schema)
        })
        .collect();
    let required: Vec<_> = keys
        .iter()
        .filter(|key| key.need == Need::Here)
        .map(|key| key.name)
        .collect();
    let mut schema = json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
    let pairs = exclusive_pairs(keys);
    if !pairs.is_empty() {
        schema["not"] = json!({"anyOf": pairs});
    }
    schema
}

/// Two keys of which a file may have one. That one of them is there is not required, as a profile may bring it.
fn exclusive_pairs(keys: &[Key]) -> Vec<Value> {
    let group = keys.iter().find_map(|key| match key.need {
        Need::OneOf(group, _) => Some(group),
        _ => None,
    });
    let group = group.unwrap_or_default();
    let pairs = group
        .iter()
        .enumerate()
        .flat_map(|(at, one)| group[at + 1..].iter().map(move |other| [one, other]));
    pairs.map(|pair| json!({"required": pair})).collect()
}

fn description(key: &Key) -> String {
    match absent(key) {
        None | Some("") => key.help.to_owned(),
        Some(absent) => format!("{} If absent: {absent}.", key.help),
    }
}
