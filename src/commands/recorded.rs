//! What a command does, in the audit log: the intent before anything is done, the outcome at its end. Here and nowhere
//! else, around every command that changes something.

use std::cell::LazyCell;
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::Context;
use crate::audit::{
    AuditAct, AuditChannel, AuditCluster, AuditIntent, AuditKind, AuditLog, AuditOrigin,
    AuditOutcome, AuditProject, AuditResult, AuditText, AuditedPlan,
};
use crate::cluster::pin;
use crate::config::{self, ClusterConfig, Project};
use crate::environment::Environment;
use crate::error::{Errors, Exit, Result};
use crate::mcp::mask::Mask;
use crate::session::outcome::Outcome;
use crate::ui;

/// What a command line asks devk to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedCommand {
    pub kind: AuditKind,
    /// Its options, as devk writes them.
    pub options: Vec<&'static str>,
    /// Words of the user's own.
    pub words: Vec<String>,
    /// It is about the project of the folder.
    pub of_project: bool,
}

/// What a command has changed, where its arguments do not say it.
#[derive(Debug, Clone, Default)]
pub struct RecordedChanges(Arc<Mutex<Vec<String>>>);

impl RecordedChanges {
    pub(super) fn add(&self, what: impl Into<String>) {
        if let Ok(mut changes) = self.0.lock() {
            changes.push(what.into());
        }
    }

    /// A file or folder that was written.
    pub(super) fn wrote(&self, path: &Path) {
        self.add(format!("wrote {}", path.display()));
    }

    fn take(&self) -> Vec<String> {
        let changes = self
            .0
            .lock()
            .map(|mut changes| std::mem::take(&mut *changes));
        changes.unwrap_or_default()
    }
}

/// A command in the log. Nothing is recorded for one that only looks.
#[derive(Debug)]
pub struct Recording {
    context: Context,
    cluster: Option<ClusterConfig>,
    at_begin: Option<AuditCluster>,
    act: Mutex<Option<AuditAct>>,
    /// What is secret before the command removes where it stands.
    known: Mutex<Mask>,
}

impl Recording {
    /// Records the intent. Where the log cannot be written a person's command goes on, with a warning; what an agent
    /// asks for is refused.
    ///
    /// # Errors
    /// [`crate::error::Code::AuditUnwritable`].
    pub fn begin(context: &Context, command: Option<RecordedCommand>) -> Result<Self> {
        let mut recording = Self {
            context: context.clone(),
            cluster: None,
            at_begin: None,
            act: Mutex::default(),
            known: Mutex::default(),
        };
        let Some(command) = command else {
            return Ok(recording);
        };
        if command.options.contains(&"--delete") {
            recording.known = Mutex::new(recording.mask());
        }
        let origin = AuditOrigin::of(&Environment::of_process());
        let is_needed = matches!(origin.through, AuditChannel::Mcp | AuditChannel::Dashboard);
        let project = command.of_project.then(|| recording.project()).flatten();
        let intent = recording.intent(command, origin, project);
        match AuditLog::of(&context.paths).intent(intent) {
            Ok(act) => recording.act = Mutex::new(Some(act)),
            Err(error) if is_needed => return Err(error),
            Err(error) => ui::warning(&error, context.format),
        }
        Ok(recording)
    }

    /// Records the intent of a change of a project, that of the folder if none is given: its plan as `plan` gives it with
    /// the mask that takes secrets out of its texts. Other than with [`Self::begin`] nothing is changed that cannot be
    /// recorded.
    ///
    /// # Errors
    /// [`crate::error::Code::AuditUnwritable`].
    pub fn begin_change(
        context: &Context,
        project: Option<Project>,
        plan: impl FnOnce(&dyn Fn(&str) -> AuditText) -> AuditedPlan,
    ) -> Result<Self> {
        let mut recording = Self::begin(context, None)?;
        let command = RecordedCommand {
            kind: AuditKind::Change,
            options: vec![],
            words: vec![],
            of_project: true,
        };
        let origin = AuditOrigin::of(&Environment::of_process());
        let project = project.or_else(|| recording.project());
        let mut intent = recording.intent(command, origin, project);
        let mask = recording.mask();
        let masked = |text: &str| AuditText::masked(text, |text| mask.text(text));
        intent.plan = Some(plan(&masked));
        let act = AuditLog::of(&context.paths).intent(intent)?;
        recording.act = Mutex::new(Some(act));
        Ok(recording)
    }

    /// Does the work, and records how it ended.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn around(
        &self,
        work: impl Future<Output = Result<Exit, Errors>>,
    ) -> Result<Exit, Errors> {
        let ended = work.await;
        self.end(|mask| AuditOutcome::of(&ended, mask));
        ended
    }

    /// An `up` has settled, though its command may go on for the day.
    pub fn settled(&self, outcome: &Outcome) {
        let (result, exit) = match outcome.ready {
            true => (AuditResult::Done, Exit::Ok),
            false => (AuditResult::Failed, Exit::Failed),
        };
        self.end(|mask| AuditOutcome {
            exit: Some(exit.number()),
            message: (!outcome.ready).then(|| {
                let failed = format!("{} failed", outcome.failed.join(", "));
                AuditText::masked(&failed, mask)
            }),
            ..AuditOutcome::new(result)
        });
    }

    fn end(&self, outcome: impl FnOnce(&dyn Fn(&str) -> String) -> AuditOutcome) {
        // They are this command's, whether or not it is recorded.
        let changes = self.context.changes.take();
        let act = self.act.lock().ok().and_then(|mut act| act.take());
        let Some(act) = act else {
            return;
        };
        let mask = LazyCell::new(|| {
            let known = self.known.lock();
            let known = known.map(|mut known| std::mem::take(&mut *known));
            self.mask().with_known(known.unwrap_or_default())
        });
        let masked = |text: &str| mask.text(text);
        let mut outcome = outcome(&masked);
        let now = self.cluster.as_ref().map(|cluster| self.identity(cluster));
        outcome.diff = changes
            .into_iter()
            .map(|what| AuditText::masked(&what, masked))
            .collect();
        outcome.cluster = now.filter(|now| Some(now) != self.at_begin.as_ref());
        if let Err(error) = act.outcome(outcome) {
            ui::warning(&error, self.context.format);
        }
    }

    fn intent(
        &mut self,
        command: RecordedCommand,
        origin: AuditOrigin,
        project: Option<Project>,
    ) -> AuditIntent {
        let project = project.map(|project| {
            self.cluster = Some(project.cluster);
            AuditProject {
                name: project.name,
                id: project.id,
                folder: project.root,
            }
        });
        self.at_begin = self.cluster.as_ref().map(|cluster| self.identity(cluster));
        let options = command.options.into_iter().map(AuditText::fixed);
        AuditIntent {
            kind: command.kind,
            origin,
            project,
            cluster: self.at_begin.clone(),
            folder: self.context.source.dir.clone(),
            arguments: options.chain(self.masked(&command.words)).collect(),
            plan: None,
        }
    }

    /// The project of the folder; a mistake in its devk.yaml is told by the command.
    fn project(&self) -> Option<Project> {
        let Context { source, paths, .. } = &self.context;
        let running = config::load_running(source, paths).ok()?;
        Some(self.context.settled(running.project))
    }

    fn identity(&self, cluster: &ClusterConfig) -> AuditCluster {
        let pin = pin::load(&self.context.paths.cluster(&cluster.folder()));
        AuditCluster {
            name: cluster.name.clone(),
            provider: cluster.provider.word().to_owned(),
            // A pin that cannot be read is told by the command that needs it.
            pin: pin.ok().flatten().map(|pin| pin.uid),
        }
    }

    /// Without words of the user's own there is nothing to mask, and an `up` looks for no secrets.
    fn masked(&self, words: &[String]) -> Vec<AuditText> {
        if words.is_empty() {
            return vec![];
        }
        let mask = self.mask();
        let masked = |word: &String| AuditText::masked(word, |text| mask.text(text));
        words.iter().map(masked).collect()
    }

    fn mask(&self) -> Mask {
        let Context { source, paths, .. } = &self.context;
        Mask::of(source, paths, &Environment::of_process())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::AuditQuery;
    use crate::config::{Generator, Source};
    use crate::error::{Code, Error};
    use crate::paths::Paths;
    use crate::release::secrets::Secrets;
    use crate::ui::Format;

    /// What the log has of a command that fails with a secret in its message, after it removed where that stands.
    async fn message(options: Vec<&'static str>) -> String {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::below(dir.path());
        let secrets = paths.project("shop").join("secrets.json");
        std::fs::create_dir_all(secrets.parent().unwrap()).unwrap();
        let mut made = Secrets::load(&secrets).unwrap();
        let secret = made.value("shop", "password", Generator::Hex(32)).unwrap();
        let context = Context {
            source: Source {
                dir: dir.path().to_owned(),
                file: None,
                profile: None,
            },
            format: Format::Json,
            paths: paths.clone(),
            changes: RecordedChanges::default(),
        };
        let command = RecordedCommand {
            kind: AuditKind::Down,
            options,
            words: vec![],
            of_project: false,
        };
        let recording = Recording::begin(&context, Some(command)).unwrap();
        let work = async {
            std::fs::remove_file(&secrets).unwrap();
            let message = format!("the hook printed {secret}");
            Err(Error::new(Code::StateIo, message).into())
        };
        let ended: Result<Exit, Errors> = recording.around(work).await;
        assert!(ended.is_err());
        let found = AuditLog::of(&paths).search(&AuditQuery::default()).unwrap();
        let end = found.entries[0].outcome.as_ref().unwrap();
        end.message.as_ref().unwrap().as_str().to_owned()
    }

    #[tokio::test]
    async fn what_a_removal_takes_with_it_is_masked_in_its_record() {
        assert_eq!(message(vec!["--delete"]).await, "the hook printed [masked]");
        // The secret is known from that file alone.
        assert!(!message(vec![]).await.contains("[masked]"));
    }
}
