//! Projects with a few things wrong: a text is cut, repeated, mixed with another, or given a word that Compose, YAML
//! or the interpolation knows.

use crate::case::Case;

/// What to do, and where: every number is taken modulo what there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Edit {
    pub(crate) kind: u8,
    pub(crate) at: u32,
    pub(crate) length: u8,
    pub(crate) word: u32,
}

const WORDS: &[&str] = &[
    "!override ",
    "!reset ",
    "!!str ",
    "!!int ",
    "!!float ",
    "!!null ",
    "!!bool ",
    "!!binary ",
    "!!map ",
    "!!seq ",
    "! ",
    "!x ",
    "$",
    "$$",
    "${",
    "}",
    "${A}",
    "${A:-",
    "${A:?",
    "${A:+",
    "${A-b}",
    "${A?}",
    "$A",
    "&a ",
    "*a",
    "*a ",
    "---\n",
    "...\n",
    "<<: *a\n",
    "<<: ",
    "%YAML 1.1\n",
    "- ",
    "-",
    "? ",
    ": ",
    ":",
    ",",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "\\",
    "#",
    " # ",
    "|",
    "|-",
    ">",
    ">+",
    "|2",
    "\n",
    "\n\n",
    "\r\n",
    "\r",
    "\t",
    " ",
    "  ",
    "    ",
    "\u{feff}",
    "\0",
    "\u{7}",
    "\u{85}",
    "\u{a0}",
    "\u{2028}",
    "é",
    "🎉",
    "@",
    "`",
    "%",
    "~",
    "null",
    "true",
    "yes",
    "no",
    "on",
    "0",
    "1",
    "-1",
    "080",
    "0120",
    "0x10",
    "0o17",
    "0b1",
    "1_000",
    "1.5",
    "1e3",
    ".inf",
    ".nan",
    "65535",
    "65536",
    "4294967296",
    "99999999999999999999",
    "2024-01-31",
    "22:22",
    "80:80",
    "8000-8002",
    "/udp",
    "/tcp",
    "127.0.0.1:",
    "[::1]:",
    "services:\n",
    "services: ",
    "ports:\n",
    "ports: ",
    "image: a\n",
    "build: .\n",
    "extends: a\n",
    "extends: {service: a}\n",
    "include: [compose.yaml]\n",
    "profiles: [p]\n",
    "environment:\n",
    "env_file: .env\n",
    "depends_on: [a]\n",
    "network_mode: host\n",
    "networks: {default: }\n",
    "x-a: ",
    "name: n\n",
    "target: 80\n",
    "published: ",
    "host_ip: ",
    "protocol: ",
    "\"\": ",
    "export ",
    "A=",
    "=",
    "a",
];

impl Edit {
    fn apply(self, text: &mut String, other: &str) {
        let at = boundary(text, self.at as usize % (text.len() + 1));
        let end = boundary(text, (at + usize::from(self.length)).min(text.len()));
        let word = WORDS[self.word as usize % WORDS.len()];
        match self.kind % 8 {
            0 => text.replace_range(at..end, ""),
            1 => text.insert_str(at, word),
            2 => text.replace_range(at..end, word),
            3 => {
                let span = text[at..end].to_owned();
                text.insert_str(at, &span);
            }
            4 => text.truncate(at),
            5 => *text = with_line_of(text, at, other, self.word as usize),
            6 => *text = indented(text, at, self.length),
            _ => text.insert_str(line_start(text, at), word),
        }
    }
}

/// The case with its files edited.
pub(crate) fn edited(case: &Case, edits: &[Edit], others: &[Case]) -> Case {
    let mut case = case.clone();
    for edit in edits {
        let count = case.files.len();
        if count == 0 {
            break;
        }
        let other = &others[edit.word as usize % others.len()];
        let other = other
            .files
            .first()
            .map(|file| file.text.clone())
            .unwrap_or_default();
        let file = &mut case.files[edit.at as usize % count];
        if !file.path.ends_with('/') {
            edit.apply(&mut file.text, &other);
        }
    }
    case
}

fn boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// A line of the other text put before the line at `at`.
fn with_line_of(text: &str, at: usize, other: &str, which: usize) -> String {
    let start = line_start(text, at);
    let lines: Vec<_> = other.lines().collect();
    let line = if lines.is_empty() {
        ""
    } else {
        lines[which % lines.len()]
    };
    format!("{}{line}\n{}", &text[..start], &text[start..])
}

/// The line at `at` a little more to the right, or to the left.
fn indented(text: &str, at: usize, amount: u8) -> String {
    let start = line_start(text, at);
    let (before, line) = text.split_at(start);
    match amount % 4 {
        0 => format!("{before}{}", line.strip_prefix("  ").unwrap_or(line)),
        1 => format!("{before}{}", line.strip_prefix(' ').unwrap_or(line)),
        more => format!("{before}{}{line}", " ".repeat(usize::from(more) - 1)),
    }
}
