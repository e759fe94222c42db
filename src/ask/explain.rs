//! What a kind of object, or a field of it, is for: in the words of the API server's own schemas (OpenAPI v3, which Kubernetes
//! serves since 1.24).

use hyper::Request;
use kube::Client;
use serde_json::Value;
use tokio::time::timeout;

use super::answer::AskAnswer;
use super::kind::AskedKind;
use super::live::{READ_TIMEOUT, silent};
use super::unclear::Unclear;
use crate::error::{Code, Error, Result, chain, suggest};

/// So deep a path may lead.
const MOST_FIELDS: usize = 16;

/// `deployment.spec.strategy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExplainedField {
    kind: AskedKind,
    path: Vec<String>,
}

/// A schema and all those that it may refer to.
struct FieldSchema<'d> {
    document: &'d Value,
    schema: &'d Value,
}

impl ExplainedField {
    /// What a text asks to be explained; None if it asks for something else.
    pub(super) fn of(text: &str) -> Option<Self> {
        let text = text.trim().trim_end_matches(['?', '!', '.']).to_lowercase();
        let words: Vec<_> = text.split_whitespace().collect();
        let field = match words[..] {
            ["explain", field] | ["what", "is", "a" | "an", field] => field,
            ["explain" | "what", "does", field, "mean"] | ["what", "does", field, "do"] => field,
            _ => return None,
        };
        let mut parts = field.split('.');
        let kind = AskedKind::called(parts.next()?)?;
        let path: Vec<_> = parts
            .map(|part| part.trim_end_matches("[]").to_owned())
            .collect();
        let is_path = path.len() <= MOST_FIELDS && path.iter().all(|part| !part.is_empty());
        is_path.then_some(Self { kind, path })
    }

    /// What the schemas say.
    ///
    /// # Errors
    /// [`Code::AskName`] for a field that is none; [`Code::AskUnread`] if the API server has no schemas.
    pub(super) async fn explain(&self, client: &Client) -> Result<AskAnswer> {
        let group = self.kind.group_path();
        let document = document(client, group).await?;
        self.answer(&document).map_err(Unclear::error)
    }

    fn answer(&self, document: &Value) -> Result<AskAnswer, Unclear> {
        let mut at = FieldSchema::of_kind(document, self.kind.name()).ok_or_else(|| {
            Unclear::unread(&format!(
                "the API server has no schema of {}",
                self.kind.name()
            ))
        })?;
        let mut seen = self.kind.name().to_owned();
        for part in &self.path {
            let names = at.fields();
            let name = names.iter().find(|name| name.eq_ignore_ascii_case(part));
            let Some(name) = name else {
                let near = suggest(part, names.iter().map(String::as_str));
                return Err(match near {
                    Some(_) => Unclear::no_such("field", part, &seen, near),
                    None => Unclear::lacking(
                        &format!("{seen} has no field `{part}`"),
                        &format!("explain {}", seen.to_lowercase()),
                    ),
                });
            };
            at = at.field(name);
            seen = format!("{seen}.{name}");
        }
        let mut answer = AskAnswer {
            understood: format!("explain {seen}"),
            text: format!("{seen} is {}: {}", at.kind(), at.description()),
            ..AskAnswer::default()
        };
        let rows = at.fields().into_iter().map(|name| {
            let field = at.field(&name);
            let meaning = first_sentence(field.description());
            vec![name, field.kind(), meaning]
        });
        let rows: Vec<_> = rows.collect();
        if !rows.is_empty() {
            answer.table(&["FIELD", "TYPE", "MEANING"], rows);
        }
        let path = seen.split_once('.').map(|(_, path)| format!(".{path}"));
        let kind = self.kind.name().to_lowercase();
        answer.kubectl(format!("explain {kind}{}", path.unwrap_or_default()));
        Ok(answer)
    }
}

impl<'d> FieldSchema<'d> {
    fn of_kind(document: &'d Value, kind: &str) -> Option<Self> {
        let schemas = document.pointer("/components/schemas")?.as_object()?;
        let is_it = |schema: &&Value| {
            let names = schema["x-kubernetes-group-version-kind"].as_array();
            names.into_iter().flatten().any(|name| name["kind"] == kind)
                && schema["properties"].get("metadata").is_some()
        };
        let schema = schemas.values().find(is_it)?;
        Some(Self { document, schema })
    }

    /// What the schema, or that of its items, refers to.
    fn resolved(&self) -> &'d Value {
        let schema = match self
            .schema
            .get("items")
            .or(self.schema.get("additionalProperties"))
        {
            Some(inner) if inner.is_object() => inner,
            _ => self.schema,
        };
        let reference = schema
            .get("$ref")
            .or_else(|| schema.pointer("/allOf/0/$ref"));
        let target = reference
            .and_then(Value::as_str)
            .and_then(|reference| self.document.pointer(reference.trim_start_matches('#')));
        target.unwrap_or(schema)
    }

    fn fields(&self) -> Vec<String> {
        let fields = self.resolved().get("properties").and_then(Value::as_object);
        fields
            .map(|fields| fields.keys().cloned().collect())
            .unwrap_or_default()
    }

    fn field(&self, name: &str) -> Self {
        Self {
            document: self.document,
            schema: &self.resolved()["properties"][name],
        }
    }

    fn description(&self) -> &'d str {
        let of = |schema: &'d Value| schema.get("description").and_then(Value::as_str);
        let own = of(self.schema).or_else(|| of(self.resolved()));
        own.unwrap_or("the schema does not say what it is for")
    }

    /// `string`, `list of object`, `object`.
    fn kind(&self) -> String {
        let of = |schema: &Value| match schema.get("type").and_then(Value::as_str) {
            Some(kind) => kind.to_owned(),
            None => "object".to_owned(),
        };
        let inner = of(self.resolved());
        match of(self.schema).as_str() {
            "array" => format!("list of {inner}"),
            _ if self.schema.get("additionalProperties").is_some() => format!("map of {inner}"),
            _ => inner,
        }
    }
}

/// The schemas of a group and version.
async fn document(client: &Client, group: &str) -> Result<Value> {
    let index = get(client, "/openapi/v3").await?;
    let path = &index["paths"][group.trim_start_matches('/')]["serverRelativeURL"];
    match path.as_str() {
        Some(path) => get(client, path).await,
        None => Err(unread(&format!("the API server has no schema of {group}"))),
    }
}

async fn get(client: &Client, path: &str) -> Result<Value> {
    let request = Request::get(path).body(vec![]);
    let request = request.map_err(|e| unread(&chain(&e)))?;
    let read = timeout(READ_TIMEOUT, client.request::<Value>(request)).await;
    match read {
        Ok(Ok(document)) => Ok(document),
        Ok(Err(kube::Error::Api(refusal))) => Err(unread(&refusal.message)),
        Ok(Err(error)) => Err(silent(&chain(&error))),
        Err(_) => Err(silent("no schemas in time")),
    }
}

fn unread(why: &str) -> Error {
    Error::new(
        Code::AskUnread,
        format!("the schemas could not be read: {why}"),
    )
    .hint("devk doctor")
}

fn first_sentence(text: &str) -> String {
    let end = text.find(". ").map_or(text.len(), |end| end + 1);
    text[..end].split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schemas() -> Value {
        let meta = json!({"description": "Standard metadata.", "allOf": [{"$ref": "#/components/schemas/Meta"}]});
        json!({"components": {"schemas": {
            "Deployment": {
                "description": "Deployment enables updates. It has more to say.",
                "type": "object",
                "properties": {
                    "metadata": meta,
                    "spec": {"description": "What is wanted.", "allOf": [{"$ref": "#/components/schemas/Spec"}]},
                },
                "x-kubernetes-group-version-kind": [{"group": "apps", "kind": "Deployment", "version": "v1"}],
            },
            "Meta": {"type": "object", "properties": {}},
            "Spec": {"type": "object", "properties": {
                "replicas": {"type": "integer", "description": "Number of pods. Defaults to 1."},
                "selector": {"type": "object", "additionalProperties": {"type": "string"}},
                "conditions": {"type": "array", "items": {"$ref": "#/components/schemas/Condition"}},
            }},
            "Condition": {"type": "object", "description": "One condition.", "properties": {"type": {"type": "string"}}},
        }}})
    }

    fn answer(text: &str) -> Result<AskAnswer, Unclear> {
        ExplainedField::of(text).unwrap().answer(&schemas())
    }

    #[test]
    fn a_kind_and_a_field_are_explained_by_the_schema() {
        let kind = answer("what is a deployment?").unwrap();
        assert_eq!(
            kind.text,
            "Deployment is object: Deployment enables updates. It has more to say."
        );
        assert_eq!(kind.rows[1], ["spec", "object", "What is wanted."]);
        let spec = answer("explain deploy.spec").unwrap();
        let types: Vec<_> = spec.rows.iter().map(|row| row[1].as_str()).collect();
        assert_eq!(types, ["integer", "map of string", "list of object"]);
        let replicas = answer("what does deployment.spec.Replicas mean").unwrap();
        assert_eq!(
            replicas.text,
            "Deployment.spec.replicas is integer: Number of pods. Defaults to 1."
        );
        assert!(
            replicas.kubectl[0].contains("explain deployment.spec.replicas"),
            "{:?}",
            replicas.kubectl
        );
        let within = answer("explain deployment.spec.conditions[].type").unwrap();
        assert!(
            within
                .text
                .starts_with("Deployment.spec.conditions.type is string")
        );
    }

    #[test]
    fn a_field_that_is_none_gets_the_nearest_one_and_other_questions_are_no_explanations() {
        let error = answer("explain deployment.spec.replicsa")
            .unwrap_err()
            .error();
        assert_eq!(error.code, Code::AskName);
        assert!(error.hint.unwrap().contains("replicas"));
        for text in [
            "explain web",
            "why is api not ready",
            "what is wrong",
            "explain deployment api",
            "explain deployment..spec",
            "explain",
        ] {
            assert_eq!(ExplainedField::of(text), None, "{text}");
        }
    }
}
