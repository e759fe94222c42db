//! A scripted container beside a real folder: whatever is saved, and however slowly the container takes it, it counts as
//! having all of it only once it has.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::super::tests::shared_with;
use super::super::{Checked, RulesCheck, Surroundings};
use super::*;
use crate::sync::batch::{Wanted, look};
use crate::sync::containers::Container;
use crate::sync::exec::ContainerRef;
use crate::sync::watch::Baseline;
use crate::ui::event::Reporter;

const DOCKERFILE: &str =
    "FROM x\nWORKDIR /w\nCOPY . .\nCMD [\"uvicorn\", \"app:app\", \"--reload\"]\n";
const FOLDERS: [&str; 4] = ["", "a/", "a/b/", "c/"];
const NAMES: [&str; 3] = ["one.py", "two.py", "three.css"];
/// Operations between two calls, and calls: 5,000 operations in all.
const OPERATIONS: usize = 100;
const CALLS: usize = 50;
/// Longer than anything takes here.
const SOON: Duration = Duration::from_secs(20);

#[derive(Debug, Clone)]
enum Operation {
    Save(String, u16),
    Delete(String),
    Rename(String, String),
    RemoveFolder(usize),
    RenameFolder(usize, usize),
    /// Every file with other content, as a checkout of another branch.
    Checkout(u16),
}

fn operation() -> impl Strategy<Value = Operation> {
    let path = || {
        (0..FOLDERS.len(), 0..NAMES.len())
            .prop_map(|(folder, name)| format!("{}{}", FOLDERS[folder], NAMES[name]))
    };
    prop_oneof![
        12 => (path(), any::<u16>()).prop_map(|(path, text)| Operation::Save(path, text)),
        3 => path().prop_map(Operation::Delete),
        3 => (path(), path()).prop_map(|(from, to)| Operation::Rename(from, to)),
        1 => (1..FOLDERS.len()).prop_map(Operation::RemoveFolder),
        1 => (1..FOLDERS.len(), 1..FOLDERS.len()).prop_map(|(from, to)| Operation::RenameFolder(from, to)),
        1 => any::<u16>().prop_map(Operation::Checkout),
    ]
}

impl Operation {
    /// Does it; what is not possible on the files that are there does nothing.
    fn run(&self, root: &Path) {
        let save = |path: &str, text: u16| {
            let file = root.join(path);
            let _ = fs::create_dir_all(file.parent().unwrap());
            let _ = fs::write(file, text.to_string());
        };
        let folder = |at: &usize| root.join(FOLDERS[*at]);
        let done = match self {
            Self::Save(path, text) => {
                save(path, *text);
                Ok(())
            }
            Self::Delete(path) => fs::remove_file(root.join(path)),
            Self::Rename(from, to) => fs::rename(root.join(from), root.join(to)),
            Self::RemoveFolder(at) => fs::remove_dir_all(folder(at)),
            Self::RenameFolder(from, to) => fs::rename(folder(from), folder(to)),
            Self::Checkout(text) => {
                for at in FOLDERS {
                    NAMES
                        .iter()
                        .for_each(|name| save(&format!("{at}{name}"), *text));
                }
                Ok(())
            }
        };
        drop(done);
    }
}

type Files = BTreeMap<String, Vec<u8>>;

/// The files below a folder: folders are renamed into others.
fn files(root: &Path) -> Files {
    let mut found = Files::new();
    let mut next = vec![root.to_owned()];
    while let Some(folder) = next.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                next.push(path);
                continue;
            }
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            found.insert(name, fs::read(path).unwrap());
        }
    }
    found
}

/// An engine and the container of its image, which takes what the journal has as a worker would.
struct Scripted {
    engine: SyncEngine,
    has: Arc<Mutex<Files>>,
    running: Containers,
    _containers: watch::Sender<Containers>,
    _taking: AbortOnDropHandle<()>,
}

impl Scripted {
    /// An image that was built from what the folder held when its baseline was taken.
    async fn built(dir: &TempDir, image: Files, baseline: Baseline) -> Self {
        let (_, shared, _) = shared_with(&[], DOCKERFILE);
        let mut settings = shared.settings.clone();
        settings.context = dir.path().to_owned();
        let place = ContainerRef {
            namespace: "ns".to_owned(),
            pod: "pod".to_owned(),
            container: "api".to_owned(),
        };
        let running = Containers::from([("id".to_owned(), Container::of_test(place))]);
        let containers = watch::Sender::new(running.clone());
        let around = Surroundings {
            clients: watch::Sender::new(None).subscribe(),
            containers: containers.subscribe(),
            rebuilds: mpsc::unbounded_channel().0,
            progress: watch::Sender::default(),
            reporter: Reporter::default(),
        };
        let engine = SyncEngine::start(settings, Arc::new(baseline), around)
            .await
            .unwrap();
        let check = RulesCheck::new(Ok(Checked::all(1)));
        engine.shared.check.send_replace(Some(check));
        let has = Arc::new(Mutex::new(image));
        let taking = take(engine.shared.clone(), has.clone());
        Self {
            engine,
            has,
            running,
            _containers: containers,
            _taking: AbortOnDropHandle::new(tokio::spawn(taking)),
        }
    }

    /// As [`crate::session::settle`] waits for one engine.
    async fn settle(&self) {
        let generation = self.engine.taken_down().await;
        while !self.engine.lacking(generation, &self.running).is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Brings what the journal has into the container, a few paths at a time. As a worker does, it looks again at what was not
/// as the intake saw it: a file may be gone for a moment, and be the same afterwards.
async fn take(shared: Arc<Shared>, has: Arc<Mutex<Files>>) {
    let mut reached = 0;
    let mut unverified = BTreeSet::new();
    loop {
        sleep(Duration::from_millis(reached % 3)).await;
        let (new, next) = shared.state().journal.since(reached, 7);
        let paths: BTreeSet<_> = new
            .into_iter()
            .chain(std::mem::take(&mut unverified))
            .collect();
        for path in paths {
            let found = look(&shared.settings.context.join(&path)).unwrap_or(Wanted::Gone);
            let sent = found.seen().ok();
            let name = path.to_str().unwrap().to_owned();
            let mut has = has.lock().unwrap();
            match found {
                Wanted::File(file) => drop(has.insert(name, file.content.unwrap().to_vec())),
                _ => drop(has.remove(&name)),
            }
            drop(has);
            if sent != shared.state().journal.seen(&path) {
                unverified.insert(path);
            }
        }
        reached = next;
        if let Some(status) = shared.state().containers.get_mut("id") {
            status.generation = reached;
            status.unverified = !unverified.is_empty();
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_never_settles_while_a_file_differs() {
    let dir = tempfile::tempdir().unwrap();
    Operation::Checkout(0).run(dir.path());
    let mut runner = TestRunner::default();
    let several = proptest::collection::vec(operation(), OPERATIONS);
    let look = || Baseline::look(dir.path(), |_| true);
    let mut scripted = Scripted::built(&dir, files(dir.path()), look()).await;
    for call in 0..CALLS {
        let is_built = call % 7 == 6;
        let image = is_built.then(|| (files(dir.path()), look()));
        let operations = several.new_tree(&mut runner).unwrap().current();
        operations
            .iter()
            .for_each(|operation| operation.run(dir.path()));
        if let Some((image, baseline)) = image {
            scripted = Scripted::built(&dir, image, baseline).await;
        }
        let settled = timeout(SOON, scripted.settle()).await;
        assert!(settled.is_ok(), "call {call} does not end: {operations:?}");
        let (has, wanted) = (scripted.has.lock().unwrap().clone(), files(dir.path()));
        assert_eq!(has, wanted, "call {call} was too early: {operations:?}");
    }
}

#[tokio::test]
async fn a_container_that_devk_has_not_reached_lacks_everything() {
    let dir = tempfile::tempdir().unwrap();
    Operation::Checkout(0).run(dir.path());
    let baseline = Baseline::look(dir.path(), |_| true);
    let scripted = Scripted::built(&dir, files(dir.path()), baseline).await;
    let mut running = scripted.running.clone();
    let container = running["id"].clone();
    running.insert("new".to_owned(), container);
    scripted.settle().await;
    let lacking = scripted.engine.lacking(0, &running);
    assert_eq!(lacking.len(), 1, "{lacking:?}");
    assert_eq!(lacking[0].why, "devk has not reached it yet");
}
