//! `devk change`: a plan of changes is previewed, approved, carried out and verified.
//!
//! Nothing is written without an approval of exactly the preview that was shown: on a terminal a yes, and for what is
//! destructive the names of the objects; without one the preview's hash, given back with `--approve`. After the answer the
//! preview is made again, and if it is another one, that one is shown and nothing is done.

mod text;

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::recorded::Recording;
use super::{Context, pinned};
use crate::audit::{AuditText, AuditedPlan};
use crate::change::plan::ChangePlan;
use crate::change::preview::ChangePreview;
use crate::change::risk::ChangeRisk;
use crate::change::{
    ChangeAccess, ChangeOutcome, execute, explain, kind::ObjectKind, plan::ObjectName, preview,
    read_plan, verify,
};
use crate::cluster::ManagedCluster;
use crate::config::{AskYes, Project};
use crate::docker;
use crate::environment::Environment;
use crate::error::{Code, Error, Errors, Exit, Result};
use crate::owner::Owner;
use crate::release::yaml;
use crate::shell::quote;
use crate::ui::event::Reporter;
use crate::ui::{self, Format, View};

/// What a workload of no release may take to become ready.
const READY: Duration = Duration::from_secs(180);
/// A longer plan is refused while it is read.
const MOST_BYTES: u64 = 1024 * 1024;

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

/// Previews, asks, changes and verifies. What is refused is recorded like what is done.
///
/// # Errors
/// [`Code::ChangeInvalid`], [`Code::ChangeForbidden`], [`Code::ChangeRefused`], [`Code::ChangeUnapproved`],
/// [`Code::ChangeMoved`], [`Code::ChangeFailed`], [`Code::ChangeUnverified`], [`Code::ClusterUnreachable`].
pub async fn run(context: &Context, options: &ChangeOptions) -> Result<Exit, Errors> {
    if options.dry_run || options.explain.is_some() {
        return look(context, options).await;
    }
    let agreed = match agree(context, options).await {
        Ok(agreed) => agreed,
        Err(refusal) => return record_refusal(context, refusal).await,
    };
    let Agreed {
        project,
        access,
        preview,
        approval,
    } = agreed;
    let recording = Recording::begin_change(context, |mask| audited(&preview, &approval, mask))?;
    recording
        .around(carry_out(context, &project, &access, &preview))
        .await
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

/// The plan of the file. One that cannot be read needs no cluster to be refused.
fn planned(options: &ChangeOptions) -> Result<Option<ChangePlan>, Errors> {
    let file = options.plan.as_deref();
    file.map(|file| read_plan(&read(file)?, file)).transpose()
}

async fn agree(context: &Context, options: &ChangeOptions) -> Result<Agreed, Refusal> {
    let project = context.running_project()?;
    let plan = planned(options)?.unwrap_or_default();
    let access = access(context, &project).await?;
    let shown = preview(&access, &project, &plan).await?;
    let approval = approval(context, &project, options, &shown).map_err(|error| Refusal {
        errors: error.into(),
        preview: Some(shown.clone()),
    })?;
    let now = match options.approve {
        // The preview that was approved is an earlier one.
        Some(_) => shown.clone(),
        // Time has passed with the question.
        None => preview(&access, &project, &plan).await?,
    };
    if now.hash != *options.approve.as_ref().unwrap_or(&shown.hash) {
        show(context, &now)?;
        return Err(Refusal {
            errors: moved(&now, options).into(),
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
async fn record_refusal(context: &Context, refusal: Refusal) -> Result<Exit, Errors> {
    let Refusal { errors, preview } = refusal;
    let plan = |mask: &dyn Fn(&str) -> AuditText| match &preview {
        Some(preview) => audited(preview, "none", mask),
        None => AuditedPlan::default(),
    };
    match Recording::begin_change(context, plan) {
        Ok(recording) => recording.around(async { Err(errors) }).await,
        Err(unwritable) => {
            ui::warning(&unwritable, context.format);
            Err(errors)
        }
    }
}

/// A preview in the log.
fn audited(
    preview: &ChangePreview,
    approval: &str,
    mask: &dyn Fn(&str) -> AuditText,
) -> AuditedPlan {
    let diff = preview.steps.iter().flat_map(|step| &step.diff);
    AuditedPlan {
        hash: Some(mask(&preview.hash)),
        steps: preview
            .steps
            .iter()
            .map(|step| mask(&step.kubectl))
            .collect(),
        approval: Some(mask(approval)),
        diff: diff.map(|change| mask(&text::line(change))).collect(),
        ..AuditedPlan::default()
    }
}

async fn access(context: &Context, project: &Project) -> Result<ChangeAccess> {
    let access = pinned(context, project).await?;
    let engine = docker::connect(&Environment::of_process()).await?;
    let cluster = ManagedCluster::of(&engine, &project.cluster, &context.paths);
    let owner = Owner::of(&project.root, &context.paths).await;
    let (kubeconfig, role) = (cluster.kubeconfig(), project.ask.role);
    ChangeAccess::new(access, &kubeconfig, &project.id, &owner, role).await
}

fn read(file: &Path) -> Result<String> {
    let unreadable = |e: std::io::Error| {
        let error = Error::new(Code::ChangeInvalid, format!("the plan cannot be read: {e}"));
        error.at(file, None)
    };
    let mut text = String::new();
    let read: &mut dyn Read = match file == Path::new("-") {
        true => &mut std::io::stdin().lock(),
        false => &mut std::fs::File::open(file).map_err(unreadable)?,
    };
    // One byte more, so that a plan of that length is not cut into a valid one.
    read.take(MOST_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    Ok(text)
}

/// The plan of what was pasted.
async fn explained(
    access: &ChangeAccess,
    project: &Project,
    text: &str,
) -> Result<ChangePlan, Errors> {
    let file = Path::new(text);
    if !file.is_file() {
        let looks_like_file = !text.contains(' ') && text != "kubectl";
        if looks_like_file {
            let what = format!("`{text}` is no file, and no command of kubectl");
            return Err(Error::new(Code::ChangeInvalid, what).into());
        }
        return explain::plan_of_command(text, &project.id);
    }
    let text = read(file)?;
    let objects = objects(&text, file)?;
    let mut there = vec![];
    for object in &objects {
        let part = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (kind, name) = (part(&object["kind"]), part(&object["metadata"]["name"]));
        let Some(known) = ObjectKind::named(&kind) else {
            continue;
        };
        let namespace = object["metadata"]["namespace"]
            .as_str()
            .unwrap_or(&project.id);
        let namespace = known.is_namespaced().then(|| namespace.to_owned());
        let object = ObjectName {
            kind: known,
            namespace,
            name,
        };
        if access.is_there(&object).await? {
            there.push(object);
        }
    }
    explain::plan_of_objects(&objects, &project.id, |kind, namespace, name| {
        there.iter().any(|object| {
            let near = object.namespace.as_deref().unwrap_or_default();
            object.kind.name() == kind && near == namespace && object.name == name
        })
    })
}

fn objects(text: &str, file: &Path) -> Result<Vec<Value>> {
    let text = text.replace("\r\n", "\n");
    let parts = text.split("\n---");
    let objects = parts.map(|part| {
        yaml::parse(part.trim_start_matches("---")).map_err(|(message, line)| {
            Error::new(Code::ChangeInvalid, format!("this is no YAML: {message}")).at(file, line)
        })
    });
    objects.collect()
}

/// How the preview is approved: the words for the record.
fn approval(
    context: &Context,
    project: &Project,
    options: &ChangeOptions,
    shown: &ChangePreview,
) -> Result<String> {
    if let Some(hash) = &options.approve {
        return Ok(format!("--approve {hash}"));
    }
    if options.yes {
        let allowed = match project.ask.yes {
            None => None,
            Some(AskYes::Reversible) => Some(ChangeRisk::Reversible),
            Some(AskYes::Disruptive) => Some(ChangeRisk::Disruptive),
        };
        if allowed.is_some_and(|allowed| shown.risk <= allowed) {
            show(context, shown)?;
            return Ok(format!("--yes up to {}", shown.risk));
        }
    }
    show(context, shown)?;
    let is_terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let reads_plan = options.plan.as_deref() == Some(Path::new("-"));
    if !is_terminal || reads_plan || context.format == Format::Json {
        return Err(unasked(project, options, shown));
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
fn unasked(project: &Project, options: &ChangeOptions, shown: &ChangePreview) -> Error {
    let plan = options.plan.as_deref().unwrap_or(Path::new("-"));
    let message = match (options.yes, project.ask.yes) {
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
    Error::new(Code::ChangeUnapproved, message).hint(approve_command(plan, &shown.hash))
}

fn approve_command(plan: &Path, hash: &str) -> String {
    format!("devk change {} --approve {hash}", quote(plan))
}

fn moved(now: &ChangePreview, options: &ChangeOptions) -> Error {
    let plan = options.plan.as_deref().unwrap_or(Path::new("-"));
    let message = "what was approved is not what the plan would do now, so nothing was done";
    let error = Error::new(Code::ChangeMoved, message)
        .evidence("the plan, the role, the cluster or an object of the plan is another one since");
    error.hint(approve_command(plan, &now.hash))
}

fn show(context: &Context, shown: &ChangePreview) -> Result<()> {
    match context.format {
        Format::Json => ui::json(&json!({"version": 1, "state": "preview", "preview": shown})),
        Format::Table => ui::out(&text::preview(shown)),
    }
}

async fn carry_out(
    context: &Context,
    project: &Project,
    access: &ChangeAccess,
    approved: &ChangePreview,
) -> Result<Exit, Errors> {
    let reporter = Reporter::default();
    let events = reporter.subscribe();
    let mut view = View::of(context.format);
    let timeouts = project.releases.iter().map(|release| release.timeout);
    let ready = timeouts.max().unwrap_or(READY);
    let work = async move {
        let done = execute(access, approved, &reporter).await;
        verify(access, approved, done, ready, &reporter).await
    };
    let (outcome, seen) = view.during(events, work).await;
    seen?;
    finish(context, &outcome)
}

fn finish(context: &Context, outcome: &ChangeOutcome) -> Result<Exit, Errors> {
    let state = if outcome.verified { "done" } else { "failed" };
    match context.format {
        Format::Json => ui::json(&json!({"version": 1, "state": state, "outcome": outcome}))?,
        Format::Table => ui::out(&text::outcome(outcome))?,
    }
    Errors::unless_empty(outcome.errors(), Exit::Ok)
}
