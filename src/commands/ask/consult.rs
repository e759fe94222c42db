//! A question that devk does not understand, put to the models that its user has named; what they make of it is shown as
//! theirs, and recorded.

use std::time::Duration;

use sha2::Digest;

use super::{AskOptions, Asking, shown};
use crate::ask::{AskMemory, Asker};
use crate::assistant::{Assistant, Consulted, ConsultedOutcome, ConsultedTrail};
use crate::audit::{AuditChannel, AuditKind, AuditOrigin};
use crate::change::plan::{ChangePlan, ObjectName};
use crate::commands::Context;
use crate::commands::change::{self, PlanRequest};
use crate::commands::recorded::{RecordedCommand, Recording};
use crate::config::UserConfig;
use crate::environment::Environment;
use crate::error::{Code, Error, Errors, Exit, Problems, Result};
use crate::hex::hex;
use crate::mcp::mask::Mask;
use crate::model::{ModelBackend, ModelChain, ModelNews, selected};
use crate::paths::{forget_old, write_atomic};
use crate::shell::quote;
use crate::ui::event::{Reporter, Step};
use crate::ui::{self, View};

/// So long the plan of a model is kept.
const PLAN_KEPT: Duration = Duration::from_secs(24 * 3600);

/// The models of a command.
pub(super) struct AskedModels {
    chain: ModelChain,
    hides_names: bool,
}

impl AskedModels {
    /// The models of the command line, or else those of the user's configuration.
    ///
    /// # Errors
    /// [`Code::ModelUnknown`], all of them.
    pub(super) fn of(
        context: &Context,
        user: &UserConfig,
        options: &AskOptions,
    ) -> Result<Self, Errors> {
        let environment = Environment::of_process();
        let names = match options.models.is_empty() {
            true => user.ask.models.clone(),
            false => options.models.clone(),
        };
        let mut problems = Problems::default();
        let backends = names
            .iter()
            .filter_map(|name| problems.collect(selected(name, &user.models, &environment)));
        let backends: Vec<ModelBackend> = backends.collect();
        let backends = Errors::unless_empty(problems.0, backends)?;
        let failures = context.paths.cache.join("models");
        Ok(Self {
            chain: ModelChain::new(backends, &failures, &environment),
            hides_names: options.hide_names || user.ask.hides_names,
        })
    }

    /// Whether a model may help where devk itself failed.
    pub(super) fn may_help(&self, error: &Error) -> bool {
        let is_of_words = matches!(
            error.code,
            Code::AskUnclear | Code::AskName | Code::AskChange
        );
        is_of_words && !self.chain.is_empty()
    }
}

/// Puts a question to the models; `unclear` is what devk itself said.
///
/// # Errors
/// [`Code::AskModel`]; [`Code::ChangeUnapproved`]; for a plan as [`change::carry_out`].
pub(super) async fn consult(
    asking: &Asking<'_>,
    memory: &mut AskMemory,
    text: &str,
    unclear: Error,
) -> Result<Exit, Errors> {
    let Asking {
        context,
        asker,
        models,
        ..
    } = asking;
    let command = RecordedCommand {
        kind: AuditKind::AskModel,
        options: vec![],
        words: [text]
            .into_iter()
            .chain(models.chain.names())
            .map(str::to_owned)
            .collect(),
        of_project: true,
    };
    let recording = Recording::begin(context, Some(command))?;
    let mut proposed = None;
    let asked = async {
        let (consulted, shown) = ask(context, asker, models, text).await;
        note(context, &consulted);
        shown?;
        match consulted.outcome {
            ConsultedOutcome::Answer(answer) => {
                shown::show(context, text, &unclear, &answer, &consulted.trail)?;
                if unclear.code == Code::AskUnclear {
                    remember(context, memory, text, &consulted.trail);
                }
                Ok(Exit::Ok)
            }
            ConsultedOutcome::Plan { plan, unnamed } => {
                proposed = Some((plan, unnamed, consulted.trail.backend));
                Ok(Exit::Ok)
            }
            ConsultedOutcome::Nothing(why) => Err(nothing(unclear, &why, &consulted.trail).into()),
        }
    };
    let exit = recording.around(asked).await?;
    match proposed {
        Some((plan, unnamed, backend)) => {
            carry_out(context, asker, text, plan, &unnamed, backend).await
        }
        None => Ok(exit),
    }
}

/// The one question that a model asked to answer a person is asked at once the next time, without a model. What cannot be
/// remembered is only slower the next time.
fn remember(context: &Context, memory: &mut AskMemory, text: &str, trail: &ConsultedTrail) {
    let origin = AuditOrigin::of(&Environment::of_process());
    let [one] = &trail.looked[..] else { return };
    if origin.through != AuditChannel::Cli || !one.is_question {
        return;
    }
    if let Err(error) = memory.question(text, &one.at) {
        ui::warning(&error, context.format);
    }
}

async fn ask(
    context: &Context,
    asker: &Asker,
    models: &AskedModels,
    text: &str,
) -> (Consulted, Result<()>) {
    let mask = Mask::of(&context.source, &context.paths, &Environment::of_process());
    let masked = |text: &str| mask.text(text);
    let assistant = Assistant {
        asker,
        chain: &models.chain,
        mask: &masked,
        hides_names: models.hides_names,
    };
    let reporter = Reporter::default();
    let events = reporter.subscribe();
    let mut view = View::of(context.format);
    let work = async move {
        let mut progress = Progress::new(reporter);
        let mut news = |news: ModelNews<'_>| progress.take(news);
        let consulted = assistant.consult(text, &mut news).await;
        progress.end(&consulted.outcome);
        consulted
    };
    view.during(events, work).await
}

/// What a person sees while a model writes.
struct Progress {
    reporter: Reporter,
    step: Option<Step>,
    characters: usize,
}

impl Progress {
    fn new(reporter: Reporter) -> Self {
        Self {
            reporter,
            step: None,
            characters: 0,
        }
    }

    fn take(&mut self, news: ModelNews<'_>) {
        match news {
            ModelNews::Asking(backend) => {
                if let Some(step) = self.step.take() {
                    step.done("looks further");
                }
                self.characters = 0;
                self.step = Some(self.reporter.start(backend, "is asked"));
            }
            ModelNews::Text(text) => {
                self.characters += text.chars().count();
                if let Some(step) = self.step.as_ref().filter(|_| !text.is_empty()) {
                    step.progress(format!("{} characters", self.characters));
                }
            }
            ModelNews::Passed(passed) => match self.step.take() {
                Some(step) => step.skip(passed.why.clone()),
                None => self.reporter.skipped(&passed.backend, &passed.why),
            },
        }
    }

    fn end(&mut self, outcome: &ConsultedOutcome) {
        let Some(step) = self.step.take() else { return };
        match outcome {
            ConsultedOutcome::Answer(_) => step.done("has answered"),
            ConsultedOutcome::Plan { .. } => step.done("proposes a change"),
            ConsultedOutcome::Nothing(why) => step.skip(why.clone()),
        }
    }
}

/// What became of the question, for the log.
fn note(context: &Context, consulted: &Consulted) {
    let trail = &consulted.trail;
    let add = |what: String| context.changes.add(what);
    let passed = trail.passed.iter();
    passed.for_each(|passed| add(passed.to_string()));
    trail
        .looked
        .iter()
        .for_each(|looked| add(format!("looked: {}", looked.at)));
    trail
        .refused
        .iter()
        .for_each(|refused| add(format!("refused: {refused}")));
    match &consulted.outcome {
        ConsultedOutcome::Answer(answer) => add(format!("{} answered: {answer}", trail.backend)),
        ConsultedOutcome::Plan { plan, .. } => {
            // Without what it would write: that may be a secret.
            let deeds = plan.steps.iter();
            let deeds = deeds.map(|step| step.object.deed(step.action.verb()));
            let deeds = deeds.collect::<Vec<_>>().join(", ");
            add(format!("{} proposed: {deeds}", trail.backend));
        }
        ConsultedOutcome::Nothing(why) => add(format!("nothing of use: {why}")),
    }
}

/// What devk itself said, and that no model made more of it.
fn nothing(unclear: Error, why: &str, trail: &ConsultedTrail) -> Error {
    let message = format!("{}, and no model helps: {why}", unclear.message);
    let error = Error::new(Code::AskModel, message);
    let error = unclear.evidence.into_iter().fold(error, Error::evidence);
    let passed = trail.passed.iter();
    let error = passed.fold(error, |error, passed| {
        error.evidence(format!("{}: {}", passed.backend, passed.why))
    });
    match unclear.hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// A plan of a model goes into a file, so that what is approved is this plan and not what the model says the next time.
async fn carry_out(
    context: &Context,
    asker: &Asker,
    text: &str,
    plan: ChangePlan,
    unnamed: &[ObjectName],
    backend: String,
) -> Result<Exit, Errors> {
    let document = serde_json::to_vec_pretty(&plan).map_err(|e| {
        Error::new(
            Code::Internal,
            format!("the plan cannot be written down: {e}"),
        )
    })?;
    let name = hex(sha2::Sha256::digest(&document));
    let folder = context
        .paths
        .project(&asker.project.namespace)
        .join("plans");
    let file = folder.join(format!("{}.json", &name[..12]));
    forget_old(&folder, PLAN_KEPT);
    write_atomic(&file, &document, 0o600)?;
    let again = format!("devk change {}", quote(&file));
    if !unnamed.is_empty() {
        return Err(undecided(&plan, unnamed, &backend, &again).into());
    }
    let request = PlanRequest {
        plan,
        again,
        may_ask: true,
        approve: None,
        yes: false,
        question: Some(text.to_owned()),
        backend: Some(backend),
    };
    change::carry_out(context, &request).await
}

fn undecided(plan: &ChangePlan, unnamed: &[ObjectName], backend: &str, again: &str) -> Error {
    let names: Vec<_> = unnamed.iter().map(|object| format!("`{object}`")).collect();
    let message = format!(
        "{backend} proposes to change {}, which the question does not name: nothing was done",
        names.join(", ")
    );
    let error = Error::new(Code::ChangeUnapproved, message);
    let error = plan.steps.iter().fold(error, |error, step| {
        let why = step.reason.as_deref().map(|why| format!(": {why}"));
        error.evidence(format!(
            "{} {}{}",
            step.action.verb(),
            step.object,
            why.unwrap_or_default()
        ))
    });
    error.hint(again)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PassedOver;

    #[test]
    fn without_a_model_that_helps_all_that_devk_itself_said_is_said() {
        let unclear = Error::new(Code::AskUnclear, "`purple` is no word of questions")
            .evidence("nearest question: list pods")
            .hint("devk ask help");
        let trail = ConsultedTrail {
            passed: vec![PassedOver {
                backend: "local".to_owned(),
                why: "no answer".to_owned(),
            }],
            ..ConsultedTrail::default()
        };
        let error = nothing(unclear, "no model answers", &trail);
        assert_eq!(error.code, Code::AskModel);
        assert_eq!(
            error.evidence,
            ["nearest question: list pods", "local: no answer"]
        );
        assert_eq!(error.hint.as_deref(), Some("devk ask help"));
    }
}
