//! What a working tree held when it was last looked at: enough to tell what changed since, in little
//! memory, for the moments when the kernel has lost events.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Bound;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A tree's folders, relative to its root, which is the empty path.
#[derive(Debug, Default)]
pub(super) struct Tree {
    folders: BTreeMap<Box<Path>, Listing>,
}

/// What is in one folder: about thirty bytes an entry.
#[derive(Debug, Default)]
struct Listing {
    /// Names in their order, each with a zero after it.
    names: Box<[u8]>,
    /// For each name.
    stamps: Box<[u64]>,
}

impl Listing {
    /// Nothing for a folder that cannot be read.
    fn of(disk: &Path) -> Self {
        let entries = std::fs::read_dir(disk).into_iter().flatten().flatten();
        let stamped = entries.filter_map(|entry| {
            Some((entry.file_name().into_vec(), stamp(&entry.metadata().ok()?)))
        });
        let mut stamped: Vec<_> = stamped.collect();
        stamped.sort_unstable();
        let mut names = Vec::with_capacity(stamped.iter().map(|(name, _)| name.len() + 1).sum());
        for (name, _) in &stamped {
            names.extend_from_slice(name);
            names.push(0);
        }
        Self {
            names: names.into(),
            stamps: stamped.into_iter().map(|(_, stamp)| stamp).collect(),
        }
    }

    /// Takes a name in or out, or gives it another stamp.
    fn set(&mut self, name: &OsStr, stamp: Option<u64>) {
        let before = self.entries().take_while(|(known, _)| *known < name);
        let lengths = before.map(|(known, _)| known.len() + 1);
        let (at, start) = lengths.fold((0, 0), |(count, sum), length| (count + 1, sum + length));
        let is_known = self
            .entries()
            .nth(at)
            .is_some_and(|(known, _)| known == name);
        match (is_known, stamp) {
            (true, Some(stamp)) => self.stamps[at] = stamp,
            (false, None) => {}
            (is_known, stamp) => {
                let mut written = name.as_bytes().to_vec();
                written.push(0);
                let old = if is_known { written.len() } else { 0 };
                let new = stamp.map(|_| written).unwrap_or_default();
                let mut names = std::mem::take(&mut self.names).into_vec();
                names.splice(start..start + old, new);
                self.names = names.into();
                let mut stamps = std::mem::take(&mut self.stamps).into_vec();
                stamps.splice(at..at + usize::from(is_known), stamp);
                self.stamps = stamps.into();
            }
        }
    }

    fn entries(&self) -> impl Iterator<Item = (&OsStr, u64)> {
        let names = self.names.split(|byte| *byte == 0).map(OsStr::from_bytes);
        names.zip(self.stamps.iter().copied())
    }
}

const FOLDER: u64 = 0;

/// Two that differ belong to different content, or to content that was written again.
fn stamp(metadata: &Metadata) -> u64 {
    if metadata.is_dir() {
        return FOLDER;
    }
    let mut hash = DefaultHasher::new();
    let written = (
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec(),
    );
    (metadata.mode(), metadata.size(), metadata.ino(), written).hash(&mut hash);
    hash.finish().max(FOLDER + 1)
}

impl Tree {
    /// Looks at a folder and all below it that `enters` lets through. `before` is called for each folder
    /// before its content is listed, so that a watch that it sets misses nothing.
    pub(super) fn scan<E>(
        root: &Path,
        folder: &Path,
        enters: &dyn Fn(&Path) -> bool,
        before: &mut dyn FnMut(&Path) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut tree = Self::default();
        let mut next = vec![folder.to_owned()];
        while let Some(folder) = next.pop() {
            let disk = root.join(&folder);
            before(&disk)?;
            let listing = Listing::of(&disk);
            let folders = listing
                .entries()
                .filter(|(_, stamp)| *stamp == FOLDER)
                .map(|(name, _)| folder.join(name));
            next.extend(folders.filter(|folder| enters(folder)));
            tree.folders.insert(folder.into(), listing);
        }
        Ok(tree)
    }

    pub(super) fn has_folder(&self, path: &Path) -> bool {
        self.folders.contains_key(path)
    }

    /// Whether a path was there when its folder was looked at.
    pub(super) fn lists(&self, path: &Path) -> bool {
        let listing = path.parent().and_then(|folder| self.folders.get(folder));
        listing.is_some_and(|listing| {
            listing
                .entries()
                .any(|(name, _)| Some(name) == path.file_name())
        })
    }

    /// Takes down what is at a path now; None: nothing. A folder's own content is not looked at.
    pub(super) fn note(&mut self, path: &Path, metadata: Option<&Metadata>) {
        let listing = path
            .parent()
            .and_then(|folder| self.folders.get_mut(folder));
        if let Some((listing, name)) = listing.zip(path.file_name()) {
            listing.set(name, metadata.map(stamp));
        }
    }

    /// Every folder.
    pub(super) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.folders.keys().map(AsRef::as_ref)
    }

    /// Everything in the folders.
    pub(super) fn paths(&self) -> impl Iterator<Item = PathBuf> {
        self.folders
            .iter()
            .flat_map(|(folder, listing)| listing.entries().map(move |(name, _)| folder.join(name)))
    }

    /// Takes a folder and all below it out.
    pub(super) fn take(&mut self, folder: &Path) -> Self {
        // Paths are ordered by their parts, so what is below a folder follows it at once.
        let below = self
            .folders
            .range::<Path, _>((Bound::Included(folder), Bound::Unbounded))
            .map(|(path, _)| path.clone());
        let below: Vec<_> = below.take_while(|path| path.starts_with(folder)).collect();
        Self {
            folders: below
                .into_iter()
                .filter_map(|path| self.folders.remove_entry(&path))
                .collect(),
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.folders.extend(other.folders);
    }

    /// The paths that are not the same in a later look.
    pub(super) fn changed(&self, later: &Self) -> Vec<PathBuf> {
        let none = Listing::default();
        let mut changed = Vec::new();
        for (folder, listing) in &later.folders {
            let before: BTreeMap<_, _> = self
                .folders
                .get(folder)
                .unwrap_or(&none)
                .entries()
                .collect();
            let new = listing
                .entries()
                .filter(|(name, stamp)| before.get(name) != Some(stamp));
            changed.extend(new.map(|(name, _)| folder.join(name)));
        }
        for (folder, listing) in &self.folders {
            let after: BTreeMap<_, _> = later
                .folders
                .get(folder)
                .unwrap_or(&none)
                .entries()
                .collect();
            let gone = listing
                .entries()
                .filter(|(name, _)| !after.contains_key(name));
            changed.extend(gone.map(|(name, _)| folder.join(name)));
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::fs;

    use super::*;

    fn scan(root: &Path, folder: &str) -> Tree {
        let enters = |path: &Path| !path.ends_with("node_modules");
        Tree::scan::<Infallible>(root, Path::new(folder), &enters, &mut |_| Ok(())).unwrap()
    }

    fn sample() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for path in ["a/one", "a/sub/two", "a-b/three", "node_modules/x/y"] {
            let file = dir.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, path).unwrap();
        }
        dir
    }

    fn names(paths: impl IntoIterator<Item = PathBuf>) -> Vec<String> {
        let mut names: Vec<_> = paths
            .into_iter()
            .map(|path| path.display().to_string())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_not_entered_is_listed_but_not_looked_into() {
        let dir = sample();
        let found = names(scan(dir.path(), "").paths());
        assert_eq!(
            found,
            [
                "a",
                "a-b",
                "a-b/three",
                "a/one",
                "a/sub",
                "a/sub/two",
                "node_modules"
            ]
        );
    }

    #[test]
    fn changed_new_and_vanished_paths_are_found() {
        let dir = sample();
        let before = scan(dir.path(), "");
        fs::write(dir.path().join("a/one"), "changed").unwrap();
        fs::write(dir.path().join("a/new"), "").unwrap();
        fs::remove_dir_all(dir.path().join("a/sub")).unwrap();
        fs::write(dir.path().join("node_modules/x/y"), "changed").unwrap();
        assert_eq!(
            names(before.changed(&scan(dir.path(), ""))),
            ["a/new", "a/one", "a/sub", "a/sub/two"]
        );
    }

    #[test]
    fn what_was_taken_down_is_no_change_in_a_later_look_and_goes_with_its_folder() {
        let dir = sample();
        let mut tree = scan(dir.path(), "");
        let paths = [
            "a/one",
            "a/a",
            "a/new",
            "a/zz",
            "a-b/three",
            "a/never",
            "never/x",
        ];
        fs::write(dir.path().join("a/one"), "changed").unwrap();
        for new in ["a/a", "a/new", "a/zz"] {
            fs::write(dir.path().join(new), "").unwrap();
        }
        fs::remove_file(dir.path().join("a-b/three")).unwrap();
        for path in paths {
            let metadata = fs::symlink_metadata(dir.path().join(path)).ok();
            tree.note(Path::new(path), metadata.as_ref());
        }
        let changed = names(tree.changed(&scan(dir.path(), "")));
        assert!(changed.is_empty(), "{changed:?}");
        assert!(!tree.lists(Path::new("a-b/three")) && !tree.lists(Path::new("a/never")));
        let gone = names(tree.take(Path::new("a")).paths());
        assert_eq!(
            gone,
            ["a/a", "a/new", "a/one", "a/sub", "a/sub/two", "a/zz"]
        );
    }

    #[test]
    fn a_subtree_is_taken_out_without_its_neighbours() {
        let dir = sample();
        let mut tree = scan(dir.path(), "");
        let taken = tree.take(Path::new("a"));
        assert_eq!(names(taken.folders().map(Path::to_owned)), ["a", "a/sub"]);
        assert_eq!(names(tree.folders().map(Path::to_owned)), ["", "a-b"]);
        assert!(!tree.lists(Path::new("a/one")));
        tree.add(taken);
        assert!(tree.has_folder(Path::new("a/sub")));
        assert!(tree.lists(Path::new("a/one")) && !tree.lists(Path::new("a/two")));
    }
}
