//! What `devk tour` says where there is no demo to look at.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

fn tour(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_devk"))
        .arg("tour")
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("HOME", dir)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_demo_that_does_not_run_is_told_with_the_command_that_starts_it() {
    let dir = tempfile::tempdir().unwrap();
    for args in [&[][..], &["--profile", "demo"], &["--restart"]] {
        let said = said(&tour(dir.path(), args));
        assert!(
            said.contains("error[session.none]: no session of `demo` is running"),
            "{said}"
        );
        assert!(said.contains("hint: devk up -d --profile demo\n"), "{said}");
    }
}

#[test]
fn a_project_that_is_not_the_demo_is_told_what_it_lacks() {
    let dir = tempfile::tempdir().unwrap();
    let yaml = "name: shop\ncluster: {provider: kind, name: devk}\nreleases:\n  - {name: shop, chart: chart}\n";
    std::fs::write(dir.path().join("devk.yaml"), yaml).unwrap();
    let said = said(&tour(dir.path(), &[]));
    for part in [
        "error[tour.project]: `shop` is not the demo",
        "there is no `app/main.py` in the context of an image `api`",
        "there is no forward `postgres`",
        "hint: devk tour --profile demo\n",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!dir.path().join(".local").exists(), "nothing is written");
}
