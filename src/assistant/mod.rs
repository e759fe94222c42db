//! A language model for the questions that [`ask`](crate::ask) does not understand: it looks through devk's own tools, and
//! answers or proposes a plan.
//!
//! A model is a writer of proposals and no more. It calls [tools] that only look; what they show is fenced as data
//! ([`fence`]) and holds no secret; a change comes back as a typed plan, which is previewed and approved like any other, and
//! which objects it names that its user did not is told ([`named`]).
//!
//! Invariant: nothing here writes to a cluster. Invariant: what a model says without having looked is marked as unverified.

mod fence;
mod name_mask;
mod named;
mod prompt;
#[cfg(test)]
mod tests;
mod tools;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::ask::Asker;
use crate::change::plan::{ChangePlan, ObjectName, PLAN_VERSION};
use crate::change::read_plan;
use crate::error::Errors;
use crate::model::{
    Conversation, ModelCall, ModelChain, ModelNews, ModelReply, PassedOver, ToolResult, Turn,
};
use fence::Fence;
use name_mask::NameMask;
use tools::ModelLook;

/// So many replies one question may take.
const MOST_ROUNDS: usize = 10;
/// So long one question may take, all replies and looks together.
const LONGEST: Duration = Duration::from_secs(300);
/// A conversation that is longer is ended: it would cost more than an answer is worth.
const MOST_BYTES: usize = 512 * 1024;

/// Takes what is secret out of a text.
pub type SecretMask<'a> = dyn Fn(&str) -> String + Send + Sync + 'a;

/// Models and what they may look at.
pub struct Assistant<'a> {
    pub asker: &'a Asker,
    pub chain: &'a ModelChain,
    /// Every text goes through it before it goes to a model.
    pub mask: &'a SecretMask<'a>,
    /// The names of objects are replaced by others before they go to a model, and put back in what it says.
    pub hides_names: bool,
}

/// What a model made of a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Consulted {
    pub outcome: ConsultedOutcome,
    pub trail: ConsultedTrail,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ConsultedOutcome {
    /// An answer in the model's words.
    Answer(String),
    /// A proposed change, and the objects of it that the question does not name.
    Plan {
        plan: ChangePlan,
        unnamed: Vec<ObjectName>,
    },
    /// Nothing of use, and why.
    Nothing(String),
}

/// How it came to that.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConsultedTrail {
    /// The backend of the last reply; empty if none replied.
    pub backend: String,
    /// Backends that gave no reply.
    pub passed: Vec<PassedOver>,
    /// What was looked at, in this order.
    pub looked: Vec<ModelLook>,
    /// What the model proposed and devk refused, each in a line.
    pub refused: Vec<String>,
}

impl std::fmt::Debug for Assistant<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assistant")
            .field("asker", &self.asker)
            .field("chain", &self.chain)
            .finish_non_exhaustive()
    }
}

impl ConsultedTrail {
    /// The model claims what it has not looked at.
    pub fn is_unverified(&self) -> bool {
        self.looked.is_empty()
    }

    /// A backend that gives no reply is asked with each round, and told once.
    fn passed(&mut self, passed: Vec<PassedOver>) {
        for one in passed {
            if !self.passed.iter().any(|known| known.backend == one.backend) {
                self.passed.push(one);
            }
        }
    }
}

impl Assistant<'_> {
    /// Asks the models about a question that devk itself did not understand.
    pub async fn consult(
        &self,
        question: &str,
        news: &mut (dyn FnMut(ModelNews<'_>) + Send),
    ) -> Consulted {
        let mut trail = ConsultedTrail::default();
        let talk = self.talk(question, &mut trail, news);
        let outcome = match tokio::time::timeout(LONGEST, talk).await {
            Ok(outcome) => outcome.unwrap_or_else(ConsultedOutcome::Nothing),
            Err(_) => {
                let limit = LONGEST.as_secs();
                ConsultedOutcome::Nothing(format!("no answer within {limit} s"))
            }
        };
        Consulted { outcome, trail }
    }

    async fn talk(
        &self,
        question: &str,
        trail: &mut ConsultedTrail,
        news: &mut (dyn FnMut(ModelNews<'_>) + Send),
    ) -> Result<ConsultedOutcome, String> {
        let names = match self.hides_names {
            true => NameMask::of(&tools::names(self.asker).await?),
            false => NameMask::default(),
        };
        let fence = Fence::new()?;
        let outgoing = |text: &str| names.hide(&(self.mask)(text));
        let mut conversation = Conversation {
            system: prompt::system(&self.asker.project, &fence, outgoing),
            turns: vec![Turn::User(outgoing(question))],
            tools: tools::specs(),
        };
        for _ in 0..MOST_ROUNDS {
            let sent = self.chain.send(&conversation, news).await;
            let sent = sent.map_err(|passed| {
                trail.passed(passed);
                "no model answers".to_owned()
            })?;
            trail.backend = sent.backend;
            trail.passed(sent.passed);
            let reply = sent.reply;
            if reply.calls.is_empty() {
                return Ok(ConsultedOutcome::Answer(names.show(reply.text.trim())));
            }
            if let Some(again) = repeated(&reply, &conversation) {
                return Err(format!("the model calls `{again}` again and again"));
            }
            let mut results = vec![];
            for call in &reply.calls {
                let call = ModelCall {
                    name: call.name.clone(),
                    arguments: names.show_in(&call.arguments),
                };
                let given = match call.name.as_str() {
                    tools::PROPOSE => match proposed(&call.arguments) {
                        Ok(plan) => return Ok(self.proposal(question, plan)),
                        Err(errors) => Err(refused(&errors, trail)?),
                    },
                    _ => tools::call(self.asker, &call).await.map(|(looked, text)| {
                        trail.looked.push(looked);
                        text
                    }),
                };
                let is_error = given.is_err();
                let text = given.unwrap_or_else(|why| why);
                // What is secret must not be cut in two before it is seen.
                let text = fence.around(&tools::cut(outgoing(&text)));
                results.push(ToolResult {
                    name: call.name,
                    text,
                    is_error,
                });
            }
            conversation.turns.push(Turn::Model(reply));
            conversation.turns.push(Turn::Tools(results));
            if length(&conversation) > MOST_BYTES {
                return Err("the conversation with the model became too long".to_owned());
            }
        }
        Err(format!(
            "no answer after {MOST_ROUNDS} replies of the model"
        ))
    }

    fn proposal(&self, question: &str, plan: ChangePlan) -> ConsultedOutcome {
        let unnamed = named::unnamed(question, &plan, &self.asker.project);
        ConsultedOutcome::Plan { plan, unnamed }
    }
}

/// The plan of a call's arguments.
fn proposed(arguments: &Value) -> Result<ChangePlan, Errors> {
    let steps = arguments.get("steps").unwrap_or(&Value::Null);
    let document = json!({"version": PLAN_VERSION, "steps": steps});
    read_plan(&format!("{document:#}"), Path::new("the proposed plan"))
}

/// What is wrong with a plan, for the model to mend it once; the second time it is given up.
fn refused(errors: &Errors, trail: &mut ConsultedTrail) -> Result<String, String> {
    let told: Vec<_> = errors
        .0
        .iter()
        .map(crate::error::Error::on_one_line)
        .collect();
    let told = told.join("; ");
    trail.refused.push(told.clone());
    match trail.refused.len() {
        1 => Ok(format!("this is no plan: {told}")),
        _ => Err(format!(
            "the model proposes no plan that devk can read: {told}"
        )),
    }
}

/// The tool of a reply all of whose calls were made before, with the same arguments.
fn repeated<'r>(reply: &'r ModelReply, conversation: &Conversation) -> Option<&'r str> {
    let replies = conversation.turns.iter().filter_map(|turn| match turn {
        Turn::Model(reply) => Some(&reply.calls),
        _ => None,
    });
    let made: Vec<_> = replies.flatten().collect();
    let first = reply.calls.first()?;
    let is_made = reply.calls.iter().all(|call| made.contains(&call));
    is_made.then_some(first.name.as_str())
}

/// How long a conversation is, in bytes: what a model called goes to it with each further reply, too.
fn length(conversation: &Conversation) -> usize {
    let of_call = |call: &ModelCall| call.name.len() + call.arguments.to_string().len();
    let of_turn = |turn: &Turn| match turn {
        Turn::User(text) => text.len(),
        Turn::Model(reply) => reply.text.len() + reply.calls.iter().map(of_call).sum::<usize>(),
        Turn::Tools(results) => results.iter().map(|result| result.text.len()).sum(),
    };
    conversation.turns.iter().map(of_turn).sum()
}
