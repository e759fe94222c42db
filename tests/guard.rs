//! The process between `devk ci` and a test: what it guards ends with its standard input, with all that it started.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn guard(words: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_devk"))
        .args(["guard", "--"])
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn is_alive(pid: &str) -> bool {
    // A process that nobody has waited for yet is dead all the same.
    let status = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    status.is_ok_and(|status| !status.rsplit(')').next().unwrap().trim().starts_with('Z'))
}

fn dies(pid: &str) {
    let until = Instant::now() + Duration::from_secs(10);
    while is_alive(pid) {
        assert!(Instant::now() < until, "{pid} is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A child of the command in the background, and the command's first line: the numbers of both.
const FAMILY: &str = "sleep 600 & echo $$ $!; wait";

fn family(child: &mut Child) -> Vec<String> {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    line.split_whitespace().map(str::to_owned).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn the_end_of_whoever_holds_the_guard_is_the_end_of_all_that_it_guards() {
    let mut child = guard(&["sh", "-c", FAMILY]);
    let pids = family(&mut child);
    assert!(
        pids.len() == 2 && pids.iter().all(|pid| is_alive(pid)),
        "{pids:?}"
    );
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(137));
    pids.iter().for_each(|pid| dies(pid));
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_command_leaves_running_ends_with_it() {
    let mut child = guard(&["sh", "-c", "sleep 600 & echo $!; exit 5"]);
    // Waiting closes the guard's standard input, which ends what it guards.
    let held = child.stdin.take();
    let pids = family(&mut child);
    assert_eq!(child.wait().unwrap().code(), Some(5));
    drop(held);
    dies(&pids[0]);
}

#[test]
fn a_program_that_is_not_there_and_one_that_cannot_run_have_a_shells_numbers() {
    let code = |words: &[&str]| {
        let mut child = guard(words);
        let _held = child.stdin.take();
        child.wait().unwrap().code()
    };
    assert_eq!(code(&["no-such-program-anywhere"]), Some(127));
    assert_eq!(code(&["/"]), Some(126));
    assert_eq!(code(&["sh", "-c", "kill -TERM $$"]), Some(143));
}
