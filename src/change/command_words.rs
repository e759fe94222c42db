//! The words of one pasted command of kubectl, and its options. A text that needs a shell is none.

use super::explain::outside;
use crate::error::Result;

/// What a shell does beyond one command.
const SHELL: &[char] = &['|', ';', '&', '<', '>', '`', '$', '(', ')', '\n'];
/// Options that lead elsewhere or change nothing of what is done.
const PASSED: &[&str] = &[
    "--kubeconfig",
    "--context",
    "--record",
    "--wait",
    "--overwrite",
];

/// The words of a command and its options.
pub(super) struct Words {
    pub(super) plain: Vec<String>,
    /// An option may be given several times; a switch has an empty value.
    options: Vec<(String, String)>,
}

impl Words {
    pub(super) fn read(text: &str) -> Result<Self> {
        let text = text.trim();
        let mut of_shell = text.match_indices(SHELL);
        let needs_shell = of_shell.any(|(at, _)| !is_quoted(text, at));
        let (false, Some(words)) = (needs_shell, shlex::split(text)) else {
            return Err(outside(
                "this is more than one command of kubectl: a shell would do the rest",
            )
            .hint("paste one command, without pipes, `$`, redirections and line breaks"));
        };
        let mut words = words.into_iter().peekable();
        if words.next_if(|word| word == "kubectl").is_none() {
            return Err(outside(
                "devk explains commands of kubectl, and files of YAML",
            ));
        }
        let mut found = Self {
            plain: vec![],
            options: vec![],
        };
        while let Some(word) = words.next() {
            if !word.starts_with('-') || word.len() == 1 {
                found.plain.push(word);
                continue;
            }
            let (option, value) = match word.split_once('=') {
                Some((option, value)) => (option.to_owned(), Some(value.to_owned())),
                None => (word, None),
            };
            let option = long(&option);
            let is_switch = [
                "--record",
                "--wait",
                "--overwrite",
                "--all",
                "--force",
                "--now",
                "--recursive",
            ];
            let value = match value {
                None if !is_switch.contains(&option.as_str()) => words.next(),
                value => value,
            };
            found.options.push((option, value.unwrap_or_default()));
        }
        Ok(found)
    }

    /// Takes an option out.
    pub(super) fn option(&mut self, name: &str) -> Option<String> {
        let at = self.options.iter().position(|(option, _)| option == name)?;
        Some(self.options.remove(at).1)
    }

    pub(super) fn number(&mut self, name: &str) -> Result<Option<u64>> {
        let Some(text) = self.option(name) else {
            return Ok(None);
        };
        let number = text.parse().map(Some);
        number.map_err(|_| outside(format!("`{name}` takes a number, and not `{text}`")))
    }

    /// What is left is outside of the subset.
    pub(super) fn done(self, command: &str) -> Result<()> {
        let is_passed = |option: &String| PASSED.contains(&option.as_str());
        let left = self.options.iter().map(|(option, _)| option);
        let left: Vec<_> = left.filter(|option| !is_passed(option)).cloned().collect();
        let left: Vec<_> = left.into_iter().chain(self.plain).collect();
        if left.is_empty() {
            return Ok(());
        }
        let what = format!(
            "devk does not explain `{}` of `kubectl {command}`",
            left.join(" ")
        );
        Err(outside(what))
    }
}

fn is_quoted(text: &str, at: usize) -> bool {
    let before = &text[..at];
    let odd = |quote: char| before.matches(quote).count() % 2 == 1;
    odd('\'') || (odd('"') && !text[at..].starts_with(['$', '`']))
}

fn long(option: &str) -> String {
    let long = match option {
        "-n" => "--namespace",
        "-p" => "--patch",
        "-f" => "--filename",
        "-c" => "--containers",
        "-l" => "--selector",
        "-A" => "--all-namespaces",
        other => other,
    };
    long.to_owned()
}
