//! The intake, without a cluster.

use std::path::Path;

use tempfile::TempDir;

use super::super::rules::Usage;
use super::*;
use crate::config::{ImageConfig, Sync};
use crate::image::context::tests::{image, write};
use crate::sync::batch::look;
use crate::sync::journal::Seen;
use crate::sync::watch::PathChange;

const DOCKERFILE: &str =
    "FROM x\nWORKDIR /w\nCOPY . .\nCMD [\"uvicorn\", \"app:app\", \"--reload\"]\n";

/// What an engine over a folder with these files has, none of which has changed. Nobody watches them.
pub(in crate::sync) fn shared(files: &[&str]) -> (TempDir, Arc<Shared>) {
    let (dir, shared, _) = shared_with(files, DOCKERFILE);
    (dir, shared)
}

/// The same with another Dockerfile, and the builds that it asks for.
pub(in crate::sync) fn shared_with(
    files: &[&str],
    dockerfile: &str,
) -> (TempDir, Arc<Shared>, mpsc::UnboundedReceiver<Rebuild>) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[("Dockerfile", dockerfile)]);
    files
        .iter()
        .for_each(|file| write(dir.path(), &[(file, "old")]));
    let image = ImageConfig {
        sync: Sync::Auto,
        ..image(dir.path())
    };
    let settings = Settings {
        image: "api".to_owned(),
        project: "ns".to_owned(),
        namespaces: ["ns".to_owned()].into(),
        reference: "api:1".to_owned(),
        context: dir.path().to_owned(),
        rules: Rules::read(&image, &BTreeMap::new(), &Usage::default()).unwrap(),
    };
    let (rebuilds, asked) = mpsc::unbounded_channel();
    let shared = Shared::new(
        settings,
        rebuilds,
        watch::Sender::default(),
        Reporter::default(),
    );
    shared
        .check
        .send_replace(Some(RulesCheck::new(Ok(Checked::all(1)))));
    (dir, Arc::new(shared), asked)
}

fn long_ago(known: bool) -> PathChange {
    PathChange {
        at: Instant::now().checked_sub(2 * REMOVAL_DELAY).unwrap(),
        known,
    }
}

fn changes(paths: &[(&str, PathChange)]) -> ChangedPaths {
    paths
        .iter()
        .map(|(path, change)| (PathBuf::from(path), *change))
        .collect()
}

#[test]
fn a_name_that_came_and_went_unseen_is_not_taken_down() {
    let (_dir, shared) = shared(&[]);
    let later = shared.take(
        changes(&[("a.py.tmp.1", long_ago(false)), ("b.py", long_ago(true))]),
        ChangedPaths::new(),
    );
    assert_eq!(later, ChangedPaths::new());
    let journal = &shared.state().journal;
    assert_eq!(journal.seen(Path::new("a.py.tmp.1")), None);
    assert_eq!(journal.seen(Path::new("b.py")), Some(Seen::Gone));
}

#[test]
fn what_is_gone_is_looked_at_again_before_it_is_believed() {
    let (_dir, shared) = shared(&[]);
    let change = PathChange {
        at: Instant::now(),
        known: true,
    };
    let later = shared.take(changes(&[("a.py", change)]), ChangedPaths::new());
    assert_eq!(later, changes(&[("a.py", change)]));
    assert!(shared.state().journal.is_empty());
}

#[test]
fn what_goes_with_the_whole_context_is_not_taken_down_until_that_is_back() {
    let (dir, shared) = shared(&["a.py", "b.py"]);
    let aside = dir.path().with_extension("aside");
    std::fs::rename(dir.path(), &aside).unwrap();
    let change = PathChange {
        at: Instant::now() - REMOVAL_DELAY,
        known: true,
    };
    let gone = changes(&[("a.py", change), ("b.py", change)]);
    assert_eq!(shared.take(gone, ChangedPaths::new()), ChangedPaths::new());
    assert!(shared.state().journal.is_empty());
    let why = shared.read(Path::new("a.py")).unwrap_err();
    assert_eq!(why.to_string(), "the build context is gone");

    std::fs::rename(&aside, dir.path()).unwrap();
    std::fs::remove_file(dir.path().join("b.py")).unwrap();
    let later = shared.take(changes(&[("", change)]), ChangedPaths::new());
    // One that is there as it was, and one that may come back in a moment.
    assert!(shared.state().journal.seen(Path::new("a.py")).is_some());
    assert_eq!(
        later.into_keys().collect::<Vec<_>>(),
        [PathBuf::from("b.py")]
    );
}

#[test]
fn when_anything_may_have_changed_all_of_the_journal_is_looked_at() {
    let (dir, shared) = shared(&["a.py"]);
    shared.state().trouble = Some("it is gone".to_owned());
    shared
        .state()
        .journal
        .note(Path::new("made.py"), Seen::Leaf([1; 16]));
    shared
        .state()
        .journal
        .note(Path::new("a.py"), Seen::Leaf([1; 16]));
    let everything = PathChange {
        at: Instant::now(),
        known: true,
    };
    let later = shared.take(changes(&[("", everything)]), ChangedPaths::new());
    // It is there, with other content; the other one is not, and may come back in a moment.
    assert_eq!(
        later.into_keys().collect::<Vec<_>>(),
        [PathBuf::from("made.py")]
    );
    let state = shared.state();
    assert_eq!(
        state.journal.seen(Path::new("a.py")),
        Some(look(&dir.path().join("a.py")).unwrap().seen().unwrap())
    );
    assert_eq!(state.trouble, None);
}

#[test]
fn a_path_that_is_tried_again_without_a_new_generation_has_no_times() {
    let (_dir, shared) = shared(&["a"]);
    let now = Instant::now();
    shared.state().times.insert(3, (now, now));
    assert_eq!(shared.began(2, 3), Some((now, now)));
    assert_eq!(shared.began(3, 3), None);
}
