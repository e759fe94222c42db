//! Whether the program in the container notices a save, as far as its processes tell.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::Worker;
use super::reading::{Batch, Read};
use crate::sync::served_by::{ServedBy, programs};
use crate::sync::stream::{Stream, Trouble};

/// A start script may take its time before it starts the reloader: for this long after its start a container is looked
/// at again.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// A save waits for a reloader that is yet to start for this long, then a build serves it.
pub(super) const RELOADER_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two looks while a save waits.
pub(super) const WAITING_CHECK_INTERVAL: Duration = Duration::from_millis(100);

impl Worker {
    /// Looks at what runs in the container, unless it is known.
    pub(super) async fn look(&mut self, stream: &mut Stream) -> Result<Option<ServedBy>, Trouble> {
        if self.serving.is_some() {
            return Ok(self.serving);
        }
        let processes = stream.processes().await?.words();
        self.serving = ServedBy::of(&processes);
        let mut state = self.shared.state();
        let owner = &self.container.owner;
        if let Some(serving) = self.serving {
            state.serving.insert(owner.clone(), serving);
        }
        // What runs in another pod of that owner is about to run in this one.
        let serving = self.serving.or_else(|| state.serving.get(owner).copied());
        drop(state);
        let told = serving.map_or_else(|| by_builds(&programs(&processes)), ServedBy::told);
        self.tell(|status| status.serving = Some(told));
        Ok(serving)
    }

    /// Whether what notices saves may be yet to start.
    pub(super) fn may_be_starting(&self) -> bool {
        self.serving.is_none() && !self.is_past_its_start()
    }

    /// Whether the container's command has started all that it starts.
    pub(super) fn is_past_its_start(&self) -> bool {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let started = Duration::from_secs(self.container.started.try_into().unwrap_or(0));
        now >= started + START_TIMEOUT
    }

    /// What notices saves in the container, and the paths of a batch that it does not notice: a build is asked for, and
    /// they stay as they are. A rule of devk.yaml says itself what follows.
    pub(super) async fn unserved(
        &mut self,
        stream: &mut Stream,
        batch: &Batch,
    ) -> Result<(Option<ServedBy>, BTreeSet<PathBuf>), Trouble> {
        let is_derived = |read: &&Read| read.item.rule.is_none();
        let derived: Vec<_> = batch.items.iter().filter(is_derived).collect();
        if derived.is_empty() {
            return Ok((self.serving, BTreeSet::new()));
        }
        let until = Instant::now() + RELOADER_TIMEOUT;
        let mut serving = self.look(stream).await?;
        while serving.is_none() && self.may_be_starting() && Instant::now() < until {
            tokio::time::sleep(WAITING_CHECK_INTERVAL).await;
            serving = self.look(stream).await?;
        }
        let missed = match serving {
            Some(ServedBy::Reloader(program)) => self.unwatched(stream, program, &derived).await?,
            Some(ServedBy::FileServer(program)) => {
                self.not_served(stream, program, &derived).await?
            }
            None => BTreeMap::new(),
        };
        let mut unserved = BTreeSet::new();
        for read in derived {
            let why = match serving {
                Some(_) if missed.contains_key(&read.path) => missed[&read.path].clone(),
                Some(serving) if serving.takes(&self.place(&read.item.target)) => continue,
                Some(ServedBy::FileServer(program)) => {
                    format!("`{program}` reads its settings when it starts")
                }
                _ => NO_RELOADER.to_owned(),
            };
            self.shared.rebuild(Some(read.path.clone()), why);
            unserved.insert(read.path.clone());
        }
        Ok((serving, unserved))
    }
}

/// Why a build serves a save.
pub(in crate::sync) const NO_RELOADER: &str =
    "no known reloader runs in the container; name what follows with `run:`";

fn by_builds(programs: &str) -> String {
    format!(
        "by builds: `{programs}` is no known reloader; `sync:` rules with `run:` in devk.yaml avoid it"
    )
}
