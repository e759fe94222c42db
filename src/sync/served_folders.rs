//! Which folders a file server reads, and whether a saved file is in one of them. Pure.
//!
//! A container may serve a copy that it, or an init container, made at the start: then no save reaches a page, however
//! often the file is written. The servers' working folders and words tell what they serve; where they do not, the files
//! tell whether there is a copy.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::processes::Process;
use super::served_by::server_of;
use super::watching::{Inode, WatchLook};

/// Where servers read files unless their settings say otherwise.
const USUAL: [&str; 7] = [
    "/usr/share/nginx/html",
    "/usr/local/apache2/htdocs",
    "/usr/share/caddy",
    "/var/www",
    "/var/www/html",
    "/srv",
    "/srv/www",
];

/// What is known of the file servers of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ServedFolders {
    /// All that they serve; empty if the processes do not tell.
    told: BTreeSet<PathBuf>,
    /// Where copies may be: no file of the image is in a mount.
    mounts: BTreeSet<PathBuf>,
    /// Where copies may be, and files of the image, too.
    others: BTreeSet<PathBuf>,
}

impl ServedFolders {
    /// `folders` are the processes' working folders. None: no server runs yet.
    pub(super) fn of<'a>(
        processes: &[Process],
        folders: &BTreeMap<u32, PathBuf>,
        mounts: impl Iterator<Item = &'a str>,
    ) -> Option<Self> {
        let mut found = Self {
            mounts: mounts.map(cleaned).collect(),
            others: USUAL.iter().copied().map(cleaned).collect(),
            ..Self::default()
        };
        let mut is_told = true;
        let servers = processes
            .iter()
            .filter_map(|process| Some((process, server_of(&process.words)?)));
        let mut servers = servers.peekable();
        servers.peek()?;
        for (process, program) in servers {
            let folder = folders.get(&process.id);
            let told = folder.and_then(|folder| told(program, &process.words, folder));
            is_told &= told.is_some();
            found.told.extend(told);
            let words = process.words.iter().skip(1);
            let named = words.map(|word| folder.map_or_else(|| word.into(), |at| at.join(word)));
            let named = named.map(|path| cleaned(&path.to_string_lossy()));
            found.others.extend(named);
        }
        if !is_told {
            found.told.clear();
        }
        // Below `/` is every file, and none is another one there.
        let is_some = |path: &PathBuf| path.is_absolute() && path.parent().is_some();
        found.mounts.retain(is_some);
        found.others.retain(is_some);
        Some(found)
    }

    /// Whether the names alone tell that a file is served.
    pub(super) fn names(&self, place: &Path) -> bool {
        let mut told = self.told.iter();
        told.any(|folder| place.starts_with(folder) || folder.starts_with(place))
    }

    /// The paths to look at before [`Self::misses`] can tell.
    pub(super) fn asked(&self, place: &Path) -> BTreeSet<PathBuf> {
        let places = place.ancestors().map(Path::to_owned);
        let twins = match self.told.is_empty() {
            true => self.copies(place).map(|(path, _)| path).collect(),
            false => self.links(place).map(|(_, path)| path).collect::<Vec<_>>(),
        };
        places.chain(twins).collect()
    }

    /// Why a save of this file does not reach a page, by a look at the paths that were asked for. `brought` are those
    /// that the image or a sync has put somewhere: none of them is a copy that the container made. `started`: when.
    pub(super) fn misses(
        &self,
        program: &str,
        place: &Path,
        look: &WatchLook,
        brought: &BTreeSet<PathBuf>,
        started: i64,
    ) -> Option<String> {
        let inode = |path: &Path| look.found.get(path).copied();
        let is_one = |one: &Path, other: &Path| {
            let same = |one: Inode| inode(other).is_some_and(|other| one.is_same(other));
            inode(one).is_some_and(same)
        };
        if !self.told.is_empty() {
            let is_linked = self.links(place).any(|(one, other)| is_one(one, &other));
            let is_served = self.names(place) || is_linked;
            let folders = self.told.iter().map(|path| path.display().to_string());
            let folders: Vec<_> = folders.collect();
            return (!is_served).then(|| {
                format!(
                    "`{program}` serves `{}`, where this file is not",
                    folders.join("`, `")
                )
            });
        }
        let is_copy = |(path, is_mounted): &(PathBuf, bool)| {
            let is_young = |inode: Inode| started > 0 && inode.changed >= started;
            let is_made = |inode: Inode| inode.is_file && (*is_mounted || is_young(inode));
            inode(path).is_some_and(is_made) && !is_one(path, place) && !brought.contains(path)
        };
        let copy = self.copies(place).find(is_copy);
        copy.map(|(path, _)| {
            format!(
                "`{program}` may serve a copy that was made at the start, `{}`",
                path.display()
            )
        })
    }

    /// Where a copy of this file may be, and whether that is in a mount.
    fn copies(&self, place: &Path) -> impl Iterator<Item = (PathBuf, bool)> {
        let mounts = self.mounts.iter().map(|folder| (folder, true));
        let others = self.others.iter().map(|folder| (folder, false));
        let elsewhere = mounts
            .chain(others)
            .filter(|(folder, _)| !place.starts_with(folder));
        elsewhere.flat_map(|(folder, is_mounted)| {
            let at = ends(place).map(|end| (folder.join(end), is_mounted));
            at.collect::<Vec<_>>()
        })
    }

    /// This file and the folders above, each with where it may stand in what is served, by a link.
    fn links<'a>(&'a self, place: &'a Path) -> impl Iterator<Item = (&'a Path, PathBuf)> {
        let below_root = place.ancestors().filter(|above| above.parent().is_some());
        below_root.flat_map(|above| {
            let at = |folder: &'a PathBuf| {
                let ends = ends(above).map(|end| folder.join(end));
                std::iter::once(folder.clone()).chain(ends)
            };
            self.told.iter().flat_map(at).map(move |path| (above, path))
        })
    }
}

/// The ends of a path: `c`, `b/c`, `a/b/c`.
fn ends(path: &Path) -> impl Iterator<Item = &Path> {
    let above = path.ancestors().skip(1);
    above.filter_map(|above| path.strip_prefix(above).ok())
}

/// The one folder that a server serves, if its process tells. Busybox's `httpd` goes into it.
fn told(program: &str, words: &[String], folder: &Path) -> Option<PathBuf> {
    let is_apache = |word: &String| {
        ["-D", "-k", "-X"]
            .iter()
            .any(|start| word.starts_with(start))
    };
    match program {
        "httpd" if !words.iter().any(is_apache) => Some(folder.to_owned()),
        "http.server" => {
            let named = directory(words).map(|named| folder.join(named));
            Some(named.map_or_else(
                || folder.to_owned(),
                |path| cleaned(&path.to_string_lossy()),
            ))
        }
        _ => None,
    }
}

/// What `-d` or `--directory` of Python's `http.server` says.
fn directory(words: &[String]) -> Option<&str> {
    let value = |(at, word): (usize, &'_ String)| match word.as_str() {
        "-d" | "--directory" => Some(at + 1),
        _ => None,
    };
    let apart = words.iter().enumerate().find_map(value);
    let joined = words
        .iter()
        .find_map(|word| word.strip_prefix("--directory="));
    joined.or_else(|| words.get(apart?).map(String::as_str))
}

fn cleaned(path: &str) -> PathBuf {
    crate::go_path::clean(path).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server in its working folder, in a container with a mount `/html`.
    fn served(words: &str, folder: &str) -> ServedFolders {
        let process = Process {
            id: 1,
            words: words.split(' ').map(str::to_owned).collect(),
            ..Process::default()
        };
        let folders = BTreeMap::from([(1, folder.into())]);
        ServedFolders::of(&[process], &folders, ["/html/"].into_iter()).unwrap()
    }

    /// Whether a save misses the pages of a server, with files and folders of the container by inode and time.
    fn misses(served: &ServedFolders, place: &str, there: &[(&str, u64, i64)]) -> bool {
        let place = Path::new(place);
        let asked = served.asked(place);
        let mut look = WatchLook::default();
        for (path, inode, changed) in there {
            let kind = if path.contains('.') { 'f' } else { 'd' };
            if asked.contains(Path::new(path)) {
                look.read(&format!("at {kind} {inode} {changed} {path}"));
            }
        }
        let brought = BTreeSet::from(["/var/www/also.html".into()]);
        served.misses("x", place, &look, &brought, 100).is_some()
    }

    #[test]
    fn a_server_that_tells_its_folder_serves_what_is_there_or_linked_there() {
        for (words, folder) in [
            ("httpd -f -h /run/html", "/run/html"),
            ("python -m http.server 80", "/run/html"),
            ("python -m http.server -d html", "/run"),
            ("python -m http.server --directory=./html/", "/run"),
        ] {
            let served = served(words, folder);
            assert!(served.names(Path::new("/run/html/css/a.css")), "{words}");
            let copied = [("/www/a.html", 1, 1), ("/run/html/a.html", 2, 1)];
            assert!(misses(&served, "/www/a.html", &copied), "{words}");
            let linked = [("/www/a.html", 1, 1), ("/run/html/a.html", 1, 1)];
            assert!(!misses(&served, "/www/a.html", &linked), "{words}");
            let linked = [("/www", 1, 1), ("/run/html", 1, 1)];
            assert!(!misses(&served, "/www/new.html", &linked), "{words}");
            let linked = [("/www/css", 1, 1), ("/run/html/css", 1, 1)];
            assert!(!misses(&served, "/www/css/new.css", &linked), "{words}");
        }
        assert!(served("httpd -f", "/").names(Path::new("/www/a.html")));
    }

    #[test]
    fn a_server_that_does_not_tell_its_folder_is_missed_if_there_is_a_copy() {
        let nginx = served("nginx: master process nginx -g daemon off;", "/");
        let place = "/www/a.html";
        assert!(!misses(&nginx, place, &[(place, 1, 1)]));
        assert!(misses(
            &nginx,
            place,
            &[(place, 1, 1), ("/html/a.html", 2, 1)]
        ));
        let usual = |path: &'static str, inode, changed| [(place, 1, 1), (path, inode, changed)];
        let page = "/usr/share/nginx/html/a.html";
        assert!(!misses(&nginx, place, &usual(page, 2, 99)), "the image's");
        assert!(misses(&nginx, place, &usual(page, 2, 100)));
        assert!(!misses(&nginx, place, &usual(page, 1, 100)), "a link");
        let both = [("/www/also.html", 1, 1), ("/var/www/also.html", 2, 100)];
        assert!(!misses(&nginx, "/www/also.html", &both), "brought");
        let apache = served("httpd -DFOREGROUND", "/usr/local/apache2");
        assert!(!misses(&apache, place, &[(place, 1, 1)]));
        let named = served("node /bin/http-server /run/site", "/");
        assert!(misses(&named, place, &usual("/run/site/a.html", 2, 100)));
    }

    #[test]
    fn without_a_server_nothing_is_known() {
        let none = ServedFolders::of(&[], &BTreeMap::new(), std::iter::empty());
        assert_eq!(none, None);
    }
}
