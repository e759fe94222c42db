//! Carries out a plan, exactly as its approved preview shows it: step by step, each only on the version of the object
//! that the preview saw. The first failure ends it; what was done, what was not, and how to take it back is told.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::access::{ChangeAccess, is_conflict};
use super::diff::content;
use super::look::{bound, look, refused, with_label};
use super::plan::{ChangeAction, ObjectName};
use super::preview::{ChangePreview, StepPreview};
use crate::error::{Code, Error, Result};
use crate::ui::event::Reporter;

/// So often a write is tried again whose object got another version and no other content.
const TRIES: usize = 10;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepEnd {
    Done,
    Failed,
    NotBegun,
}

/// A step after the plan was carried out.
#[derive(Debug, Clone, Serialize)]
pub struct ExecutedStep {
    pub verb: &'static str,
    pub object: ObjectName,
    pub end: StepEnd,
    pub error: Option<Error>,
    /// The command that takes the step back; None if it was not done, or nothing does.
    pub undo: Option<String>,
    /// What was found afterwards: `2 of 2 replicas are ready`, `gone`; None if the step was not done.
    pub found: Option<String>,
}

/// What became of a plan.
#[derive(Debug, Clone, Serialize)]
pub struct ChangeOutcome {
    pub hash: String,
    pub steps: Vec<ExecutedStep>,
    /// The cluster became what the steps that were done lead to. False if a step failed before.
    pub verified: bool,
}

impl ChangeOutcome {
    /// The errors of the steps.
    pub fn errors(&self) -> Vec<Error> {
        let errors = self.steps.iter().filter_map(|step| step.error.clone());
        errors.collect()
    }
}

/// What a plan has written so far: each object as the API server answered.
pub(super) type WrittenObjects = BTreeMap<ObjectName, Value>;

/// Carries out what a preview shows.
pub async fn execute(
    access: &ChangeAccess,
    preview: &ChangePreview,
    reporter: &Reporter,
) -> (ChangeOutcome, WrittenObjects) {
    let mut written = WrittenObjects::new();
    let mut steps: Vec<ExecutedStep> = vec![];
    let mut is_stopped = false;
    for step in &preview.steps {
        let mut executed = ExecutedStep {
            verb: step.verb,
            object: step.object.clone(),
            end: StepEnd::NotBegun,
            error: None,
            undo: None,
            found: None,
        };
        if !is_stopped {
            let detail = format!("{}, as it was approved", step.verb);
            let shown = reporter.start(format!("change.do/{}", step.object), detail);
            match one(access, step, &mut written).await {
                Ok(()) => {
                    shown.done(step.object.to_string());
                    executed.end = StepEnd::Done;
                    executed.undo.clone_from(&step.undo);
                }
                Err(mut error) => {
                    // Something of the plan was done.
                    if !steps.is_empty() {
                        error.code = Code::ChangeFailed;
                    }
                    shown.failed(error.clone());
                    executed.end = StepEnd::Failed;
                    executed.error = Some(error);
                    is_stopped = true;
                }
            }
        }
        steps.push(executed);
    }
    let outcome = ChangeOutcome {
        hash: preview.hash.clone(),
        steps,
        verified: false,
    };
    (outcome, written)
}

async fn one(
    access: &ChangeAccess,
    step: &StepPreview,
    written: &mut WrittenObjects,
) -> Result<()> {
    let mut tries = 0;
    loop {
        tries += 1;
        let (seen, operation) = look(access, &step.step).await?;
        let own = [&step.step.object, &operation.target];
        let is_own = own.iter().any(|object| written.contains_key(*object));
        let is_same = match is_own {
            // Only this plan may have changed it since.
            true => own.iter().all(|object| {
                let live = match *object == &operation.target {
                    true => seen.before.as_ref(),
                    false => seen.live.as_ref(),
                };
                let wrote = written.get(*object);
                wrote.is_none_or(|wrote| live.is_some_and(|live| is_as_written(wrote, live)))
            }),
            false => {
                let is_new = step.untried.is_some() && seen.before.is_none();
                is_new || bound(&seen, &step.step, &operation) == step.version
            }
        };
        if !is_same {
            return Err(moved(&step.step.object));
        }
        let made = with_label(&step.step, &operation, &access.project);
        let operation = made.unwrap_or(operation);
        match access.send(&operation, seen.before.as_ref(), false).await {
            // Its status may have changed since the look; the next look shows whether that was all.
            Err(e) if is_conflict(&e) && tries < TRIES && seen.before.is_some() => {}
            Err(e) if is_conflict(&e) => return Err(moved(&step.step.object)),
            Err(e) => {
                let mut error = refused(access, &e, &step.step, &operation).await?;
                if error.code == Code::ChangeRefused {
                    error.code = Code::ChangeFailed;
                }
                return Err(error);
            }
            Ok(after) => {
                written.insert(operation.target.clone(), after);
                let is_namespace = operation.target.namespace.is_none();
                if is_namespace && matches!(step.step.action, ChangeAction::Create(_)) {
                    access.enter(&operation.target.name).await?;
                }
                return Ok(());
            }
        }
    }
}

/// Whether an object is still as this plan has written it, but for its status. Where the API server counts generations
/// a controller's notes do not matter.
pub(super) fn is_as_written(wrote: &Value, live: &Value) -> bool {
    let of = |object: &Value, key: &str| object["metadata"][key].clone();
    let is_it = of(wrote, "uid") == of(live, "uid");
    let generation = of(wrote, "generation");
    is_it
        && match generation.is_null() {
            true => content(wrote) == content(live),
            false => generation == of(live, "generation"),
        }
}

fn moved(object: &ObjectName) -> Error {
    let message = format!("{object} is not what was approved any more: something else changed it");
    Error::new(Code::ChangeMoved, message).hint("preview the plan again, and approve that")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_is_no_change_and_another_generation_is_one() {
        let object = |uid: &str, generation: u64, ready: u64| json!({"metadata": {"uid": uid, "generation": generation}, "status": {"ready": ready}});
        let wrote = object("a", 2, 0);
        assert!(is_as_written(&wrote, &object("a", 2, 1)));
        assert!(!is_as_written(&wrote, &object("a", 3, 1)));
        assert!(!is_as_written(&wrote, &object("b", 2, 1)));
    }

    #[test]
    fn without_generations_the_content_counts() {
        let object = |value: &str| json!({"metadata": {"uid": "a"}, "data": {"k": value}});
        assert!(is_as_written(&object("1"), &object("1")));
        assert!(!is_as_written(&object("1"), &object("2")));
    }
}
