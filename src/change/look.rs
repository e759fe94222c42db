//! A step and the objects that are there: the request that follows, the version that an approval is bound to, and why
//! the API server would not take the request.

use serde_json::{Value, json};

use super::access::{ChangeAccess, Right, is_forbidden, unreachable, version, words};
use super::body::template;
use super::held::{HeldObjects, held};
use super::history::{Revision, history};
use super::kind::ObjectKind;
use super::operation::{Deed, Impossible, Operation};
use super::plan::{ChangeAction, ChangeStep, ObjectName};
use super::scope::kept_by_devk;
use crate::cluster::namespace::{MADE_FOR_LABEL, owner_notes};
use crate::config::AskRole;
use crate::error::{Code, Error, Result};

/// What was found of the objects of a step.
pub(super) struct SeenObjects {
    /// The step's own object.
    pub(super) live: Option<Value>,
    /// The object that is written, before it is.
    pub(super) before: Option<Value>,
    pub(super) history: Vec<Revision>,
    /// What goes with a namespace that goes.
    pub(super) held: Option<HeldObjects>,
}

/// The objects as they are, and the request that follows from them.
///
/// # Errors
/// [`Code::ChangeRefused`] if none follows, [`Code::ChangeForbidden`] for devk's own objects and for want of a right,
/// [`Code::ClusterUnreachable`].
pub(super) async fn look(
    access: &ChangeAccess,
    step: &ChangeStep,
) -> Result<(SeenObjects, Operation)> {
    let found = live(access, &step.object).await?;
    let history = match &found {
        Some(live) if goes_by_history(&step.action) => {
            let found = history(access.client(), &step.object, live).await;
            found.map_err(|e| unreachable(&e))?
        }
        _ => vec![],
    };
    if let Some(problem) = found
        .as_ref()
        .filter(|_| !matches!(step.action, ChangeAction::Expose(_)))
        .and_then(|live| kept_by_devk(&step.object, live))
    {
        return Err(problem);
    }
    let operation = operation(step, found.as_ref(), &history)?;
    let before = match operation.target == step.object {
        true => found.clone(),
        false => live(access, &operation.target).await?,
    };
    if operation.target != step.object && before.is_some() {
        let what = format!("{} is there already", operation.target);
        return Err(Error::new(Code::ChangeRefused, what));
    }
    let goes = operation.deed == Deed::Delete && step.object.kind == ObjectKind::Namespace;
    let held = match goes {
        true => Some(held(&access.own, &step.object.name).await?),
        false => None,
    };
    let seen = SeenObjects {
        live: found,
        before,
        history,
        held,
    };
    Ok((seen, operation))
}

/// Whether the request of a step, or what takes it back, goes by the revisions of the object.
const fn goes_by_history(action: &ChangeAction) -> bool {
    match action {
        ChangeAction::RollBack(_)
        | ChangeAction::SetImage(_)
        | ChangeAction::SetEnv(_)
        | ChangeAction::SetResources(_)
        | ChangeAction::Patch(_)
        // An admission webhook of the cluster may change the template along with it.
        | ChangeAction::Label(_) => true,
        ChangeAction::Scale(_)
        | ChangeAction::Restart(_)
        | ChangeAction::Create(_)
        | ChangeAction::Delete(_)
        | ChangeAction::Expose(_) => false,
    }
}

async fn live(access: &ChangeAccess, object: &ObjectName) -> Result<Option<Value>> {
    match access.live(object).await {
        Ok(found) => Ok(found),
        Err(e) if is_forbidden(&e) => {
            let (verb, object) = ("get", object.clone());
            Err(forbidden(access, &Right { verb, object }, &words(&e)))
        }
        Err(e) => Err(unreachable(&e)),
    }
}

/// Why the API server would not do a step: for want of a right, or by its rules.
///
/// # Errors
/// [`Code::ClusterUnreachable`].
pub(super) async fn refused(
    access: &ChangeAccess,
    error: &kube::Error,
    step: &ChangeStep,
    operation: &Operation,
) -> Result<Error> {
    let right = Right {
        verb: operation.deed.right(),
        object: operation.target.clone(),
    };
    let words = words(error);
    if is_forbidden(error) && !access.may(&right).await? {
        return Ok(forbidden(access, &right, &words));
    }
    let what = format!(
        "the API server refuses to {} {}",
        step.action.verb(),
        step.object
    );
    Ok(Error::new(Code::ChangeRefused, what).evidence(words))
}

/// The problem of a right that the role lacks, with the API server's words.
pub(super) fn forbidden(access: &ChangeAccess, right: &Right, words: &str) -> Error {
    let rights = &access.rights;
    let role = match access.only_shows {
        true => AskRole::Operator,
        false => rights.role,
    };
    let message = format!(
        "the role `{}` lacks the right: {}",
        role.word(),
        right.words()
    );
    let error = Error::new(Code::ChangeForbidden, message).evidence(words);
    let error = rights.beyond.iter().fold(error, Error::evidence);
    match role {
        AskRole::Viewer => error.hint(rights.how_to_get(AskRole::Operator)),
        AskRole::Operator => error.hint(rights.how_to_get(AskRole::Admin)),
        AskRole::Admin => {
            error.hint("kubectl may do it with your own rights; see `devk kubeconfig`")
        }
    }
}

/// The versions that the approval of a step is bound to.
pub(super) fn bound(seen: &SeenObjects, step: &ChangeStep, operation: &Operation) -> Value {
    let mut bound = json!({
        "object": version(seen.live.as_ref()),
        "written": version(seen.before.as_ref()),
    });
    if let Some(held) = &seen.held {
        bound["claims"] = held.bound();
    }
    // Which revision is the one before depends on more than the object.
    if matches!(step.action, ChangeAction::RollBack(_)) {
        bound["content"] = match &operation.deed {
            Deed::Patch(content) => content.clone(),
            Deed::Replace(whole) => template(whole).cloned().unwrap_or_default(),
            Deed::Create(_) | Deed::Delete => Value::Null,
        };
    }
    bound
}

/// The request as it is sent: a namespace that a plan makes says for which project, and whose that is.
pub(super) fn labelled(operation: &Operation, access: &ChangeAccess) -> Operation {
    let mut labelled = operation.clone();
    if let Deed::Create(manifest) = &mut labelled.deed
        && operation.target.kind == ObjectKind::Namespace
    {
        manifest["metadata"]["labels"][MADE_FOR_LABEL] = json!(access.project);
        manifest["metadata"]["labels"]["app.kubernetes.io/managed-by"] = json!("devk");
        for (note, value) in owner_notes(&access.owner) {
            manifest["metadata"]["annotations"][note] = json!(value);
        }
    }
    labelled
}

/// The request of a step, at this moment.
pub(super) fn operation(
    step: &ChangeStep,
    live: Option<&Value>,
    history: &[Revision],
) -> Result<Operation> {
    let now = jiff::Timestamp::now().to_string();
    let found = Operation::of(step, live, history, &now);
    found.map_err(|Impossible { what, hint }| {
        let mut error = Error::new(Code::ChangeRefused, what);
        error.hint = hint;
        error
    })
}
