//! Cases as text: small Compose projects with what `docker compose config` makes of them.
//!
//! A file of `cases/` is a topic. The lines before its first case are either comments (`# …`) or files that
//! every case of the topic shares.
//!
//! ```text
//! === the name of the case, which also names its folder and by that its project
//! # why it is here
//! env: NAME=VALUE          a variable of the process; may be repeated
//! args: -f a.yaml --profile dev
//! at: folder               where the command is run; the project's own folder if absent
//! in: folder               a folder of this repository instead of files of its own
//! show: environment        the record lists the services' variables, too
//! compose: wavers          docker compose does not answer the same each time; one of its answers is right
//! --> compose.yaml         a file of the project, up to the next marker; a folder if it ends with `/`
//! --> .env escaped         the same with \r, \t, \0, \\ and \u{…} in it, and no newline but \n
//! <-- refused              what docker compose answers; written by UPDATE=1
//! ```
//!
//! Other lines before the first marker are the body: they stand for the line `<case>` in shared files, indented
//! as that. `{root}` in a file, a variable or an argument is the folder of the project.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::answer::Answer;

#[derive(Debug, Default, Clone)]
pub(crate) struct Case {
    pub(crate) topic: String,
    pub(crate) name: String,
    /// As written, for the record.
    pub(crate) head: String,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) args: Vec<String>,
    pub(crate) at: String,
    /// A folder of this repository.
    pub(crate) in_place: Option<String>,
    pub(crate) shows_environment: bool,
    pub(crate) wavers: bool,
    pub(crate) files: Vec<File>,
    pub(crate) answer: Option<Answer>,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A file of `cases/`.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: String,
    file: PathBuf,
    head: String,
    pub(crate) cases: Vec<Case>,
}

/// Every topic, by name.
pub(crate) fn topics() -> Vec<Topic> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compose/cases");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.into_iter().map(Topic::read).collect()
}

impl Topic {
    fn read(file: PathBuf) -> Self {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let mut parts = split(&text, "=== ");
        let (_, head) = parts.remove(0);
        let shared = files(&head);
        let cases = parts
            .into_iter()
            .map(|(case, text)| Case::read(&name, &case, &text, &shared))
            .collect();
        Self {
            name,
            file,
            head,
            cases,
        }
    }

    /// Writes the file with the answers that the cases have now.
    pub(crate) fn write(&self) {
        let mut text = self.head.clone();
        for case in &self.cases {
            write!(text, "=== {}\n{}", case.name, case.head).unwrap();
            let answer = case
                .answer
                .as_ref()
                .map(|answer| answer.record(case.shows_environment));
            writeln!(text, "{}", answer.unwrap_or_default()).unwrap();
        }
        let text = format!("{}\n", text.trim_end());
        if std::fs::read_to_string(&self.file).unwrap() != text {
            std::fs::write(&self.file, text).unwrap();
        }
    }
}

impl Case {
    fn read(topic: &str, name: &str, text: &str, shared: &[File]) -> Self {
        let (head, answer) = match text.split_once("\n<-- ") {
            Some((head, answer)) => (format!("{head}\n"), Some(Answer::recorded(answer))),
            None => (format!("{}\n", text.trim_end()), None),
        };
        let mut case = Self {
            topic: topic.to_owned(),
            name: name.to_owned(),
            answer,
            ..Self::default()
        };
        let mut body = vec![];
        for line in head.lines().take_while(|line| !line.starts_with("--> ")) {
            case.directive(line, &mut body);
        }
        case.files = shared
            .iter()
            .map(|file| File {
                text: filled(&file.text, &body),
                ..file.clone()
            })
            .collect();
        case.files.extend(files(&head));
        case.head = head;
        case
    }

    fn directive<'a>(&mut self, line: &'a str, body: &mut Vec<&'a str>) {
        match line.split_once(": ") {
            _ if line.starts_with('#') => {}
            Some(("env", pair)) => {
                let (name, value) = pair
                    .split_once('=')
                    .unwrap_or_else(|| panic!("{}: {line}", self.name));
                self.env.push((name.to_owned(), value.to_owned()));
            }
            Some(("args", args)) => self.args.extend(args.split_whitespace().map(str::to_owned)),
            Some(("at", folder)) => folder.clone_into(&mut self.at),
            Some(("in", folder)) => self.in_place = Some(folder.to_owned()),
            Some(("show", "environment")) => self.shows_environment = true,
            Some(("compose", "wavers")) => self.wavers = true,
            _ => body.push(line),
        }
    }

    /// The case's folder below `parent`, whose name becomes the project's.
    pub(crate) fn root(&self, parent: &Path) -> PathBuf {
        match &self.in_place {
            Some(folder) => Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
            None => parent.join(&self.topic).join(slug(&self.name)),
        }
    }

    /// Where the command is run.
    pub(crate) fn dir(&self, parent: &Path) -> PathBuf {
        let root = self.root(parent);
        if self.at.is_empty() {
            root
        } else {
            root.join(&self.at)
        }
    }

    /// `text` with the case's folder in place of `{root}`.
    pub(crate) fn placed(&self, text: &str, parent: &Path) -> String {
        text.replace("{root}", &self.root(parent).display().to_string())
    }

    /// Writes the project below `parent`.
    pub(crate) fn lay_out(&self, parent: &Path) {
        let root = self.root(parent);
        std::fs::create_dir_all(&root).unwrap();
        for file in &self.files {
            let path = root.join(&file.path);
            if file.path.ends_with('/') {
                std::fs::create_dir_all(path).unwrap();
                continue;
            }
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, self.placed(&file.text, parent)).unwrap();
        }
        std::fs::create_dir_all(self.dir(parent)).unwrap();
    }
}

/// The text before the first line that begins with `marker`, under no name, then what follows each by its name.
fn split(text: &str, marker: &str) -> Vec<(String, String)> {
    let mut parts = vec![(String::new(), String::new())];
    for line in text.split_inclusive('\n') {
        match line.strip_prefix(marker) {
            Some(name) => parts.push((name.trim_end().to_owned(), String::new())),
            None => parts.last_mut().unwrap().1.push_str(line),
        }
    }
    parts
}

fn files(text: &str) -> Vec<File> {
    let file = |(name, text): (String, String)| {
        let text = format!("{}\n", text.trim_end_matches('\n'));
        match name.strip_suffix(" escaped") {
            Some(path) => File {
                path: path.to_owned(),
                text: unescaped(&text.replace('\n', "")),
            },
            None => File { path: name, text },
        }
    };
    split(text, "--> ").into_iter().skip(1).map(file).collect()
}

/// `text` with `body` in place of the line `<case>`.
fn filled(text: &str, body: &[&str]) -> String {
    let Some(line) = text.lines().find(|line| line.trim() == "<case>") else {
        return text.to_owned();
    };
    let indent = line.trim_end_matches("<case>");
    let lines: Vec<_> = body
        .iter()
        .map(|line| format!("{indent}{line}").trim_end().to_owned())
        .collect();
    text.replace(line, &lines.join("\n"))
}

fn unescaped(text: &str) -> String {
    let mut chars = text.chars();
    let mut out = String::new();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('0') => out.push('\0'),
            Some('u') => {
                let code: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
                out.push(char::from_u32(u32::from_str_radix(&code, 16).unwrap()).unwrap());
            }
            other => out.extend(other),
        }
    }
    out
}

fn slug(name: &str) -> String {
    let words: Vec<_> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    words.join("-").to_ascii_lowercase()
}
