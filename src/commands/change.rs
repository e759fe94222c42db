//! `devk change`: a plan of changes is previewed, approved, carried out and verified.
//!
//! Nothing is written without an approval of exactly the preview that was shown: on a terminal a yes, and for what is
//! destructive the names of the objects; without one the preview's hash, given back with `--approve`. After the answer the
//! preview is made again, and if it is another one, that one is shown and nothing is done.

mod source;
mod text;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::recorded::Recording;
use super::{Context, pinned_cluster};
use crate::audit::{AuditText, AuditedPlan};
use crate::change::plan::{ChangePlan, ChangeStep};
use crate::change::preview::ChangePreview;
use crate::change::risk::ChangeRisk;
use crate::change::{ChangeAccess, ChangeOutcome, execute, preview, verify};
use crate::config::{AskYes, Project};
use crate::error::{Code, Error, Errors, Exit, Result};
use crate::owner::Owner;
use crate::shell::quote;
use crate::ui::event::Reporter;
use crate::ui::{self, Format, View};
use source::{explained, planned};

/// What a workload of no release may take to become ready.
const READY: Duration = Duration::from_secs(180);

/// What is to be done with which plan.
#[derive(Debug, Clone)]
pub struct ChangeOptions {
    /// The plan's file; `-` is stdin.
    pub plan: Option<PathBuf>,
    /// Show the preview and ask nothing.
    pub dry_run: bool,
    /// Carry out the preview with this hash.
    pub approve: Option<String>,
    /// Ask nothing up to the risk that devk.yaml allows.
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
    /// Carry out the preview with this hash.
    pub approve: Option<String>,
    /// Ask nothing up to the risk that devk.yaml allows.
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
/// [`Code::ChangeFailed`], [`Code::ChangeUnverified`], [`Code::ClusterUnreachable`]; [`Code::AuditUnwritable`], for
/// nothing is changed that cannot be recorded.
pub async fn carry_out(context: &Context, request: &PlanRequest) -> Result<Exit, Errors> {
    let agreed = match agree(context, request).await {
        Ok(agreed) => agreed,
        Err(refusal) => return record_refusal(context, request, refusal).await,
    };
    let approved = &agreed.preview;
    let plan = |mask: &dyn Fn(&str) -> AuditText| AuditedPlan {
        approval: Some(mask(&agreed.approval)),
        ..audited(request, Some(approved), mask)
    };
    let recording = Recording::begin_change(context, Some(agreed.project.clone()), plan)?;
    recording.around(execute_all(context, &agreed)).await
}

/// A preview that was approved.
struct Agreed {
    project: Project,
    access: ChangeAccess,
    preview: ChangePreview,
    approval: String,
}

/// Why nothing is done, and the preview as far as there was one.
struct Refusal {
    errors: Errors,
    preview: Option<ChangePreview>,
}

impl<E: Into<Errors>> From<E> for Refusal {
    fn from(errors: E) -> Self {
        Self {
            errors: errors.into(),
            preview: None,
        }
    }
}

/// Only the preview.
async fn look(context: &Context, options: &ChangeOptions) -> Result<Exit, Errors> {
    let project = context.running_project()?;
    let plan = planned(options)?;
    let access = access(context, &project).await?;
    let plan = match (plan, &options.explain) {
        (None, Some(text)) => explained(&access, &project, text).await?,
        (plan, _) => plan.unwrap_or_default(),
    };
    show(context, &preview(&access, &project, &plan).await?)?;
    Ok(Exit::Ok)
}

async fn agree(context: &Context, request: &PlanRequest) -> Result<Agreed, Refusal> {
    let project = context.running_project()?;
    let access = access(context, &project).await?;
    let shown = preview(&access, &project, &request.plan).await?;
    let approval = approval(context, &project, request, &shown).map_err(|error| Refusal {
        errors: error.into(),
        preview: Some(shown.clone()),
    })?;
    let now = match request.approve {
        // The preview that was approved is an earlier one.
        Some(_) => shown.clone(),
        // Time has passed with the question.
        None => preview(&access, &project, &request.plan).await?,
    };
    if now.hash != *request.approve.as_ref().unwrap_or(&shown.hash) {
        show(context, &now)?;
        return Err(Refusal {
            errors: moved(&now, request).into(),
            preview: Some(now),
        });
    }
    Ok(Agreed {
        project,
        access,
        preview: now,
        approval,
    })
}

/// What was refused goes into the log; that the log cannot be written keeps nobody from reading why.
async fn record_refusal(
    context: &Context,
    request: &PlanRequest,
    refusal: Refusal,
) -> Result<Exit, Errors> {
    let Refusal { errors, preview } = refusal;
    let errors = unread(errors);
    let plan = |mask: &dyn Fn(&str) -> AuditText| audited(request, preview.as_ref(), mask);
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
    let named = |step: &ChangeStep| mask(&text::deed(step.action.verb(), &step.object));
    AuditedPlan {
        question: request.question.as_deref().map(mask),
        backend: request.backend.as_deref().map(mask),
        hash: preview.map(|preview| mask(&preview.hash)),
        steps: match preview {
            Some(_) => steps().map(|step| mask(&step.kubectl)).collect(),
            None => request.plan.steps.iter().map(named).collect(),
        },
        diff: diff.map(|change| mask(&text::line(change))).collect(),
        ..AuditedPlan::default()
    }
}

async fn access(context: &Context, project: &Project) -> Result<ChangeAccess> {
    let (cluster, access) = pinned_cluster(context, project).await?;
    let owner = Owner::of(&project.root, &context.paths).await;
    let (kubeconfig, role) = (cluster.kubeconfig(), project.ask.role);
    ChangeAccess::new(access, &kubeconfig, &project.id, &owner, role).await
}

/// How the preview is approved: the words for the record.
fn approval(
    context: &Context,
    project: &Project,
    request: &PlanRequest,
    shown: &ChangePreview,
) -> Result<String> {
    if let Some(hash) = &request.approve {
        return Ok(format!("--approve {hash}"));
    }
    show(context, shown)?;
    if request.yes {
        let allowed = match project.ask.yes {
            None => None,
            Some(AskYes::Reversible) => Some(ChangeRisk::Reversible),
            Some(AskYes::Disruptive) => Some(ChangeRisk::Disruptive),
        };
        if allowed.is_some_and(|allowed| shown.risk <= allowed) {
            return Ok(format!("--yes up to {}", shown.risk));
        }
    }
    if !ui::can_ask() || !request.may_ask || context.format == Format::Json {
        return Err(unasked(project, request, shown));
    }
    let destructive = shown
        .steps
        .iter()
        .filter(|step| step.risk == ChangeRisk::Destructive);
    let names: Vec<_> = destructive.map(|step| step.object.name.as_str()).collect();
    let is_agreed = match names.as_slice() {
        [] => ui::confirmed("Do it"),
        names => names.iter().all(|name| ui::confirmed_by_typing(name)),
    };
    match is_agreed {
        true => Ok("typed".to_owned()),
        false => {
            let error = Error::new(Code::ChangeUnapproved, "the change is not approved");
            Err(error.hint("nothing was done"))
        }
    }
}

/// The error where nobody can be asked.
fn unasked(project: &Project, request: &PlanRequest, shown: &ChangePreview) -> Error {
    let message = match (request.yes, project.ask.yes) {
        (true, Some(_)) => format!(
            "the change is {}, which is more than `ask.yes` of devk.yaml leaves unasked",
            shown.risk
        ),
        (true, None) => {
            "`--yes` needs a risk that devk.yaml leaves unasked (`ask: {yes: …}`)".to_owned()
        }
        (false, _) => {
            "the change waits for an approval, and there is no terminal to ask on".to_owned()
        }
    };
    Error::new(Code::ChangeUnapproved, message).hint(approve_command(request, &shown.hash))
}

fn approve_command(request: &PlanRequest, hash: &str) -> String {
    format!("{} --approve {hash}", request.again)
}

fn moved(now: &ChangePreview, request: &PlanRequest) -> Error {
    let message = "what was approved is not what the plan would do now, so nothing was done";
    let error = Error::new(Code::ChangeMoved, message)
        .evidence("the plan, the role, the cluster or an object of the plan is another one since");
    error.hint(approve_command(request, &now.hash))
}

fn show(context: &Context, shown: &ChangePreview) -> Result<()> {
    match context.format {
        Format::Json => ui::json(&json!({"version": 1, "state": "preview", "preview": shown})),
        Format::Table => ui::out(&text::preview(shown)),
    }
}

async fn execute_all(context: &Context, agreed: &Agreed) -> Result<Exit, Errors> {
    let (access, approved) = (&agreed.access, &agreed.preview);
    let reporter = Reporter::default();
    let events = reporter.subscribe();
    let mut view = View::of(context.format);
    let releases = agreed.project.releases.iter();
    let ready = releases
        .map(|release| release.timeout)
        .max()
        .unwrap_or(READY);
    let work = async move {
        let done = execute(access, approved, &reporter).await;
        verify(access, approved, done, ready, &reporter).await
    };
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
