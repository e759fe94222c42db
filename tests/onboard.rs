//! scripts/onboard says what it will do before it does anything, and a no leaves the machine as it was.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

fn onboard() -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/onboard");
    script.to_str().unwrap().to_owned()
}

/// What the script shows on a terminal, that of `script`, on which this is answered; and its exit code.
fn answered(home: &Path, answer: &str) -> (String, Option<i32>) {
    let line = format!("{} --force", onboard());
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("HOME", home)
        .env_remove("XDG_CACHE_HOME")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keyboard = child.stdin.take().unwrap();
    writeln!(keyboard, "{answer}").unwrap();
    let output = child.wait_with_output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    (shown, output.status.code())
}

#[test]
fn nothing_is_installed_without_a_yes() {
    for answer in ["n", "yesterday"] {
        let home = tempfile::tempdir().unwrap();
        let (shown, code) = answered(home.path(), answer);
        assert_eq!(code, Some(1), "{shown}");
        let devk = home.path().join(".local/bin/devk");
        for part in [
            "for devk:",
            "Docker Engine",
            devk.to_str().unwrap(),
            "fs.inotify.max_user_watches is ",
            "open files: ",
            "GiB are free",
            "MiB are available",
            "Go on? [y/N]",
            "nothing was installed",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(!shown.contains("packages of the system:"), "{shown}");
        assert_eq!(
            std::fs::read_dir(home.path()).unwrap().count(),
            0,
            "{shown}"
        );
    }
}

#[test]
fn an_unknown_option_is_told_the_known_ones() {
    let output = Command::new(onboard()).arg("--yess").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("scripts/onboard [--yes] [--with-compose] [--force]"),
        "{said}"
    );
    assert!(output.stdout.is_empty(), "{output:?}");
}
