//! What is remembered of a project between questions: what its user calls things, and which question a model answered by
//! asking another one.
//!
//! It is a file of the user's, on this machine alone, that is shown and changed by `devk ask memory`. A question that uses it
//! says so.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::kind::AskedKind;
use super::lexicon::is_phrase;
use super::request::ChangeRequest;
use crate::error::{Code, Error, Result, suggest};
use crate::paths::{Paths, refused, write_atomic};
use crate::shell::quote;

const VERSION: u32 = 1;
/// A longer name is no help.
const MOST_CHARS: usize = 200;
/// So many names are kept: a person has taught each of them, and none goes by itself.
const MOST_NAMES: usize = 200;
/// So many questions are kept; the one that was not used for longest goes first.
const MOST_QUESTIONS: usize = 200;

/// The memory of one project, by its name: worktrees of a repository share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskMemory {
    file: PathBuf,
    known: Remembered,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    version: u32,
    /// What stands for which object: `the payment service` → `deploy/payments`.
    #[serde(default)]
    names: BTreeMap<String, String>,
    /// Which question is answered as which other one.
    #[serde(default)]
    questions: BTreeMap<String, String>,
    /// When a question was last used, as a count of uses; 0 for one that is not here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    used: BTreeMap<String, u64>,
}

impl Remembered {
    /// Notes that a question is used now, and forgets the oldest of too many.
    fn use_question(&mut self, text: &str) {
        let now = self.used.values().max().map_or(1, |last| last + 1);
        self.used.insert(text.to_owned(), now);
        while self.questions.len() > MOST_QUESTIONS {
            let age = |said: &&String| self.used.get(*said).copied().unwrap_or_default();
            let Some(oldest) = self.questions.keys().min_by_key(age).cloned() else {
                break;
            };
            self.questions.remove(&oldest);
        }
        let questions = &self.questions;
        self.used.retain(|said, _| questions.contains_key(said));
    }
}

/// A text as it is understood with what is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RememberedText {
    pub text: String,
    /// What was replaced, as sentences.
    pub used: Vec<String>,
}

impl AskMemory {
    /// The memory of a project; empty without a file.
    ///
    /// # Errors
    /// [`Code::StateIo`] if the file cannot be read or is damaged.
    pub fn load(paths: &Paths, project: &str) -> Result<Self> {
        let file = paths.data.join("ask").join(format!("{project}.json"));
        let known = read(&file)?;
        Ok(Self { file, known })
    }

    /// What is remembered: the phrase or question, and what it stands for.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        let Remembered {
            names, questions, ..
        } = &self.known;
        let all = names.iter().chain(questions);
        all.map(|(said, meant)| (said.as_str(), meant.as_str()))
    }

    /// Remembers what an object is called.
    ///
    /// # Errors
    /// [`Code::Usage`] if there is no phrase, no object, or too much already; [`Code::StateIo`].
    pub fn name(&mut self, phrase: &str, object: &str) -> Result<()> {
        let (phrase, object) = (words(phrase), object.trim());
        let parts: Vec<_> = object.split('/').collect();
        let is_name = |part: &&str| {
            part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.chars().all(is_of_name)
        };
        let is_object = match parts[..] {
            [kind, name] => AskedKind::called(kind).is_some() && is_name(&name),
            // A word that says something by itself would make another question of the one that was asked.
            [name] => is_name(&name) && !says_something(name),
            _ => false,
        };
        if !is_object {
            let message = format!("`{object}` names no object");
            return Err(
                Error::new(Code::Usage, message).hint("name it as `payments` or `deploy/payments`")
            );
        }
        check(&phrase)?;
        self.change(|known| {
            known.names.insert(phrase, object.to_owned());
            match known.names.len() > MOST_NAMES {
                true => {
                    let message = format!("more than {MOST_NAMES} names are not remembered");
                    let hint = "forget one: devk ask memory, then devk ask memory forget \"NAME\"";
                    Err(Error::new(Code::Usage, message).hint(hint))
                }
                false => Ok(()),
            }
        })
    }

    /// Remembers that a question was answered by another one.
    ///
    /// # Errors
    /// As [`Self::name`].
    pub fn question(&mut self, text: &str, as_question: &str) -> Result<()> {
        let text = words(text);
        check(&text)?;
        let as_question = as_question.trim().to_owned();
        self.change(|known| {
            known.questions.insert(text.clone(), as_question);
            known.use_question(&text);
            Ok(())
        })
    }

    /// Notes that a remembered question was asked again: others are forgotten before it.
    ///
    /// # Errors
    /// [`Code::StateIo`].
    pub fn used(&mut self, text: &str) -> Result<()> {
        let text = words(text);
        self.change(|known| {
            if known.questions.contains_key(&text) {
                known.use_question(&text);
            }
            Ok(())
        })
    }

    /// Forgets a phrase or a question.
    ///
    /// # Errors
    /// [`Code::Usage`] if it is not known; [`Code::StateIo`].
    pub fn forget(&mut self, text: &str) -> Result<()> {
        let text = words(text);
        if self.entries().any(|(said, _)| said == text) {
            return self.change(|known| {
                known.names.remove(&text);
                known.questions.remove(&text);
                known.used.remove(&text);
                Ok(())
            });
        }
        let near = suggest(&text, self.entries().map(|(said, _)| said));
        let error = Error::new(Code::Usage, format!("nothing is remembered of `{text}`"));
        Err(match near {
            Some(near) => error.hint(format!("devk ask memory forget {}", quote(near))),
            None => error.hint("devk ask memory"),
        })
    }

    /// The question as which this one was answered before.
    pub fn answered_as(&self, text: &str) -> Option<&str> {
        self.known.questions.get(&words(text)).map(String::as_str)
    }

    /// The text with objects in the place of what they are called; the longest phrases first. What stands in quotes or
    /// backticks is a name already.
    pub fn applied(&self, text: &str) -> RememberedText {
        let mut phrases: Vec<_> = self.known.names.iter().collect();
        phrases.sort_by_key(|(phrase, _)| std::cmp::Reverse(phrase.len()));
        let said: Vec<_> = text.split_whitespace().collect();
        let bare: Vec<_> = said.iter().map(|word| bare(word)).collect();
        let (mut found, mut used, mut at) = (vec![], vec![], 0);
        while at < said.len() {
            let here = phrases.iter().find(|(phrase, _)| {
                let phrase: Vec<_> = phrase.split(' ').collect();
                let window = bare.get(at..at + phrase.len());
                window.is_some_and(|window| window.iter().eq(&phrase))
            });
            let Some((phrase, object)) = here else {
                found.push(said[at]);
                at += 1;
                continue;
            };
            found.push(object.as_str());
            used.push(format!("`{phrase}` is {object}"));
            at += phrase.split(' ').count();
        }
        RememberedText {
            text: match used.is_empty() {
                true => text.to_owned(),
                false => found.join(" "),
            },
            used,
        }
    }

    /// Changes what the file holds now: another devk may have changed it since.
    fn change(&mut self, change: impl FnOnce(&mut Remembered) -> Result<()>) -> Result<()> {
        let mut known = read(&self.file)?;
        change(&mut known)?;
        self.known = known;
        self.known.version = VERSION;
        let text = serde_json::to_vec_pretty(&self.known).map_err(|e| damaged(&self.file, &e))?;
        write_atomic(&self.file, &text, 0o600)
    }
}

fn read(file: &Path) -> Result<Remembered> {
    match std::fs::read(file) {
        Ok(text) => serde_json::from_slice(&text).map_err(|e| damaged(file, &e)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Remembered::default()),
        Err(e) => Err(refused("read", file, &e)),
    }
}

/// A text in small letters with single spaces between its words.
fn words(text: &str) -> String {
    let text = text.to_lowercase();
    let text = text.trim().trim_end_matches(['?', '!', '.']);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.')
}

fn check(phrase: &str) -> Result<()> {
    let is_sayable = phrase.chars().any(char::is_alphanumeric)
        && phrase.chars().count() <= MOST_CHARS
        && !phrase.contains(char::is_control);
    match is_sayable {
        true => Ok(()),
        false => {
            let message = format!("a name is a text of 1 to {MOST_CHARS} characters");
            Err(Error::new(Code::Usage, message)
                .hint("devk ask memory set \"the payment service\" deploy/payments"))
        }
    }
}

/// Whether a word is a phrase, a kind or a verb of change by itself.
fn says_something(word: &str) -> bool {
    is_phrase(word) || AskedKind::called(word).is_some() || ChangeRequest::of(word).is_some()
}

/// A word without punctuation, in small letters; empty for one in quotes, which is no part of a phrase.
fn bare(word: &str) -> String {
    match word.contains(['"', '`', '\'', '“', '‘']) {
        true => String::new(),
        false => word.trim_matches(['?', '!', '.', ',']).to_lowercase(),
    }
}

fn damaged(file: &Path, e: &serde_json::Error) -> Error {
    let message = format!("what `devk ask` remembers is damaged: {e}");
    let line = u32::try_from(e.line()).ok();
    Error::new(Code::StateIo, message)
        .at(file, line)
        .hint(format!("rm {}", quote(file)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(dir: &Path) -> AskMemory {
        AskMemory::load(&Paths::below(dir), "shop").unwrap()
    }

    #[test]
    fn a_name_is_kept_used_and_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let mut known = memory(dir.path());
        known
            .name("The  Payment service", "deploy/payments")
            .unwrap();
        known.name("the service", "svc/front").unwrap();
        let mut known = memory(dir.path());
        let applied = known.applied("why is the payment Service not ready?");
        assert_eq!(applied.text, "why is deploy/payments not ready?");
        assert_eq!(applied.used, ["`the payment service` is deploy/payments"]);
        assert_eq!(
            known.applied("logs of the service").text,
            "logs of svc/front"
        );
        let untouched = known.applied("payments  of the  services");
        assert_eq!(
            (untouched.text.as_str(), untouched.used.len()),
            ("payments  of the  services", 0)
        );
        // A name is no phrase, whether it was put in the place of one or quoted.
        known.name("payments", "web").unwrap();
        assert_eq!(
            known.applied("restart the payment service").text,
            "restart deploy/payments"
        );
        assert_eq!(
            known.applied("restart `payments`").text,
            "restart `payments`"
        );
        known.forget("payments").unwrap();
        let error = known.forget("the payment servic").unwrap_err();
        assert!(error.hint.unwrap().contains("'the payment service'"));
        known.forget("the payment service?").unwrap();
        assert_eq!(
            memory(dir.path()).entries().collect::<Vec<_>>(),
            [("the service", "svc/front")]
        );
    }

    #[test]
    fn a_question_that_was_answered_as_another_one_is_so_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut known = memory(dir.path());
        known
            .question("Is the shop OK today?", "what is wrong")
            .unwrap();
        assert_eq!(
            known.answered_as("is the shop ok  today"),
            Some("what is wrong")
        );
        assert_eq!(known.answered_as("is the shop ok"), None);
    }

    #[test]
    fn names_and_questions_have_places_of_their_own_and_the_oldest_unused_question_goes_first() {
        let dir = tempfile::tempdir().unwrap();
        let mut known = memory(dir.path());
        for at in 0..MOST_QUESTIONS {
            known
                .question(&format!("question {at:03}"), "what is wrong")
                .unwrap();
        }
        known.used("Question 000?").unwrap();
        known.question("one more", "list pods").unwrap();
        let mut known = memory(dir.path());
        assert_eq!(known.answered_as("question 000"), Some("what is wrong"));
        assert_eq!(known.answered_as("one more"), Some("list pods"));
        assert_eq!(known.answered_as("question 001"), None);
        assert_eq!(known.entries().count(), MOST_QUESTIONS);
        for at in 0..MOST_NAMES {
            known
                .name(&format!("thing {at}"), "deploy/payments")
                .unwrap();
        }
        let refused = known
            .name("a thing too many", "deploy/payments")
            .unwrap_err();
        assert_eq!(refused.code, Code::Usage);
        // What was refused is not known, nor has it taken the place of another.
        assert_eq!(known.entries().count(), MOST_QUESTIONS + MOST_NAMES);
        assert_eq!(known.applied("a thing too many").used.len(), 0);
        known.name("thing 0", "deploy/web").unwrap();
    }

    #[test]
    fn what_is_no_name_and_no_object_is_refused_and_a_damaged_file_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let mut known = memory(dir.path());
        for (phrase, object) in [
            ("", "api"),
            (" ? ", "api"),
            ("x", ""),
            ("x", "a/b/c"),
            ("x", "a b"),
            ("x", "restart"),
            ("x", "pods"),
            ("x", "nokind/web"),
            ("x", "--yes\n"),
            ("x\u{1b}", "api"),
        ] {
            let refused = known.name(phrase, object).unwrap_err();
            assert_eq!(refused.code, Code::Usage, "{phrase:?} {object:?}");
        }
        let file = dir.path().join("data/ask/shop.json");
        assert!(!file.exists());
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "{\"version\": 1, \"nmes\": {}}").unwrap();
        let error = AskMemory::load(&Paths::below(dir.path()), "shop").unwrap_err();
        assert_eq!((error.code, error.line), (Code::StateIo, Some(1)));
    }
}
