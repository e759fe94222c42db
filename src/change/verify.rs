//! Whether the cluster became what a plan leads to: rolled out, ready, gone, still as it was written.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::access::{ChangeAccess, unreachable};
use super::execute::{ChangeOutcome, ExecutedStep, StepEnd, WrittenObjects, is_as_written};
use super::kind::ObjectKind;
use super::operation::Deed;
use super::plan::ObjectName;
use super::preview::{ChangePreview, StepPreview};
use crate::error::{Code, Error, Result};
use crate::release::manifest::{Workload, WorkloadKind};
use crate::release::readiness::wait_ready;
use crate::ui::event::{Reporter, Step};

/// So long an object may take to be gone. Pods have 30 s to end.
const GONE: Duration = Duration::from_secs(90);
/// Between two looks at an object that is to go.
const PAUSE: Duration = Duration::from_millis(250);

/// Verifies the steps that were done, and fills in what was found. `ready` is how long workloads may take.
pub(super) async fn verify(
    access: &ChangeAccess,
    preview: &ChangePreview,
    (mut outcome, written): (ChangeOutcome, WrittenObjects),
    ready: Duration,
    reporter: &Reporter,
) -> ChangeOutcome {
    let ends: Vec<_> = outcome.steps.iter().map(|step| step.end).collect();
    let pairs = preview.steps.iter().zip(&mut outcome.steps).enumerate();
    for (at, (step, executed)) in pairs {
        if executed.end != StepEnd::Done {
            continue;
        }
        let later = preview.steps.iter().zip(&ends).skip(at + 1);
        let mut gone = later
            .filter(|(step, end)| **end == StepEnd::Done && step.operation.deed == Deed::Delete)
            .map(|(step, _)| &step.operation.target);
        if gone.any(|gone| goes_with(&step.operation.target, gone)) {
            executed.found = Some("a later step deleted it".to_owned());
            continue;
        }
        let shown = reporter.start(format!("change.verify/{}", step.object), "it was changed");
        match one(access, step, &written, ready, &shown).await {
            Ok(found) => {
                shown.done(found.clone());
                executed.found = Some(found);
            }
            Err(error) => {
                let error = unverified(error, executed);
                shown.failed(error.clone());
                executed.found = Some(error.message.clone());
                executed.error = Some(error);
            }
        }
    }
    let is_done = |step: &ExecutedStep| step.end == StepEnd::Done && step.error.is_none();
    outcome.verified = outcome.steps.iter().all(is_done);
    outcome
}

fn unverified(cause: Error, executed: &ExecutedStep) -> Error {
    let (verb, object) = (executed.verb, &executed.object);
    let message = format!("{verb} of {object} was done, and then: {}", cause.message);
    let mut error = Error::new(Code::ChangeUnverified, message);
    error.evidence = cause.evidence;
    error.hint = executed.undo.clone().or(cause.hint);
    error
}

async fn one(
    access: &ChangeAccess,
    step: &StepPreview,
    written: &WrittenObjects,
    ready: Duration,
    shown: &Step,
) -> Result<String> {
    let object = &step.operation.target;
    if step.operation.deed == Deed::Delete {
        return gone(access, object, &step.version["written"]["uid"]).await;
    }
    let workload = workload(object).filter(|_| becomes_ready(step));
    let is_ready = workload.is_some();
    if let Some(workload) = workload {
        let namespace = workload.namespace.clone();
        let workloads = [workload];
        wait_ready(&access.own, &namespace, &workloads, ready, shown).await?;
    }
    let live = access.live(object).await.map_err(|e| unreachable(&e))?;
    let Some(live) = live else {
        return Err(lost(format!("{object} is not there")));
    };
    // The last step of the plan on an object says what it should be.
    let wrote = written.get(object);
    let is_kept = wrote.is_none_or(|wrote| is_as_written(wrote, &live) || is_counted(object.kind));
    if !is_kept {
        return Err(lost(format!("something else has changed {object} since")));
    }
    Ok(match is_ready {
        true => state(object.kind, &live),
        false => "as it was written".to_owned(),
    })
}

/// Whether an object goes with one that is deleted: it is the same, or it is in that namespace.
fn goes_with(object: &ObjectName, gone: &ObjectName) -> bool {
    let is_in = gone.kind == ObjectKind::Namespace && object.namespace.as_ref() == Some(&gone.name);
    is_in || object == gone
}

/// Whether pods become ready by a step: those of a workload whose spec changes, or a new one. What runs to its end is
/// not waited for, nor what a label does not touch.
fn becomes_ready(step: &StepPreview) -> bool {
    let operation = &step.operation;
    let kind = operation.target.kind;
    let touches_spec = || step.diff.iter().any(|change| change.is_below("spec"));
    match &operation.deed {
        Deed::Create(_) if kind == ObjectKind::Pod => true,
        _ => kind.rolls_out() && touches_spec(),
    }
}

/// What changes again by itself after it was made: a pod has no generation in which only its owner counts.
const fn is_counted(kind: ObjectKind) -> bool {
    matches!(
        kind,
        ObjectKind::Pod
            | ObjectKind::Job
            | ObjectKind::PersistentVolumeClaim
            | ObjectKind::Namespace
            | ObjectKind::ServiceAccount
    )
}

fn lost(what: String) -> Error {
    Error::new(Code::ChangeUnverified, what)
}

/// What `wait_ready` can wait for.
fn workload(object: &ObjectName) -> Option<Workload> {
    let kind = match object.kind {
        ObjectKind::Deployment => WorkloadKind::Deployment,
        ObjectKind::StatefulSet => WorkloadKind::StatefulSet,
        ObjectKind::DaemonSet => WorkloadKind::DaemonSet,
        ObjectKind::Pod => WorkloadKind::Pod,
        _ => return None,
    };
    Some(Workload {
        kind,
        namespace: object.namespace.clone()?,
        name: object.name.clone(),
        expires: true,
    })
}

async fn gone(access: &ChangeAccess, object: &ObjectName, uid: &Value) -> Result<String> {
    let deadline = Instant::now() + GONE;
    loop {
        let live = access.live(object).await.map_err(|e| unreachable(&e))?;
        match live {
            None => return Ok("gone".to_owned()),
            // A StatefulSet gives its new pod the old one's name.
            Some(live) if !uid.is_null() && live["metadata"]["uid"] != *uid => {
                return Ok("gone; its controller has made another of the same name".to_owned());
            }
            Some(live) if Instant::now() > deadline => {
                let finalizers = live["metadata"]["finalizers"].to_string();
                let message = format!("{object} is still there after {} s", GONE.as_secs());
                return Err(lost(message).evidence(format!("its finalizers: {finalizers}")));
            }
            Some(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn state(kind: ObjectKind, live: &Value) -> String {
    let status = &live["status"];
    let count = |value: &Value| value.as_u64().unwrap_or_default();
    match kind {
        ObjectKind::Deployment | ObjectKind::StatefulSet | ObjectKind::ReplicaSet => {
            let (ready, wanted) = (&status["readyReplicas"], &live["spec"]["replicas"]);
            format!("{} of {} replicas are ready", count(ready), count(wanted))
        }
        ObjectKind::DaemonSet => {
            let (ready, wanted) = (&status["numberReady"], &status["desiredNumberScheduled"]);
            format!("{} of {} pods are ready", count(ready), count(wanted))
        }
        ObjectKind::Pod => "the pod is ready".to_owned(),
        _ => "as it was written".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::diff::FieldChange;
    use super::super::operation::Operation;
    use super::super::plan::{ChangeAction, ChangeStep, Restart};
    use super::super::risk::ChangeRisk;
    use super::*;

    fn object(kind: ObjectKind, namespace: Option<&str>, name: &str) -> ObjectName {
        ObjectName {
            kind,
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        }
    }

    fn step(kind: ObjectKind, deed: Deed, path: &str) -> StepPreview {
        let object = object(kind, Some("shop"), "web");
        let change = FieldChange {
            path: path.to_owned(),
            before: None,
            after: Some("x".to_owned()),
        };
        StepPreview {
            verb: "patch",
            object: object.clone(),
            writes: None,
            reason: None,
            diff: vec![change],
            risk: ChangeRisk::Reversible,
            why: String::new(),
            undo: None,
            keep: None,
            kubectl: String::new(),
            chart: None,
            notes: vec![],
            untried: None,
            step: ChangeStep {
                object: object.clone(),
                action: ChangeAction::Restart(Restart {}),
                reason: None,
            },
            operation: Operation {
                target: object,
                deed,
            },
            version: Value::Null,
        }
    }

    #[test]
    fn pods_are_waited_for_where_the_step_makes_or_replaces_them() {
        let patch = || Deed::Patch(json!({}));
        let create = || Deed::Create(json!({}));
        for (kind, deed, path, expected) in [
            (ObjectKind::Deployment, patch(), "spec.replicas", true),
            (ObjectKind::Deployment, create(), "spec.template", true),
            (ObjectKind::Deployment, patch(), "metadata.labels.a", false),
            (ObjectKind::Pod, create(), "spec.containers", true),
            (ObjectKind::Pod, patch(), "metadata.labels.a", false),
            (ObjectKind::Job, create(), "spec.template", false),
            (ObjectKind::Job, patch(), "spec.suspend", false),
            (ObjectKind::ConfigMap, patch(), "data.a", false),
        ] {
            assert_eq!(
                becomes_ready(&step(kind, deed, path)),
                expected,
                "{kind} {path}"
            );
        }
    }

    #[test]
    fn what_a_later_step_deletes_is_not_looked_for() {
        let web = object(ObjectKind::Deployment, Some("made"), "web");
        let namespace = object(ObjectKind::Namespace, None, "made");
        assert!(goes_with(&web, &web) && goes_with(&web, &namespace));
        let other = object(ObjectKind::Namespace, None, "other");
        assert!(!goes_with(&web, &other));
        let alike = object(ObjectKind::ConfigMap, None, "made");
        assert!(!goes_with(&web, &alike));
    }
}
