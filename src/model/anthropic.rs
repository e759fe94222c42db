//! Messages as Anthropic's API reference has them (`POST /v1/messages`).

use serde_json::{Value, json};

use super::conversation::{Conversation, ModelReply, ToolResult, ToolSpec, Turn};
use super::parts::{ModelFault, ReplyParts, text_at};

/// The version of the format, which each request names.
pub(super) const VERSION: &str = "2023-06-01";
/// A request has to name the longest reply, in tokens.
const MOST_TOKENS: u32 = 4096;

pub(super) fn request(model: &str, conversation: &Conversation) -> Value {
    let turns = conversation.turns.iter().enumerate();
    let messages: Vec<_> = turns.map(|(at, turn)| message(at, turn)).collect();
    let mut request = json!({
        "model": model,
        "max_tokens": MOST_TOKENS,
        "system": conversation.system,
        "messages": messages,
        "stream": true,
    });
    if !conversation.tools.is_empty() {
        request["tools"] = conversation.tools.iter().map(tool).collect();
    }
    request
}

fn tool(tool: &ToolSpec) -> Value {
    json!({"name": tool.name, "description": tool.about, "input_schema": tool.parameters})
}

fn message(at: usize, turn: &Turn) -> Value {
    match turn {
        Turn::User(text) => json!({"role": "user", "content": [{"type": "text", "text": text}]}),
        Turn::Model(reply) => json!({"role": "assistant", "content": assistant(at, reply)}),
        Turn::Tools(results) => {
            let results = results.iter().enumerate();
            let results: Vec<_> = results
                .map(|(place, result)| tool_result(at, place, result))
                .collect();
            json!({"role": "user", "content": results})
        }
    }
}

fn assistant(turn: usize, reply: &ModelReply) -> Vec<Value> {
    // An empty text is refused.
    let text = Some(&reply.text).filter(|text| !text.trim().is_empty());
    let text = text.map(|text| json!({"type": "text", "text": text}));
    let calls = reply.calls.iter().enumerate().map(|(place, call)| {
        let id = Conversation::call_id(turn, place);
        json!({"type": "tool_use", "id": id, "name": call.name, "input": call.object()})
    });
    text.into_iter().chain(calls).collect()
}

fn tool_result(turn: usize, place: usize, result: &ToolResult) -> Value {
    json!({
        "type": "tool_result",
        "tool_use_id": Conversation::result_id(turn, place),
        "content": result.text,
        "is_error": result.is_error,
    })
}

/// One event of a stream, or the whole reply.
pub(super) fn take(parts: &mut ReplyParts, event: &Value) -> Result<(), ModelFault> {
    let index = event
        .get("index")
        .and_then(Value::as_u64)
        .unwrap_or_default();
    match text_at(event, "/type") {
        "message" => return whole(parts, event),
        "content_block_start" => {
            let block = &event["content_block"];
            match text_at(block, "/type") {
                "text" => parts.text(text_at(block, "/text"))?,
                "tool_use" => parts.call(index, text_at(block, "/id"), text_at(block, "/name"))?,
                _ => {}
            }
        }
        "content_block_delta" => {
            let delta = &event["delta"];
            match text_at(delta, "/type") {
                "text_delta" => parts.text(text_at(delta, "/text"))?,
                "input_json_delta" => parts.arguments(index, text_at(delta, "/partial_json"))?,
                _ => {}
            }
        }
        // The stream goes on until `message_stop`.
        "message_delta" => parts.ends_by(text_at(event, "/delta/stop_reason")),
        "message_stop" => parts.ends(),
        // `ping`, and what comes later: the reference asks to pass over unknown events.
        _ => {}
    }
    Ok(())
}

fn whole(parts: &mut ReplyParts, message: &Value) -> Result<(), ModelFault> {
    let blocks = message.get("content").and_then(Value::as_array);
    for block in blocks.into_iter().flatten() {
        match text_at(block, "/type") {
            "text" => parts.text(text_at(block, "/text"))?,
            "tool_use" => {
                parts.whole_call(
                    text_at(block, "/id"),
                    text_at(block, "/name"),
                    &block["input"],
                )?;
            }
            _ => {}
        }
    }
    parts.ends();
    parts.ends_by(text_at(message, "/stop_reason"));
    Ok(())
}
