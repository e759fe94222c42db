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
    /// What the calls of the turn before gave, in their order.
    Tools(Vec<ToolResult>),
}

/// A tool as a model sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSpec {
    pub name: &'static str,
    pub about: &'static str,
    /// JSON Schema of an object.
    pub parameters: Value,
    /// A call of it is more than a look.
    pub proposes: bool,
}

/// What a model said, whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelReply {
    pub text: String,
    pub calls: Vec<ModelCall>,
}

/// A tool that the model calls.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelCall {
    pub name: String,
    pub arguments: Value,
}

/// What a call gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolResult {
    pub name: String,
    pub text: String,
    pub is_error: bool,
}

impl Conversation {
    /// How backends tell the calls of a conversation apart: by the model's turn, and the place within it. The ids that they
    /// give themselves are not used, since the next reply may be another backend's.
    pub(super) fn call_id(turn: usize, place: usize) -> String {
        format!("call_{turn}_{place}")
    }

    /// The id of the call that a result is of: the model's turn is the one before.
    pub(super) fn result_id(turn: usize, place: usize) -> String {
        Self::call_id(turn.saturating_sub(1), place)
    }
}

impl ModelCall {
    /// The arguments as the object that every format wants.
    pub(super) fn object(&self) -> Value {
        match &self.arguments {
            object @ Value::Object(_) => object.clone(),
            other => serde_json::json!({"value": other}),
        }
    }
}
