//! Language models over HTTP: one conversation, three wire formats, several backends of which the first that answers counts.
//!
//! A [`Conversation`] is the same for every backend. [`openai`], [`anthropic`] and [`ollama`] write it as a request and read
//! the reply, streamed or whole, into [`ReplyParts`](parts::ReplyParts); [`send`] holds one exchange to its limits, and
//! [`ModelChain`] goes on to the next backend where one fails.
//!
//! Invariant: a reply that was cut is a failure, never a shorter reply. Invariant: a key goes to its backend only, encrypted or
//! to this machine, and stands in no message.

mod anthropic;
mod backend;
mod breaker;
mod chain;
mod conversation;
mod key;
mod ollama;
mod openai;
mod parts;
#[cfg(test)]
pub(crate) mod scripted;
mod selection;
mod send;
mod stream;
#[cfg(test)]
mod tests;
mod text_calls;

pub use backend::{ModelBackend, ModelLimits, WireFormat};
pub use chain::{ModelChain, ModelNews, ModelSent, PassedOver};
pub use conversation::{Conversation, ModelCall, ModelReply, ToolResult, ToolSpec, Turn};
pub use key::{ApiKey, KeySource};
pub use selection::selected;
