//! `devk ask memory`: what is remembered of a project, shown and changed.

use serde_json::json;

use crate::ask::AskMemory;
use crate::commands::Context;
use crate::error::{Code, Error, Result};
use crate::ui::plain::escape_controls;
use crate::ui::{self, Format};

/// What the words of a question ask of the memory.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum MemoryCommand<'w> {
    Show,
    Set { phrase: &'w str, object: &'w str },
    Forget(&'w str),
}

impl<'w> MemoryCommand<'w> {
    /// None: it is a question.
    ///
    /// # Errors
    /// [`Code::Usage`] if words are missing.
    pub(super) fn of(words: &'w [String]) -> Result<Option<Self>> {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let wrong = |hint: &str| {
            let error = Error::new(Code::Usage, "`devk ask memory` needs other words");
            Err(error.hint(hint))
        };
        match words[..] {
            ["memory"] => Ok(Some(Self::Show)),
            ["memory", "set", phrase, object] => Ok(Some(Self::Set { phrase, object })),
            ["memory", "set", ..] => {
                wrong("devk ask memory set \"the payment service\" deploy/payments")
            }
            ["memory", "forget", phrase] => Ok(Some(Self::Forget(phrase))),
            ["memory", "forget", ..] => wrong("devk ask memory forget \"the payment service\""),
            _ => Ok(None),
        }
    }

    /// Does it, and shows what is remembered then.
    ///
    /// # Errors
    /// As [`AskMemory::name`] and [`AskMemory::forget`].
    pub(super) fn run(self, context: &Context, memory: &mut AskMemory) -> Result<()> {
        match self {
            Self::Show => {}
            Self::Set { phrase, object } => memory.name(phrase, object)?,
            Self::Forget(phrase) => memory.forget(phrase)?,
        }
        show(context, memory)
    }
}

fn show(context: &Context, memory: &AskMemory) -> Result<()> {
    match context.format {
        Format::Json => {
            let entries = memory.entries();
            let entries: Vec<_> = entries
                .map(|(said, meant)| json!({"said": said, "meant": meant}))
                .collect();
            ui::json(&json!({"version": 1, "memory": entries}))
        }
        Format::Table => {
            let mut rows: Vec<_> = memory
                .entries()
                .map(|(said, meant)| vec![escape_controls(said), escape_controls(meant)])
                .collect();
            if rows.is_empty() {
                return ui::out(
                    "nothing is remembered; devk ask memory set \"the payment service\" deploy/payments\n",
                );
            }
            rows.insert(0, vec!["SAID".to_owned(), "MEANT".to_owned()]);
            ui::out(&ui::table(&rows))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_about_memory_are_questions_unless_they_are_the_command() {
        let of = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
            MemoryCommand::of(&words).map(|command| command.is_some())
        };
        assert_eq!(of(&["memory"]), Ok(true));
        assert_eq!(of(&["memory", "set", "a b", "c"]), Ok(true));
        assert_eq!(of(&["memory", "forget", "a b"]), Ok(true));
        assert_eq!(of(&["memory", "of", "the", "pods"]), Ok(false));
        assert_eq!(of(&["memory usage of web"]), Ok(false));
        assert!(of(&["memory", "set", "a"]).is_err());
        assert!(of(&["memory", "forget"]).is_err());
    }
}
