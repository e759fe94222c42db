//! The log as a whole: the chain, what breaks it, cut lines, rotation.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::record::time;
use super::*;

fn paths(dir: &Path) -> Paths {
    Paths::all_at(dir)
}

fn log(dir: &Path) -> AuditLog {
    AuditLog::of(&paths(dir))
}

fn new_log() -> (tempfile::TempDir, AuditLog) {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path());
    (dir, log)
}

fn intent(kind: AuditKind, word: &str) -> AuditIntent {
    AuditIntent {
        kind,
        origin: AuditOrigin::new(AuditChannel::Cli),
        project: Some(AuditProject {
            name: "shop".to_owned(),
            id: "shop-main".to_owned(),
            folder: "/src/shop".into(),
        }),
        cluster: None,
        folder: "/src/shop".into(),
        arguments: vec![AuditText::masked(word, str::to_owned)],
        plan: None,
    }
}

fn done(log: &AuditLog, word: &str) {
    let act = log.intent(intent(AuditKind::Up, word)).unwrap();
    act.outcome(AuditOutcome::new(AuditResult::Done)).unwrap();
}

fn file(dir: &Path, number: u32) -> PathBuf {
    dir.join("audit").join(folder::name(number))
}

fn words(found: &AuditFound) -> Vec<String> {
    let entries = found.entries.iter();
    let words = entries.map(|entry| entry.begin.arguments.iter().map(AuditText::as_str));
    words.map(|words| words.collect()).collect()
}

/// What `verify` says of the log: line, or 0 for a file, and the sentence.
fn breaks(log: &AuditLog) -> Vec<(u32, String)> {
    let breaks = log.verify().unwrap().breaks;
    let told = |found: AuditBreak| (found.line.unwrap_or_default(), found.what);
    breaks.into_iter().map(told).collect()
}

fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn write_lines(path: &Path, lines: &[String]) {
    std::fs::write(path, lines.join("\n") + "\n").unwrap();
}

#[test]
fn an_act_is_its_intent_and_its_outcome() {
    let (dir, log) = new_log();
    let act = log.intent(intent(AuditKind::Up, "-d")).unwrap();
    let id = act.id().to_owned();
    let running = log.search(&AuditQuery::default()).unwrap();
    assert_eq!(running.entries[0].state, AuditState::Running);
    let failed = AuditOutcome {
        code: Some(Code::CommandFailed),
        exit: Some(1),
        message: Some(AuditText::fixed("helm failed")),
        ..AuditOutcome::new(AuditResult::Failed)
    };
    act.outcome(failed).unwrap();
    let found = log.search(&AuditQuery::default()).unwrap();
    let [entry] = &found.entries[..] else {
        panic!("{found:?}");
    };
    assert_eq!(entry.begin.id, id);
    assert_eq!(entry.state, AuditState::Ended(AuditResult::Failed));
    let outcome = entry.outcome.as_ref().unwrap();
    assert_eq!(outcome.code.as_deref(), Some("command.failed"));
    assert!(outcome.ms.is_some());
    assert_eq!(entry.begin.uid, Some(rustix::process::getuid().as_raw()));
    let left = std::fs::read_dir(dir.path().join("audit/open")).unwrap();
    assert_eq!(left.count(), 0);
}

#[test]
fn an_act_that_nobody_waits_for_any_longer_is_interrupted() {
    let (_dir, log) = new_log();
    drop(log.intent(intent(AuditKind::Restart, "api")).unwrap());
    let found = log.search(&AuditQuery::default()).unwrap();
    assert_eq!(
        found.entries[0].state,
        AuditState::Ended(AuditResult::Interrupted)
    );
}

#[test]
fn a_changed_byte_is_found_in_the_record_that_has_it_whichever_it_is() {
    let (dir, log) = new_log();
    done(&log, "one");
    done(&log, "two");
    let path = file(dir.path(), 1);
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(breaks(&log), []);
    let mut line = 1;
    for (at, byte) in whole.iter().enumerate() {
        let mut changed = whole.clone();
        changed[at] = match byte {
            b'0'..=b'8' | b'a'..=b'e' => byte + 1,
            b'\n' => b' ',
            _ => b'#',
        };
        std::fs::write(&path, &changed).unwrap();
        let found = log.verify().unwrap();
        let is_torn_end = at == whole.len() - 1;
        match found.breaks.first() {
            // The last record has lost its line end: to a reader it is one that is being written.
            _ if is_torn_end => assert_eq!(found.torn.len(), 1),
            Some(first) => assert_eq!(first.line, Some(line), "byte {at}: {first:?}"),
            None => panic!("byte {at} of line {line} changed, and nobody saw"),
        }
        line += u32::from(*byte == b'\n');
    }
    std::fs::write(&path, whole).unwrap();
    assert_eq!(breaks(&log), []);
}

#[test]
fn a_record_that_is_missing_put_in_or_moved_is_named() {
    let (dir, log) = new_log();
    for word in ["one", "two", "three"] {
        done(&log, word);
    }
    let path = file(dir.path(), 1);
    let whole = lines(&path);
    let broken = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = whole.clone();
        change(&mut lines);
        write_lines(&path, &lines);
        breaks(&log)
    };
    let told = |line: u32, what: &str| vec![(line, what.to_owned())];
    assert_eq!(
        broken(&|lines| drop(lines.remove(2))),
        told(3, "record 3 is missing before record 4")
    );
    assert_eq!(
        broken(&|lines| drop(lines.drain(1..4))),
        told(2, "records 2 to 4 are missing before record 5")
    );
    assert_eq!(
        broken(&|lines| drop(lines.remove(0))),
        told(
            1,
            "the records before 2 are missing, and no record says that devk removed them"
        )
    );
    assert_eq!(
        broken(&|lines| drop(lines.pop())),
        told(0, "records 6 to 6 are missing at the end")
    );
    assert_eq!(
        broken(&|lines| lines.insert(2, "{}".to_owned())),
        told(3, "the line is no record")
    );
    let moved = broken(&|lines| lines.swap(2, 3));
    assert_eq!(
        moved[0],
        (3, "record 3 is missing before record 4".to_owned())
    );
    assert_eq!(
        moved[1],
        (
            4,
            "record 3 is out of order: record 5 belongs here".to_owned()
        )
    );
    // Whoever computes the hash anew is found by the record that follows, or by what the folder remembers.
    let forged = |line: &str, prev: &str| {
        let mut record = line::LineParts::of(line).unwrap().record().unwrap();
        record.user = Some("nobody".to_owned());
        line::seal(&record, prev).unwrap().line
    };
    let prev = |line: &str| line::LineParts::of(line).unwrap().prev.to_owned();
    let replaced = broken(&|lines| lines[2] = forged(&lines[2], &prev(&lines[2])));
    assert_eq!(replaced[0].0, 4);
    assert!(replaced[0].1.starts_with("record 4 does not follow"));
    let replaced = broken(&|lines| lines[5] = forged(&lines[5], &prev(&lines[5])));
    assert_eq!(
        replaced,
        told(
            6,
            "record 6 is not the one that devk wrote last: it was replaced"
        )
    );
}

#[test]
fn a_line_that_was_cut_is_kept_aside_and_the_chain_goes_on() {
    let (dir, log) = new_log();
    done(&log, "one");
    let path = file(dir.path(), 1);
    let mut file = File::options().append(true).open(&path).unwrap();
    file.write_all(b"{\"v\":1,\"seq\":3,\"ti").unwrap();
    assert_eq!(log.verify().unwrap().torn.len(), 1);
    done(&log, "two");
    let verdict = log.verify().unwrap();
    assert_eq!((verdict.breaks, verdict.records), (vec![], 5));
    let kept = std::fs::read_dir(dir.path().join("audit")).unwrap();
    let kept = kept.map(|entry| entry.unwrap().path());
    let kept: Vec<_> = kept
        .filter(|path| path.extension().is_some_and(|e| e == "torn"))
        .collect();
    assert_eq!(std::fs::read(&kept[0]).unwrap(), b"{\"v\":1,\"seq\":3,\"ti");
    let notes = AuditQuery {
        kind: Some(AuditKind::LogTorn),
        ..AuditQuery::default()
    };
    let found = log.search(&notes).unwrap();
    assert_eq!(found.entries[0].begin.note.as_ref().unwrap().bytes, 18);
    assert_eq!(found.entries[0].state, AuditState::Noted);
}

#[test]
fn zeros_behind_the_last_line_as_a_loss_of_power_leaves_them_are_kept_aside() {
    let (dir, log) = new_log();
    done(&log, "one");
    let mut file = File::options()
        .append(true)
        .open(file(dir.path(), 1))
        .unwrap();
    file.write_all(&[0; 9000]).unwrap();
    done(&log, "two");
    let verdict = log.verify().unwrap();
    assert_eq!((verdict.breaks, verdict.records), (vec![], 5));
    assert!(verdict.torn[0].starts_with("9000 bytes of 000001.jsonl"));
}

#[test]
fn the_chain_goes_over_files_and_the_removal_of_the_oldest_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let limits = AuditLimits {
        file_bytes: 2000,
        files: 3,
    };
    let log = AuditLog::with(&paths(dir.path()), limits);
    for number in 0..30 {
        done(&log, &format!("act {number}"));
    }
    let numbers = log.folder.numbers().unwrap();
    assert_eq!(numbers.len(), 3);
    assert!(numbers[0] > 1, "{numbers:?}");
    let verdict = log.verify().unwrap();
    assert_eq!(verdict.breaks, []);
    assert!(verdict.begins.is_some_and(|seq| seq > 1));
    let removals = AuditQuery {
        kind: Some(AuditKind::LogRemoved),
        ..AuditQuery::default()
    };
    let removals = log.search(&removals).unwrap().entries;
    let note = removals.last().unwrap().begin.note.clone().unwrap();
    let first = lines(&file(dir.path(), numbers[0]))[0].clone();
    assert_eq!(
        note.begins.as_deref(),
        Some(line::LineParts::of(&first).unwrap().prev)
    );
    // One that devk did not remove is missed.
    std::fs::remove_file(file(dir.path(), numbers[1])).unwrap();
    let found = breaks(&log);
    assert_eq!(found[0], (0, "the file is missing".to_owned()));
    std::fs::remove_file(file(dir.path(), numbers[0])).unwrap();
    let found = breaks(&log);
    assert!(
        found[0]
            .1
            .ends_with("no record says that devk removed them"),
        "{found:?}"
    );
}

#[test]
fn where_all_files_were_taken_away_the_next_record_does_not_hide_it() {
    let (dir, log) = new_log();
    assert_eq!(log.verify().unwrap().records, 0);
    done(&log, "one");
    std::fs::remove_file(file(dir.path(), 1)).unwrap();
    assert_eq!(breaks(&log)[0].1, "records 1 to 2 are missing at the end");
    done(&log, "two");
    assert!(
        breaks(&log)[0]
            .1
            .starts_with("the records before 3 are missing")
    );
}

#[test]
fn a_note_of_the_last_record_that_is_missing_or_damaged_is_a_break() {
    let (dir, log) = new_log();
    done(&log, "one");
    let head = dir.path().join("audit/head");
    let note = std::fs::read_to_string(&head).unwrap();
    let at_head = |log: &AuditLog| {
        let breaks = log.verify().unwrap().breaks;
        let files: Vec<_> = breaks.into_iter().map(|found| found.file).collect();
        files == [head.clone()]
    };
    assert!(!at_head(&log));
    for damaged in ["", "x", &note.replace(' ', "")] {
        std::fs::write(&head, damaged).unwrap();
        assert!(at_head(&log), "{damaged}");
    }
    std::fs::remove_file(&head).unwrap();
    assert!(at_head(&log));
}

#[test]
fn numbers_beyond_every_count_are_told_and_end_nothing() {
    let (dir, log) = new_log();
    done(&log, "one");
    let path = file(dir.path(), 1);
    let forged = lines(&path)[1].replace("\"seq\":2,", &format!("\"seq\":{},", u64::MAX));
    let mut all = lines(&path);
    all.push(forged);
    write_lines(&path, &all);
    assert_eq!(breaks(&log).len(), 1);
    std::fs::remove_file(dir.path().join("audit/head")).unwrap();
    assert!(log.intent(intent(AuditKind::Up, "two")).is_err());
    std::fs::write(dir.path().join("audit/4294967295.jsonl"), "").unwrap();
    let last = breaks(&log).len();
    assert!((100..110).contains(&last), "{last}");
}

#[test]
fn records_that_were_cut_off_at_the_end_are_missed_whatever_is_written_since() {
    let (dir, log) = new_log();
    for word in ["one", "two", "three"] {
        done(&log, word);
    }
    let path = file(dir.path(), 1);
    let whole = lines(&path);
    write_lines(&path, &whole[..3]);
    done(&log, "four");
    let told = (4, "records 4 to 6 are missing before record 7".to_owned());
    assert_eq!(breaks(&log), [told]);
}

#[test]
fn acts_are_found_by_what_they_are() {
    let (_dir, log) = new_log();
    done(&log, "plain");
    let quoted = log.intent(intent(AuditKind::Sh, "say \"Grüße\"")).unwrap();
    quoted
        .outcome(AuditOutcome::new(AuditResult::Failed))
        .unwrap();
    let mut other = intent(AuditKind::Down, "--delete");
    other.project = None;
    let other = log.intent(other).unwrap();
    let found = |query: AuditQuery| words(&log.search(&query).unwrap());
    let all = AuditQuery::default;
    assert_eq!(found(all()), ["plain", "say \"Grüße\"", "--delete"]);
    let text = |text: &str| AuditQuery {
        texts: vec![text.to_owned()],
        ..all()
    };
    assert_eq!(found(text("\"GRÜSSE\"")), [""; 0]);
    assert_eq!(found(text("\"GRÜßE\"")), ["say \"Grüße\""]);
    assert_eq!(found(text("failed")), ["say \"Grüße\""]);
    // The names of members, and the chain's hashes, are no texts of an act.
    assert_eq!(found(text("arguments")), [""; 0]);
    let project = |name: &str| AuditQuery {
        project: Some(name.to_owned()),
        ..all()
    };
    assert_eq!(found(project("shop")).len(), 2);
    assert_eq!(found(project("shop-main")).len(), 2);
    assert_eq!(found(project("sho")).len(), 0);
    let result = |word: &str| AuditQuery {
        result: Some(word.to_owned()),
        ..all()
    };
    assert_eq!(found(result("running")), ["--delete"]);
    assert_eq!(found(result("done")), ["plain"]);
    assert_eq!(found(result("unknown")), [""; 0]);
    let limited = AuditQuery {
        limit: Some(2),
        ..all()
    };
    assert_eq!(found(limited), ["say \"Grüße\"", "--delete"]);
    let until = AuditQuery {
        until: Some(jiff::Timestamp::UNIX_EPOCH),
        ..all()
    };
    assert_eq!(found(until), [""; 0]);
    let id = AuditQuery {
        id: Some(other.id()[..8].to_owned()),
        ..all()
    };
    assert_eq!(found(id), ["--delete"]);
}

#[test]
fn an_act_without_an_outcome_whose_process_is_gone_is_unknown() {
    let (dir, log) = new_log();
    let act = log.intent(intent(AuditKind::Up, "-d")).unwrap();
    // As if the process had been killed: its lock is released, and its file stays.
    let open = dir.path().join("audit/open").join(act.id());
    std::fs::remove_file(&open).unwrap();
    File::create(&open).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(2));
    let found = log.search(&AuditQuery::default()).unwrap();
    assert_eq!(found.entries[0].state, AuditState::Unknown);
}

#[test]
fn a_log_that_cannot_be_written_says_so_and_has_nothing_of_the_act() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("audit"), "").unwrap();
    let error = log(dir.path())
        .intent(intent(AuditKind::Up, ""))
        .unwrap_err();
    assert_eq!(error.code, Code::AuditUnwritable);
    assert!(error.message.contains("audit"), "{error}");
}

#[test]
fn whoever_holds_the_lock_for_long_is_named() {
    let (_dir, log) = new_log();
    log.folder.prepare().unwrap();
    let _held = crate::paths::Lock::try_take(&log.folder.lock())
        .unwrap()
        .unwrap();
    let error = log.intent(intent(AuditKind::Up, "")).unwrap_err();
    assert_eq!(error.code, Code::AuditUnwritable);
    assert!(error.hint.unwrap().contains("fuser -v"));
}

/// Prints figures: `cargo test --release --lib how_long -- --ignored --nocapture`.
#[test]
#[ignore = "prints figures, and asserts none"]
fn how_long_a_record_and_a_search_take() {
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let log = log(dir.path());
    let mut took: Vec<_> = (0..200)
        .map(|number| {
            let since = Instant::now();
            done(&log, &format!("act {number}"));
            since.elapsed()
        })
        .collect();
    took.sort_unstable();
    let [fast, usual, slow] = [20, 100, 180].map(|at| took[at]);
    println!("an act, both records: {usual:?}, one of ten {fast:?}, nine of ten {slow:?}");
    let mut out = Vec::new();
    let mut prev = line::GENESIS.to_owned();
    for seq in 1..=100_000_u64 {
        let (phase, is_intent) = match seq % 2 {
            1 => (AuditPhase::Intent, true),
            _ => (AuditPhase::Outcome, false),
        };
        let id = format!("{:020x}", seq.div_ceil(2) * 7919);
        let mut record = AuditRecord::bare(&id, phase, AuditKind::Restart);
        record.seq = seq;
        record.time = time(jiff::Timestamp::from_second(1_700_000_000 + seq as i64).unwrap());
        if is_intent {
            let intent = intent(AuditKind::Restart, &format!("service-{seq}"));
            record.project = intent.project;
            record.arguments = intent.arguments;
            record.folder = Some(intent.folder);
            record.user = Some("ann".to_owned());
        } else {
            record.result = Some(AuditResult::Done);
            record.ms = Some(seq);
        }
        let sealed = line::seal(&record, &prev).unwrap();
        out.extend_from_slice(sealed.line.as_bytes());
        out.push(b'\n');
        prev = sealed.hash;
    }
    let dir = tempfile::tempdir().unwrap();
    let log = self::log(dir.path());
    log.folder.prepare().unwrap();
    println!("100,000 records: {} bytes", out.len());
    let mut rest = &out[..];
    for number in 1.. {
        let end = rest.iter().skip(8 << 20).position(|b| *b == b'\n');
        let end = end.map_or(rest.len(), |end| end + (8 << 20) + 1);
        std::fs::write(file(dir.path(), number), &rest[..end]).unwrap();
        rest = &rest[end..];
        if rest.is_empty() {
            break;
        }
    }
    let text = |text: &str| AuditQuery {
        texts: vec![text.to_owned()],
        ..AuditQuery::default()
    };
    let queries = [
        (
            "the newest 50",
            AuditQuery {
                limit: Some(50),
                ..AuditQuery::default()
            },
        ),
        ("a text that one act has", text("SERVICE-49999")),
        ("a text that no act has", text("nowhere")),
        (
            "a kind and result that no act has",
            AuditQuery {
                kind: Some(AuditKind::Up),
                result: Some("failed".to_owned()),
                ..AuditQuery::default()
            },
        ),
        (
            "an id",
            AuditQuery {
                id: Some("0000".repeat(6)),
                ..AuditQuery::default()
            },
        ),
        (
            "a project, of the oldest 10",
            AuditQuery {
                until: Some(jiff::Timestamp::from_second(1_700_000_020).unwrap()),
                project: Some("shop".to_owned()),
                ..AuditQuery::default()
            },
        ),
        ("all", AuditQuery::default()),
    ];
    for (name, query) in queries {
        let took = (0..5).map(|_| {
            let since = Instant::now();
            let found = log.search(&query).unwrap();
            (since.elapsed(), found.entries.len())
        });
        let (took, acts) = took.min().unwrap();
        println!("{name}: {acts} acts in {took:?}, the best of 5");
    }
    let since = Instant::now();
    let verdict = log.verify().unwrap();
    println!(
        "verify: {} records in {:?}",
        verdict.records,
        since.elapsed()
    );
}
