//! Which of the saved paths the reloader of the container does not watch: a build serves those.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::Worker;
use super::reading::Read;
use super::reload::ending;
use super::served::{RELOADER_TIMEOUT, WAITING_CHECK_INTERVAL};
use crate::sync::beside::beside_reloaders;
use crate::sync::processes::Process;
use crate::sync::program_file::ProgramFile;
use crate::sync::rules::Verdict;
use crate::sync::served_by::{ServedBy, programs, reloader_of};
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
            Some(watching) if watching.is_final => watching.clone(),
            _ => self.look_at_reloader(stream, program).await?,
        };
        let mut missed = BTreeMap::new();
        let mut doubtful = BTreeMap::new();
        for read in derived {
            let place = self.place(&read.item.target);
            let kind = ProgramFile::of(&read.path);
            let is_passed_over = self
                .shared
                .state()
                .passed_over
                .contains(&ending(&read.path));
            let why = || watching.misses(&place, kind, is_passed_over);
            if let Some(why) = read.is_file().then(why).flatten() {
                missed.insert(read.path.clone(), why);
            } else if !watching.presumes(&place) {
                doubtful.insert(read.path.clone(), place);
            }
        }
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
        missed.extend(doubtful.into_keys().map(|path| (path, watching.why())));
        Ok(missed)
    }

    /// Looks at what the reloader watches, and at what runs there; once, if it runs, and again while the container may
    /// start more and has other processes than at the last look.
    async fn look_at_reloader(
        &mut self,
        stream: &mut Stream,
        program: &'static str,
    ) -> Result<Watching, Trouble> {
        let processes = stream.processes().await?.all;
        let is_final = self.is_past_its_start();
        let seen = processes
            .iter()
            .map(|process| (process.id, process.words.clone()));
        let seen: BTreeMap<_, _> = seen.collect();
        if let Some(known) = self.watching.as_mut().filter(|known| known.seen == seen) {
            known.is_final = is_final;
            return Ok(known.clone());
        }
        let folders = stream.watches(&BTreeSet::new()).await?.folders;
        let is_reloader = |words: &[String]| reloader_of(words) == Some(program);
        let running = processes.iter().find(|process| is_reloader(&process.words));
        let Some(process) = running else {
            // It is yet to start: the next save looks again.
            return Ok(Watching::of(program, &Process::default(), None));
        };
        let folder = folders.get(&process.id).map(PathBuf::as_path);
        let mut watching = Watching::of(program, process, folder);
        let scripts_of = |process: &Process| {
            folders
                .get(&process.id)
                .map(|folder| scripts(process, folder))
        };
        let named: BTreeSet<_> = processes.iter().filter_map(scripts_of).flatten().collect();
        let look = stream.watches(&named).await?;
        let brought = self.brought(stream, &look).await?;
        watching.made = self.made_at_start(&look, &brought);
        let brought_of = |process: &Process| {
            let scripts = scripts_of(process).unwrap_or_default();
            scripts
                .into_iter()
                .filter(|path| brought.contains(path))
                .collect()
        };
        let beside = beside_reloaders(&processes, brought_of);
        watching.beside = beside.map(|process| programs(std::slice::from_ref(&process.words)));
        watching.running = brought;
        (watching.seen, watching.is_final) = (seen, is_final);
        self.tell_unwatched(&watching);
        self.watching = Some(watching.clone());
        Ok(watching)
    }

    /// Tells for `devk status` which saves no reloader serves.
    fn tell_unwatched(&self, watching: &Watching) {
        let made = watching.made.as_ref().map(|made| {
            format!(
                "a save that it does not watch is a rebuild, since the container made `{}` at its start",
                made.display()
            )
        });
        let beside = watching.beside.as_ref().map(|beside| {
            format!("a save of anything but pages is a rebuild, since `{beside}`, which runs there too, does not reload")
        });
        let serving = self.serving.map(ServedBy::told);
        let told: Vec<_> = serving.into_iter().chain(made).chain(beside).collect();
        self.tell(|status| status.serving = Some(told.join("; ")));
    }

    /// Those of the files that the image or a sync has brought.
    async fn brought(
        &self,
        stream: &mut Stream,
        look: &WatchLook,
    ) -> Result<BTreeSet<PathBuf>, Trouble> {
        let files = look.found.iter().filter(|(_, inode)| inode.is_file);
        let names: BTreeSet<_> = files.clone().map(|(path, _)| path.file_name()).collect();
        let mut places = self.shared.places();
        places.retain(|place| names.contains(&place.file_name()));
        // By another way, through a link, it is the same file.
        let known = stream.watches(&places).await?.found;
        let is_known = |inode: &Inode| known.values().any(|other| other.is_same(*inode));
        let brought = files.filter(|(_, inode)| is_known(inode));
        Ok(brought.map(|(path, _)| path.clone()).collect())
    }

    /// What runs that the container has made since its start, and devk has not brought.
    fn made_at_start(&self, look: &WatchLook, brought: &BTreeSet<PathBuf>) -> Option<PathBuf> {
        let started = self.container.started;
        let is_young = |inode: &Inode| inode.is_file && started > 0 && inode.changed >= started;
        let mut made = look
            .found
            .iter()
            .filter(|(path, inode)| is_young(inode) && !brought.contains(*path));
        made.next().map(|(path, _)| path.clone())
    }
}

impl crate::sync::engine::Shared {
    /// Where in a container the paths are that the image or a sync has brought there.
    pub(super) fn places(&self) -> BTreeSet<PathBuf> {
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
