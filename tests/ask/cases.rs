//! A question with what its answer has to be, as a few lines:
//!
//! ```text
//! ? how many pods are pending
//! = 5 pods                        the sentence of the answer has this
//! rows: files, huge               these are the names in the table, all of them
//! has: QUEUE_URL                  a cell or a piece of evidence has this
//! not: secret                     nothing has this
//! yes | no                        the answer to a question of yes or no
//! ! ask.unclear purple            refused with this code, and this in the message or hint
//! @ scale deployment/web          a change that is asked for: its plan has this step
//! ```
//!
//! A pod is named by its workload where that has one pod.

use std::path::Path;

use devk::ask::{AskAnswer, AskReply, ClusterSnapshot, reply};

#[derive(Debug)]
pub(crate) enum Verdict {
    Right,
    /// It was said that the question is not understood.
    Unanswered(String),
    Wrong(String),
}

#[derive(Debug, Default)]
pub(crate) struct Case {
    pub(crate) question: String,
    expected: Vec<(String, String)>,
}

pub(crate) fn cases(file: &str) -> Vec<Case> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/ask")
        .join(file);
    let text = std::fs::read_to_string(file).unwrap();
    let mut cases: Vec<Case> = vec![];
    for line in text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        match mark {
            "?" => cases.push(Case {
                question: rest.to_owned(),
                ..Case::default()
            }),
            _ => cases
                .last_mut()
                .unwrap()
                .expected
                .push((mark.to_owned(), rest.trim().to_owned())),
        }
    }
    cases
}

impl Case {
    /// The answer as it is printed, or the error.
    pub(crate) fn printed(&self, snapshot: &ClusterSnapshot) -> String {
        match reply(&self.question, snapshot) {
            Ok(reply) => reply.text(),
            Err(unclear) => format!("{:?}", unclear.error()),
        }
    }

    pub(crate) fn judge(&self, snapshot: &ClusterSnapshot) -> Verdict {
        assert!(
            !self.expected.is_empty(),
            "`{}` expects nothing",
            self.question
        );
        let wanted = self.expected.iter().find(|(mark, _)| mark == "!");
        match (reply(&self.question, snapshot), wanted) {
            (Err(unclear), Some((_, words))) => {
                let error = unclear.error();
                let told = format!(
                    "{} {} {:?} {:?}",
                    error.code, error.message, error.hint, error.evidence
                );
                let missing = words.split(' ').find(|word| !told.contains(word));
                missing.map_or(Verdict::Right, |missing| {
                    Verdict::Wrong(format!("`{missing}` is not in {told}"))
                })
            }
            (Err(unclear), None) => Verdict::Unanswered(unclear.error().to_string()),
            (Ok(reply), Some(_)) => Verdict::Wrong(format!("answered: {}", reply.text())),
            (Ok(AskReply::Change(_)), None)
                if self.expected.iter().all(|(mark, _)| mark != "@") =>
            {
                Verdict::Wrong("taken for a change".to_owned())
            }
            (Ok(reply @ AskReply::Change(_)), None) => {
                let text = reply.text();
                let missing = self.expected.iter().find(|(_, step)| !text.contains(step));
                missing.map_or(Verdict::Right, |(_, step)| {
                    Verdict::Wrong(format!("no `{step}` in {text}"))
                })
            }
            (Ok(AskReply::AskAnswer(answer)), None) => {
                let missing = self
                    .expected
                    .iter()
                    .find_map(|(mark, words)| unfit(mark, words, &answer));
                missing.map_or(Verdict::Right, |why| {
                    Verdict::Wrong(format!(
                        "{why}; the answer: {} {:?}",
                        answer.text, answer.rows
                    ))
                })
            }
        }
    }
}

/// Why an answer is not what is expected.
fn unfit(mark: &str, words: &str, answer: &AskAnswer) -> Option<String> {
    let evidence = answer
        .evidence
        .iter()
        .map(|one| format!("{} {} {}", one.object, one.field, one.text));
    let all: Vec<_> = answer
        .rows
        .iter()
        .flatten()
        .cloned()
        .chain(evidence)
        .chain([answer.text.clone()])
        .collect();
    let has = |part: &str| all.iter().any(|text| text.contains(part));
    let is_fit = match mark {
        "=" => answer.text.contains(words),
        "has:" => has(words),
        "not:" => !has(words) && !answer.notes.iter().any(|note| note.contains(words)),
        "yes" => answer.yes == Some(true),
        "no" => answer.yes == Some(false),
        "rows:" => {
            let mut wanted: Vec<_> = words
                .split(',')
                .map(|name| name.trim().to_owned())
                .filter(|name| !name.is_empty())
                .collect();
            let mut found = names(answer);
            wanted.sort();
            found.sort();
            found.dedup();
            wanted.dedup();
            if found != wanted {
                return Some(format!("the rows are {found:?}, not {wanted:?}"));
            }
            true
        }
        "next:" => answer.next.iter().any(|next| next.contains(words)),
        "kubectl:" => answer.kubectl.iter().any(|command| command.contains(words)),
        other => panic!("`{other}` is no mark"),
    };
    (!is_fit).then(|| format!("`{mark} {words}` does not hold"))
}

/// The names in the table: of a column NAME, POD or NODE, else the first, without the kind before it.
fn names(answer: &AskAnswer) -> Vec<String> {
    let at = answer
        .columns
        .iter()
        .position(|column| column == "NAME")
        .unwrap_or_default();
    let cell = |row: &Vec<String>| {
        row.get(at).map(|cell| {
            cell.rsplit([' ', '/'])
                .next()
                .unwrap_or_default()
                .to_owned()
        })
    };
    answer
        .rows
        .iter()
        .filter_map(cell)
        .map(|name| without_hash(&name))
        .collect()
}

/// `worker` for `worker-6dfdbf4f44-pv4sx`.
fn without_hash(name: &str) -> String {
    let parts: Vec<_> = name.split('-').collect();
    match &parts[..] {
        [name @ .., hash, end]
            if end.len() == 5
                && (8..=10).contains(&hash.len())
                && hash.chars().any(|c| c.is_ascii_digit())
                && !hash.starts_with("299") =>
        {
            name.join("-")
        }
        _ => name.to_owned(),
    }
}
