//! Variables that a script or a Makefile sets, put in place of their names; what nobody can know keeps its `$`.

use std::collections::BTreeMap;

/// Variables are put in place of others at most this often.
const MAX_EXPANSIONS: usize = 8;

/// Stands for the folder of the repository, whatever the script's own is.
pub(super) const TOP: &str = "$(top)";

/// The text with that folder as one word, as the shell would have it.
pub(super) fn with_top(text: &str) -> String {
    text.replace("$(git rev-parse --show-toplevel)", TOP)
}

/// `NAME = value` of a Makefile, `NAME=value` of a shell, `NAME: value` below `env:`; the first counts.
pub(super) fn variables(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let line = ["export ", "readonly ", "local "]
            .iter()
            .fold(line.trim(), |line, word| line.trim_start_matches(word));
        let end = line
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(line.len());
        let (name, rest) = line.split_at(end);
        let rest = rest.trim_start();
        let operators = ["?=", ":=", "::=", "=", ": "];
        let Some(value) = operators.iter().find_map(|op| rest.strip_prefix(op)) else {
            continue;
        };
        let value = value.split(" #").next().unwrap_or_default().trim();
        let value = value.trim_matches(['"', '\'']);
        let is_known = !name.is_empty() && !value.is_empty() && !value.contains("$(shell");
        if is_known {
            found
                .entry(name.to_owned())
                .or_insert_with(|| folder_of(value).unwrap_or_else(|| value.to_owned()));
        }
    }
    found
}

/// How scripts ask for their own folder.
const OWN_FOLDER: [&str; 5] = [
    "$(dirname $0)",
    "$(dirname -- $0)",
    "$(dirname ${BASH_SOURCE[0]})",
    "$(dirname -- ${BASH_SOURCE[0]})",
    "$(dirname $BASH_SOURCE)",
];

/// `$HERE/..` of `$(cd "$HERE/.." && pwd)`, by which scripts make a path absolute. None for what is not written that way.
fn folder_of(value: &str) -> Option<String> {
    let plain = value.replace(['"', '\''], "");
    let plain = OWN_FOLDER
        .iter()
        .fold(plain, |text, own| text.replace(own, "."));
    let entered = plain
        .strip_prefix("$(cd ")
        .and_then(|rest| rest.strip_suffix(')'))
        .and_then(|rest| rest.split_once("&& pwd"));
    match entered {
        Some((folder, _)) => Some(folder.trim().trim_start_matches("-- ").to_owned()),
        None => plain.starts_with('.').then_some(plain),
    }
}

/// Puts one value in place of its name.
pub(super) fn replaced(text: &str, name: &str, value: &str) -> String {
    let text = text.replace(&format!("${{{name}}}"), value);
    let text = text.replace(&format!("$({name})"), value);
    let bare = format!("${name}");
    let mut found = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find(&bare) {
        let after = &rest[at + bare.len()..];
        let is_whole = !after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        found.push_str(&rest[..at]);
        found.push_str(if is_whole { value } else { &bare });
        rest = after;
    }
    found + rest
}

/// Puts known variables in place; `${{ env.NAME }}` is one, too, and what else stands in such braces is unknown.
pub(super) fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut text = expressions(text);
    for _ in 0..MAX_EXPANSIONS {
        if !text.contains('$') {
            break;
        }
        let mut next = text.clone();
        for (name, value) in variables.iter().filter(|(name, _)| text.contains(*name)) {
            next = defaulted(&next, name, value);
            next = replaced(&next, name, value);
        }
        if next == text {
            break;
        }
        text = next;
    }
    text
}

/// `${NAME:-default}` of a variable that is set.
fn defaulted(text: &str, name: &str, value: &str) -> String {
    let Some((before, rest)) = text.split_once(&format!("${{{name}:-")) else {
        return text.to_owned();
    };
    match rest.split_once('}') {
        Some((_, after)) => format!("{before}{value}{after}"),
        None => text.to_owned(),
    }
}

fn expressions(text: &str) -> String {
    let mut found = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${{") {
        let Some((inside, after)) = after.split_once("}}") else {
            break;
        };
        let inside = inside.trim();
        let name = inside.strip_prefix("env.").unwrap_or(inside);
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let name: String = name
            .chars()
            .map(|c| if is_name(c) { c } else { '_' })
            .collect();
        found.push_str(before);
        found.push_str(&format!("${{{name}}}"));
        rest = after;
    }
    found + rest
}
