//! A repository of `shapes/` in a folder of its own, and `devk init` in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use devk::config::{self, Project};
use serde_json::Value;

use crate::archive::unpack;

pub(crate) struct Shape {
    folder: tempfile::TempDir,
    name: String,
}

impl Shape {
    pub(crate) fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shape = Self {
            folder,
            name: name.to_owned(),
        };
        unpack(name, &shape.root());
        shape
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.root().join("devk.yaml")
    }

    pub(crate) fn text(&self) -> String {
        std::fs::read_to_string(self.file()).unwrap()
    }

    /// The file with each comment on one line.
    pub(crate) fn flowing(&self) -> String {
        let text = self.text();
        let words: Vec<_> = text
            .split_whitespace()
            .filter(|word| *word != "#")
            .collect();
        words.join(" ")
    }

    /// The written file as devk reads it.
    pub(crate) fn project(&self) -> Project {
        config::read_text(&self.text(), &self.file()).unwrap()
    }

    /// Exit code, the document on stdout, and what stderr says.
    pub(crate) fn init(&self, options: &[&str]) -> (i32, Value, String) {
        answer(self.run(&std::env::var("PATH").unwrap(), options))
    }

    /// Any command: exit code, stdout and stderr.
    pub(crate) fn devk(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self
            .command(&std::env::var("PATH").unwrap())
            .args(arguments)
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.code().unwrap(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    /// All files and their contents.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        files(&self.root())
    }

    pub(crate) fn init_without_helm(&self, options: &[&str]) -> (i32, Value, String) {
        answer(self.run("/nowhere", options))
    }

    fn run(&self, path: &str, options: &[&str]) -> Output {
        self.command(path)
            .arg("init")
            .args(options)
            .output()
            .unwrap()
    }

    fn command(&self, path: &str) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_devk"));
        command.env("PATH", path);
        command
    }

    /// A program in the repository's folder, as somebody who has no other files.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command
            .current_dir(self.root())
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap())
            .env("HOME", self.folder.path());
        command
    }

    /// What `devk init` writes: devk reads it, all charts render, and the second run changes nothing, nor does anything
    /// else in the repository change.
    pub(crate) fn written(&self) -> Value {
        let document = self.written_once();
        self.project();
        let open = document["open"].as_array().unwrap().iter();
        let errors: Vec<_> = open
            .filter(|open| open.as_str().unwrap().contains("devk.yaml:"))
            .collect();
        assert!(errors.is_empty(), "{errors:?}");
        document
    }

    /// The same, and nobody reads the file.
    fn written_once(&self) -> Value {
        let before = files(&self.root());
        let (code, printed, said) = self.init(&["--dry-run", "--format", "json"]);
        assert_eq!(code, 0, "{said}");
        assert!(!self.file().exists());
        let (code, document, said) = self.init(&["--yes", "--format", "json"]);
        assert_eq!((code, said.as_str()), (0, ""));
        assert_eq!(document["text"], printed["text"]);
        assert_eq!(document["text"], self.text());
        let (code, again, _) = self.init(&["--format", "json"]);
        assert_eq!((code, &again["result"]), (0, &Value::from("unchanged")));
        assert_eq!(document["text"], self.text());
        let mut after = files(&self.root());
        after.retain(|(file, _)| *file != self.file());
        assert!(before == after, "the repository changed");
        document
    }
}

fn answer(output: Output) -> (i32, Value, String) {
    let document = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), document, said)
}

/// All files and their contents.
fn files(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = vec![];
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for item in std::fs::read_dir(dir).unwrap() {
            let path = item.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false => found.push((path.clone(), std::fs::read(path).unwrap())),
            }
        }
    }
    found.sort();
    found
}
