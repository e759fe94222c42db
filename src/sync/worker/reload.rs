//! Looks, while somebody waits for it, whether the program of the container runs what was saved.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::Worker;
use crate::sync::reload::{AtRest, Reload, ReloadCheck};
use crate::sync::served_by::ServedBy;
use crate::sync::status::ProgramState;
use crate::sync::stream::{Stream, Trouble};

/// Between two looks while somebody waits.
const RELOAD_CHECK_INTERVAL: Duration = Duration::from_millis(40);
/// A reloader notices a save within this time, those that poll included.
const RELOAD_PATIENCE: Duration = Duration::from_secs(4);
/// The same for files of a kind that the reloader has passed over before.
const SHORT_PATIENCE: Duration = Duration::from_secs(1);
/// Where processes come and go all the time, no two looks are equal, and so many are enough.
const MAX_LOOKS_AT_REST: u32 = 20;

impl Worker {
    /// From now on it is open whether the program runs the derived paths that were just put in place, unless it reads
    /// them by itself.
    pub(super) fn follow_reload<'a>(
        &mut self,
        serving: Option<ServedBy>,
        paths: impl Iterator<Item = &'a Path>,
        applied: Instant,
    ) {
        let kinds: Vec<_> = paths.map(kind).collect();
        if kinds.is_empty() || serving.is_none_or(ServedBy::loads_by_itself) {
            return;
        }
        let mut state = self.shared.state();
        let is_passed_over = kinds.iter().all(|kind| state.passed_over.contains(kind));
        let patience = match is_passed_over {
            true => SHORT_PATIENCE,
            false => RELOAD_PATIENCE,
        };
        // What an earlier save has not been looked at for is open, too.
        self.kinds.extend(kinds);
        self.reload = Some(ReloadCheck::new(applied, patience));
        if let Some(status) = state.containers.get_mut(&self.id) {
            status.program = ProgramState::Behind("the program has not restarted".to_owned());
        }
    }

    /// Pends while nothing is open or nobody waits for it.
    pub(super) async fn reload_is_due(&self, attention: &mut watch::Receiver<usize>) {
        if self.reload.is_none() || attention.wait_for(|waiting| *waiting > 0).await.is_err() {
            return std::future::pending().await;
        }
        tokio::time::sleep(RELOAD_CHECK_INTERVAL).await;
    }

    /// Looks once.
    pub(super) async fn check_reload(&mut self, stream: &mut Stream) -> Result<(), Trouble> {
        let asked = Instant::now();
        let processes = stream.processes().await?;
        let Some(check) = &mut self.reload else {
            return Ok(());
        };
        let mut state = self.shared.state();
        let owner = &self.container.owner;
        let now = AtRest::of(&processes);
        let reload = check.judge(state.at_rest.get(owner), processes, asked);
        let program = match reload {
            Reload::Open(why) => ProgramState::Behind(why),
            Reload::Broken(why) => ProgramState::Broken(why),
            Reload::Restarted => {
                state.at_rest.insert(owner.clone(), now);
                state.passed_over.retain(|kind| !self.kinds.contains(kind));
                ProgramState::Current
            }
            Reload::WentOn => {
                state.passed_over.append(&mut self.kinds);
                ProgramState::Current
            }
        };
        drop(state);
        if program == ProgramState::Current {
            self.reload = None;
            self.kinds.clear();
        }
        self.tell(|status| status.program = program);
        Ok(())
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
fn kind(path: &Path) -> String {
    let kind = path.extension().or_else(|| path.file_name());
    kind.unwrap_or_default().to_string_lossy().into_owned()
}
