//! Chats as Ollama's API has them (`POST /api/chat`).
//!
//! A request with tools asks for a whole reply: streams of Ollama lose calls of tools (ollama issues 9632 and 12557).

use serde_json::{Value, json};

use super::conversation::{Conversation, ModelReply, ToolResult, Turn};
use super::openai::tool;
use super::parts::{ModelFault, ReplyParts, text_at};

pub(super) fn request(model: &str, conversation: &Conversation) -> Value {
    let mut messages = vec![json!({"role": "system", "content": conversation.system})];
    for turn in &conversation.turns {
        match turn {
            Turn::User(text) => messages.push(json!({"role": "user", "content": text})),
            Turn::Model(reply) => messages.push(assistant(reply)),
            Turn::Tools(results) => messages.extend(results.iter().map(tool_message)),
        }
    }
    let is_streamed = conversation.tools.is_empty();
    let mut request = json!({"model": model, "messages": messages, "stream": is_streamed});
    if !is_streamed {
        request["tools"] = conversation.tools.iter().map(tool).collect();
    }
    request
}

fn assistant(reply: &ModelReply) -> Value {
    let mut message = json!({"role": "assistant", "content": reply.text});
    if !reply.calls.is_empty() {
        let calls = reply.calls.iter();
        message["tool_calls"] = calls
            .map(|call| json!({"function": {"name": call.name, "arguments": call.object()}}))
            .collect();
    }
    message
}

fn tool_message(result: &ToolResult) -> Value {
    json!({"role": "tool", "tool_name": result.name, "content": result.text})
}

/// One line of a stream, or the whole reply, which has the same form.
pub(super) fn take(parts: &mut ReplyParts, event: &Value) -> Result<(), ModelFault> {
    parts.text(text_at(event, "/message/content"))?;
    let calls = event
        .pointer("/message/tool_calls")
        .and_then(Value::as_array);
    for call in calls.into_iter().flatten() {
        let arguments = call.pointer("/function/arguments").unwrap_or(&Value::Null);
        parts.whole_call(
            text_at(call, "/id"),
            text_at(call, "/function/name"),
            arguments,
        )?;
    }
    if event.get("done").and_then(Value::as_bool) == Some(true) {
        parts.ends();
        parts.ends_by(text_at(event, "/done_reason"));
    }
    Ok(())
}
