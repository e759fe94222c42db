//! Any text at all: the readers answer or refuse, and never panic nor hang.

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use devk::compose::{self, Options};
use devk::config::{self, Source};
use devk::paths::Paths;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::agreement::parent;
use crate::case::{Case, topics};
use crate::mutate::{Edit, edited};
use crate::reader;

/// An input that takes longer hangs, for all that a user cares.
const LONG: Duration = Duration::from_secs(30);

/// What is being read, and since when.
static CURRENT: Mutex<Option<(Instant, String)>> = Mutex::new(None);

/// Ends the process, naming the input, when one takes too long: a test that hangs says nothing.
fn watch() {
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            if let Some((since, input)) = &*CURRENT.lock().unwrap()
                && since.elapsed() > LONG
            {
                eprintln!("hangs: {input}");
                std::process::abort();
            }
        }
    });
}

fn watched<T>(input: &dyn std::fmt::Debug, read: impl FnOnce() -> T) -> T {
    *CURRENT.lock().unwrap() = Some((Instant::now(), format!("{input:?}")));
    let result = read();
    *CURRENT.lock().unwrap() = None;
    result
}

fn runner() -> proptest::test_runner::TestRunner {
    watch();
    // What it finds is kept as a case, in words that a reader understands.
    proptest::test_runner::TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = (any::<u8>(), any::<u32>(), 0_u8..40, any::<u32>());
    vec(
        edit.prop_map(|(kind, at, length, word)| Edit {
            kind,
            at,
            length,
            word,
        }),
        1..6,
    )
}

fn cases() -> Vec<Case> {
    topics()
        .into_iter()
        .flat_map(|topic| topic.cases)
        .filter(|case| case.in_place.is_none())
        .collect()
}

#[test]
fn mutated_projects() {
    let parent = parent();
    let cases = cases();
    let strategy = (any::<Index>(), edits());
    let read = |(index, edits): (Index, Vec<Edit>)| {
        let case = edited(index.get(&cases), &edits, &cases);
        case.lay_out(parent.path());
        watched(&case, || reader::ask(&case, parent.path()));
        std::fs::remove_dir_all(case.root(parent.path())).unwrap();
        Ok(())
    };
    runner().run(&strategy, read).unwrap();
}

/// Pieces from which YAML, interpolation and .env files are made.
const PIECES: &[&str] = &[
    "a",
    "b",
    "1",
    " ",
    "  ",
    "\n",
    "\n  ",
    "\n    ",
    "\n- ",
    "- ",
    ": ",
    ":",
    "? ",
    ", ",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "|",
    ">",
    "|-\n",
    ">2\n",
    "#",
    " #",
    "&a ",
    "*a",
    "!reset ",
    "!override ",
    "!!str ",
    "!",
    "<<",
    "---",
    "\n---\n",
    "\n...\n",
    "%YAML 1.2\n",
    "\t",
    "\r\n",
    "\\",
    "\\n",
    "\\x41",
    "\\u00e9",
    "\u{feff}",
    "é",
    "\0",
    "~",
    "null",
    "=",
    "-",
    ".",
    "services",
    "ports",
    "image",
    "include",
    "extends",
];
const TEMPLATE: &[&str] = &[
    "$", "$$", "${", "}", "{", ":-", "-", ":?", "?", ":+", "+", ":", "A", "B", "_", "a1", "é", " ",
    "x", "1", ".", "/", "\"",
];
const ENV: &[&str] = &[
    "A", "B=", "=", ":", " ", "\n", "\r\n", "\t", "export ", "#", " #", "\"", "'", "\\", "\\n",
    "\\$", "$", "${A", "}", ":-", "?", "é", "\0", "\u{a0}", "\u{2028}", "1", "x y", ".", "-", "[",
    "\\0101", "\u{feff}",
];

fn soup(pieces: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    vec(select(pieces), 0..most).prop_map(|words| words.concat())
}

/// Reads `compose.yaml` and `.env` of these contents.
fn load(dir: &Path, compose: &[u8], env: &[u8]) {
    std::fs::write(dir.join("compose.yaml"), compose).unwrap();
    std::fs::write(dir.join(".env"), env).unwrap();
    let environment = [("A".to_owned(), "1".to_owned())].into();
    let _ = compose::load(&Options {
        dir: dir.to_owned(),
        environment,
        ..Options::default()
    });
}

#[test]
fn any_yaml() {
    let parent = parent();
    let strategy = prop_oneof![soup(PIECES, 60), any::<String>()];
    let read = |text: String| {
        watched(&text, || load(parent.path(), text.as_bytes(), b""));
        Ok(())
    };
    runner().run(&strategy, read).unwrap();
}

#[test]
fn any_bytes() {
    let parent = parent();
    let read = |(compose, env): (Vec<u8>, Vec<u8>)| {
        watched(&(&compose, &env), || load(parent.path(), &compose, &env));
        Ok(())
    };
    runner()
        .run(&(vec(any::<u8>(), 0..200), vec(any::<u8>(), 0..50)), read)
        .unwrap();
}

#[test]
fn any_template() {
    let parent = parent();
    let read = |text: String| {
        let quoted = serde_json::Value::from(text.as_str());
        let compose = format!("services: {{a: {{image: a, environment: [X], command: {quoted}}}}}");
        watched(&text, || load(parent.path(), compose.as_bytes(), b"B=2"));
        Ok(())
    };
    runner().run(&soup(TEMPLATE, 40), read).unwrap();
}

#[test]
fn any_env_file() {
    let parent = parent();
    let read = |text: String| {
        let compose = b"services: {a: {image: a, env_file: .env, environment: [A, B]}}";
        watched(&text, || load(parent.path(), compose, text.as_bytes()));
        Ok(())
    };
    runner()
        .run(&prop_oneof![soup(ENV, 60), any::<String>()], read)
        .unwrap();
}

#[test]
fn any_devk_yaml() {
    let parent = parent();
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/demo/devk.yaml");
    let demo = Case {
        files: vec![crate::case::File {
            path: "devk.yaml".to_owned(),
            text: std::fs::read_to_string(demo).unwrap(),
        }],
        ..Case::default()
    };
    let paths = Paths::below(parent.path());
    let others = [demo.clone()];
    let text = prop_oneof![
        edits().prop_map(move |edits| edited(&demo, &edits, &others).files.remove(0).text),
        soup(PIECES, 60),
        any::<String>(),
    ];
    let read = |text: String| {
        std::fs::write(parent.path().join("devk.yaml"), &text).unwrap();
        let source = Source {
            dir: parent.path().to_owned(),
            file: None,
            profile: None,
        };
        let _ = watched(&text, || config::load(&source, &paths));
        Ok(())
    };
    runner().run(&text, read).unwrap();
}
