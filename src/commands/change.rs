//! `devk change`: a plan of changes is previewed, approved, carried out and verified.
//!
//! Nothing is written without an approval of exactly the preview that was shown: on a terminal a yes, and for what is
//! destructive the names of the objects; without one a request is left for `devk approve`, whose id is the preview's hash and
//! which `--approve` uses up. After the answer the preview is made again, and if it is another one, that one is shown and
//! nothing is done.

mod source;
mod text;

use std::path::{Path, PathBuf};

use serde_json::json;

use super::Context;
use super::recorded::Recording;
use crate::audit::{AuditChannel, AuditOrigin, AuditText, AuditedPlan};
use crate::change::plan::{ChangePlan, ChangeStep};
use crate::change::preview::ChangePreview;
use crate::change::{ApprovedChange, ChangeConsent, ChangeDoor, ChangeOutcome, RefusedChange};
use crate::config::Project;
use crate::environment::Environment;
use crate::error::{Code, Error, Errors, Exit, Result};
use crate::shell::quote;
use crate::ui::event::Reporter;
use crate::ui::{self, Format, View};
use source::{explained, planned};

/// What is to be done with which plan.
#[derive(Debug, Clone)]
pub struct ChangeOptions {
    /// The plan's file; `-` is stdin.
    pub plan: Option<PathBuf>,
    /// Show the preview and ask nothing.
    pub dry_run: bool,
    /// Carry out the preview with this hash, which was approved.
    pub approve: Option<String>,
    /// Ask nothing up to the risk that the user leaves unasked.
    pub yes: bool,
    /// A file of YAML, or a command of kubectl.
    pub explain: Option<String>,
}

/// A plan that is to be carried out, wherever it comes from.
#[derive(Debug, Clone)]
pub struct PlanRequest {
    pub plan: ChangePlan,
    /// The command that asks for it again, to which `--approve HASH` is added.
    pub again: String,
    /// Stdin is free for an answer.
    pub may_ask: bool,
    /// Carry out the preview with this hash, which was approved.
    pub approve: Option<String>,
    /// Ask nothing up to the risk that the user leaves unasked.
    pub yes: bool,
    /// What was asked in words, and what made the plan of it.
    pub question: Option<String>,
    pub backend: Option<String>,
}

/// Previews, asks, changes and verifies. What is refused is recorded like what is done.
///
/// # Errors
/// [`Code::ChangeInvalid`], and as [`carry_out`].
pub async fn run(context: &Context, options: &ChangeOptions) -> Result<Exit, Errors> {
    if options.dry_run || options.explain.is_some() {
        return look(context, options).await;
    }
    let file = options.plan.as_deref().unwrap_or(Path::new("-"));
    let mut request = PlanRequest {
        plan: ChangePlan::default(),
        again: format!("devk change {}", quote(file)),
        may_ask: file != Path::new("-"),
        approve: options.approve.clone(),
        yes: options.yes,
        question: None,
        backend: None,
    };
    match planned(options) {
        Ok(plan) => request.plan = plan.unwrap_or_default(),
        Err(errors) => return record_refusal(context, &request, errors.into()).await,
    }
    carry_out(context, &request).await
}

/// Previews a plan, asks, changes and verifies.
///
/// # Errors
/// [`Code::ChangeForbidden`], [`Code::ChangeRefused`], [`Code::ChangeUnapproved`], [`Code::ChangeMoved`],
/// [`Code::ApprovalUnknown`], [`Code::ChangeFailed`], [`Code::ChangeUnverified`], [`Code::ClusterUnreachable`]; [`Code::AuditUnwritable`], for
/// nothing is changed that cannot be recorded.
pub async fn carry_out(context: &Context, request: &PlanRequest) -> Result<Exit, Errors> {
    let (door, approved) = match agree(context, request).await {
        Ok(agreed) => agreed,
        Err(refusal) => return record_refusal(context, request, refusal).await,
    };
    let plan = |mask: &dyn Fn(&str) -> AuditText| AuditedPlan {
        approval: Some(mask(approved.approval())),
        ..audited(request, Some(approved.preview()), mask)
    };
    let recording = Recording::begin_change(context, Some(door.project().clone()), plan)?;
    let work = execute_all(context, &door, &approved);
    recording.around(work).await
}

/// Only the preview.
async fn look(context: &Context, options: &ChangeOptions) -> Result<Exit, Errors> {
    let project = context.running_project()?;
    let plan = planned(options)?;
    let door = door(context, &project).await?;
    let plan = match (plan, &options.explain) {
        (None, Some(text)) => explained(door.access(), &project, text).await?,
        (plan, _) => plan.unwrap_or_default(),
    };
    let shown = door.preview(&plan).await?;
    show(context, &shown, None)?;
    // What is explained is a question, and no change that waits.
    if options.explain.is_none() && !shown.only_shown {
        door.request(&shown, &client())?;
    }
    Ok(Exit::Ok)
}

fn origin() -> AuditOrigin {
    AuditOrigin::of(&Environment::of_process())
}

/// The name of the agent that asks; empty for a person's own command.
fn client() -> String {
    let AuditOrigin {
        through, client, ..
    } = origin();
    match (through, client) {
        (AuditChannel::Mcp, Some(name)) => name.as_str().to_owned(),
        (AuditChannel::Mcp, None) => "an agent".to_owned(),
        _ => String::new(),
    }
}

async fn door(context: &Context, project: &Project) -> Result<ChangeDoor, Errors> {
    ChangeDoor::open(project, &context.paths, &Environment::of_process()).await
}

async fn agree(
    context: &Context,
    request: &PlanRequest,
) -> Result<(ChangeDoor, ApprovedChange), RefusedChange> {
    let door = door(context, &context.running_project()?).await?;
    let consent = match &request.approve {
        Some(hash) => ChangeConsent::Approval {
            id: hash.clone(),
            by_person: origin().through == AuditChannel::Mcp,
        },
        None => {
            let shown = door.preview(&request.plan).await?;
            asked(context, &door, request, &shown).map_err(|error| RefusedChange {
                errors: error.into(),
                preview: Some(Box::new(shown.clone())),
            })?
        }
    };
    match door.approved(&request.plan, &consent).await {
        Ok(approved) => Ok((door, approved)),
        Err(refused) => Err(waiting(context, &door, request, refused)?),
    }
}

/// The refusal of a preview that can still be approved: it is shown, and waits for that.
fn waiting(
    context: &Context,
    door: &ChangeDoor,
    request: &PlanRequest,
    refused: RefusedChange,
) -> Result<RefusedChange> {
    let can_be_approved = |e: &Error| {
        matches!(
            e.code,
            Code::ChangeMoved | Code::ChangeUnapproved | Code::ApprovalUnknown
        )
    };
    let waits = refused.errors.0.iter().any(can_be_approved);
    let Some(now) = refused.preview.as_ref().filter(|_| waits) else {
        return Ok(refused);
    };
    show(context, now, Some(request))?;
    door.request(now, &client())?;
    let hint = approve_command(door, request, now);
    let errors = refused.errors.0.into_iter();
    let errors = errors.map(|error| error.hint(hint.clone())).collect();
    Ok(RefusedChange {
        errors: Errors(errors),
        preview: refused.preview,
    })
}

/// What was refused goes into the log; that the log cannot be written keeps nobody from reading why.
async fn record_refusal(
    context: &Context,
    request: &PlanRequest,
    refusal: RefusedChange,
) -> Result<Exit, Errors> {
    let RefusedChange { errors, preview } = refusal;
    let errors = unread(errors);
    let plan = |mask: &dyn Fn(&str) -> AuditText| audited(request, preview.as_deref(), mask);
    match Recording::begin_change(context, None, plan) {
        Ok(recording) => recording.around(async { Err(errors) }).await,
        Err(unwritable) => {
            ui::warning(&unwritable, context.format);
            Err(errors)
        }
    }
}

/// A preview that nobody reads is approved by nobody: without this the log would take its end for one that went well.
fn unread(errors: Errors) -> Errors {
    if !errors.is_unread() {
        return errors;
    }
    let what = "nobody reads the preview, so nothing was done";
    Error::new(Code::ChangeUnapproved, what).into()
}

/// A plan in the log: what its preview shows, and without one what its steps are about.
fn audited(
    request: &PlanRequest,
    preview: Option<&ChangePreview>,
    mask: &dyn Fn(&str) -> AuditText,
) -> AuditedPlan {
    let steps = || preview.into_iter().flat_map(|preview| &preview.steps);
    let diff = steps().flat_map(|step| &step.diff);
    let named = |step: &ChangeStep| mask(&step.object.deed(step.action.verb()));
    AuditedPlan {
        question: request.question.as_deref().map(mask),
        backend: request.backend.as_deref().map(mask),
        hash: preview.map(|preview| mask(&preview.hash)),
        steps: match preview {
            Some(_) => steps().map(|step| mask(&step.kubectl)).collect(),
            None => request.plan.steps.iter().map(named).collect(),
        },
        diff: diff.map(|change| mask(&change.line())).collect(),
        ..AuditedPlan::default()
    }
}

/// Shows a preview, and asks as far as somebody is to be asked.
fn asked(
    context: &Context,
    door: &ChangeDoor,
    request: &PlanRequest,
    shown: &ChangePreview,
) -> Result<ChangeConsent> {
    show(context, shown, Some(request))?;
    let hash = shown.hash.clone();
    if request.yes && door.is_left_unasked(shown) {
        return Ok(ChangeConsent::Unasked(hash));
    }
    // Where nothing is carried out this is the problem.
    door.request(shown, &client())?;
    if !ui::can_ask() || !request.may_ask || context.format == Format::Json {
        let error = match request.yes {
            true => door.unasked(shown),
            false => {
                let message =
                    "the change waits for an approval, and there is no terminal to ask on";
                Error::new(Code::ChangeUnapproved, message)
            }
        };
        return Err(error.hint(approve_command(door, request, shown)));
    }
    let names: Vec<_> = shown
        .destroyed()
        .map(|object| object.name.as_str())
        .collect();
    let agreed = ui::agreed("Do it", &names);
    door.withdraw(shown)?;
    match agreed {
        true => Ok(ChangeConsent::Answered(hash)),
        false => {
            let error = Error::new(Code::ChangeUnapproved, "the change is not approved");
            Err(error.hint("nothing was done"))
        }
    }
}

/// What carries out a preview that waits: a person's approval first, unless the user leaves it unasked.
fn approve_command(door: &ChangeDoor, request: &PlanRequest, shown: &ChangePreview) -> String {
    let (again, hash) = (&request.again, &shown.hash);
    let command = format!("{again} --approve {hash}");
    // What is left unasked is the user's own, and no agent's.
    match door.is_left_unasked(shown) && origin().through != AuditChannel::Mcp {
        true => command,
        false => format!("devk approve {hash} && {command}"),
    }
}

/// Shows a preview. A plan that was made from words goes with it, so that it can be given back: nobody else has it. One that
/// came from a file is not repeated, since it may hold what the preview masks.
fn show(context: &Context, shown: &ChangePreview, request: Option<&PlanRequest>) -> Result<()> {
    let Format::Json = context.format else {
        return ui::out(&text::preview(shown));
    };
    let mut document = json!({"version": 1, "state": "preview", "preview": shown});
    if request.is_some_and(|request| request.question.is_some()) {
        document["plan"] = json!(shown.plan());
    }
    ui::json(&document)
}

async fn execute_all(
    context: &Context,
    door: &ChangeDoor,
    approved: &ApprovedChange,
) -> Result<Exit, Errors> {
    let reporter = Reporter::default();
    let events = reporter.subscribe();
    let mut view = View::of(context.format);
    let work = async move { door.execute(approved, &reporter).await };
    let (outcome, seen) = view.during(events, work).await;
    for step in &outcome.steps {
        context.changes.add(text::end(step));
    }
    let shown = finish(context, &outcome);
    ended(outcome.errors(), [seen, shown])
}

fn finish(context: &Context, outcome: &ChangeOutcome) -> Result<()> {
    let state = if outcome.verified { "done" } else { "failed" };
    match context.format {
        Format::Json => ui::json(&json!({"version": 1, "state": state, "outcome": outcome})),
        Format::Table => ui::out(&text::outcome(outcome)),
    }
}

/// What became of the steps counts, whether or not anybody reads of it.
fn ended(mut errors: Vec<Error>, printed: [Result<()>; 2]) -> Result<Exit, Errors> {
    let lost = printed.into_iter().map(ui::even_unread);
    errors.extend(lost.filter_map(Result::err).take(1));
    Errors::unless_empty(errors, Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{AuditOutcome, AuditResult};

    fn closed() -> Result<()> {
        Err(Error::new(Code::OutputClosed, "nobody reads the output"))
    }

    #[test]
    fn a_failed_step_is_a_failure_even_if_nobody_reads_of_it() {
        let failed = Error::new(Code::ChangeFailed, "the API server refuses");
        let ended = ended(vec![failed], [closed(), closed()]);
        assert_eq!(ended.as_ref().unwrap_err().exit(), Exit::Failed);
        let outcome = AuditOutcome::of(&ended, str::to_owned);
        assert_eq!(outcome.result, AuditResult::Failed);
        assert_eq!(outcome.code, Some(Code::ChangeFailed));
    }

    #[test]
    fn a_preview_that_nobody_reads_is_no_change_that_was_done() {
        let outcome = |errors| AuditOutcome::of(&Err(unread(errors)), str::to_owned);
        let closed = closed().unwrap_err();
        assert_eq!(outcome(closed.into()).result, AuditResult::Refused);
        let forbidden = Error::new(Code::ChangeForbidden, "no right");
        let forbidden = outcome(forbidden.into());
        assert_eq!(forbidden.code, Some(Code::ChangeForbidden));
    }

    #[test]
    fn what_went_well_unread_went_well_and_a_full_disk_is_told_once() {
        assert_eq!(ended(vec![], [closed(), closed()]), Ok(Exit::Ok));
        let full = || Err(Error::new(Code::OutputIo, "no space"));
        let errors = ended(vec![], [full(), full()]).unwrap_err();
        assert_eq!(errors.0.len(), 1);
    }

    #[test]
    fn a_refused_plan_is_recorded_with_what_it_would_have_done() {
        let plan = r#"{"version": 1, "steps": [
            {"verb": "delete", "object": {"kind": "Deployment", "namespace": "shop", "name": "web"}},
            {"verb": "create", "object": {"kind": "Namespace", "name": "new"}}
        ]}"#;
        let request = PlanRequest {
            plan: crate::change::read_plan(plan, Path::new("plan")).unwrap(),
            again: String::new(),
            may_ask: false,
            approve: None,
            yes: false,
            question: None,
            backend: None,
        };
        let mask = |text: &str| AuditText::masked(text, str::to_owned);
        let recorded = audited(&request, None, &mask);
        let steps: Vec<_> = recorded.steps.iter().map(AuditText::as_str).collect();
        assert_eq!(
            steps,
            ["delete deployment/web in shop", "create namespace/new"]
        );
    }
}
