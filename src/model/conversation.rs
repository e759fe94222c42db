//! What is said between devk and a model, the same for every wire format.

use serde_json::Value;

/// All that a model is given: it keeps nothing between two requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// What the model is to do, and by which rules.
    pub system: String,
    /// The oldest first.
    pub turns: Vec<Turn>,
    /// What the model may call; none asks for text alone.
    pub tools: Vec<ToolSpec>,
}

/// One side's part of the conversation.
#[derive(Debug, Clone, PartialEq)]
pub enum Turn {
    User(String),
    Model(ModelReply),
    /// What the calls of the turn before gave, each once.
    Tools(Vec<ToolResult>),
}

/// A tool as a model sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSpec {
    pub name: &'static str,
    pub about: &'static str,
    /// JSON Schema of an object.
    pub parameters: Value,
}

/// What a model said, whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelReply {
    pub text: String,
    pub calls: Vec<ToolCall>,
}

/// A tool that the model calls.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    /// Names the call to the backend; unique within a reply.
    pub id: String,
    pub name: String,
    pub arguments: Value,
}

/// What a call gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolResult {
    /// That of the call.
    pub id: String,
    pub name: String,
    pub text: String,
    pub is_error: bool,
}
