//! Whether the reloader of a container watches a saved path, and whether it runs what the image brought. Pure.
//!
//! A reloader that runs is not enough. One that watches its folder alone never sees a library beside that folder, and a
//! program that the container makes at its start (an entrypoint that copies, a compiler before the program) goes on with
//! what was made, whatever is saved. The processes, their folders and their inotify watches tell (proc_pid_fdinfo(5)).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::processes::Process;
use super::program_file::ProgramFile;
use super::reloader::{is_server_setting, loads_by_itself, passes_over_data, watches_folders};

/// Words that name what a reloader watches, instead of its working folder.
const NARROWING: [&str; 7] = [
    "--reload-dir",
    "--watch",
    "-w",
    "--watch-path",
    "-d",
    "--directory",
    "--filter",
];

/// Words that may name what a process runs.
const MAX_SCRIPT_WORDS: usize = 8;

/// Packages that were installed; what runs there is a tool.
const INSTALLED: [&str; 2] = ["node_modules", "site-packages"];

/// What a look at the watches of a container found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct WatchLook {
    /// The working folders of the processes, by their ids.
    pub(super) folders: BTreeMap<u32, PathBuf>,
    /// The inodes that something watches by inotify.
    watched: BTreeSet<u64>,
    /// The paths that were asked for and are there.
    pub(super) found: BTreeMap<PathBuf, Inode>,
}

/// A path of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Inode {
    number: u64,
    pub(super) is_file: bool,
    /// When it was made or changed last, in seconds since 1970.
    pub(super) changed: i64,
}

impl Inode {
    pub(super) fn is_same(self, other: Self) -> bool {
        self.number == other.number
    }
}

impl WatchLook {
    /// Takes a line in. Another program of the container may print what is none of these.
    pub(super) fn read(&mut self, line: &str) {
        if let Some(inode) = line.strip_prefix("watch ") {
            self.watched.extend(u64::from_str_radix(inode, 16).ok());
        } else if let Some((id, folder)) = line
            .strip_prefix("cwd ")
            .and_then(|rest| rest.split_once(' '))
        {
            let known = id.parse().ok().filter(|_| !folder.is_empty());
            self.folders.extend(known.map(|id| (id, folder.into())));
        } else if let Some(rest) = line.strip_prefix("at ") {
            self.found.extend(found(rest));
        }
    }

    /// Nothing in the container is told of changes: what reloads there looks at the files by the clock.
    pub(super) fn is_without_watches(&self) -> bool {
        self.watched.is_empty()
    }

    /// Whether something watches a path: itself, or the nearest folder above that is there.
    fn watches(&self, place: &Path) -> bool {
        let is_watched = |path: &Path| {
            let inode = self.found.get(path)?;
            Some(self.watched.contains(&inode.number))
        };
        let mut above = place.ancestors().skip(1);
        is_watched(place).unwrap_or(false) || above.find_map(is_watched).unwrap_or(false)
    }
}

/// `f INODE SECONDS PATH`, or `d` for what is no file.
fn found(rest: &str) -> Option<(PathBuf, Inode)> {
    let mut fields = rest.splitn(4, ' ');
    let is_file = fields.next()? == "f";
    let number = fields.next()?.parse().ok()?;
    let changed = fields.next()?.parse().ok()?;
    let inode = Inode {
        number,
        is_file,
        changed,
    };
    Some((fields.next()?.into(), inode))
}

/// The files that a process may run, by its words, seen from its working folder: scripts, and modules of Python.
pub(super) fn scripts(process: &Process, folder: &Path) -> Vec<PathBuf> {
    let words = process
        .words
        .iter()
        .flat_map(|word| word.split_whitespace());
    let named = words.skip(1).take(MAX_SCRIPT_WORDS);
    let named = named.filter(|word| !word.starts_with('-'));
    let mut found = vec![];
    for word in named {
        found.push(folder.join(word));
        // `app.worker` of `app.worker.celery` is the module, or a package.
        let mut module = Some(word.split(':').next().unwrap_or_default());
        while let Some(name) = module {
            let path = name.replace('.', "/");
            found.push(folder.join(format!("{path}.py")));
            found.push(folder.join(path).join("__init__.py"));
            module = name.rsplit_once('.').map(|(above, _)| above);
        }
    }
    let is_installed = |path: &PathBuf| {
        path.iter()
            .any(|part| INSTALLED.iter().any(|name| part == *name))
    };
    found.retain(|path| !is_installed(path));
    found
}

/// What is known of the reloader that runs in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Watching {
    pub(super) program: &'static str,
    /// Its working folder; None if devk may not see it.
    pub(super) folder: Option<PathBuf>,
    /// It watches the folders that its words name, and no others.
    is_narrowed: bool,
    /// The folders that its words name for it to watch.
    named: Vec<PathBuf>,
    /// It watches folders, and not the files that the program has loaded, wherever they are.
    by_folder: bool,
    /// What runs is a file that the container has made since its start.
    pub(super) made: Option<PathBuf>,
    /// The words of a program that runs saved files too, and that nothing starts again.
    pub(super) beside: Option<String>,
    /// The files among the saved ones that processes run.
    pub(super) running: BTreeSet<PathBuf>,
    /// The words of all processes, by their ids, that were there then.
    pub(super) seen: BTreeMap<u32, Vec<String>>,
    /// The container had started all that it starts.
    pub(super) is_final: bool,
}

impl Watching {
    pub(super) fn of(program: &'static str, process: &Process, folder: Option<&Path>) -> Self {
        let words: Vec<_> = process.words.iter().map(String::as_str).collect();
        let name = |word: &str| word.split('=').next().unwrap_or_default().to_owned();
        let is_narrowed = words
            .iter()
            .any(|word| NARROWING.contains(&name(word).as_str()));
        let by_folder =
            watches_folders(program) || words.iter().any(|word| name(word) == "--watch-path");
        Self {
            program,
            folder: folder.map(Path::to_owned),
            is_narrowed: is_narrowed && by_folder,
            named: named_folders(&words, folder),
            by_folder,
            made: None,
            beside: None,
            running: BTreeSet::new(),
            seen: BTreeMap::new(),
            is_final: false,
        }
    }

    /// Why a build serves a save at once, without a look at the watches. `passed_over`: the reloader has not restarted
    /// for files of this kind before.
    pub(super) fn misses(
        &self,
        place: &Path,
        kind: ProgramFile,
        passed_over: bool,
    ) -> Option<String> {
        if matches!(kind, ProgramFile::Page | ProgramFile::Aside) {
            return None;
        }
        if let Some(beside) = &self.beside {
            return Some(format!("`{beside}`, which runs there too, does not reload"));
        }
        let program = self.program;
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        let is_read_once =
            is_server_setting(&name) || (kind == ProgramFile::Data && passes_over_data(program));
        match loads_by_itself(program) {
            true => is_read_once.then(|| format!("`{program}` may read it only when it starts")),
            false if passed_over => self.keeps(place, kind),
            false => None,
        }
    }

    /// Why the program may go on with the old content of a file for which the reloader has not restarted it. None: it
    /// has not loaded the file, or reads it whenever it needs it.
    pub(super) fn keeps(&self, place: &Path, kind: ProgramFile) -> Option<String> {
        let program = self.program;
        match kind {
            ProgramFile::Code if self.by_folder || self.running.contains(place) => {
                Some(format!("`{program}` does not restart for it"))
            }
            ProgramFile::Data => Some(format!(
                "`{program}` does not restart for it, and the program may read it only when it starts"
            )),
            ProgramFile::Code | ProgramFile::Page | ProgramFile::Aside => None,
        }
    }

    /// Whether a save of a path needs no look at the watches: the reloader is known to see it, or the program reads it
    /// whenever it needs it.
    pub(super) fn presumes(&self, place: &Path) -> bool {
        let name = place.file_name().unwrap_or_default();
        let is_loaded = || ProgramFile::of(Path::new(name)) == ProgramFile::Code;
        let is_within = || {
            self.folder
                .as_ref()
                .is_none_or(|folder| place.starts_with(folder))
        };
        self.made.is_none()
            && (!self.by_folder || !is_loaded() || (is_within() && !self.is_narrowed))
    }

    /// Whether the reloader notices a save of a path, as its watches tell; of one that has none, its words tell.
    pub(super) fn notices(&self, place: &Path, look: &WatchLook) -> bool {
        if !look.is_without_watches() {
            return look.watches(place);
        }
        let is_below = |folder: &PathBuf| place.starts_with(folder);
        match self.named.is_empty() {
            true => self.folder.as_ref().is_none_or(is_below),
            false => self.named.iter().any(is_below),
        }
    }

    /// Why a build serves a save that it does not notice.
    pub(super) fn why(&self) -> String {
        let program = self.program;
        match &self.made {
            Some(made) => format!(
                "`{program}` does not watch it, and the container made `{}`, which runs there, at its start",
                made.display()
            ),
            None => format!("`{program}`, which reloads there, does not watch it"),
        }
    }
}

/// `--reload-dir FOLDER`, `--reload-dir=FOLDER`.
fn named_folders(words: &[&str], folder: Option<&Path>) -> Vec<PathBuf> {
    const OPTION: &str = "--reload-dir";
    let Some(folder) = folder else {
        return vec![];
    };
    let value = |(at, word): (usize, &&str)| match word.strip_prefix(OPTION)?.strip_prefix('=') {
        Some(value) => Some(value.to_owned()),
        None => words
            .get(at + 1)
            .filter(|_| *word == OPTION)
            .map(|next| (*next).to_owned()),
    };
    let named = words.iter().enumerate().filter_map(value);
    let parts = |text: String| crate::go_path::clean(&folder.join(text).to_string_lossy());
    named.map(parts).map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(words: &str) -> Process {
        let mut processes = crate::sync::processes::Processes::default();
        processes.read(&format!(
            "proc 7 1 S 3 4 1200 {}",
            words.replace(' ', "\u{1f}")
        ));
        processes.all.remove(0)
    }

    fn watching(program: &'static str, words: &str) -> Watching {
        Watching::of(program, &process(words), Some(Path::new("/srv/app")))
    }

    /// A look with these lines.
    fn look(lines: &[&str]) -> WatchLook {
        let mut look = WatchLook::default();
        lines.iter().for_each(|line| look.read(line));
        look
    }

    #[test]
    fn a_reloader_that_watches_its_folder_does_not_see_what_is_beside_it() {
        let uvicorn = watching("uvicorn", "python /bin/uvicorn main:app --reload");
        assert!(uvicorn.presumes(Path::new("/srv/app/main.py")));
        assert!(uvicorn.presumes(Path::new("/srv/templates/page.html")));
        let beside = Path::new("/opt/lib/helper.py");
        assert!(!uvicorn.presumes(beside) && !uvicorn.notices(beside, &look(&[])));
        assert!(uvicorn.why().contains("does not watch it"));
        // flask looks at each module that is loaded.
        assert!(watching("flask", "python /bin/flask run --debug").presumes(beside));
        let narrowed = watching(
            "uvicorn",
            "python /bin/uvicorn main:app --reload --reload-dir=src --reload-dir ../lib",
        );
        for (place, seen) in [
            ("/srv/app/src/x.py", true),
            ("/srv/lib/x.py", true),
            ("/srv/app/main.py", false),
        ] {
            let place = Path::new(place);
            assert!(!narrowed.presumes(place));
            assert_eq!(narrowed.notices(place, &look(&[])), seen, "{place:?}");
        }
    }

    #[test]
    fn what_is_watched_is_noticed_and_by_its_folder_too() {
        let nodemon = watching("nodemon", "node /bin/nodemon --watch src server.js");
        let seen = look(&[
            "watch 10",
            "watch 1f",
            "at f 32 5 /srv/app/lib/a.js",
            "at d 16 5 /srv/app/src",
            "at f 31 5 /srv/app/server.js",
            "at d 40 5 /srv/app/lib",
            "something else",
        ]);
        for (place, is_seen) in [
            ("/srv/app/src/a.js", true),
            ("/srv/app/src/new/b.js", true),
            ("/srv/app/server.js", true),
            ("/srv/app/lib/a.js", false),
            ("/srv/app/lib/b.js", false),
            ("/elsewhere/b.js", false),
        ] {
            assert_eq!(nodemon.notices(Path::new(place), &seen), is_seen, "{place}");
        }
    }

    #[test]
    fn what_the_container_made_at_its_start_is_found_by_what_its_processes_run() {
        let found = |words: &str| scripts(&process(words), Path::new("/srv"));
        let has = |words: &str, path: &str| found(words).contains(&PathBuf::from(path));
        assert!(has("node --watch dist/server.js", "/srv/dist/server.js"));
        assert!(has(
            "python /bin/uvicorn app.main:api --reload",
            "/srv/app/main.py"
        ));
        assert!(has("python -m app", "/srv/app/__init__.py"));
        assert!(!has(
            "node /srv/node_modules/.bin/next dev",
            "/srv/node_modules/.bin/next"
        ));
        let mut node = watching("node", "node --watch dist/server.js");
        let source = Path::new("/srv/app/src/server.ts");
        assert!(node.presumes(source));
        node.made = Some("/srv/app/dist/server.js".into());
        assert!(!node.presumes(source) && !node.presumes(Path::new("/srv/app/x.html")));
        let seen = look(&["watch 10", "at f 5 5 /srv/app/src/server.ts"]);
        assert!(!node.notices(source, &seen));
        assert!(node.why().contains("`/srv/app/dist/server.js`"));
    }
}
