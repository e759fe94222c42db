//! `devk ask`: a question in plain words, answered from what the cluster says now. A request for a change becomes a plan, and
//! `devk change` previews it and asks for an approval; nothing else here writes. What devk does not understand goes to the
//! models that the user has named, if any ([`consult`]).

mod consult;
mod memory;
mod shown;

use std::io::{IsTerminal, Write};

use serde::Serialize;
use tokio::io::{AsyncBufReadExt, BufReader};

use super::change::{self, PlanRequest};
use super::{Context, pinned};
use crate::ask::{
    AskAnswer, AskMemory, AskReply, AskedProject, Asker, PlannedRequest, RememberedText,
};
use crate::config::{AskMode, Project, UserConfig};
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
    /// Ask nothing up to the risk that the user leaves unasked.
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
    let asking = Asking {
        context,
        asker: asker(context, &project).await?,
        models,
        project: project.name,
        mode: options.mode.or(user.ask.mode).unwrap_or_default(),
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
    /// Answers a question, or has a change approved and made.
    async fn answer(&self, said: &str) -> Result<Exit, Errors> {
        let mut memory = AskMemory::load(&self.context.paths, &self.project)?;
        let RememberedText { text, mut used } = memory.applied(said);
        let mut reply = self.reply(&text).await;
        let is_unclear = |error: &Error| error.code == Code::AskUnclear;
        if let (Some(before), true) = (
            memory.answered_as(&text),
            reply.as_ref().is_err_and(is_unclear),
        ) && let Ok(answer @ AskReply::AskAnswer(_)) = self.reply(before).await
        {
            used.push(format!(
                "this was answered as `{before}` before, and is so now"
            ));
            reply = Ok(answer);
            // That it is the last one used is worth a warning, not the answer.
            if let Err(error) = memory.used(&text) {
                ui::warning(&error, self.context.format);
            }
        }
        let AskOptions { approve, yes, .. } = &self.options;
        match reply {
            Ok(AskReply::Change(planned)) => {
                used.iter().for_each(|used| ui::err(&format!("{used}\n")));
                carry_out(self.context, planned, said, &self.options).await
            }
            Ok(_) | Err(_) if approve.is_some() || *yes => {
                let message = "`--approve` and `--yes` are for changes of which devk makes a plan";
                let error = Error::new(Code::Usage, message);
                let error = error.hint(format!("devk ask {}", quote(said)));
                Err(reply.err().unwrap_or(error).into())
            }
            Err(unclear) if self.models.may_help(&unclear) => {
                consult::consult(self, &mut memory, &text, unclear).await
            }
            Err(unclear) => Err(unclear.into()),
            Ok(AskReply::AskAnswer(mut answer)) => {
                answer.notes.extend(used);
                match self.context.format {
                    Format::Json => ui::json(&AskDocument {
                        version: 1,
                        question: said,
                        answer: &answer,
                    })?,
                    Format::Table => ui::out(&AskReply::AskAnswer(answer).text_in(self.mode))?,
                }
                Ok(Exit::Ok)
            }
        }
    }

    async fn reply(&self, text: &str) -> Result<AskReply> {
        match self.asker.reply(text).await {
            Ok(AskReply::Change(PlannedRequest { plan: None, verb })) => Err(unplanned(&verb)),
            reply => reply,
        }
    }

    /// Question after question, until Ctrl-D or `exit`. Ctrl-C ends the process, as it ends every command.
    async fn dialogue(&self) -> Result<Exit, Errors> {
        ui::err("Questions about what runs; `help` shows some, Ctrl-D leaves.\n");
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        loop {
            ui::err(PROMPT);
            let _ = std::io::stderr().flush();
            let line = lines.next_line().await.ok().flatten();
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
            let answered = self.answer(text).await;
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
