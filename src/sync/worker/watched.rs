//! Which of the saved paths the reloader of the container does not watch: a build serves those.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::Worker;
use super::reading::Read;
use super::served::{RELOADER_TIMEOUT, WAITING_CHECK_INTERVAL};
use crate::sync::processes::Process;
use crate::sync::rules::Verdict;
use crate::sync::served_by::reloader_of;
use crate::sync::stream::{Stream, Trouble};
use crate::sync::watching::{Inode, WatchLook, Watching, scripts};

/// Of more doubtful paths than this at once none is asked for: a build serves them.
const MAX_DOUBTFUL: usize = 256;

impl Worker {
    /// The paths that the reloader does not notice, with the reason.
    pub(super) async fn unwatched(
        &mut self,
        stream: &mut Stream,
        program: &'static str,
        derived: &[&Read],
    ) -> Result<BTreeMap<PathBuf, String>, Trouble> {
        let watching = match &self.watching {
            Some(watching) => watching.clone(),
            None => self.look_at_reloader(stream, program).await?,
        };
        let placed = derived
            .iter()
            .map(|read| (read.path.clone(), self.place(&read.item.target)));
        let mut doubtful: BTreeMap<_, _> = placed
            .filter(|(_, place)| !watching.presumes(place))
            .collect();
        let until = Instant::now() + RELOADER_TIMEOUT;
        while !doubtful.is_empty() && doubtful.len() <= MAX_DOUBTFUL {
            let above = doubtful.values().flat_map(|place| place.ancestors());
            let asked: BTreeSet<_> = above.map(Path::to_owned).collect();
            let look = stream.watches(&asked).await?;
            doubtful.retain(|_, place| !watching.notices(place, &look));
            // A reloader that has just restarted may be about to watch them again.
            if look.is_without_watches() || Instant::now() >= until {
                break;
            }
            tokio::time::sleep(WAITING_CHECK_INTERVAL).await;
        }
        Ok(doubtful
            .into_keys()
            .map(|path| (path, watching.why()))
            .collect())
    }

    /// Looks at what the reloader watches, and at what runs there; once, if it runs.
    async fn look_at_reloader(
        &mut self,
        stream: &mut Stream,
        program: &'static str,
    ) -> Result<Watching, Trouble> {
        let processes = stream.processes().await?.all;
        let folders = stream.watches(&BTreeSet::new()).await?.folders;
        let is_reloader = |words: &[String]| reloader_of(words) == Some(program);
        let running = processes.iter().find(|process| is_reloader(&process.words));
        let Some(process) = running else {
            // It is yet to start: the next save looks again.
            return Ok(Watching::of(program, &Process::default(), None));
        };
        let folder = folders.get(&process.id).map(PathBuf::as_path);
        let mut watching = Watching::of(program, process, folder);
        let named = processes
            .iter()
            .filter_map(|process| Some(scripts(process, folders.get(&process.id)?)));
        let named: BTreeSet<_> = named.flatten().collect();
        let look = stream.watches(&named).await?;
        watching.made = self.made_at_start(stream, &look).await?;
        if let Some(made) = &watching.made {
            let made = made.display();
            self.tell(|status| {
                let serving = status.serving.take().unwrap_or_default();
                status.serving = Some(format!(
                    "{serving}; a save that it does not watch is a rebuild, since the container made `{made}` at its start"
                ));
            });
        }
        self.watching = Some(watching.clone());
        Ok(watching)
    }

    /// What runs that the container has made since its start, and devk has not brought.
    async fn made_at_start(
        &self,
        stream: &mut Stream,
        look: &WatchLook,
    ) -> Result<Option<PathBuf>, Trouble> {
        let started = self.container.started;
        let is_young = |changed: i64| started > 0 && changed >= started;
        let files = look.found.iter();
        let young = files.filter(|(_, inode)| inode.is_file && is_young(inode.changed));
        let young: Vec<_> = young.map(|(path, inode)| (path.clone(), *inode)).collect();
        if young.is_empty() {
            return Ok(None);
        }
        let names: BTreeSet<_> = young.iter().map(|(path, _)| path.file_name()).collect();
        let mut places = self.shared.places();
        places.retain(|place| names.contains(&place.file_name()));
        // By another way, through a link, it is the same file.
        let brought = stream.watches(&places).await?.found;
        let is_brought = |inode: &Inode| brought.values().any(|other| other.is_same(*inode));
        let mut made = young.into_iter().filter(|(_, inode)| !is_brought(inode));
        Ok(made.next().map(|(path, _)| path))
    }
}

impl crate::sync::engine::Shared {
    /// Where in a container the paths are that the image or a sync has brought there.
    fn places(&self) -> BTreeSet<PathBuf> {
        let rules = &self.settings.rules;
        let place = |path: PathBuf| match rules.verdict(&path) {
            Verdict::Sync(to) => Some(rules.place(to.root, &to.path)),
            Verdict::Rebuild(_) | Verdict::Ignore(_) => None,
        };
        self.proved()
            .into_iter()
            .chain(self.all())
            .filter_map(place)
            .collect()
    }
}
