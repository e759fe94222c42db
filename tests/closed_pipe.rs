//! Whoever reads devk's output may stop at any time: that is no panic, no message, and no other exit code.

#![allow(clippy::unwrap_used)]

use std::process::{Command, Output, Stdio};

/// What a command says beside its output, and how it ends, if nobody reads that.
fn unread(args: &[&str], dir: &std::path::Path) -> Output {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    run(args, dir, writer.into())
}

fn run(args: &[&str], dir: &std::path::Path, stdout: Stdio) -> Output {
    Command::new(env!("CARGO_BIN_EXE_devk"))
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("HOME", dir)
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap()
}

#[test]
fn a_command_whose_output_nobody_reads_ends_quietly_and_with_its_own_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let compose = "services: {a: {image: x, ports: [\"1000:80\"]}}\n";
    std::fs::write(dir.path().join("compose.yaml"), compose).unwrap();
    // `doctor` finds that there is no Docker.
    for (args, code) in [
        (&["schema"][..], 0),
        (&["ports", "--compose-only"], 0),
        (&["doctor"], 3),
        (&["doctor", "--format", "json"], 3),
    ] {
        let read = run(args, dir.path(), Stdio::piped());
        assert!(!read.stdout.is_empty(), "{args:?}");
        let unread = unread(args, dir.path());
        assert_eq!(read.status.code(), Some(code), "{args:?}");
        assert_eq!(unread.status.code(), Some(code), "{args:?}");
        let said = String::from_utf8_lossy(&unread.stderr);
        assert_eq!(said, String::from_utf8_lossy(&read.stderr), "{args:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_is_lost_on_a_full_disk_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let lost = run(&["schema"], dir.path(), full.into());
    assert_eq!(lost.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&lost.stderr).contains("cannot write the output"));
}
