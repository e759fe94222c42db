//! What a worker makes of files that change while it reads them, without a container.

use super::super::engine::tests::{shared, shared_with};
use super::super::exec::ContainerRef;
use super::reading::RECHECK_INTERVAL;
use super::*;
use crate::sync::batch::Wanted;
use crate::sync::journal::Seen;
use crate::sync::stream::Applied;
use std::path::Path;

fn worker(files: &[&str]) -> (tempfile::TempDir, Worker) {
    let (dir, shared) = shared(files);
    let place = ContainerRef {
        namespace: "ns".to_owned(),
        pod: "pod".to_owned(),
        container: "api".to_owned(),
    };
    (
        dir,
        Worker::new(shared, "id".to_owned(), Container::of_test(place)),
    )
}

fn seen(worker: &Worker, path: &str) -> Seen {
    worker
        .shared
        .read(Path::new(path))
        .unwrap()
        .unwrap()
        .1
        .seen()
        .unwrap()
}

fn note(worker: &Worker, path: &str, seen: Seen) {
    worker.shared.state().journal.note(Path::new(path), seen);
}

fn read(worker: &Worker, path: &str) -> Read {
    let (item, found) = worker.shared.read(Path::new(path)).unwrap().unwrap();
    Read::new(path.into(), item, &found)
}

fn batch(new: &[&str]) -> Batch {
    let new = new.iter().map(PathBuf::from).collect();
    let now = Instant::now();
    Batch {
        after: 0,
        reached: 1,
        new,
        items: vec![],
        unread: vec![],
        taken: now,
        read: now,
    }
}

#[test]
fn a_file_that_is_missing_for_a_moment_is_waited_for() {
    let (dir, worker) = worker(&["a.py"]);
    note(&worker, "a.py", seen(&worker, "a.py"));
    let file = dir.path().join("a.py");
    let aside = dir.path().join("aside");
    std::fs::rename(&file, &aside).unwrap();
    let back = std::thread::spawn(move || {
        std::thread::sleep(4 * RECHECK_INTERVAL);
        std::fs::rename(aside, file).unwrap();
    });
    let until = Instant::now() + Duration::from_secs(10);
    let whole = worker.shared.read_whole(Path::new("a.py"), until);
    assert!(matches!(whole.unwrap().unwrap().1, Wanted::File(_)));
    back.join().unwrap();
}

#[test]
fn what_the_intake_knows_to_be_gone_is_not_waited_for() {
    let (_dir, worker) = worker(&[]);
    note(&worker, "a.py", Seen::Gone);
    let began = Instant::now();
    let until = Instant::now() + Duration::from_secs(60);
    let (_, found) = worker
        .shared
        .read_whole(Path::new("a.py"), until)
        .unwrap()
        .unwrap();
    assert_eq!(found, Wanted::Gone);
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn what_was_sent_otherwise_than_the_intake_saw_it_is_sent_again_until_both_agree() {
    let (dir, mut worker) = worker(&["a.py"]);
    let old = seen(&worker, "a.py");
    note(&worker, "a.py", old);
    std::fs::write(dir.path().join("a.py"), "passing").unwrap();
    let passing = read(&worker, "a.py");
    worker.verify_sent(&passing, &batch(&["a.py"]), &Applied::default());
    // As the intake will see it: no change since it looked last.
    std::fs::write(dir.path().join("a.py"), "old").unwrap();
    note(&worker, "a.py", old);
    assert!(!worker.is_settled());
    assert_eq!(
        worker.due_for_resending(Instant::now() + FIRST_RETRY_DELAY),
        [PathBuf::from("a.py")]
    );
    let again = read(&worker, "a.py");
    worker.verify_sent(&again, &batch(&[]), &Applied::default());
    assert!(worker.is_settled());
}

#[test]
fn what_the_intake_sees_later_as_it_was_sent_is_not_sent_again() {
    let (dir, mut worker) = worker(&["a.py"]);
    note(&worker, "a.py", seen(&worker, "a.py"));
    std::fs::write(dir.path().join("a.py"), "newer").unwrap();
    let newer = read(&worker, "a.py");
    worker.verify_sent(&newer, &batch(&["a.py"]), &Applied::default());
    note(&worker, "a.py", seen(&worker, "a.py"));
    assert_eq!(
        worker.due_for_resending(Instant::now() + FIRST_RETRY_DELAY),
        Vec::<PathBuf>::new()
    );
    assert!(worker.is_settled());
}

#[test]
fn a_long_file_counts_as_it_was_streamed() {
    let (dir, mut worker) = worker(&[]);
    std::fs::write(dir.path().join("long"), vec![7; 100_000]).unwrap();
    note(&worker, "long", seen(&worker, "long"));
    let long = read(&worker, "long");
    let source = long.item.source().unwrap();
    let streamed = |sent| Applied {
        streamed: [(long.item.target.clone(), sent)].into(),
        ..Applied::default()
    };
    for (sent, is_settled) in [
        (None, false),
        (Some(source.digest().unwrap()), true),
        (Some([0; 32]), false),
    ] {
        worker.verify_sent(&long, &batch(&["long"]), &streamed(sent));
        assert_eq!(worker.is_settled(), is_settled, "{sent:?}");
    }
}

#[test]
fn what_a_container_lacked_when_it_went_is_built_if_nothing_is_known_to_notice_it() {
    let (dir, shared, mut rebuilds) = shared_with(
        &["a.py"],
        "FROM x\nWORKDIR /w\nCOPY . .\nCMD [\"python\", \"a.py\"]\n",
    );
    let place = ContainerRef {
        namespace: "ns".to_owned(),
        pod: "pod".to_owned(),
        container: "api".to_owned(),
    };
    let seen = shared
        .read(Path::new("a.py"))
        .unwrap()
        .unwrap()
        .1
        .seen()
        .unwrap();
    shared.register("id", &Container::of_test(place));
    shared.state().journal.note(Path::new("a.py"), seen);
    shared.forget(|_| false);
    assert_eq!(rebuilds.try_recv().unwrap().path, Some("a.py".into()));
    shared.forget(|_| false);
    assert!(rebuilds.try_recv().is_err(), "it is asked for once");
    drop(dir);
}

#[test]
fn what_the_containers_user_may_not_write_is_built_and_not_tried_again() {
    use crate::sync::stream::Failure;
    let (_dir, worker) = worker(&["x", "y"]);
    let reads = [read(&worker, "x"), read(&worker, "y")];
    let sent: Vec<_> = reads.iter().collect();
    let target = |n: usize| reads[n].item.target.clone();
    let mut applied = Applied {
        failures: vec![
            Failure::needs_build(target(0), "`/app` cannot be written"),
            Failure::new(target(1), "busy"),
        ],
        ..Applied::default()
    };
    let left = worker.take_unwritable(&sent, &mut applied);
    assert_eq!(left, [PathBuf::from("x")].into());
    assert_eq!(applied.failures, [Failure::new(target(1), "busy")]);
}
