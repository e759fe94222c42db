//! Sentences that say one constraint: a closed list of forms, each for one key of `check:`. Pure.

use serde_json::{Value, json};

use crate::config::{CheckConfig, parsed_constraints};
use crate::error::{Code, Error, Errors, Result, suggest};
use crate::release::yaml_edit::{add_in_text, flow_text, set_in_text};
use std::path::Path;

/// A form of a sentence. Words in capitals stand for what is given.
pub struct TeachForm {
    pub pattern: &'static str,
    pub example: &'static str,
    /// The key of `check:` that the sentence is about.
    pub key: &'static str,
    taught: fn(&Given) -> ConstraintEdit,
}

impl std::fmt::Debug for TeachForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TeachForm")
            .field("pattern", &self.pattern)
            .finish_non_exhaustive()
    }
}

/// What a sentence changes.
#[derive(Debug, Clone, PartialEq)]
pub struct TaughtConstraint {
    /// Of `check:`.
    pub key: &'static str,
    pub edit: ConstraintEdit,
}

/// How a key of `check:` changes.
#[derive(Debug, Clone, PartialEq)]
pub enum ConstraintEdit {
    /// The value in the place of the one before.
    Set(Value),
    /// One more item of a list.
    Add(Value),
}

/// What stands in a sentence for the capitals of its form.
type Given = Vec<(&'static str, String)>;

fn given(given: &Given, name: &str) -> String {
    let found = given.iter().find(|(known, _)| *known == name);
    found.map(|(_, text)| text.clone()).unwrap_or_default()
}

/// `a and b`, `a, b`.
pub(super) fn names(text: &str) -> Vec<String> {
    let words = text
        .split([' ', ','])
        .filter(|word| !word.is_empty() && *word != "and");
    words.map(str::to_owned).collect()
}

fn ignored(sentence: &Given) -> ConstraintEdit {
    let mut entry = json!({"rule": given(sentence, "RULE")});
    for (name, key) in [
        ("OBJECT", "object"),
        ("REASON", "reason"),
        ("DATE", "until"),
    ] {
        let text = given(sentence, name);
        if !text.is_empty() {
            entry[key] = text.into();
        }
    }
    ConstraintEdit::Add(entry)
}

const REQUIRED: fn(&Given) -> ConstraintEdit = |_| ConstraintEdit::Set(json!(true));
const QUANTITY: fn(&Given) -> ConstraintEdit =
    |found| ConstraintEdit::Set(json!(given(found, "QUANTITY")));
const NAMES: fn(&Given) -> ConstraintEdit =
    |found| ConstraintEdit::Set(json!(names(&given(found, "NAMES"))));
const NAME: fn(&Given) -> ConstraintEdit = |found| ConstraintEdit::Add(json!(given(found, "NAME")));

const fn form(
    pattern: &'static str,
    example: &'static str,
    key: &'static str,
    taught: fn(&Given) -> ConstraintEdit,
) -> TeachForm {
    TeachForm {
        pattern,
        example,
        key,
        taught,
    }
}

/// All forms.
pub const TEACH_FORMS: &[TeachForm] = &[
    form(
        "images only from NAMES",
        "images only from registry.example/shop and registry.example/base",
        "registries",
        NAMES,
    ),
    form(
        "memory limit at most QUANTITY",
        "memory limit at most 1Gi",
        "maxMemory",
        QUANTITY,
    ),
    form(
        "cpu limit at most QUANTITY",
        "cpu limit at most 2",
        "maxCpu",
        QUANTITY,
    ),
    form("label NAME required", "label team required", "labels", NAME),
    form(
        "label NAME required on KIND",
        "label team required on Deployment",
        "labels",
        |found| {
            let (kind, name) = (given(found, "KIND"), given(found, "NAME"));
            ConstraintEdit::Add(json!(format!("{kind}/{name}")))
        },
    ),
    form(
        "annotation NAME required",
        "annotation logging.example/format required",
        "annotations",
        NAME,
    ),
    form(
        "no ingress class but NAMES",
        "no ingress class but traefik",
        "ingressClasses",
        NAMES,
    ),
    form(
        "no storage class but NAMES",
        "no storage class but standard and fast",
        "storageClasses",
        NAMES,
    ),
    form(
        "kubernetes RANGE",
        "kubernetes >=1.31 <1.36",
        "kubernetes",
        |found| ConstraintEdit::Set(json!(given(found, "RANGE"))),
    ),
    form(
        "network policy required",
        "network policy required",
        "networkPolicy",
        REQUIRED,
    ),
    form(
        "monitoring required",
        "monitoring required",
        "monitoring",
        REQUIRED,
    ),
    form("backup required", "backup required", "backup", REQUIRED),
    form("rule RULE on", "rule image.digest on", "enable", |found| {
        ConstraintEdit::Add(json!(given(found, "RULE")))
    }),
    form(
        "ignore RULE because REASON",
        "ignore docs.notes because nobody reads them here",
        "ignore",
        ignored,
    ),
    form(
        "ignore RULE on OBJECT because REASON",
        "ignore image.latest on Job/seed because it is pulled once",
        "ignore",
        ignored,
    ),
    form(
        "ignore RULE until DATE because REASON",
        "ignore docs.readme until 2027-06-30 because it is being written",
        "ignore",
        ignored,
    ),
    form(
        "ignore RULE on OBJECT until DATE because REASON",
        "ignore image.latest on Job/seed until 2027-06-30 because it is pulled once",
        "ignore",
        ignored,
    ),
];

/// What a sentence says.
///
/// # Errors
/// [`Code::Usage`] with the form that may have been meant.
pub fn understood(sentence: &str) -> Result<TaughtConstraint> {
    let words: Vec<_> = sentence.split_whitespace().collect();
    let found = TEACH_FORMS
        .iter()
        .find_map(|form| Some((form, matched(form, &words)?)));
    match found {
        Some((form, given)) => Ok(TaughtConstraint {
            key: form.key,
            edit: (form.taught)(&given),
        }),
        None => Err(Error::new(
            Code::Usage,
            format!("no form of a constraint is `{sentence}`"),
        )
        .hint(meant(&words))),
    }
}

/// The kinds that a label may be asked of.
const KINDS: [&str; 5] = ["Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"];

fn is_place(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_uppercase())
}

/// What stands in the words for the capitals of a form; None if the words have another form.
fn matched(form: &TeachForm, words: &[&str]) -> Option<Given> {
    let pattern: Vec<&'static str> = form.pattern.split(' ').collect();
    let mut found = vec![];
    let mut at = 0;
    for (position, part) in pattern.iter().enumerate() {
        if !is_place(part) {
            let word = words.get(at)?;
            at += 1;
            if !word.eq_ignore_ascii_case(part) {
                return None;
            }
            continue;
        }
        let is_long = matches!(*part, "NAMES" | "RANGE" | "REASON");
        let end = match pattern.get(position + 1) {
            _ if !is_long => at + 1,
            None => words.len(),
            Some(next) => {
                at + words[at..]
                    .iter()
                    .position(|word| word.eq_ignore_ascii_case(next))?
            }
        };
        let text = words
            .get(at..end)
            .filter(|text| !text.is_empty())?
            .join(" ");
        let text = match *part {
            "KIND" => KINDS
                .iter()
                .find(|kind| kind.eq_ignore_ascii_case(&text))?
                .to_string(),
            _ => text,
        };
        found.push((*part, text));
        at = end;
    }
    (at == words.len()).then_some(found)
}

/// A hint: the form whose words the sentence has, nearly.
fn meant(words: &[&str]) -> String {
    let lower: Vec<_> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
    let share = |form: &&TeachForm| {
        let literal: Vec<_> = form
            .pattern
            .split(' ')
            .filter(|word| !is_place(word))
            .collect();
        let known = literal
            .iter()
            .filter(|word| suggest(word, lower.iter().map(String::as_str)).is_some());
        let known = known.count();
        (known * 100 / literal.len().max(1), known)
    };
    let best = TEACH_FORMS
        .iter()
        .rev()
        .max_by_key(share)
        .filter(|form| share(form).0 >= 50);
    match best {
        Some(form) => format!(
            "did you mean `{}`, such as `{}`?",
            form.pattern, form.example
        ),
        None => "devk chart teach --list".to_owned(),
    }
}

impl TaughtConstraint {
    /// The text of a file with the constraint. `below` are the keys above those of `check:`.
    ///
    /// # Errors
    /// [`Code::ConfigValue`] and its like if the value is none that the key takes; [`Code::Usage`] if the file cannot take it
    /// without a change of something else.
    pub fn written(&self, text: &str, below: &[&str], file: &Path) -> Result<String, Errors> {
        let value = match &self.edit {
            ConstraintEdit::Set(value) => value.clone(),
            ConstraintEdit::Add(item) => json!([item]),
        };
        let line = format!("{}: {}\n", self.key, flow_text(&value));
        // The mistake is in the sentence, and in no file yet.
        parsed_constraints(&line, file).map_err(|errors| {
            let bare = |error: Error| Error {
                file: None,
                line: None,
                ..error
            };
            Errors(errors.0.into_iter().map(bare).collect())
        })?;
        let path: Vec<_> = below.iter().copied().chain([self.key]).collect();
        let new = match &self.edit {
            ConstraintEdit::Set(value) => set_in_text(text, &path, value),
            ConstraintEdit::Add(item) => add_in_text(text, &path, item),
        };
        let new = new.ok_or_else(|| {
            let message = format!(
                "`{}` cannot be set without changing something else of the file",
                path.join(".")
            );
            Error::new(Code::Usage, message)
                .at(file, None)
                .hint(format!("write it there yourself: {}", line.trim_end()))
        })?;
        Ok(new)
    }

    /// Whether devk.yaml says the key itself, so that the team's file would be overruled.
    pub fn is_overruled(&self, project: &CheckConfig) -> bool {
        match self.key {
            "registries" => !project.registries.is_empty(),
            "storageClasses" => !project.storage_classes.is_empty(),
            "ingressClasses" => !project.ingress_classes.is_empty(),
            "maxCpu" => project.max_cpu.is_some(),
            "maxMemory" => project.max_memory.is_some(),
            "kubernetes" => project.kubernetes.is_some(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_has_its_form_and_is_taken_by_the_configuration() {
        for form in TEACH_FORMS {
            let found = understood(form.example).unwrap();
            assert_eq!(found.key, form.key, "{}", form.example);
            let text = found
                .written("", &[], Path::new("constraints.yaml"))
                .unwrap();
            parsed_constraints(&text, Path::new("constraints.yaml")).unwrap();
        }
    }

    #[test]
    fn sentences_become_lines_beside_what_is_there() {
        let file = Path::new("constraints.yaml");
        let mut text = "# ours\nlabels: [tier]  # all\n".to_owned();
        for sentence in [
            "label team required",
            "Label team required",
            "label tier required on statefulset",
            "Images only from a.example, b.example and c.example/x",
            "ignore image.latest on Job/seed until 2027-06-30 because it is pulled once",
            "memory limit at most 1Gi",
            "memory limit at most 2Gi",
        ] {
            text = understood(sentence)
                .unwrap()
                .written(&text, &[], file)
                .unwrap();
        }
        assert_eq!(
            text,
            "# ours\nlabels: [tier, team, StatefulSet/tier]  # all\nregistries: [a.example, b.example, c.example/x]\nignore: [{rule: image.latest, object: Job/seed, reason: \"it is pulled once\", until: \"2027-06-30\"}]\nmaxMemory: 2Gi\n"
        );
        let below = understood("backup required")
            .unwrap()
            .written("name: shop\n", &["check"], file)
            .unwrap();
        assert_eq!(below, "name: shop\ncheck:\n  backup: true\n");
    }

    #[test]
    fn what_has_no_form_gets_the_one_that_may_be_meant() {
        for (sentence, hint) in [
            ("label team requierd", "label NAME required"),
            ("label team required for Deployment", "label NAME required"),
            (
                "label team required on Ingress",
                "label NAME required on KIND",
            ),
            ("memory at most 1Gi", "memory limit at most QUANTITY"),
            ("no ingres class but nginx", "no ingress class but NAMES"),
            ("hello world", "--list"),
            ("", "--list"),
        ] {
            let error = understood(sentence).unwrap_err();
            assert!(
                error.hint.as_deref().unwrap().contains(hint),
                "{sentence}: {:?}",
                error.hint
            );
        }
        let errors = understood("memory limit at most lots")
            .unwrap()
            .written("", &[], Path::new("c"))
            .unwrap_err();
        assert_eq!(errors.0[0].code, Code::ConfigValue);
    }
}
