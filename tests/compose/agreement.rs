//! Every case of `cases/`: devk's answer, the recorded one and the real one are the same.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::answer::Answer;
use crate::case::{Case, Topic, topics};
use crate::{reader, real};

/// A folder of which docker compose finds no file above.
pub(crate) fn parent() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

/// `work` for each item, on a few threads; the results in the items' order.
pub(crate) fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(items.len()));
    let threads = std::thread::available_parallelism().map_or(4, |cores| cores.get() * 2);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { break };
                    let result = work(item);
                    results.lock().unwrap().push((at, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

fn is_set(name: &str) -> bool {
    std::env::var(name).is_ok_and(|value| value == "1")
}

/// An answer and what was said with it.
type Said = (Answer, String);

fn none_differ(found: &[String], cases: &[Case]) {
    assert!(
        found.is_empty(),
        "{}\n{} of {} cases differ",
        found.join("\n"),
        found.len(),
        cases.len()
    );
}

/// A report for each case on which two differ.
fn differences(
    cases: &[Case],
    (one, ones): (&str, &[Said]),
    (other, others): (&str, &[Said]),
) -> Vec<String> {
    let side = |who: &str, (answer, said): &Said| {
        format!(
            "  {who}:\n{}{}",
            indented(&answer.record(true)),
            indented(said)
        )
    };
    let mut reports = vec![];
    for (case, (left, right)) in cases.iter().zip(ones.iter().zip(others)) {
        if left.0 != right.0 {
            reports.push(format!(
                "{}: {}\n{}{}",
                case.topic,
                case.name,
                side(one, left),
                side(other, right)
            ));
        }
    }
    reports
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

/// As far as a record goes.
fn as_recorded(case: &Case, (answer, said): &Said) -> Said {
    let record = answer.record(case.shows_environment);
    (
        Answer::recorded(record.strip_prefix("<-- ").unwrap()),
        said.clone(),
    )
}

/// The recorded answer, if docker compose gives that at all: one that goes by the order of a map it gives often.
fn ask_real(case: &Case, parent: &Path) -> Said {
    const TRIES: usize = 30;
    let mut said = real::ask(case, parent);
    for _ in 1..if case.wavers { TRIES } else { 1 } {
        if Some(as_recorded(case, &said).0) == case.answer {
            break;
        }
        said = real::ask(case, parent);
    }
    said
}

fn cases() -> Vec<Case> {
    let cases: Vec<_> = topics().into_iter().flat_map(|topic| topic.cases).collect();
    let names: BTreeSet<_> = cases.iter().map(|case| (&case.topic, &case.name)).collect();
    assert_eq!(
        names.len(),
        cases.len(),
        "two cases of a topic have one name"
    );
    cases
}

#[test]
fn devk_reads_every_case_as_docker_compose_does() {
    let parent = parent();
    let cases = cases();
    cases.iter().for_each(|case| case.lay_out(parent.path()));
    let devk: Vec<_> = cases
        .iter()
        .map(|case| reader::ask(case, parent.path()))
        .collect();
    let mut found = if is_set("DEVK_COMPOSE") {
        let began = Instant::now();
        let real = in_parallel(&cases, |case| ask_real(case, parent.path()));
        println!(
            "{} calls of docker compose: {:?}",
            cases.len(),
            began.elapsed()
        );
        differences(&cases, ("docker compose", &real), ("devk", &devk))
    } else {
        vec![]
    };
    let recorded: Vec<_> = cases
        .iter()
        .map(|case| (case.answer.clone().expect("UPDATE=1"), String::new()))
        .collect();
    let short: Vec<_> = cases
        .iter()
        .zip(&devk)
        .map(|(case, answer)| as_recorded(case, answer))
        .collect();
    found.extend(differences(
        &cases,
        ("recorded", &recorded),
        ("devk", &short),
    ));
    none_differ(&found, &cases);
}

#[test]
fn what_devk_takes_from_docker_where_it_does_not_know_the_files_is_what_it_reads_itself() {
    if !is_set("DEVK_COMPOSE") {
        return;
    }
    const TOPICS: [&str; 3] = ["interpolation", "profiles", "stacks_one"];
    let parent = parent();
    let mut cases = cases();
    cases.retain(|case| TOPICS.contains(&case.topic.as_str()) && !case.wavers);
    assert!(cases.len() > 50, "{}", cases.len());
    cases.iter().for_each(|case| case.lay_out(parent.path()));
    let unsaid = |answer| (answer, String::new());
    let own: Vec<_> = cases
        .iter()
        .map(|case| unsaid(reader::ask(case, parent.path()).0))
        .collect();
    let asked = in_parallel(&cases, |case| {
        unsaid(reader::ask_by_docker(case, parent.path()))
    });
    let found = differences(&cases, ("devk", &own), ("asked", &asked));
    none_differ(&found, &cases);
}

/// Docker takes larger files than devk's reader does.
#[test]
fn files_that_only_docker_takes_are_read_as_docker_has_them() {
    if !is_set("DEVK_COMPOSE") {
        return;
    }
    let parent = parent();
    let many = "0,".repeat(210_000);
    let text = format!(
        "name: large\nx-many: [{many}]\nservices:\n  db:\n    image: postgres:17\n    environment: {{POSTGRES_DB: shop, POSTGRES_PASSWORD: 'a$$b'}}\n    ports: ['5439:5432']\n"
    );
    std::fs::write(parent.path().join("compose.yaml"), text).unwrap();
    let compose = reader::read_as_up_does(parent.path()).unwrap().unwrap();
    let db = &compose.services["db"];
    assert_eq!(db.environment["POSTGRES_PASSWORD"].value, "a$b");
    let mut databases = db.databases.iter();
    assert!(databases.any(|database| database.named.name == "shop"));
    let port = &db.ports[0];
    let place = (port.file.to_str().unwrap(), port.line);
    assert_eq!(
        (port.published.as_deref(), place),
        (Some("5439"), ("compose.yaml", 4))
    );
    assert_eq!(compose.passed_over.len(), 2, "{:?}", compose.passed_over);
}

#[test]
fn every_compose_file_of_this_project_is_a_case() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = vec![];
    collect(root, &mut found);
    let covered: BTreeSet<_> = cases()
        .into_iter()
        .filter_map(|case| case.in_place)
        .collect();
    let folders = found.iter().map(|file| {
        file.parent()
            .unwrap()
            .strip_prefix(root)
            .unwrap()
            .display()
            .to_string()
    });
    let missing: Vec<_> = folders.filter(|folder| !covered.contains(folder)).collect();
    assert!(missing.is_empty(), "not in cases/project.txt: {missing:?}");
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            collect(&path, found);
        } else if name.contains("compose") && (name.ends_with(".yaml") || name.ends_with(".yml")) {
            found.push(path);
        }
    }
}

/// Not a test of anything: writes the record.
#[test]
fn update() {
    if !is_set("UPDATE") {
        return;
    }
    let parent = parent();
    let wanted = std::env::var("TOPIC").unwrap_or_default();
    for topic in topics()
        .into_iter()
        .filter(|topic| topic.name.contains(&wanted))
    {
        record(topic, parent.path());
    }
}

fn record(mut topic: Topic, parent: &Path) {
    topic.cases.iter().for_each(|case| case.lay_out(parent));
    let real = in_parallel(&topic.cases, |case| ask_real(case, parent));
    for (case, (answer, said)) in topic.cases.iter_mut().zip(real) {
        if case.answer.as_ref() != Some(&answer) {
            println!(
                "{}: {}\n{}{}",
                case.topic,
                case.name,
                indented(&answer.record(true)),
                indented(&said)
            );
        }
        case.answer = Some(answer);
    }
    topic.write();
}
