//! `devk ask`: questions in plain words about what runs, answered without a model, always in the same way.
//!
//! A question is cut into [tokens], the phrases of one table ([lexicon]) put them into the slots of a [draft], and [settle]
//! makes one [question] of them. What no phrase takes is a name, and [resolve] finds the objects of that name in a [snapshot]
//! of the cluster. The answers ([answers], [facts], [analyse]) are functions of question and snapshot.
//!
//! Invariant: a word that is not understood is told; nothing is left out of a question silently. Invariant: nothing here
//! writes. A request for a change ([request]) becomes a plan ([planned]), which `devk change` carries out.

mod analyse;
mod answer;
mod answers;
mod columns;
mod conditions;
mod direction;
mod draft;
mod explain;
mod facts;
mod joined;
mod kind;
mod lexicon;
mod live;
mod memory;
mod mention;
mod moment;
mod nearest;
mod needs;
mod object;
mod pattern;
mod place;
mod planned;
mod question;
mod reading;
mod relation;
mod request;
mod resolve;
mod rewrite;
mod settle;
mod snapshot;
mod terms;
mod text;
mod tokens;
mod typed;
mod unclear;
mod wish;
mod wording;

pub use answer::{AnswerEvidence, AskAnswer};
pub use kind::AskedKind;
pub use live::Asker;
pub use memory::{AskMemory, RememberedText};
pub use planned::PlannedRequest;
pub use request::ChangeRequest;
pub use snapshot::{AskedProject, ClusterSnapshot, LogOf};
pub(crate) use text::section;
pub use unclear::Unclear;

use draft::QuestionDraft;

/// What was understood of a text.
#[derive(Debug)]
enum Understood {
    Question(QuestionDraft),
    Change(ChangeRequest),
}

/// What comes of a text.
#[derive(Debug)]
pub enum AskReply {
    AskAnswer(AskAnswer),
    /// A change that is asked for: nothing was done.
    Change(PlannedRequest),
}

/// What a text asks for, as far as its words alone say it.
fn understand(text: &str) -> Result<Understood, Unclear> {
    match ChangeRequest::of(text) {
        Some(request) => Ok(Understood::Change(request)),
        None => QuestionDraft::of(text).map(Understood::Question),
    }
}

/// The reply to a text by a snapshot that has everything.
///
/// # Errors
/// What was not understood.
pub fn reply(text: &str, snapshot: &ClusterSnapshot) -> Result<AskReply, Unclear> {
    match understand(text)? {
        Understood::Change(request) => request.planned(snapshot).map(AskReply::Change),
        Understood::Question(draft) => {
            let question = draft.settle(text, &snapshot.namespaces())?;
            question.place_is_there(&snapshot.namespaces())?;
            question
                .placed(snapshot)?
                .answer(snapshot)
                .map(AskReply::AskAnswer)
        }
    }
}
