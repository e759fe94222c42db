//! Reads a plan: all problems together, each with its place, none of them half-applied.
//!
//! A plan may come from a model or from a stranger's file. What is not in the closed set of verbs, kinds and fields is a
//! problem, never passed over.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::arguments;
use super::names::object_name;
use super::plan::{
    ChangeAction, ChangePlan, ChangeStep, MOST_BYTES, MOST_STEPS, OF_CLASH, PLAN_VERSION,
};
use crate::config::did_you_mean;
use crate::error::{Code, Error, Errors, Result};
use crate::release::lined::LinedYaml;
use crate::ui::harmless;

/// Verbs of other programs that look and change nothing.
const READS: &[&str] = &[
    "get", "list", "describe", "logs", "events", "top", "explain", "diff", "watch", "status",
];

/// Reads the JSON form of a plan. `file` is how messages name the text.
///
/// # Errors
/// [`Code::ChangeInvalid`], all of them.
pub fn read_plan(text: &str, file: &Path) -> Result<ChangePlan, Errors> {
    let mut problems = PlanProblems::new(text, file);
    if text.len() > MOST_BYTES {
        let size = format!(
            "the plan has {} bytes, the most are {MOST_BYTES}",
            text.len()
        );
        return Err(Error::new(Code::ChangeInvalid, size).at(file, None).into());
    }
    let document: Value = match serde_json::from_str(text) {
        Ok(document) => document,
        Err(e) => {
            let line = u32::try_from(e.line()).ok();
            let error = Error::new(Code::ChangeInvalid, format!("the plan is no JSON: {e}"));
            return Err(error.at(file, line).into());
        }
    };
    problems.repeated()?;
    let plan = plan(&document, &mut problems);
    Errors::unless_empty(problems.found, plan)
}

/// The problems so far, and how to find their lines.
pub(super) struct PlanProblems<'a> {
    file: &'a Path,
    lines: Option<LinedYaml>,
    found: Vec<Error>,
}

impl<'a> PlanProblems<'a> {
    fn new(text: &str, file: &'a Path) -> Self {
        Self {
            file,
            // JSON is YAML.
            lines: LinedYaml::parse(text).ok(),
            found: vec![],
        }
    }

    /// A problem at a path, with the change to make.
    pub(super) fn add(&mut self, path: &[String], what: String, hint: Option<String>) {
        let lines = self.lines.as_ref();
        let line = lines
            .and_then(|lines| lines.line(path))
            .map(|(line, _)| line);
        let mut error = Error::new(Code::ChangeInvalid, what).at(self.file, line);
        error.hint = hint;
        self.found.push(error);
    }

    /// Keys that are there twice, of which serde would take the last.
    fn repeated(&mut self) -> Result<()> {
        let Some(lines) = &self.lines else {
            let error = Error::new(Code::ChangeInvalid, "the plan nests too deep to be read");
            return Err(error.at(self.file, None));
        };
        for key in lines.repeated() {
            let name = key.path.last().cloned().unwrap_or_default();
            let what = format!(
                "the key `{name}` is there twice, first in line {}",
                key.first
            );
            let error = Error::new(Code::ChangeInvalid, what).at(self.file, key.line);
            self.found.push(error);
        }
        Ok(())
    }
}

/// Where something stands: the path so far and one more key.
pub(super) fn below(path: &[String], key: impl ToString) -> Vec<String> {
    let mut path = path.to_vec();
    path.push(key.to_string());
    path
}

fn plan(document: &Value, problems: &mut PlanProblems<'_>) -> ChangePlan {
    let Some(root) = object(document, &[], "a plan", problems) else {
        return ChangePlan::default();
    };
    known_keys(root, &["version", "steps"], &[], "a plan", problems);
    if root.get("version") != Some(&Value::from(PLAN_VERSION)) {
        let what = format!("a plan has `\"version\": {PLAN_VERSION}`");
        problems.add(&below(&[], "version"), what, None);
    }
    let path = below(&[], "steps");
    let steps = match root.get("steps") {
        Some(Value::Array(steps)) if !steps.is_empty() => steps.as_slice(),
        _ => {
            let what = "`steps` is a list of at least one step".to_owned();
            problems.add(&path, what, None);
            return ChangePlan::default();
        }
    };
    if steps.len() > MOST_STEPS {
        let what = format!(
            "the plan has {} steps, the most are {MOST_STEPS}",
            steps.len()
        );
        let hint = "make several plans, each to be read as a whole".to_owned();
        problems.add(&path, what, Some(hint));
        return ChangePlan::default();
    }
    let steps = steps.iter().enumerate();
    let steps: Vec<_> = steps
        .map(|(at, value)| step(value, &below(&path, at), problems))
        .collect();
    let all: Vec<_> = steps.iter().map(Option::as_ref).collect();
    for at in 0..all.len() {
        if let Some(what) = ChangePlan::clash(&all, at) {
            problems.add(&below(&path, at), what, Some(OF_CLASH.to_owned()));
        }
    }
    ChangePlan {
        steps: steps.into_iter().flatten().collect(),
    }
}

fn step(value: &Value, path: &[String], problems: &mut PlanProblems<'_>) -> Option<ChangeStep> {
    let step = object(value, path, "a step", problems)?;
    let name = match step.get("object") {
        Some(value) => object_name(value, &below(path, "object"), problems),
        None => {
            let what = "a step names its `object`: kind, namespace and name".to_owned();
            problems.add(path, what, None);
            None
        }
    };
    let reason = step.get("reason").and_then(|reason| {
        let text = text(reason, &below(path, "reason"), "reason", problems)?;
        Some(shown(text))
    });
    let action = action(step, path, problems)?;
    let name = name?;
    let before = problems.found.len();
    arguments::check(&name, &action, path, problems);
    (problems.found.len() == before).then_some(ChangeStep {
        object: name,
        action,
        reason,
    })
}

fn action(
    step: &Map<String, Value>,
    path: &[String],
    problems: &mut PlanProblems<'_>,
) -> Option<ChangeAction> {
    let at = below(path, "verb");
    let Some(verb) = step.get("verb") else {
        problems.add(path, "a step has a `verb`".to_owned(), Some(all_verbs()));
        return None;
    };
    let verb = text(verb, &at, "verb", problems)?;
    let mut rest = step.clone();
    for key in ["verb", "object", "reason"] {
        rest.shift_remove(key);
    }
    let of = Arguments {
        path,
        verb,
        rest,
        problems,
    };
    Some(match verb {
        "scale" => ChangeAction::Scale(of.read(&["replicas"])?),
        "restart" => ChangeAction::Restart(of.read(&[])?),
        "roll-back" => ChangeAction::RollBack(of.read(&["revision"])?),
        "set-image" => ChangeAction::SetImage(of.read(&["container", "image"])?),
        "set-env" => ChangeAction::SetEnv(of.read(&["container", "set", "unset"])?),
        "set-resources" => {
            ChangeAction::SetResources(of.read(&["container", "requests", "limits"])?)
        }
        "patch" => ChangeAction::Patch(of.read(&["patch"])?),
        "label" => ChangeAction::Label(of.read(&["set", "unset"])?),
        "create" => ChangeAction::Create(of.read(&["labels", "body"])?),
        "delete" => ChangeAction::Delete(of.read(&[])?),
        "expose" => ChangeAction::Expose(of.read(&["port", "target_port", "service"])?),
        unknown => {
            let what = match READS.contains(&unknown) {
                true => format!("`{unknown}` only looks, and a plan holds changes"),
                false => format!("no plan has the verb `{unknown}`"),
            };
            problems.add(&at, what, Some(verb_hint(unknown)));
            return None;
        }
    })
}

fn all_verbs() -> String {
    format!("the verbs are {}", ChangeAction::VERBS.join(", "))
}

fn verb_hint(unknown: &str) -> String {
    let known = ChangeAction::VERBS.iter().copied();
    did_you_mean(unknown, known, "verbs")
}

/// The further keys of a step.
struct Arguments<'p, 'a, 'b> {
    path: &'p [String],
    verb: &'p str,
    rest: Map<String, Value>,
    problems: &'b mut PlanProblems<'a>,
}

impl Arguments<'_, '_, '_> {
    /// They in the type of the step's verb, which has these keys.
    fn read<T: DeserializeOwned>(self, keys: &[&str]) -> Option<T> {
        let what = format!("a step of `{}`", self.verb);
        if !known_keys(&self.rest, keys, self.path, &what, self.problems) {
            return None;
        }
        match serde_json::from_value(Value::Object(self.rest)) {
            Ok(arguments) => Some(arguments),
            Err(e) => {
                self.problems.add(self.path, format!("{what}: {e}"), None);
                None
            }
        }
    }
}

/// A text of a plan in a message: without control characters, and not at any length.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 80;
    let short: String = text.chars().take(MOST).collect();
    let mut short = harmless(&short);
    if text.chars().count() > MOST {
        short.push('…');
    }
    short
}

pub(super) fn object<'v>(
    value: &'v Value,
    path: &[String],
    what: &str,
    problems: &mut PlanProblems<'_>,
) -> Option<&'v Map<String, Value>> {
    let found = value.as_object();
    if found.is_none() {
        problems.add(path, format!("{what} is a JSON object"), None);
    }
    found
}

pub(super) fn text<'v>(
    value: &'v Value,
    path: &[String],
    key: &str,
    problems: &mut PlanProblems<'_>,
) -> Option<&'v str> {
    let found = value.as_str();
    if found.is_none() {
        problems.add(path, format!("`{key}` is a text"), None);
    }
    found
}

pub(super) fn known_keys(
    map: &Map<String, Value>,
    known: &[&str],
    path: &[String],
    what: &str,
    problems: &mut PlanProblems<'_>,
) -> bool {
    let unknown: Vec<_> = map
        .keys()
        .filter(|key| !known.contains(&key.as_str()))
        .collect();
    for key in &unknown {
        let hint = did_you_mean(key, known.iter().copied(), "keys");
        let text = format!("{what} has no key `{}`", shown(key));
        problems.add(&below(path, key), text, Some(hint));
    }
    unknown.is_empty()
}
