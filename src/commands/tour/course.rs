//! The steps in their order: ask, wait, look, confirm.

use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio::time::{sleep, timeout};

use super::answers::DemoAnswers;
use super::demo::{API, TourDemo, WEB};
use super::edited::{self, Saved, changed, differences, line_with};
use super::session;
use super::show::{Task, TaskLine, TourEvent, TourStep, show};
use super::stack::{API_TIMEOUT, LOOK_INTERVAL, TourStack};
use super::stage::{Kept, TourNote, TourRecord, TourStage};
use crate::commands::Context;
use crate::config::Project;
use crate::error::{Errors, Result};
use crate::session::settle::Settlement;
use crate::session::status::SessionStatus;

/// A page that does not come in this time is asked `devk settle` about.
const LIVE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a page is asked for whose time is measured.
const PAGE_INTERVAL: Duration = Duration::from_millis(2);

/// One walk through the steps.
pub(super) struct Course<'a> {
    stack: TourStack<'a>,
    demo: &'a TourDemo,
    record: &'a TourRecord,
}

impl<'a> Course<'a> {
    pub(super) fn new(
        context: &'a Context,
        project: &'a Project,
        demo: &'a TourDemo,
        record: &'a TourRecord,
    ) -> Self {
        let stack = TourStack {
            context,
            project,
            answers: DemoAnswers::new(),
        };
        Self {
            stack,
            demo,
            record,
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
        let mut following = session(self.stack.context, self.stack.project).await?;
        let ends = async {
            while following.next().await?.is_some() {}
            Ok::<_, Errors>(())
        };
        tokio::select! {
            done = step => done,
            ended = ends => Err(ended.err().unwrap_or_else(|| self.stack.no_session().into())),
        }
    }

    /// The demo is what the working tree has, so that what is seen later comes from what the user does.
    async fn start(&self) -> Result<TourStage, Errors> {
        let settlement = self.stack.settle(&[]).await?;
        if !settlement.settled {
            return Err(self.stack.not_settled(settlement));
        }
        let before = edited::read(&self.demo.page)?.text;
        Ok(TourStage::Edit { before })
    }

    async fn edit(&self, before: &str) -> Result<TourStage, Errors> {
        let step = TourStep::Edit;
        let page = self.stack.address(WEB).await?;
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
            self.explain(
                step,
                self.stack.settle(&[WEB]).await?,
                before,
                &self.demo.page,
            )?;
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
            if self.stack.answers.get(page).await.as_ref() == Some(&saved.text) {
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
            let settlement = self.stack.settle(&[API]).await?;
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

    /// The step before has told why the API does not run. What was saved since then, perhaps while no tour ran, may mend it.
    async fn mended(&self, before: &str) -> Result<TourStage, Errors> {
        let step = TourStep::Mend;
        let file = &self.demo.program;
        let mut seen = edited::read(file)?.text;
        let line = differences(before, &seen).into_iter().next();
        self.show(&TourEvent::Asks(Task {
            step,
            what: "Put the line back as it was, and save:".to_owned(),
            file: Some(file.clone()),
            line: line.map(|line| TaskLine {
                number: line.line,
                text: line.before,
            }),
            commands: vec![],
        }))?;
        let api = self.stack.address(API).await?;
        let mut watched = None;
        loop {
            let settlement = self.stack.settle(&[API]).await?;
            if settlement.settled {
                // It may have been saved during the look.
                let now = edited::read(file)?;
                watched = watched.or((now.text != seen).then_some(now.at));
                break;
            }
            if watched.is_some() {
                self.explain(step, settlement, before, file)?;
            }
            let saved = changed(file, &seen).await;
            (seen, watched) = (saved.text, Some(saved.at));
        }
        let answers = async {
            while self.stack.answers.get(&api).await.is_none() {
                sleep(PAGE_INTERVAL).await;
            }
        };
        timeout(API_TIMEOUT, answers)
            .await
            .map_err(|_| self.stack.silent(&api))?;
        let ms = watched.map(|at| milliseconds(at, SystemTime::now()));
        let what = format!("{api} answers again: seen live");
        self.show(&TourEvent::Confirms { step, what, ms })?;
        let notes = self.stack.notes(&api).await?;
        let last = notes.iter().map(|note| note.id).max().unwrap_or_default();
        Ok(TourStage::Note { last })
    }

    async fn note(&self, last: i64) -> Result<TourStage, Errors> {
        let step = TourStep::Note;
        let (web, api) = (
            self.stack.address(WEB).await?,
            self.stack.address(API).await?,
        );
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
            let notes = self.stack.answers.notes(&api).await.unwrap_or_default();
            if let Some(note) = notes.into_iter().find(|note| note.id > last) {
                break note;
            }
            sleep(LOOK_INTERVAL).await;
        };
        let status = self.stack.status().await?;
        let status = status.ok_or_else(|| self.stack.no_session())?;
        let database = self.stack.database().await?;
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
            commands: vec![self.stack.typed("down"), self.stack.typed("up -d")],
        }))?;
        self.until_it_is_back(step, kept).await?;
        let api = self.stack.address(API).await?;
        let notes = self.stack.notes(&api).await?;
        let TourNote { id, text } = &kept.note;
        if !notes.contains(&kept.note) {
            return Err(self.stack.lost(&kept.note).into());
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
            let what = match self.stack.status().await? {
                None => "the session has ended".to_owned(),
                Some(status) if is_back(&status) => {
                    let database = self.stack.database().await?;
                    let is_other = |container| !kept.database.contains(container);
                    if !database.is_empty() && database.iter().all(is_other) {
                        return Ok(());
                    }
                    let down = self.stack.typed("down");
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
            line: line_with(text, part).map(|(number, text)| TaskLine { number, text }),
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
        show(self.stack.context.format, event)
    }

    fn end(&self) -> TourEvent {
        let next = ["status", "logs api -f", "down"].map(|command| self.stack.typed(command));
        let own = "devk init        (in a repository of yours; docs/tutorial.md leads through it)";
        let next = next.into_iter().chain([own.to_owned()]).collect();
        TourEvent::Done { next }
    }
}

/// From a save to a moment after it.
fn milliseconds(from: SystemTime, to: SystemTime) -> u64 {
    let time = to.duration_since(from).unwrap_or_default();
    time.as_millis().try_into().unwrap_or(u64::MAX)
}
