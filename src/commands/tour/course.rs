//! The steps in their order: ask, wait, look, confirm.

use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio::time::{sleep, timeout};

use super::answers::DemoAnswers;
use super::demo::{API, DATABASE, TourDemo, WEB};
use super::edited::{self, Saved, changed, differences, line_with};
use super::show::{Task, TourEvent, TourStep, show};
use super::stage::{Kept, TourNote, TourRecord, TourStage};
use super::{session, typed};
use crate::commands::service::selector;
use crate::commands::settle::settlement;
use crate::commands::{Context, no_session, pinned};
use crate::config::Project;
use crate::daemon::client;
use crate::error::{Code, Error, Errors, Result};
use crate::release::project_pods::ProjectPods;
use crate::session::settle::{SettleScope, Settlement};
use crate::session::status::SessionStatus;

/// A page that does not come in this time is asked `devk settle` about.
const LIVE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the demo may take to be what was saved.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(90);
/// How long an API that is Ready may take to answer.
const API_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a page is asked for whose time is measured.
const PAGE_INTERVAL: Duration = Duration::from_millis(2);
/// How often the tour looks for what people do.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// One walk through the steps.
pub(super) struct Course<'a> {
    context: &'a Context,
    project: &'a Project,
    demo: &'a TourDemo,
    record: &'a TourRecord,
    answers: DemoAnswers,
}

impl<'a> Course<'a> {
    pub(super) fn new(
        context: &'a Context,
        project: &'a Project,
        demo: &'a TourDemo,
        record: &'a TourRecord,
    ) -> Self {
        Self {
            context,
            project,
            demo,
            record,
            answers: DemoAnswers::new(),
        }
    }

    /// Until the last step is confirmed.
    pub(super) async fn walk(&self) -> Result<(), Errors> {
        let mut stage = self.record.read()?;
        loop {
            let next = match &stage {
                Some(TourStage::Return(kept)) => {
                    self.returned(kept).await?;
                    self.record.remove()?;
                    return Ok(self.show(&self.end())?);
                }
                stage => self.while_it_runs(self.next(stage.as_ref())).await?,
            };
            self.record.write(&next)?;
            stage = Some(next);
        }
    }

    async fn next(&self, stage: Option<&TourStage>) -> Result<TourStage, Errors> {
        match stage {
            Some(TourStage::Edit { before }) => self.edit(before).await,
            Some(TourStage::Break { before }) => self.broken(before).await,
            Some(TourStage::Mend { before }) => self.mended(before).await,
            Some(TourStage::Note { last }) => self.note(*last).await,
            None | Some(TourStage::Return(_)) => self.start().await,
        }
    }

    /// All steps but the last need a session that runs.
    async fn while_it_runs<T>(
        &self,
        step: impl Future<Output = Result<T, Errors>>,
    ) -> Result<T, Errors> {
        let mut following = session(self.context, self.project).await?;
        let ends = async {
            while following.next().await?.is_some() {}
            Ok::<_, Errors>(())
        };
        tokio::select! {
            done = step => done,
            ended = ends => Err(ended.err().unwrap_or_else(|| self.no_session().into())),
        }
    }

    /// The demo is what the working tree has, so that what is seen later comes from what the user does.
    async fn start(&self) -> Result<TourStage, Errors> {
        let settlement = self.settle(&[]).await?;
        if !settlement.settled {
            return Err(self.not_settled(settlement));
        }
        let before = edited::read(&self.demo.page)?.text;
        Ok(TourStage::Edit { before })
    }

    async fn edit(&self, before: &str) -> Result<TourStage, Errors> {
        let step = TourStep::Edit;
        let page = self.address(WEB).await?;
        let now = edited::read(&self.demo.page)?;
        let was_saved = now.text != before;
        let mut saved = match was_saved {
            true => now,
            false => {
                let what = format!(
                    "Open {page} in a browser. Then change the words of this line and save the file:"
                );
                self.ask_to_edit(step, what, &self.demo.page, &now.text, "<h1>")?;
                changed(&self.demo.page, before).await
            }
        };
        let at = loop {
            let served = self.served(&page, before, &mut saved);
            if let Ok(at) = timeout(LIVE_TIMEOUT, served).await {
                break at;
            }
            self.explain(step, self.settle(&[WEB]).await?, before, &self.demo.page)?;
            saved = changed(&self.demo.page, &saved.text).await;
        };
        let ms = (!was_saved).then(|| milliseconds(saved.at, at));
        let what = match was_saved {
            true => format!("{page} gives the text that was saved before this look"),
            false => format!("{page} gives the saved text: seen live"),
        };
        self.show(&TourEvent::Confirms { step, what, ms })?;
        let before = edited::read(&self.demo.program)?.text;
        Ok(TourStage::Break { before })
    }

    /// Waits until the page is byte for byte the saved one; a newer save counts instead.
    async fn served(&self, page: &str, before: &str, saved: &mut Saved) -> SystemTime {
        loop {
            match edited::read(&self.demo.page) {
                Ok(now) if now.text == before => *saved = changed(&self.demo.page, before).await,
                Ok(now) if now.text != saved.text => *saved = now,
                _ => {}
            }
            if self.answers.get(page).await.as_ref() == Some(&saved.text) {
                return SystemTime::now();
            }
            sleep(PAGE_INTERVAL).await;
        }
    }

    async fn broken(&self, before: &str) -> Result<TourStage, Errors> {
        let step = TourStep::Break;
        let file = &self.demo.program;
        let what =
            "Break the API: take the last quote from this line, for example, and save the file:";
        self.ask_to_edit(step, what.to_owned(), file, before, "VERSION =")?;
        let mut seen = before.to_owned();
        loop {
            seen = changed(file, &seen).await.text;
            let settlement = self.settle(&[API]).await?;
            if !settlement.failures.is_empty() {
                self.explain(step, settlement, before, file)?;
                let what = "that is what `devk settle` says, and what an agent reads".to_owned();
                self.show(&TourEvent::Confirms {
                    step,
                    what,
                    ms: None,
                })?;
                let before = before.to_owned();
                return Ok(TourStage::Mend { before });
            }
            let what = "the API runs with that save, too; take away the quote".to_owned();
            self.show(&TourEvent::Sees { step, what })?;
        }
    }

    async fn mended(&self, before: &str) -> Result<TourStage, Errors> {
        let step = TourStep::Mend;
        let file = &self.demo.program;
        let now = edited::read(file)?;
        let what = "Put the line back as it was, and save:".to_owned();
        let line = differences(before, &now.text).into_iter().next();
        self.show(&TourEvent::Asks(Task {
            step,
            what,
            file: Some(file.clone()),
            line: line.map(|line| (line.line, line.before)),
            commands: vec![],
        }))?;
        let api = self.address(API).await?;
        let mut watched = None;
        let mut seen = now.text;
        // What is saved already when the tour goes on may be whole.
        if seen != before {
            let saved = changed(file, &seen).await;
            (seen, watched) = (saved.text, Some(saved.at));
        }
        loop {
            let settlement = self.settle(&[API]).await?;
            if settlement.settled {
                break;
            }
            self.explain(step, settlement, before, file)?;
            let saved = changed(file, &seen).await;
            (seen, watched) = (saved.text, Some(saved.at));
        }
        let answers = async {
            while self.answers.get(&api).await.is_none() {
                sleep(PAGE_INTERVAL).await;
            }
        };
        timeout(API_TIMEOUT, answers)
            .await
            .map_err(|_| self.silent(&api))?;
        let ms = watched.map(|at| milliseconds(at, SystemTime::now()));
        let what = format!("{api} answers again: seen live");
        self.show(&TourEvent::Confirms { step, what, ms })?;
        let notes = self.notes(&api).await?;
        let last = notes.iter().map(|note| note.id).max().unwrap_or_default();
        Ok(TourStage::Note { last })
    }

    async fn note(&self, last: i64) -> Result<TourStage, Errors> {
        let step = TourStep::Note;
        let (web, api) = (self.address(WEB).await?, self.address(API).await?);
        self.show(&TourEvent::Asks(Task {
            step,
            what: format!("Write a note on {web}, or in another terminal:"),
            file: None,
            line: None,
            commands: vec![format!(
                "curl -s -H 'content-type: application/json' -d '{{\"text\": \"from before\"}}' {api}/notes"
            )],
        }))?;
        let note = loop {
            let notes = self.answers.notes(&api).await.unwrap_or_default();
            if let Some(note) = notes.into_iter().find(|note| note.id > last) {
                break note;
            }
            sleep(LOOK_INTERVAL).await;
        };
        let status = client::status(&self.context.paths, &self.project.id).await?;
        let status = status.ok_or_else(|| self.no_session())?;
        let database = self.database().await?;
        let what = format!(
            "the API reads note {} from the database: {}",
            note.id, note.text
        );
        self.show(&TourEvent::Confirms {
            step,
            what,
            ms: None,
        })?;
        Ok(TourStage::Return(Kept {
            note,
            session: status.pid,
            database,
        }))
    }

    /// Waits for the end of the stack and for its return, and reads the note.
    async fn returned(&self, kept: &Kept) -> Result<(), Errors> {
        let step = TourStep::Return;
        self.show(&TourEvent::Asks(Task {
            step,
            what: "Stop the demo and start it again, in another terminal:".to_owned(),
            file: None,
            line: None,
            commands: vec![typed(self.context, "down"), typed(self.context, "up -d")],
        }))?;
        self.until_it_is_back(step, kept).await?;
        let api = self.address(API).await?;
        let notes = self.notes(&api).await?;
        let TourNote { id, text } = &kept.note;
        if !notes.contains(&kept.note) {
            return Err(self.lost(&kept.note).into());
        }
        let what = format!("the database runs in a new container, and note {id} is there: {text}");
        Ok(self.show(&TourEvent::Confirms {
            step,
            what,
            ms: None,
        })?)
    }

    /// Until another session is ready, and the database was stopped in between.
    async fn until_it_is_back(&self, step: TourStep, kept: &Kept) -> Result<(), Errors> {
        let mut said = String::new();
        let is_back = |status: &SessionStatus| {
            let outcome = status.outcome.as_ref();
            status.pid != kept.session
                && !status.busy
                && outcome.is_some_and(|outcome| outcome.ready)
        };
        loop {
            let what = match client::status(&self.context.paths, &self.project.id).await? {
                None => "the session has ended".to_owned(),
                Some(status) if is_back(&status) => {
                    let database = self.database().await?;
                    let is_other = |container| !kept.database.contains(container);
                    if !database.is_empty() && database.iter().all(is_other) {
                        return Ok(());
                    }
                    let down = typed(self.context, "down");
                    format!("another session runs, but the database was not stopped: {down}")
                }
                Some(_) => String::new(),
            };
            if !what.is_empty() && what != said {
                self.show(&TourEvent::Sees {
                    step,
                    what: what.clone(),
                })?;
                said = what;
            }
            sleep(LOOK_INTERVAL).await;
        }
    }

    /// The containers of the database: others after a stop, whether its pod was kept or not.
    async fn database(&self) -> Result<Vec<String>> {
        let client = pinned(self.context, self.project).await?.client;
        let selected = selector(&client, self.project, DATABASE).await?;
        let of_project = ProjectPods::of(&client, &self.project.id).await?;
        let pods = of_project.list(&client, Some(&selected)).await?;
        let containers = pods
            .into_iter()
            .filter_map(|pod| pod.status?.container_statuses);
        Ok(containers
            .flatten()
            .filter_map(|container| container.container_id)
            .collect())
    }

    async fn notes(&self, api: &str) -> Result<Vec<TourNote>> {
        let notes = async {
            loop {
                match self.answers.notes(api).await {
                    Some(notes) => return notes,
                    None => sleep(LOOK_INTERVAL).await,
                }
            }
        };
        timeout(API_TIMEOUT, notes)
            .await
            .map_err(|_| self.silent(api))
    }

    async fn settle(&self, images: &[&str]) -> Result<Settlement, Errors> {
        let scope = SettleScope {
            images: images.iter().map(|image| (*image).to_owned()).collect(),
            ..SettleScope::default()
        };
        settlement(self.context, self.project, scope, SETTLE_TIMEOUT).await
    }

    /// The URL of a forward of the session.
    async fn address(&self, name: &str) -> Result<String, Errors> {
        let status = client::status(&self.context.paths, &self.project.id).await?;
        let status = status.ok_or_else(|| self.no_session())?;
        let found = status
            .forwards
            .iter()
            .find(|held| held.forward.name == name);
        let closed = || {
            let message = format!("the forward `{name}` is not open");
            Error::new(Code::ForwardTarget, message).hint(typed(self.context, "ports"))
        };
        Ok(found.ok_or_else(closed)?.forward.url.clone())
    }

    fn ask_to_edit(
        &self,
        step: TourStep,
        what: String,
        file: &Path,
        text: &str,
        part: &str,
    ) -> Result<()> {
        self.show(&TourEvent::Asks(Task {
            step,
            what,
            file: Some(file.to_owned()),
            line: line_with(text, part),
            commands: vec![],
        }))
    }

    /// Why a save is not live, and what the user changed.
    fn explain(
        &self,
        step: TourStep,
        settlement: Settlement,
        before: &str,
        file: &Path,
    ) -> Result<()> {
        for open in &settlement.waiting_for {
            let what = format!("waits for: {open}");
            self.show(&TourEvent::Sees { step, what })?;
        }
        let now = edited::read(file)?.text;
        self.show(&TourEvent::Explains {
            step,
            failures: settlement.failures,
            differences: differences(before, &now),
        })
    }

    fn show(&self, event: &TourEvent) -> Result<()> {
        show(self.context.format, event)
    }

    fn end(&self) -> TourEvent {
        let next = ["status", "logs api -f", "down"].map(|command| typed(self.context, command));
        let own = "devk init        (in a repository of yours; docs/tutorial.md leads through it)";
        let next = next.into_iter().chain([own.to_owned()]).collect();
        TourEvent::Done { next }
    }

    fn no_session(&self) -> Error {
        no_session(&self.project.name).hint(typed(self.context, "up -d"))
    }

    fn not_settled(&self, settlement: Settlement) -> Errors {
        let failures = settlement.failures.into_iter().map(|failure| failure.error);
        let failures: Vec<_> = failures.collect();
        if !failures.is_empty() {
            return Errors(failures);
        }
        let message = format!("`{}` is not up yet", self.project.name);
        let error = Error::new(Code::NotLive, message).evidence(settlement.waiting_for.join("\n"));
        error.hint(typed(self.context, "up -d")).into()
    }

    fn silent(&self, address: &str) -> Error {
        let message = format!("{address} does not answer");
        Error::new(Code::ForwardNoPod, message).hint(typed(self.context, "status"))
    }

    fn lost(&self, note: &TourNote) -> Error {
        let message = format!(
            "note {} from before `devk down` is not there: {}",
            note.id, note.text
        );
        Error::new(Code::TourNote, message)
            .evidence("`devk down --delete` removes the data, `devk down` keeps it")
            .hint(typed(self.context, "tour --restart"))
    }
}

/// From a save to a moment after it.
fn milliseconds(from: SystemTime, to: SystemTime) -> u64 {
    let time = to.duration_since(from).unwrap_or_default();
    time.as_millis().try_into().unwrap_or(u64::MAX)
}
