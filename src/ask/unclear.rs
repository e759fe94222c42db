//! What devk did not understand of a question, in words: it never guesses.

use super::resolve::Meant;
use crate::error::{Code, Error};

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unclear {
    code: Code,
    message: String,
    evidence: Vec<String>,
    hint: String,
}

/// How every hint about questions ends.
const EXAMPLES: &str = "devk ask help";

impl Unclear {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code: Code::AskUnclear,
            message: message.into(),
            evidence: vec![],
            hint: hint.into(),
        }
    }

    pub(super) fn empty() -> Self {
        Self::new("there is no question", EXAMPLES)
    }

    /// A word for a change that does not stand at the start.
    pub(super) fn change_within(word: &str) -> Self {
        Self::new(
            format!(
                "`{word}` is a change, and the words around it are a question: devk does not guess which of the two is meant"
            ),
            format!("for the change, begin with it: devk ask \"{word} …\""),
        )
    }

    /// Of what has no Service nobody can tell who reaches it.
    pub(super) fn without_service(meant: &Meant<'_>) -> Self {
        let what = meant.first().map_or_else(String::new, |seen| seen.title());
        let message = format!("{what} has no Service, so nobody reaches it by a name");
        Self::lacking(&message, "services")
    }

    /// `not ready or running`.
    pub(super) fn or_behind_not() -> Self {
        Self::new(
            "the question has an `or` behind a `not`, and does not say whether both are denied",
            "devk ask \"pods that are not ready\"",
        )
    }

    /// `failing pods older than 2 days or restarted`.
    pub(super) fn or_of_many() -> Self {
        Self::new(
            "the question joins more than two conditions with an `or`, and does not say how far it reaches",
            "ask for each of them",
        )
    }

    /// A time that is none of the past.
    pub(super) fn ahead(time: &str) -> Self {
        let message = format!("`{time}` is no time of the past");
        Self::lacking(&message, "events since 10:00")
    }

    pub(super) fn twice(what: &str) -> Self {
        Self::new(
            format!("the question names two {what}"),
            "ask for one at a time",
        )
    }

    /// Two things are asked at once.
    pub(super) fn several(asked: &[String]) -> Self {
        Self::new(
            format!("the question asks for several things: {}", asked.join(", ")),
            "ask for one at a time",
        )
    }

    /// What is asked has no place for this.
    pub(super) fn unfitting(what: &str, asked: &str) -> Self {
        Self::new(
            format!("devk does not know what {what} means for {asked}"),
            EXAMPLES,
        )
    }

    /// What is asked needs something more.
    pub(super) fn lacking(message: &str, example: &str) -> Self {
        Self::new(message, format!("for example: devk ask \"{example}\""))
    }

    /// Words that are neither phrases nor names, with the nearest ones that are.
    pub(super) fn words(unknown: &[String], near: &[String], nearest: &[String]) -> Self {
        let words: Vec<_> = unknown.iter().map(|word| format!("`{word}`")).collect();
        let (is, them) = if unknown.len() == 1 {
            ("is", "it")
        } else {
            ("are", "them")
        };
        let message = format!(
            "{} {is} no words of questions, and no object is called like {them}",
            words.join(", ")
        );
        let message = if unknown.len() == 1 {
            message.replace("no words of questions", "no word of questions")
        } else {
            message
        };
        let hint = match near {
            [] => EXAMPLES.to_owned(),
            near => {
                let near: Vec<_> = near.iter().map(|word| format!("`{word}`")).collect();
                format!("did you mean {}?", near.join(" or "))
            }
        };
        let evidence = nearest
            .iter()
            .map(|question| format!("nearest question: {question}"))
            .collect();
        Self {
            evidence,
            ..Self::new(message, hint)
        }
    }

    /// A name that several objects have.
    pub(super) fn ambiguous(name: &str, candidates: &[String]) -> Self {
        let shown: Vec<_> = candidates.iter().map(|one| format!("`{one}`")).collect();
        let hint = candidates
            .first()
            .map_or_else(String::new, |first| format!("name one of them: `{first}`"));
        let new = Self::new(format!("`{name}` could mean {}", shown.join(" or ")), hint);
        Self {
            code: Code::AskName,
            ..new
        }
    }

    /// An object of this kind is not there.
    pub(super) fn no_such(kind: &str, name: &str, place: &str, near: Option<&str>) -> Self {
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "with another namespace: `… in NAMESPACE`, or `… everywhere`".to_owned(),
        };
        Self {
            code: Code::AskName,
            ..Self::new(format!("there is no {kind} `{name}` in {place}"), hint)
        }
    }

    /// No kubelet tells what pods use.
    pub(super) fn unmeasured() -> Self {
        Self::unread("the kubelets do not say what the pods use")
    }

    /// What was not read.
    pub(super) fn unread(what: &str) -> Self {
        let new = Self::new(format!("devk cannot answer: {what}"), "devk doctor");
        Self {
            code: Code::AskUnread,
            ..new
        }
    }
}

impl Unclear {
    /// As commands report it.
    pub fn error(self) -> Error {
        let error = Error::new(self.code, self.message).hint(self.hint);
        self.evidence.into_iter().fold(error, Error::evidence)
    }
}

impl std::fmt::Display for Unclear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}
