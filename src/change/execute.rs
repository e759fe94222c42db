//! Carries out a plan, exactly as its approved preview shows it: step by step, each only on the version of the object
//! that the preview saw. The first failure ends it; what was done, what was not, and how to take it back is told.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::access::{ChangeAccess, is_conflict, is_refusal, words};
use super::body::template;
use super::diff::content;
use super::look::{bound, labelled, look, refused};
use super::operation::{Deed, Operation};
use super::plan::{ChangeAction, ObjectName};
use super::preview::{ChangePreview, StepPreview};
use crate::error::{Code, Error, Result};
use crate::ui::event::Reporter;

/// So often a write is tried again whose object got another version and no other content.
const TRIES: usize = 10;
/// So often devk looks whether a write was done whose answer was lost.
const LOOKS: usize = 3;
/// Before each of these looks: the write may be on its way.
const PAUSE: Duration = Duration::from_secs(1);

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepEnd {
    Done,
    Failed,
    /// The API server's answer was lost, and the object does not say whether the step was done.
    Unknown,
    NotBegun,
}

/// A step after the plan was carried out.
#[derive(Debug, Clone, Serialize)]
pub struct ExecutedStep {
    pub verb: &'static str,
    pub object: ObjectName,
    pub end: StepEnd,
    pub error: Option<Error>,
    /// The command that takes the step back; None if nothing of it was certainly done, or nothing does.
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
pub(super) async fn execute(
    access: &ChangeAccess,
    preview: &ChangePreview,
    reporter: &Reporter,
) -> (ChangeOutcome, WrittenObjects) {
    let mut written = WrittenObjects::new();
    let mut steps: Vec<ExecutedStep> = vec![];
    for step in &preview.steps {
        let mut executed = ExecutedStep {
            verb: step.verb,
            object: step.object.clone(),
            end: StepEnd::NotBegun,
            error: None,
            undo: None,
            found: None,
        };
        let is_stopped = steps.last().is_some_and(|last| last.end != StepEnd::Done);
        if !is_stopped {
            let detail = format!("{}, as it was approved", step.verb);
            let shown = reporter.start(format!("change.do/{}", step.object), detail);
            match one(access, step, &mut written).await {
                Ok(()) => {
                    shown.done(step.object.to_string());
                    executed.end = StepEnd::Done;
                    executed.undo.clone_from(&step.undo);
                }
                Err(Undone {
                    end,
                    mut error,
                    was_written,
                }) => {
                    if end == StepEnd::Unknown || was_written {
                        executed.undo.clone_from(&step.undo);
                    } else if !steps.is_empty() {
                        // Something of the plan was done.
                        error.code = Code::ChangeFailed;
                    }
                    shown.failed(error.clone());
                    executed.end = end;
                    executed.error = Some(error);
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

/// Why a step is not known as done.
struct Undone {
    /// [`StepEnd::Failed`] or [`StepEnd::Unknown`].
    end: StepEnd,
    error: Error,
    /// The object was written, and what is to follow it failed.
    was_written: bool,
}

impl From<Error> for Undone {
    fn from(error: Error) -> Self {
        Self {
            end: StepEnd::Failed,
            error,
            was_written: false,
        }
    }
}

async fn one(
    access: &ChangeAccess,
    step: &StepPreview,
    written: &mut WrittenObjects,
) -> Result<(), Undone> {
    let mut tries = 0;
    let (operation, after) = loop {
        tries += 1;
        let (seen, operation) = look(access, &step.step).await?;
        let is_new = step.untried.is_some() && seen.before.is_none();
        let is_same = is_new || bound(&seen, &step.step, &operation) == step.version;
        if !is_same {
            return Err(moved(&step.step.object).into());
        }
        let operation = labelled(&operation, access);
        let before = seen.before.as_ref();
        match access.send(&operation, before, false).await {
            Ok(after) => break (operation, after),
            // Its status may have changed since the look; the next look shows whether that was all.
            Err(e) if is_conflict(&e) && tries < TRIES && before.is_some() => {}
            Err(e) if is_conflict(&e) => return Err(moved(&step.step.object).into()),
            Err(e) if is_refusal(&e) => {
                let mut error = refused(access, &e, &step.step, &operation).await?;
                if error.code == Code::ChangeRefused {
                    error.code = Code::ChangeFailed;
                }
                return Err(error.into());
            }
            Err(e) => match found_done(access, &operation, before).await {
                Some(after) => break (operation, after),
                None => {
                    return Err(Undone {
                        end: StepEnd::Unknown,
                        ..unanswered(step, &e).into()
                    });
                }
            },
        }
    };
    written.insert(operation.target.clone(), after);
    let is_namespace = operation.target.namespace.is_none();
    if is_namespace && matches!(step.step.action, ChangeAction::Create(_)) {
        let entered = access.enter(&operation.target.name).await;
        entered.map_err(|error| without_rights(step, &error))?;
    }
    Ok(())
}

/// The namespace is there, and devk's roles are not bound in it, so that no further step can be taken there.
fn without_rights(step: &StepPreview, cause: &Error) -> Undone {
    let message = format!(
        "{} was made, and the roles that changes in it need are not bound: it is there, and empty",
        step.object
    );
    let error = Error::new(Code::ChangeFailed, message).evidence(cause.to_string());
    let error = cause.evidence.iter().fold(error, Error::evidence);
    let undo = step.undo.clone();
    let error = error.hint(undo.unwrap_or_else(|| super::kubectl::look(&step.object)));
    Undone {
        was_written: true,
        ..error.into()
    }
}

/// Looks whether a write was done whose answer was lost: the object as it then is.
async fn found_done(
    access: &ChangeAccess,
    operation: &Operation,
    before: Option<&Value>,
) -> Option<Value> {
    for _ in 0..LOOKS {
        tokio::time::sleep(PAUSE).await;
        if let Ok(live) = access.live(&operation.target).await
            && is_done(&operation.deed, before, live.as_ref())
        {
            return Some(live.unwrap_or_default());
        }
    }
    None
}

fn unanswered(step: &StepPreview, cause: &kube::Error) -> Error {
    let (verb, object) = (step.verb, &step.object);
    let message = format!(
        "the API server's answer to {verb} of {object} was lost: it may be done, or be done yet"
    );
    let error = Error::new(Code::ChangeFailed, message).evidence(words(cause));
    let look = super::kubectl::look(&step.operation.target);
    match &step.undo {
        Some(undo) => error.hint(format!("{look}    # if it was done: {undo}")),
        None => error.hint(look),
    }
}

/// Whether a write shows in an object. Where what was sent cannot be recognised in what is there the answer is no.
fn is_done(deed: &Deed, before: Option<&Value>, live: Option<&Value>) -> bool {
    let of = |object: Option<&Value>, key: &str| {
        object.map_or(Value::Null, |object| object["metadata"][key].clone())
    };
    let is_it = of(before, "uid") == of(live, "uid");
    let is_written = of(before, "resourceVersion") != of(live, "resourceVersion");
    match (deed, live) {
        (Deed::Delete, live) => !is_it || !of(live, "deletionTimestamp").is_null(),
        (_, None) => false,
        (Deed::Create(manifest), Some(live)) => before.is_none() && has(live, manifest),
        (Deed::Patch(patch), Some(live)) => is_it && is_written && has(live, patch),
        (Deed::Replace(whole), Some(live)) => {
            is_it && is_written && template(live) == template(whole)
        }
    }
}

/// Whether an object has all that a manifest or a strategic merge patch sets.
fn has(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (live, Value::Null) => live.is_null(),
        (Value::Object(live), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, wanted)| has(live.get(key).unwrap_or(&Value::Null), wanted)),
        (Value::Array(live), Value::Array(wanted)) => {
            wanted.iter().all(|wanted| match wanted.get("$patch") {
                Some(_) => live.iter().all(|item| item["name"] != wanted["name"]),
                None => live.iter().any(|item| has(item, wanted)),
            })
        }
        (live, wanted) => live == wanted,
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

    fn object(version: &str, spec: Value) -> Value {
        json!({"metadata": {"uid": "a", "resourceVersion": version}, "spec": spec})
    }

    #[test]
    fn a_write_whose_answer_was_lost_is_done_if_the_object_shows_it() {
        let before = object("1", json!({"replicas": 1}));
        let patch = Deed::Patch(json!({"spec": {"replicas": 2}}));
        let done = |deed: &Deed, live: Option<&Value>| is_done(deed, Some(&before), live);
        assert!(done(&patch, Some(&object("2", json!({"replicas": 2})))));
        assert!(!done(&patch, Some(&object("2", json!({"replicas": 1})))));
        assert!(!done(&patch, Some(&before)));
        assert!(!done(&patch, None));
        assert!(done(&Deed::Delete, None));
        assert!(!done(&Deed::Delete, Some(&before)));
        let mut going = before.clone();
        going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert!(done(&Deed::Delete, Some(&going)));
        let create = Deed::Create(json!({"spec": {"replicas": 1}}));
        assert!(is_done(&create, None, Some(&before)));
        assert!(!is_done(&create, None, None));
        assert!(!is_done(
            &create,
            None,
            Some(&object("1", json!({"replicas": 3})))
        ));
    }

    #[test]
    fn lists_of_a_patch_are_found_by_what_their_members_say() {
        let env =
            |members: Value| json!({"containers": [{"name": "c", "image": "i", "env": members}]});
        let live = env(json!([{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]));
        let patch = |members: Value| json!({"containers": [{"name": "c", "env": members}]});
        let set = json!([{"name": "A", "value": "1", "valueFrom": null}]);
        assert!(has(&live, &patch(set)));
        assert!(!has(&live, &patch(json!([{"name": "A", "value": "2"}]))));
        assert!(!has(
            &live,
            &patch(json!([{"name": "B", "$patch": "delete"}]))
        ));
        assert!(has(
            &live,
            &patch(json!([{"name": "C", "$patch": "delete"}]))
        ));
    }
}
