//! `devk ask`: a question in plain words, answered from what the cluster says now. A request for a change becomes a plan, and
//! `devk change` previews it and asks for an approval; nothing else here writes. What devk does not understand goes to the
//! models that the user has named, if any ([`consult`]).

mod consult;
mod memory;

use std::io::{IsTerminal, Write};

use serde::Serialize;
use tokio::io::{AsyncBufReadExt, BufReader};

use super::change::{self, PlanRequest};
use super::{Context, pinned};
use crate::ask::{
    AskAnswer, AskMemory, AskMode, AskReply, AskedProject, Asker, PlannedRequest, RememberedText,
};
use crate::config::{Project, UserConfig};
use crate::environment::Environment;
use crate::error::{Code, Error, Errors, Exit, Result};
use crate::release::project_pods::ProjectPods;
use crate::shell::quote;
use crate::ui::{self, Format};
use consult::AskedModels;
use memory::MemoryCommand;

/// What stands before each question of a dialogue.
const PROMPT: &str = "ask> ";

/// What is asked, and how far a change that is asked for may go without a question.
#[derive(Debug, Clone)]
pub struct AskOptions {
    pub words: Vec<String>,
    /// Carry out the preview with this hash.
    pub approve: Option<String>,
    /// Ask nothing up to the risk that devk.yaml allows.
    pub yes: bool,
    /// Models for what devk does not understand, in the order in which they are asked.
    pub models: Vec<String>,
    /// Models are given other names for the objects.
    pub hide_names: bool,
    /// How much is said; None: as the user's configuration says.
    pub mode: Option<AskMode>,
}

/// The contract of `devk ask --format json`.
#[derive(Debug, Serialize)]
struct AskDocument<'a> {
    version: u32,
    question: &'a str,
    answer: &'a AskAnswer,
}

/// Answers a question; without one, on a terminal, those of a dialogue.
///
/// # Errors
/// [`Code::AskUnclear`], [`Code::AskName`], [`Code::AskUnread`], [`Code::AskChange`]; [`Code::ClusterUnreachable`]; for a
/// change as [`change::carry_out`].
pub async fn run(context: &Context, options: AskOptions) -> Result<Exit, Errors> {
    if let Some(command) = MemoryCommand::of(&options.words)? {
        let project = context.project()?;
        let mut memory = AskMemory::load(&context.paths, &project.name)?;
        command.run(context, &mut memory)?;
        return Ok(Exit::Ok);
    }
    let text = options.words.join(" ");
    let is_dialogue = text.trim().is_empty();
    if is_dialogue && !std::io::stdin().is_terminal() {
        let message = "there is no question, and no terminal to ask for one";
        return Err(Error::new(Code::Usage, message)
            .hint("devk ask \"what is wrong\"")
            .into());
    }
    let user = UserConfig::load(&context.paths, &Environment::of_process())?;
    let models = AskedModels::of(context, &user, &options)?;
    let project = context.running_project()?;
    let configured = user.ask.mode.as_deref().and_then(AskMode::parse);
    let asking = Asking {
        context,
        asker: asker(context, &project).await?,
        models,
        project: project.name,
        mode: options.mode.or(configured).unwrap_or_default(),
        options,
    };
    match is_dialogue {
        true => asking.dialogue().await,
        false => asking.answer(&text).await,
    }
}

/// Questions about one project.
struct Asking<'a> {
    context: &'a Context,
    asker: Asker,
    models: AskedModels,
    /// Its name.
    project: String,
    mode: AskMode,
    options: AskOptions,
}

async fn asker(context: &Context, project: &Project) -> Result<Asker> {
    let access = pinned(context, project).await?;
    let pods = ProjectPods::of(&access.client, &project.id).await?;
    let forwards = project.forwards.iter().flatten();
    let asked = AskedProject {
        namespace: project.id.clone(),
        namespaces: pods.namespaces().into_iter().map(str::to_owned).collect(),
        releases: project
            .releases
            .iter()
            .map(|release| release.name.clone())
            .chain([project.name.clone()])
            .collect(),
        forwards: forwards
            .filter_map(|forward| Some((forward.name.clone(), forward.service.clone()?)))
            .collect(),
    };
    Ok(Asker {
        client: access.client,
        project: asked,
        cluster: project.cluster.name.clone(),
    })
}

impl Asking<'_> {
    async fn answer(&self, text: &str) -> Result<Exit, Errors> {
        let mut memory = AskMemory::load(&self.context.paths, &self.project)?;
        let RememberedText { text, used } = memory.applied(text);
        let text = text.as_str();
        let reply = match self.asker.reply(text).await {
            Ok(AskReply::Change(PlannedRequest { plan: None, verb })) => Err(unplanned(&verb)),
            reply => reply,
        };
        let reply = match reply {
            Err(unclear) if self.models.may_help(&unclear) => {
                return consult::consult(self, &mut memory, text, unclear).await;
            }
            reply => reply?,
        };
        let AskOptions { approve, yes, .. } = &self.options;
        match reply {
            AskReply::Change(planned) => {
                carry_out(self.context, planned, text, &self.options).await
            }
            AskReply::AskAnswer(_) if approve.is_some() || *yes => {
                let message = "`--approve` and `--yes` are for changes, and this is a question";
                Err(Error::new(Code::Usage, message)
                    .hint(format!("devk ask {}", quote(text)))
                    .into())
            }
            AskReply::AskAnswer(mut answer) => {
                answer.notes.extend(used);
                match self.context.format {
                    Format::Json => ui::json(&AskDocument {
                        version: 1,
                        question: text,
                        answer: &answer,
                    })?,
                    Format::Table => ui::out(&AskReply::AskAnswer(answer).text_in(self.mode))?,
                }
                Ok(Exit::Ok)
            }
        }
    }

    /// Question after question, until Ctrl-C, Ctrl-D or `exit`.
    async fn dialogue(&self) -> Result<Exit, Errors> {
        ui::err("Questions about what runs; `help` shows some, Ctrl-D leaves.\n");
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        loop {
            ui::err(PROMPT);
            let _ = std::io::stderr().flush();
            let line = tokio::select! {
                line = lines.next_line() => line.ok().flatten(),
                _ = tokio::signal::ctrl_c() => None,
            };
            let Some(line) = line else {
                ui::err("\n");
                return Ok(Exit::Ok);
            };
            let text = line.trim();
            match text {
                "" => continue,
                "exit" | "quit" | "bye" => return Ok(Exit::Ok),
                _ => {}
            }
            let answered = tokio::select! {
                answered = self.answer(text) => answered,
                _ = tokio::signal::ctrl_c() => return Ok(Exit::Ok),
            };
            if let Err(errors) = answered {
                let is_lost =
                    |error: &Error| matches!(error.code, Code::OutputClosed | Code::OutputIo);
                if errors.0.iter().any(is_lost) {
                    return Err(errors);
                }
                ui::errors(&errors, self.context.format);
            }
        }
    }
}

/// The plan is previewed and has to be approved, as every plan.
async fn carry_out(
    context: &Context,
    planned: PlannedRequest,
    text: &str,
    options: &AskOptions,
) -> Result<Exit, Errors> {
    let Some(plan) = planned.plan else {
        return Err(unplanned(&planned.verb).into());
    };
    let request = PlanRequest {
        plan,
        again: format!("devk ask {}", quote(text)),
        may_ask: true,
        approve: options.approve.clone(),
        yes: options.yes,
        question: Some(text.to_owned()),
        backend: Some("grammar".to_owned()),
    };
    change::carry_out(context, &request).await
}

fn unplanned(verb: &str) -> Error {
    let message = format!(
        "`{verb}` is a change of which devk makes no plan from these words: nothing was done"
    );
    let hint = "a plan of such steps can be written: docs/change.md; from words come scale, autoscale, restart, roll back, set image, variables and resources, the pods of a Service, a pod, and delete";
    Error::new(Code::AskChange, message).hint(hint)
}
