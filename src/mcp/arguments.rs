//! The arguments of a tool. One table serves their JSON Schema and their check, so that neither takes what the other
//! refuses. What a client sends is checked in full before anything runs: all problems are told together.

use serde_json::{Map, Value, json};

use crate::config;
use crate::error::{Code, Error, Errors, suggest};

/// One argument of a tool.
#[derive(Debug)]
pub(super) struct Argument {
    pub name: &'static str,
    pub kind: ArgumentKind,
    pub required: bool,
    /// Empty if the name says it all.
    pub about: &'static str,
}

/// What values an argument takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum ArgumentKind {
    /// A word that becomes an argument of devk.
    Name,
    Names,
    /// A program and its arguments, of any text.
    Words,
    Text,
    /// As devk.yaml writes them: 30s, 5m, 1h30m.
    Time,
    Flag,
    Number {
        least: u64,
        most: u64,
    },
    /// Steps of a change plan, which `devk change` checks.
    Steps,
}

/// The arguments of one call, after their check.
#[derive(Debug)]
pub(super) struct ToolArguments(Map<String, Value>);

impl ToolArguments {
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    pub(super) fn texts(&self, name: &str) -> Vec<&str> {
        let list = self.0.get(name).and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.0.get(name).and_then(Value::as_bool)
    }

    pub(super) fn list(&self, name: &str) -> &[Value] {
        let list = self.0.get(name).and_then(Value::as_array);
        list.map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name).and_then(Value::as_u64)
    }
}

/// The JSON Schema of arguments: others are refused.
pub(super) fn schema(arguments: &[Argument]) -> Map<String, Value> {
    let property = |argument: &Argument| {
        let mut schema = argument.kind.schema();
        if let (Some(schema), false) = (schema.as_object_mut(), argument.about.is_empty()) {
            schema.insert("description".to_owned(), argument.about.into());
        }
        (argument.name.to_owned(), schema)
    };
    let properties: Map<_, _> = arguments.iter().map(property).collect();
    let required = arguments.iter().filter(|argument| argument.required);
    let required: Vec<_> = required.map(|argument| argument.name).collect();
    let mut schema = Map::new();
    schema.insert("type".to_owned(), "object".into());
    schema.insert("properties".to_owned(), properties.into());
    if !required.is_empty() {
        schema.insert("required".to_owned(), required.into());
    }
    schema.insert("additionalProperties".to_owned(), false.into());
    schema
}

/// Checks what a client sends. A `null` is an argument that is not given.
///
/// # Errors
/// [`Code::Usage`] for every argument that is unknown, missing or of another kind.
pub(super) fn check(
    tool: &str,
    known: &[Argument],
    given: Map<String, Value>,
) -> Result<ToolArguments, Errors> {
    let given: Map<_, _> = given
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .collect();
    let mut problems = vec![];
    for (name, value) in &given {
        match known.iter().find(|argument| argument.name == name) {
            None => problems.push(unknown(tool, name, known)),
            Some(argument) if !argument.kind.takes(value) => {
                let what = format!("`{name}` of `{tool}` is {}", argument.kind.words());
                problems.push(Error::new(Code::Usage, what));
            }
            Some(_) => {}
        }
    }
    let missing = known
        .iter()
        .filter(|argument| argument.required && !given.contains_key(argument.name));
    problems.extend(missing.map(|argument| {
        let what = format!("`{tool}` needs the argument `{}`", argument.name);
        Error::new(Code::Usage, what).hint(format!("give {}", argument.kind.words()))
    }));
    Errors::unless_empty(problems, ToolArguments(given))
}

fn unknown(tool: &str, name: &str, known: &[Argument]) -> Error {
    let names: Vec<_> = known.iter().map(|argument| argument.name).collect();
    let hint = match (suggest(name, names.iter().copied()), names.is_empty()) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, true) => format!("`{tool}` takes no arguments"),
        (None, false) => format!("`{tool}` takes: {}", names.join(", ")),
    };
    Error::new(Code::Usage, format!("`{tool}` has no argument `{name}`")).hint(hint)
}

impl ArgumentKind {
    fn schema(self) -> Value {
        match self {
            Self::Name | Self::Text | Self::Time => json!({"type": "string"}),
            Self::Names | Self::Words => {
                json!({"type": "array", "items": {"type": "string"}, "minItems": 1})
            }
            Self::Flag => json!({"type": "boolean"}),
            Self::Number { least, most } => {
                json!({"type": "integer", "minimum": least, "maximum": most})
            }
            Self::Steps => json!({"type": "array", "items": {"type": "object"}, "minItems": 1}),
        }
    }

    fn takes(self, value: &Value) -> bool {
        let all = |takes: fn(&Value) -> bool| {
            let list = value.as_array();
            list.is_some_and(|list| !list.is_empty() && list.iter().all(takes))
        };
        match self {
            Self::Name => is_name(value),
            Self::Names => all(is_name),
            Self::Words => all(is_word),
            Self::Text => is_word(value),
            Self::Time => value
                .as_str()
                .is_some_and(|text| config::duration(text).is_some()),
            Self::Flag => value.is_boolean(),
            Self::Number { least, most } => value
                .as_u64()
                .is_some_and(|number| (least..=most).contains(&number)),
            Self::Steps => all(Value::is_object),
        }
    }

    fn words(self) -> String {
        match self {
            Self::Name => "a name, which begins with a letter or digit".to_owned(),
            Self::Names => {
                "a list of names, each of which begins with a letter or digit".to_owned()
            }
            Self::Words => "a list of at least one text".to_owned(),
            Self::Text => "a text".to_owned(),
            Self::Time => "a time of at most a day, such as 30s, 5m or 1h30m".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Number { least, most } => format!("a whole number from {least} to {most}"),
            Self::Steps => "a list of at least one step, each an object".to_owned(),
        }
    }
}

/// A name becomes a word of a command line: one that begins with a hyphen would be an option there.
fn is_name(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && !text.contains(char::is_control)
}

/// The system takes no zero byte in an argument of a program.
fn is_word(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [Argument; 3] = [
        Argument {
            name: "service",
            kind: ArgumentKind::Name,
            required: true,
            about: "whose",
        },
        Argument {
            name: "tail",
            kind: ArgumentKind::Number { least: 1, most: 9 },
            required: false,
            about: "",
        },
        Argument {
            name: "command",
            kind: ArgumentKind::Words,
            required: false,
            about: "",
        },
    ];

    fn problems(given: Value) -> Vec<String> {
        let given = given.as_object().unwrap().clone();
        match check("logs", &KNOWN, given) {
            Ok(_) => vec![],
            Err(errors) => errors.0.iter().map(Error::on_one_line).collect(),
        }
    }

    #[test]
    fn all_problems_of_a_call_are_told_together_with_what_was_meant() {
        assert_eq!(
            problems(json!({"servce": "api", "tail": 10})),
            [
                "`logs` has no argument `servce` (did you mean `service`?)",
                "`tail` of `logs` is a whole number from 1 to 9",
                "`logs` needs the argument `service` (give a name, which begins with a letter or digit)",
            ]
        );
        assert_eq!(problems(json!({"service": "api", "tail": null})), [""; 0]);
    }

    #[test]
    fn no_name_becomes_an_option_of_a_command_line() {
        for name in ["--file=/etc/passwd", "-C", "", "a\nb", "a\0"] {
            assert_eq!(problems(json!({"service": name})).len(), 1, "{name:?}");
        }
        let words = json!({"service": "api", "command": ["ls", "--all", ""]});
        assert_eq!(problems(words), [""; 0]);
        assert_eq!(problems(json!({"service": "api", "command": []})).len(), 1);
    }

    #[test]
    fn the_schema_says_what_the_check_takes() {
        assert_eq!(
            Value::from(schema(&KNOWN[..2])),
            json!({"type": "object", "properties": {
                "service": {"type": "string", "description": "whose"},
                "tail": {"type": "integer", "minimum": 1, "maximum": 9},
            }, "required": ["service"], "additionalProperties": false})
        );
    }
}
