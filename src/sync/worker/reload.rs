//! Looks whether the program of the container runs what was saved, often while somebody waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;

use super::Worker;
use super::reading::Read;
use crate::sync::processes::Process;
use crate::sync::program_file::ProgramFile;
use crate::sync::reload::{AtRest, Reload, ReloadCheck};
use crate::sync::reloader::loads_by_itself;
use crate::sync::served_by::ServedBy;
use crate::sync::status::ProgramState;
use crate::sync::stream::{Stream, Trouble};
use crate::sync::watching::Watching;

/// Between two looks while somebody waits.
const RELOAD_CHECK_INTERVAL: Duration = Duration::from_millis(40);
/// The same while nobody waits: a save that the reloader passes over may need a build.
const UNATTENDED_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// A reloader notices a save within this time, those that poll included.
const RELOAD_PATIENCE: Duration = Duration::from_secs(4);
/// The same for files of a kind that the reloader has passed over before.
const SHORT_PATIENCE: Duration = Duration::from_secs(1);
/// Where processes come and go all the time, no two looks are equal, and so many are enough.
const MAX_LOOKS_AT_REST: u32 = 20;

impl Worker {
    /// From now on it is open whether the program runs the derived files that were just put in place, unless it reads
    /// them by itself.
    pub(super) fn follow_reload<'a>(
        &mut self,
        serving: Option<ServedBy>,
        files: impl Iterator<Item = &'a Read>,
        applied: Option<Duration>,
    ) {
        let files = files.map(|read| (read.path.clone(), self.place(&read.item.target)));
        let files: BTreeMap<_, _> = files.collect();
        let program = match serving {
            Some(ServedBy::Reloader(program)) if !loads_by_itself(program) => program,
            _ => return,
        };
        if files.is_empty() {
            return;
        }
        let mut state = self.shared.state();
        let is_passed_over = files
            .keys()
            .all(|path| state.passed_over.contains(&ending(path)));
        let patience = match is_passed_over {
            true => SHORT_PATIENCE,
            false => RELOAD_PATIENCE,
        };
        if let Some(status) = state.containers.get_mut(&self.id) {
            status.program = ProgramState::Behind("the program has not restarted".to_owned());
        }
        drop(state);
        // What an earlier save has not been looked at for is open, too.
        self.open.extend(files);
        self.reload = Some((program, ReloadCheck::new(applied, patience)));
    }

    /// Pends while nothing is open.
    pub(super) async fn reload_is_due(&self, attention: &mut watch::Receiver<usize>) {
        if self.reload.is_none() {
            return std::future::pending().await;
        }
        let attended = async {
            // Without the engine nobody waits.
            if attention.wait_for(|waiting| *waiting > 0).await.is_err() {
                std::future::pending().await
            }
            tokio::time::sleep(RELOAD_CHECK_INTERVAL).await;
        };
        tokio::select! {
            () = attended => {}
            () = tokio::time::sleep(UNATTENDED_CHECK_INTERVAL) => {}
        }
    }

    /// Looks once.
    pub(super) async fn check_reload(&mut self, stream: &mut Stream) -> Result<(), Trouble> {
        let processes = stream.processes().await?;
        let Some((program, check)) = &mut self.reload else {
            return Ok(());
        };
        let program = *program;
        let owner = &self.container.owner;
        let now = AtRest::of(&processes);
        let mut state = self.shared.state();
        let reload = check.judge(state.at_rest.get(owner), processes);
        let endings: BTreeSet<_> = self.open.keys().map(|path| ending(path)).collect();
        match &reload {
            Reload::Restarted => {
                state.at_rest.insert(owner.clone(), now);
                state.passed_over.retain(|ending| !endings.contains(ending));
            }
            Reload::WentOn => state.passed_over.extend(endings),
            Reload::Open(_) | Reload::Broken(_) => {}
        }
        drop(state);
        let told = match reload {
            Reload::Open(why) => ProgramState::Behind(why),
            Reload::Broken(why) => ProgramState::Broken(why),
            Reload::Restarted => ProgramState::Current,
            Reload::WentOn => {
                self.build_what_it_keeps(program);
                ProgramState::Current
            }
        };
        if told == ProgramState::Current {
            self.reload = None;
            self.open.clear();
        }
        self.tell(|status| status.program = told);
        Ok(())
    }

    /// Asks for a build of each open file that the program may go on with in its old content.
    fn build_what_it_keeps(&self, program: &'static str) {
        let unseen = || Watching::of(program, &Process::default(), None);
        let watching = self.watching.clone().unwrap_or_else(unseen);
        for (path, place) in &self.open {
            if let Some(why) = watching.keeps(place, ProgramFile::of(path)) {
                self.shared.rebuild(Some(path.clone()), why);
            }
        }
    }

    /// Whether a look while nothing happens tells something new: what notices saves, or what runs there.
    pub(super) fn is_to_be_looked_at(&self) -> bool {
        let is_known = || {
            self.shared
                .state()
                .at_rest
                .contains_key(&self.container.owner)
        };
        let is_reloader = |serving: ServedBy| !serving.loads_by_itself();
        let is_wanted = || {
            self.reload.is_none()
                && self.looks_at_rest < MAX_LOOKS_AT_REST
                && self.serving.is_some_and(is_reloader)
        };
        self.may_be_starting() || (is_wanted() && !is_known())
    }

    /// Looks at what runs in the container while nothing happens. Two equal looks are the baseline.
    pub(super) async fn look_at_rest(&mut self, stream: &mut Stream) -> Result<(), Trouble> {
        if self.serving.is_none() {
            return self.look(stream).await.map(drop);
        }
        self.looks_at_rest += 1;
        let now = AtRest::of(&stream.processes().await?);
        let before = self.at_rest.replace(now.clone());
        if before.as_ref() == Some(&now) {
            let owner = self.container.owner.clone();
            self.shared.state().at_rest.entry(owner).or_insert(now);
        }
        Ok(())
    }
}

/// The extension, or the name of a file that has none: a reloader goes by that.
pub(super) fn ending(path: &Path) -> String {
    let ending = path.extension().or_else(|| path.file_name());
    ending.unwrap_or_default().to_string_lossy().into_owned()
}
