//! `devk init` on a terminal, that of `script`: what it asks, and what comes of the answers.

use std::io::{Read, Write};
use std::process::Stdio;

use crate::shape::Shape;

/// What is shown on the terminal, and the exit code. Each answer is typed when its question stands there.
fn answered(shape: &Shape, options: &str, answers: &[(&str, &str)]) -> (String, Option<i32>) {
    let line = format!("{} init {options}", env!("CARGO_BIN_EXE_devk"));
    let mut script = shape.program("script");
    script
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = script.spawn().unwrap();
    let mut keyboard = child.stdin.take().unwrap();
    let mut terminal = child.stdout.take().unwrap();
    let mut shown = vec![];
    let mut more = [0; 4096];
    let mut from = 0;
    let mut left = answers.iter();
    let mut next = left.next();
    loop {
        let count = terminal.read(&mut more).unwrap_or_default();
        if count == 0 {
            break;
        }
        shown.extend_from_slice(&more[..count]);
        while let Some((question, answer)) = next {
            let text = String::from_utf8_lossy(&shown[from..]).into_owned();
            if !text.contains(question) {
                break;
            }
            writeln!(keyboard, "{answer}").unwrap();
            from = shown.len();
            next = left.next();
        }
    }
    assert!(next.is_none(), "{next:?} is not asked");
    let code = child.wait().unwrap().code();
    (String::from_utf8_lossy(&shown).into_owned(), code)
}

#[test]
fn on_a_terminal_the_charts_of_a_collection_are_asked_for() {
    let question = "Which of them?";
    let shape = Shape::new("chart-collection");
    let (shown, code) = answered(&shape, "", &[(question, "exporter-7"), (question, "")]);
    assert_eq!(code, Some(2), "{shown}");
    assert!(
        shown.contains("`exporter-7` is not a list of numbers from 1 to 46"),
        "{shown}"
    );
    assert!(!shape.file().exists());
    let row = shown
        .lines()
        .find(|line| line.contains("/exporter-7 "))
        .unwrap();
    let number = row.split_whitespace().next().unwrap();
    let (shown, code) = answered(&shape, "", &[(question, number)]);
    assert_eq!(code, Some(0), "{shown}");
    assert!(shape.text().contains("name: exporter-7"), "{shown}");
    // There is one now, and nothing to ask.
    let (shown, code) = answered(&shape, "", &[]);
    assert!(code == Some(0) && !shown.contains(question), "{shown}");
}

#[test]
fn on_a_terminal_a_chart_out_of_compose_is_offered() {
    let question = "Write a chart of them to chart/? [y/N]";
    let shape = Shape::new("compose-only");
    let (shown, code) = answered(&shape, "", &[(question, "no")]);
    assert!(code == Some(2) && !shape.file().exists(), "{shown}");
    let (shown, code) = answered(&shape, "--yes", &[]);
    assert!(code == Some(2) && !shown.contains(question), "{shown}");
    let (shown, code) = answered(&shape, "", &[(question, "y")]);
    assert_eq!(code, Some(0), "{shown}");
    assert!(shape.root().join("chart/Chart.yaml").is_file());
    assert!(shape.text().contains("chart: ./chart"), "{shown}");
}
