//! The preview of a plan: what each step would do to the object that is there, tried by the API server without doing it.
//!
//! A step is asked for its rights (SelfSubjectAccessReview) and sent as a dry run, both as the role. All problems of all
//! steps are told together; a plan with a problem has no preview, so it cannot be approved. The preview's hash stands
//! for the plan, the cluster, the role, and the version of every object that a step changes.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::access::{ChangeAccess, Right, is_conflict};
use super::around::around;
use super::body::below_baseline;
use super::chart::{self, ChartOrigin};
use super::diff::{FieldChange, differences};
use super::history::Revision;
use super::kind::ObjectKind;
use super::kubectl;
use super::look::{SeenObjects, bound, forbidden, labelled, look, operation, refused};
use super::operation::{Deed, Operation};
use super::plan::{ChangePlan, ChangeStep, OF_CLASH, ObjectName};
use super::risk::{ChangeRisk, risk};
use super::role::keeps_to_role;
use super::scope::ChangeScope;
use crate::cluster::namespace::{made_for, of_other_projects};
use crate::config::{AskRole, Project};
use crate::error::{Code, Error, Errors, Result, internal};
use crate::hex::hex;

/// The digits of a hash that are shown and typed.
const HASH_DIGITS: usize = 32;
/// So often a step is tried again whose object changes while it is tried.
const TRIES: usize = 5;

/// What a plan would do.
#[derive(Debug, Clone, Serialize)]
pub struct ChangePreview {
    /// What an approval names.
    pub hash: String,
    pub role: AskRole,
    /// Who the API server takes devk for.
    pub user: String,
    /// What devk.yaml asks for beyond what the user gives.
    pub beyond: Vec<String>,
    /// The plan is shown and cannot be carried out: the cluster is not devk's.
    pub only_shown: bool,
    /// That of the worst step.
    pub risk: ChangeRisk,
    pub steps: Vec<StepPreview>,
}

impl ChangePreview {
    /// The plan that is previewed.
    pub fn plan(&self) -> ChangePlan {
        ChangePlan {
            steps: self.steps.iter().map(|step| step.step.clone()).collect(),
        }
    }
}

/// What a step would do.
#[derive(Debug, Clone, Serialize)]
pub struct StepPreview {
    pub verb: &'static str,
    pub object: ObjectName,
    /// The object that is written, if it is another one: the Service of an `expose`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writes: Option<ObjectName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What changes; empty for an object that goes.
    pub diff: Vec<FieldChange>,
    pub risk: ChangeRisk,
    pub why: String,
    /// The command that takes the step back; None if nothing does.
    pub undo: Option<String>,
    /// The command that keeps a copy of what goes.
    pub keep: Option<String>,
    /// The command that does the same.
    pub kubectl: String,
    /// Where the object comes from, if a chart of the project made it.
    pub chart: Option<ChartOrigin>,
    /// What else is to be known.
    pub notes: Vec<String>,
    /// Why the API server could not try the step yet.
    pub untried: Option<String>,
    #[serde(skip)]
    pub(super) step: ChangeStep,
    #[serde(skip)]
    pub(super) operation: Operation,
    #[serde(skip)]
    pub(super) version: Value,
}

impl ChangePreview {
    /// The objects that nothing brings back.
    pub fn destroyed(&self) -> impl Iterator<Item = &ObjectName> {
        let steps = self.steps.iter();
        steps
            .filter(|step| step.risk == ChangeRisk::Destructive)
            .map(|step| &step.object)
    }

    /// The whole as lines for a person who approves it.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("role {}, as {}", self.role.word(), self.user)];
        for step in &self.steps {
            let StepPreview {
                verb,
                object,
                writes,
                risk,
                why,
                notes,
                ..
            } = step;
            lines.push(format!("{}: {risk}, {why}", object.deed(verb)));
            lines.extend(writes.iter().map(|written| format!("  writes {written}")));
            lines.extend(notes.iter().map(|note| format!("  note: {note}")));
            let diff = step.diff.iter();
            lines.extend(diff.map(|change| format!("  {}", change.line())));
            let undo = step.undo.as_deref().unwrap_or("nothing takes it back");
            lines.push(format!("  undo: {undo}"));
        }
        lines
    }
}

/// Makes the preview of a plan.
///
/// # Errors
/// All problems of the steps: [`Code::ChangeForbidden`], [`Code::ChangeRefused`], [`Code::ClusterUnreachable`].
pub(super) async fn preview(
    access: &ChangeAccess,
    project: &Project,
    plan: &ChangePlan,
) -> Result<ChangePreview, Errors> {
    let mut draft = Draft {
        access,
        project,
        scope: ChangeScope {
            project: project.id.clone(),
            made: made_for(&access.own, &project.id, Some(&access.owner)).await?,
            planned: BTreeSet::new(),
            of_others: of_other_projects(&access.own, &project.id).await?,
        },
    };
    let (mut steps, mut problems) = (vec![], vec![]);
    let all: Vec<_> = plan.steps.iter().map(Some).collect();
    for (at, step) in plan.steps.iter().enumerate() {
        if let Some(what) = ChangePlan::clash(&all, at) {
            problems.push(Error::new(Code::ChangeInvalid, what).hint(OF_CLASH));
            continue;
        }
        match draft.step(step).await {
            Ok(found) => steps.push(found),
            Err(error) => problems.push(numbered(error, at, plan)),
        }
    }
    if !problems.is_empty() {
        return Err(Errors(problems));
    }
    let worst = steps.iter().map(|step| step.risk).max();
    let bound = Bound {
        plan,
        cluster: (&access.pin.uid, &access.pin.endpoint),
        project: &access.project,
        role: access.rights.role,
        versions: steps.iter().map(|step| &step.version).collect(),
        risks: steps.iter().map(|step| step.risk).collect(),
    };
    Ok(ChangePreview {
        hash: bound.hash()?,
        role: access.rights.role,
        user: access.user(),
        beyond: access.rights.beyond.clone(),
        only_shown: access.only_shows,
        risk: worst.unwrap_or(ChangeRisk::Reversible),
        steps,
    })
}

fn numbered(mut error: Error, at: usize, plan: &ChangePlan) -> Error {
    let step = &plan.steps[at];
    let (count, verb) = (plan.steps.len(), step.action.verb());
    if count > 1 {
        error.message = format!("step {} of {count}, {verb}: {}", at + 1, error.message);
    }
    error
}

/// What an approval stands for.
#[derive(Serialize)]
struct Bound<'a> {
    plan: &'a ChangePlan,
    /// The pin's UID of `kube-system`, and its endpoint.
    cluster: (&'a str, &'a str),
    project: &'a str,
    role: AskRole,
    versions: Vec<&'a Value>,
    /// Objects around a step decide about its risk, too.
    risks: Vec<ChangeRisk>,
}

impl Bound<'_> {
    fn hash(&self) -> Result<String> {
        let text = serde_json::to_vec(self).map_err(|e| internal(&e))?;
        let mut digits = hex(Sha256::digest(text));
        digits.truncate(HASH_DIGITS);
        Ok(digits)
    }
}

struct Draft<'a> {
    access: &'a ChangeAccess,
    project: &'a Project,
    scope: ChangeScope,
}

impl Draft<'_> {
    async fn step(&mut self, step: &ChangeStep) -> Result<StepPreview> {
        if let Some(problem) = self.scope.take(step) {
            return Err(problem);
        }
        self.keeps_to_shown("get", &step.object).await?;
        if let Some(made) = self.scope.waits_for(step) {
            return self.untried(
                step,
                format!("the API server tries it when {made} is there"),
            );
        }
        let mut tries = 0;
        loop {
            tries += 1;
            let (seen, operation) = look(self.access, step).await?;
            self.keeps_to_shown(operation.deed.right(), &operation.target)
                .await?;
            match self.tried(&seen, &operation).await {
                // The object changed between the look and the dry run.
                Err(e) if is_conflict(&e) && tries < TRIES && seen.before.is_some() => {}
                Err(e) => return Err(refused(self.access, &e, step, &operation).await?),
                Ok(after) => return self.previewed(step, seen, operation, &after).await,
            }
        }
    }

    /// devk's own rights are wider than those of any role: it shows no more with them than an operator could do.
    async fn keeps_to_shown(&self, verb: &'static str, object: &ObjectName) -> Result<()> {
        let object = object.clone();
        let right = Right { verb, object };
        if !self.access.only_shows || self.access.may(&right).await? {
            return Ok(());
        }
        Err(forbidden(self.access, &right, "by the rules of the role"))
    }

    /// A step on what is not there yet: in a namespace to come nobody has rights, and nothing but a `create` has a request.
    fn untried(&self, step: &ChangeStep, untried: String) -> Result<StepPreview> {
        let operation = operation(step, None, &[])?;
        keeps_to_role(&self.access.rights, step, &operation, None, &Value::Null)?;
        let diff = changes(&operation, None, &Value::Null);
        Ok(StepPreview {
            untried: Some(untried),
            ..by_itself(step, operation, None, diff, &[])
        })
    }

    /// The dry run.
    async fn tried(&self, seen: &SeenObjects, operation: &Operation) -> kube::Result<Value> {
        let labelled = labelled(operation, self.access);
        let sent = self.access.send(&labelled, seen.before.as_ref(), true);
        sent.await
    }

    async fn previewed(
        &self,
        step: &ChangeStep,
        seen: SeenObjects,
        operation: Operation,
        after: &Value,
    ) -> Result<StepPreview> {
        let before = seen.before.as_ref();
        let diff = changes(&operation, before, after);
        let is_change = matches!(operation.deed, Deed::Patch(_) | Deed::Replace(_));
        if diff.is_empty() && is_change {
            let what = format!("the step changes nothing of {}", operation.target);
            return Err(Error::new(Code::ChangeRefused, what));
        }
        widened(before, after)?;
        keeps_to_role(&self.access.rights, step, &operation, before, after)?;
        let chart = match &seen.live {
            Some(live) if operation.target == step.object => {
                chart::origin(
                    &self.access.own,
                    self.project,
                    step,
                    &operation.target,
                    live,
                )
                .await?
            }
            _ => None,
        };
        let around = around(self.access, step, &seen, &operation, &diff).await?;
        let mut shown = StepPreview {
            chart,
            notes: around.notes,
            version: bound(&seen, step, &operation),
            ..by_itself(step, operation, before, diff, &seen.history)
        };
        if let Some((risk, why)) = around.risk {
            (shown.risk, shown.why) = (risk, why);
        }
        Ok(shown)
    }
}

/// What follows from a step, its request and what it changes, and from nothing else of the cluster or the project.
fn by_itself(
    step: &ChangeStep,
    operation: Operation,
    before: Option<&Value>,
    diff: Vec<FieldChange>,
    history: &[Revision],
) -> StepPreview {
    let (risk, why) = risk(step, &operation, before, &diff);
    let replaces_pods = diff.iter().any(|change| change.is_below("spec.template"));
    let is_deletion = operation.deed == Deed::Delete;
    StepPreview {
        verb: step.action.verb(),
        reason: step.reason.clone(),
        undo: kubectl::undo(step, &operation, before, history, replaces_pods),
        keep: is_deletion.then(|| kubectl::keep(&operation.target)),
        kubectl: kubectl::command(step, &operation),
        object: step.object.clone(),
        writes: written(step, &operation),
        diff,
        risk,
        why,
        chart: None,
        notes: vec![],
        untried: None,
        version: Value::Null,
        step: step.clone(),
        operation,
    }
}

/// What a request changes; `after` is the object by its dry run.
fn changes(operation: &Operation, before: Option<&Value>, after: &Value) -> Vec<FieldChange> {
    let kind = operation.target.kind;
    match &operation.deed {
        Deed::Create(manifest) => new_fields(kind, manifest),
        Deed::Delete => vec![],
        Deed::Patch(_) | Deed::Replace(_) => {
            differences(kind, before.unwrap_or(&Value::Null), after)
        }
    }
}

/// The fields of a new object, but for what its name says.
fn new_fields(kind: ObjectKind, manifest: &Value) -> Vec<FieldChange> {
    let mut named = json!({"apiVersion": manifest["apiVersion"], "kind": manifest["kind"]});
    for key in ["name", "namespace"] {
        named["metadata"][key] = manifest["metadata"][key].clone();
    }
    differences(kind, &named, manifest)
}

fn written(step: &ChangeStep, operation: &Operation) -> Option<ObjectName> {
    (operation.target != step.object).then(|| operation.target.clone())
}

/// A change may not give pods more than the Pod Security baseline, beyond what they have.
fn widened(before: Option<&Value>, after: &Value) -> Result<()> {
    let had = before.map(below_baseline).unwrap_or_default();
    let new: Vec<_> = below_baseline(after)
        .into_iter()
        .filter(|what| !had.contains(what))
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    let message = "the step gives pods more than the Pod Security baseline allows";
    let error = Error::new(Code::ChangeRefused, message);
    Err(new.iter().fold(error, Error::evidence))
}

#[cfg(test)]
mod tests {
    use super::super::access::version;
    use super::super::plan::ChangeAction;
    use super::super::plan::ReplicaCount;
    use super::super::plan::{Delete, Scale};
    use super::*;

    fn plan(action: ChangeAction) -> ChangePlan {
        let object = ObjectName {
            kind: ObjectKind::Deployment,
            namespace: Some("shop".to_owned()),
            name: "web".to_owned(),
        };
        ChangePlan {
            steps: vec![ChangeStep {
                object,
                action,
                reason: None,
            }],
        }
    }

    fn live(replicas: u32, ready: u32, version: &str) -> Value {
        json!({
            "metadata": {"uid": "a", "resourceVersion": version},
            "spec": {"replicas": replicas},
            "status": {"ready": ready},
        })
    }

    #[test]
    fn a_hash_stands_for_plan_cluster_role_and_objects_but_for_their_status() {
        let delete = plan(ChangeAction::Delete(Delete {}));
        let replicas = ReplicaCount::Exactly(2);
        let scale = plan(ChangeAction::Scale(Scale { replicas }));
        let of = |plan: &ChangePlan, uid: &str, role, live: &Value| {
            let version = version(Some(live));
            let bound = Bound {
                plan,
                cluster: (uid, "https://127.0.0.1:1"),
                project: "shop",
                role,
                versions: vec![&version],
                risks: vec![ChangeRisk::Reversible],
            };
            bound.hash().unwrap()
        };
        let operator = AskRole::Operator;
        let first = of(&delete, "u1", operator, &live(1, 0, "7"));
        assert_eq!(first.len(), HASH_DIGITS);
        assert_eq!(of(&delete, "u1", operator, &live(1, 1, "8")), first);
        for other in [
            of(&scale, "u1", operator, &live(1, 0, "7")),
            of(&delete, "u2", operator, &live(1, 0, "7")),
            of(&delete, "u1", AskRole::Admin, &live(1, 0, "7")),
            of(&delete, "u1", operator, &live(2, 0, "7")),
        ] {
            assert_ne!(other, first);
        }
    }
}
