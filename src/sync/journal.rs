//! What containers must have beside their image: every path that was synced since the image was built.
//!
//! Each change gets the next generation. A container that has applied a generation lacks what came later;
//! a new one lacks all of it, so replaying is the same as syncing.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use super::batch::Print;

/// What was seen at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    Gone,
    Folder,
    /// A file or a link.
    Leaf(Print),
}

/// One path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct JournalEntry {
    /// When it changed last.
    generation: u64,
    seen: Seen,
}

/// The paths of a build context that differ from the image, relative to it.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    generation: u64,
    entries: BTreeMap<PathBuf, JournalEntry>,
    by_generation: BTreeMap<u64, PathBuf>,
}

impl Journal {
    /// The generation of the last change; 0 if there was none.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes down what is at a path. None if that is known already, else the new generation.
    pub fn note(&mut self, path: &Path, seen: Seen) -> Option<u64> {
        let before = self.entries.get(path).copied();
        if before.is_some_and(|entry| entry.seen == seen) {
            return None;
        }
        self.generation += 1;
        if let Some(before) = before {
            self.by_generation.remove(&before.generation);
        }
        self.entries.insert(
            path.to_owned(),
            JournalEntry {
                generation: self.generation,
                seen,
            },
        );
        self.by_generation.insert(self.generation, path.to_owned());
        if seen != Seen::Folder {
            self.empty(path);
        }
        Some(self.generation)
    }

    /// What was below a folder went with it, in containers too: should it come back as it was, that is a change.
    fn empty(&mut self, folder: &Path) {
        let below: Vec<_> = self.present_below(folder).map(Path::to_owned).collect();
        for path in below {
            self.note(&path, Seen::Gone);
        }
    }

    /// The paths below a folder that are there.
    pub fn present_below<'a>(&'a self, folder: &'a Path) -> impl Iterator<Item = &'a Path> {
        // Paths are ordered by their parts, so what is below a folder follows it at once.
        let after = self
            .entries
            .range::<Path, _>((Bound::Excluded(folder), Bound::Unbounded));
        after
            .take_while(move |(path, _)| path.starts_with(folder))
            .filter(|(_, entry)| entry.seen != Seen::Gone)
            .map(|(path, _)| path.as_path())
    }

    /// What was seen at a path last; None for one that never changed.
    pub fn seen(&self, path: &Path) -> Option<Seen> {
        self.entries.get(path).map(|entry| entry.seen)
    }

    /// At most `most` paths that changed after a generation, the oldest change first, and the generation that
    /// whoever has them has.
    pub fn since(&self, generation: u64, most: usize) -> (Vec<PathBuf>, u64) {
        let after = self.by_generation.range(generation + 1..);
        let taken: Vec<_> = after.take(most).collect();
        let reached = taken
            .last()
            .filter(|_| taken.len() == most)
            .map_or(self.generation, |(reached, _)| **reached);
        (
            taken.into_iter().map(|(_, path)| path.clone()).collect(),
            reached,
        )
    }

    /// The paths that were seen, those that are gone included.
    pub fn all(&self) -> impl Iterator<Item = &Path> {
        self.entries.keys().map(AsRef::as_ref)
    }

    /// The paths that are there.
    pub fn present(&self) -> impl Iterator<Item = &Path> {
        self.entries
            .iter()
            .filter(|(_, entry)| entry.seen != Seen::Gone)
            .map(|(path, _)| path.as_path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is at a path: a print, or nothing.
    type At = Option<u8>;

    fn note(journal: &mut Journal, path: &str, at: At) -> Option<u64> {
        journal.note(
            Path::new(path),
            at.map_or(Seen::Gone, |print| Seen::Leaf([print; 16])),
        )
    }

    fn paths(journal: &Journal, generation: u64, most: usize) -> (Vec<String>, u64) {
        let (paths, reached) = journal.since(generation, most);
        (
            paths
                .iter()
                .map(|path| path.display().to_string())
                .collect(),
            reached,
        )
    }

    fn noted(changes: &[(&str, At)]) -> Journal {
        let mut journal = Journal::default();
        for (path, at) in changes {
            note(&mut journal, path, *at);
        }
        journal
    }

    #[test]
    fn what_a_container_lacks_is_what_came_after_its_generation() {
        let journal = noted(&[("a", Some(1)), ("b", Some(1)), ("c", None)]);
        assert_eq!(
            paths(&journal, 0, 10),
            (vec!["a".into(), "b".into(), "c".into()], 3)
        );
        assert_eq!(paths(&journal, 2, 10), (vec!["c".into()], 3));
        assert_eq!(paths(&journal, 3, 10), (vec![], 3));
    }

    #[test]
    fn the_last_change_of_a_path_is_the_only_one() {
        let journal = noted(&[("a", Some(1)), ("b", Some(1)), ("a", Some(2))]);
        assert_eq!(paths(&journal, 0, 10), (vec!["b".into(), "a".into()], 3));
        assert_eq!(journal.len(), 2);
    }

    #[test]
    fn the_same_again_is_no_change() {
        let mut journal = noted(&[("a", Some(1))]);
        assert_eq!(note(&mut journal, "a", Some(1)), None);
        assert_eq!(note(&mut journal, "a", None), Some(2));
        assert_eq!(note(&mut journal, "a", None), None);
        assert_eq!(journal.present().count(), 0);
    }

    #[test]
    fn what_went_with_its_folder_and_comes_back_as_it_was_is_a_change() {
        let mut journal = Journal::default();
        journal.note(Path::new("app"), Seen::Folder);
        for path in ["app/sub/new", "app-too/other"] {
            note(&mut journal, path, Some(1));
        }
        note(&mut journal, "app", None);
        assert_eq!(
            journal.present().collect::<Vec<_>>(),
            [Path::new("app-too/other")]
        );
        let (_, reached) = paths(&journal, 0, 10);
        journal.note(Path::new("app"), Seen::Folder);
        assert!(note(&mut journal, "app/sub/new", Some(1)).is_some());
        assert_eq!(paths(&journal, reached, 10).0, ["app", "app/sub/new"]);
    }

    #[test]
    fn a_long_journal_is_taken_in_parts() {
        let journal = noted(&[("a", Some(1)), ("b", Some(1)), ("c", Some(1))]);
        assert_eq!(paths(&journal, 0, 2), (vec!["a".into(), "b".into()], 2));
        assert_eq!(paths(&journal, 2, 2), (vec!["c".into()], 3));
    }
}
