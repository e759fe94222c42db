//! The table of keys as a JSON Schema, for editors.

use serde_json::{Value, json};

use super::schema::ROOT;
use super::shape::Need::Here;
use super::shape::{Key, Shape};

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
                schema.insert("description".to_owned(), json!(key.help));
            }
            (key.name.to_owned(), schema)
        })
        .collect();
    let required: Vec<_> = keys
        .iter()
        .filter(|key| key.need == Here)
        .map(|key| key.name)
        .collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}
