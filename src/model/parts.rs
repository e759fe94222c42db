//! A reply that comes in parts, of whichever wire format.

use serde_json::{Map, Value};

use super::conversation::{Conversation, ModelCall, ModelReply};
use super::text_calls::calls_in_text;

/// A longer reply is no answer to a question.
const MOST_BYTES: usize = 1024 * 1024;
/// More calls in one reply are a model out of control.
const MOST_CALLS: usize = 16;

/// Why a backend gave no reply, as a part of a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModelFault(pub(super) String);

/// What has come of a reply so far.
#[derive(Debug, Default)]
pub(super) struct ReplyParts {
    text: String,
    calls: Vec<PartialCall>,
    bytes: usize,
    /// The backend said that the reply is whole.
    is_ended: bool,
    /// The backend said that it stopped at its limit of length.
    is_cut: bool,
}

#[derive(Debug)]
struct PartialCall {
    /// Which of the reply's parts it is, by the backend's count.
    index: u64,
    id: String,
    name: String,
    arguments: PartialArguments,
}

#[derive(Debug)]
enum PartialArguments {
    /// Pieces of a JSON text.
    Text(String),
    Whole(Value),
}

impl ReplyParts {
    /// The text so far.
    pub(super) fn said(&self) -> &str {
        &self.text
    }

    pub(super) fn text(&mut self, text: &str) -> Result<(), ModelFault> {
        self.grow(text.len())?;
        self.text += text;
        Ok(())
    }

    /// A call begins, or a further piece of one comes, which some backends give an id and a name again.
    pub(super) fn call(&mut self, index: u64, id: &str, name: &str) -> Result<(), ModelFault> {
        self.grow(id.len() + name.len())?;
        // Some servers give all calls the index 0: another id is another call.
        let is_same = |call: &PartialCall| {
            call.index == index && (id.is_empty() || call.id.is_empty() || call.id == id)
        };
        if let Some(call) = self.calls.iter_mut().rfind(|call| is_same(call)) {
            if call.id.is_empty() {
                id.clone_into(&mut call.id);
            }
            if call.name.is_empty() {
                name.clone_into(&mut call.name);
            }
            return Ok(());
        }
        if self.calls.len() == MOST_CALLS {
            return Err(ModelFault(format!(
                "it calls more than {MOST_CALLS} tools at once"
            )));
        }
        self.calls.push(PartialCall {
            index,
            id: id.to_owned(),
            name: name.to_owned(),
            arguments: PartialArguments::Text(String::new()),
        });
        Ok(())
    }

    /// A piece of the arguments of a call that has begun.
    pub(super) fn arguments(&mut self, index: u64, piece: &str) -> Result<(), ModelFault> {
        self.grow(piece.len())?;
        let call = self.calls.iter_mut().rfind(|call| call.index == index);
        match call.map(|call| &mut call.arguments) {
            Some(PartialArguments::Text(text)) => *text += piece,
            _ => return Err(ModelFault("arguments came without a call".to_owned())),
        }
        Ok(())
    }

    /// The arguments of a call that has begun, where they come as an object.
    pub(super) fn whole_arguments(&mut self, index: u64, arguments: &Value) {
        if let Some(call) = self.calls.iter_mut().rfind(|call| call.index == index) {
            call.arguments = PartialArguments::Whole(arguments.clone());
        }
    }

    /// A call with all of its arguments.
    pub(super) fn whole_call(
        &mut self,
        id: &str,
        name: &str,
        arguments: &Value,
    ) -> Result<(), ModelFault> {
        let index = self.calls.len() as u64;
        self.call(index, id, name)?;
        let arguments = match arguments {
            // Some backends write the object as a text even here.
            Value::String(text) => PartialArguments::Text(text.clone()),
            other => PartialArguments::Whole(other.clone()),
        };
        if let Some(call) = self.calls.last_mut() {
            call.arguments = arguments;
        }
        Ok(())
    }

    pub(super) fn ends(&mut self) {
        self.is_ended = true;
    }

    /// The backend names a reason to end, of which only the limit of length matters: whether there are calls is seen, and
    /// what is said about it is often wrong.
    pub(super) fn ends_by(&mut self, reason: &str) {
        // Some servers send an empty reason with each part.
        if reason.is_empty() {
            return;
        }
        self.is_ended = true;
        self.is_cut = matches!(
            reason,
            "length" | "max_tokens" | "model_context_window_exceeded"
        );
    }

    /// The reply. Calls that a model wrote into its text count as calls, too, if tools of these names were given.
    pub(super) fn finish(self, conversation: &Conversation) -> Result<ModelReply, ModelFault> {
        if !self.is_ended {
            return Err(ModelFault("the reply was cut".to_owned()));
        }
        if self.is_cut {
            return Err(ModelFault(
                "the reply is longer than the backend allows".to_owned(),
            ));
        }
        let calls = self.calls.into_iter().map(PartialCall::finish);
        let calls = calls.collect::<Result<Vec<_>, _>>()?;
        let mut reply = ModelReply {
            text: self.text,
            calls,
        };
        if reply.calls.is_empty()
            && let Some((text, calls)) = calls_in_text(&reply.text, &conversation.tools)
        {
            reply = ModelReply { text, calls };
        }
        match reply.calls.is_empty() && reply.text.trim().is_empty() {
            true => Err(ModelFault("the reply is empty".to_owned())),
            false => Ok(reply),
        }
    }

    fn grow(&mut self, by: usize) -> Result<(), ModelFault> {
        self.bytes += by;
        match self.bytes > MOST_BYTES {
            true => Err(ModelFault(format!(
                "the reply is longer than {MOST_BYTES} bytes"
            ))),
            false => Ok(()),
        }
    }
}

impl PartialCall {
    fn finish(self) -> Result<ModelCall, ModelFault> {
        let arguments = match self.arguments {
            PartialArguments::Whole(Value::Null) => Value::Object(Map::new()),
            PartialArguments::Whole(value) => value,
            PartialArguments::Text(text) if text.trim().is_empty() => Value::Object(Map::new()),
            PartialArguments::Text(text) => serde_json::from_str(&text).map_err(|e| {
                ModelFault(format!("the arguments of `{}` are no JSON: {e}", self.name))
            })?,
        };
        Ok(ModelCall {
            name: self.name,
            arguments,
        })
    }
}

/// The text at a path of members, or an empty one.
pub(super) fn text_at<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The error that a reply consists of, in one of the three forms.
pub(super) fn told_error(event: &Value) -> Option<ModelFault> {
    let error = event.get("error").filter(|error| !error.is_null())?;
    let text = error.as_str().or_else(|| error.get("message")?.as_str());
    let text = text.map_or_else(|| error.to_string(), str::to_owned);
    Some(ModelFault(text))
}
