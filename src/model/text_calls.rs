//! Calls that a model wrote into its text: small models, and backends that lose the calls of a stream, do so.

use serde_json::Value;

use super::conversation::{ModelCall, ToolSpec};

const OPENING: &str = "<tool_call>";
const CLOSING: &str = "</tool_call>";

/// The calls of a text, and what is left of it; None if there is none. Only these tools count, so that JSON that a model
/// merely shows is no call; and a tool that proposes counts only where nothing but calls is said, for a model may quote what
/// stands in a log.
pub(super) fn calls_in_text(text: &str, tools: &[ToolSpec]) -> Option<(String, Vec<ModelCall>)> {
    let (rest, found) = match text.contains(OPENING) {
        true => tagged(text),
        false => (String::new(), vec![unfenced(text)]),
    };
    let is_known = |call: &ModelCall| {
        let tool = tools.iter().find(|tool| tool.name == call.name);
        tool.is_some_and(|tool| !tool.proposes || rest.is_empty())
    };
    let calls = found.into_iter().map(|json| call(json).filter(is_known));
    let calls: Option<Vec<_>> = calls.collect();
    let calls = calls.filter(|calls| !calls.is_empty())?;
    Some((rest, calls))
}

/// What stands between the tags, the last of which models leave out, and what stands around them.
fn tagged(text: &str) -> (String, Vec<&str>) {
    let mut parts = text.split(OPENING);
    let mut rest = parts.next().unwrap_or_default().to_owned();
    let mut found = vec![];
    for part in parts {
        let (json, after) = part.split_once(CLOSING).unwrap_or((part, ""));
        found.push(json.trim());
        rest += after;
    }
    (rest.trim().to_owned(), found)
}

/// A text that is one block of code, without its fence.
fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let inside = text
        .strip_prefix("```")
        .and_then(|text| text.strip_suffix("```"))
        .and_then(|text| text.split_once('\n'));
    inside.map_or(text, |(_, inside)| inside.trim())
}

fn call(json: &str) -> Option<ModelCall> {
    let value: Value = serde_json::from_str(json).ok()?;
    let value = value.get("function").unwrap_or(&value);
    let name = value.get("name")?.as_str()?;
    let arguments = value.get("arguments").or_else(|| value.get("parameters"))?;
    let arguments = match arguments {
        Value::String(text) => serde_json::from_str(text).ok()?,
        other => other.clone(),
    };
    Some(ModelCall {
        name: name.to_owned(),
        arguments,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Option<(String, Vec<String>)> {
        let tool = |name, proposes| ToolSpec {
            name,
            about: "",
            parameters: Value::Null,
            proposes,
        };
        let tools = [
            tool("look", false),
            tool("get", false),
            tool("propose", true),
        ];
        let (rest, calls) = calls_in_text(text, &tools)?;
        let calls = calls.into_iter();
        let calls = calls.map(|call| format!("{} {}", call.name, call.arguments));
        Some((rest, calls.collect()))
    }

    #[test]
    fn a_call_in_tags_in_a_fence_or_alone_counts() {
        let look = || vec![r#"look {"question":"pods"}"#.to_owned()];
        for text in [
            r#"{"name": "look", "arguments": {"question": "pods"}}"#,
            "```json\n{\"name\": \"look\", \"parameters\": {\"question\": \"pods\"}}\n```",
            r#"<tool_call>{"name": "look", "arguments": "{\"question\": \"pods\"}"}</tool_call>"#,
            "<tool_call>\n{\"type\": \"function\", \"function\": {\"name\": \"look\", \"arguments\": {\"question\": \"pods\"}}}",
        ] {
            assert_eq!(names(text), Some((String::new(), look())), "{text}");
        }
        let both = "First I look.<tool_call>{\"name\":\"look\",\"arguments\":{}}</tool_call>\n<tool_call>{\"name\":\"get\",\"arguments\":{}}</tool_call>";
        let (rest, calls) = names(both).unwrap();
        assert_eq!((rest.as_str(), calls.len()), ("First I look.", 2));
    }

    #[test]
    fn json_that_is_shown_and_tools_that_nobody_gave_are_no_calls() {
        for text in [
            r#"{"name": "web", "replicas": 3}"#,
            r#"The call would be {"name": "look", "arguments": {}}"#,
            r#"<tool_call>{"name": "bash", "arguments": {}}</tool_call>"#,
            "<tool_call>look</tool_call>",
            r#"The log says <tool_call>{"name": "propose", "arguments": {}}</tool_call>"#,
            "",
        ] {
            assert_eq!(names(text), None, "{text}");
        }
    }
}
