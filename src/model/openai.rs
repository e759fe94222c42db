//! Chat completions as OpenAI's API reference has them (`POST /chat/completions`).

use serde_json::{Value, json};

use super::conversation::{Conversation, ModelReply, ToolResult, ToolSpec, Turn};
use super::parts::{ModelFault, ReplyParts, text_at};

pub(super) fn request(model: &str, conversation: &Conversation) -> Value {
    let mut messages = vec![json!({"role": "system", "content": conversation.system})];
    for (at, turn) in conversation.turns.iter().enumerate() {
        match turn {
            Turn::User(text) => messages.push(json!({"role": "user", "content": text})),
            Turn::Model(reply) => messages.push(assistant(at, reply)),
            Turn::Tools(results) => {
                let results = results.iter().enumerate();
                messages.extend(results.map(|(place, result)| tool_message(at, place, result)));
            }
        }
    }
    let mut request = json!({"model": model, "messages": messages, "stream": true});
    if !conversation.tools.is_empty() {
        request["tools"] = conversation.tools.iter().map(tool).collect();
    }
    request
}

/// A tool in the form that Ollama has taken over.
pub(super) fn tool(tool: &ToolSpec) -> Value {
    json!({"type": "function", "function": {
        "name": tool.name, "description": tool.about, "parameters": tool.parameters,
    }})
}

fn assistant(turn: usize, reply: &ModelReply) -> Value {
    let mut message = json!({"role": "assistant", "content": reply.text});
    if !reply.calls.is_empty() {
        let calls = reply.calls.iter().enumerate();
        message["tool_calls"] = calls
            .map(|(place, call)| {
                json!({"id": Conversation::call_id(turn, place), "type": "function", "function": {
                    "name": call.name, "arguments": call.object().to_string(),
                }})
            })
            .collect();
    }
    message
}

fn tool_message(turn: usize, place: usize, result: &ToolResult) -> Value {
    let id = Conversation::result_id(turn, place);
    json!({"role": "tool", "tool_call_id": id, "content": result.text})
}

/// One event of a stream, or the whole reply, which has `message` where an event has `delta`.
pub(super) fn take(parts: &mut ReplyParts, event: &Value) -> Result<(), ModelFault> {
    // The last event of a stream may count tokens and hold no choice.
    let Some(choice) = event.pointer("/choices/0") else {
        return Ok(());
    };
    let said = choice.get("delta").or_else(|| choice.get("message"));
    if let Some(said) = said {
        parts.text(text_at(said, "/content"))?;
        let calls = said.get("tool_calls").and_then(Value::as_array);
        for (at, call) in calls.into_iter().flatten().enumerate() {
            let index = call
                .get("index")
                .and_then(Value::as_u64)
                .unwrap_or(at as u64);
            parts.call(index, text_at(call, "/id"), text_at(call, "/function/name"))?;
            match call.pointer("/function/arguments") {
                // As the reference has it not, and some servers have it.
                Some(arguments @ Value::Object(_)) => parts.whole_arguments(index, arguments),
                _ => parts.arguments(index, text_at(call, "/function/arguments"))?,
            }
        }
    }
    if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
        parts.ends_by(reason);
    }
    Ok(())
}
