//! Which of the saved paths the file server of the container does not read where they are: a build serves those.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::Worker;
use super::reading::Read;
use super::served::{RELOADER_TIMEOUT, WAITING_CHECK_INTERVAL};
use crate::sync::served_folders::ServedFolders;
use crate::sync::stream::{Stream, Trouble};

/// So many files of a folder tell whether what is in it is copied: a new one has no copy yet.
const MAX_SIBLINGS: usize = 8;

impl Worker {
    /// The paths that do not reach a page, with the reason.
    pub(super) async fn not_served(
        &mut self,
        stream: &mut Stream,
        program: &'static str,
        derived: &[&Read],
    ) -> Result<BTreeMap<PathBuf, String>, Trouble> {
        let Some(served) = self.look_at_server(stream).await? else {
            return Ok(BTreeMap::new());
        };
        let brought = self.shared.places();
        let mut missed = BTreeMap::new();
        for read in derived {
            let place = self.place(&read.item.target);
            let folder = place.parent().unwrap_or(&place).to_owned();
            if served.names(&place) || self.read_folders.contains(&folder) {
                continue;
            }
            let siblings = brought
                .iter()
                .filter(|other| other.parent() == Some(&folder));
            let files = std::iter::once(&place).chain(siblings.take(MAX_SIBLINGS));
            let files: Vec<_> = files.map(PathBuf::as_path).collect();
            let asked: BTreeSet<_> = files.iter().flat_map(|file| served.asked(file)).collect();
            let look = stream.watches(&asked).await?;
            let started = self.container.started;
            let why = |file: &&Path| served.misses(program, file, &look, &brought, started);
            match files.iter().find_map(why) {
                Some(why) => {
                    self.tell(|status| status.serving = Some(format!("by builds: {why}")));
                    missed.insert(read.path.clone(), why);
                }
                None if self.is_past_its_start() => {
                    self.read_folders.insert(folder);
                }
                None => {}
            }
        }
        Ok(missed)
    }

    /// Looks at what the servers serve; once, if they run and the container has started all that it starts. A server
    /// that is yet to start is waited for.
    async fn look_at_server(
        &mut self,
        stream: &mut Stream,
    ) -> Result<Option<ServedFolders>, Trouble> {
        if self.served.is_some() {
            return Ok(self.served.clone());
        }
        let until = Instant::now() + RELOADER_TIMEOUT;
        loop {
            let processes = stream.processes().await?.all;
            let folders = stream.watches(&BTreeSet::new()).await?.folders;
            let mounts = self.container.mounts.iter();
            let mounts = mounts.map(|mount| mount.path.as_str());
            let served = ServedFolders::of(&processes, &folders, mounts);
            let is_final = self.is_past_its_start();
            if served.is_some() || is_final || Instant::now() >= until {
                self.served = served.clone().filter(|_| is_final);
                return Ok(served);
            }
            tokio::time::sleep(WAITING_CHECK_INTERVAL).await;
        }
    }
}
