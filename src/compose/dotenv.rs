//! The syntax of `.env` and `env_file`, as Compose reads it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::interpolate::{self, Lookup};
use crate::error::{Code, Error, Result};
use crate::place::Place;

/// A variable and the line that set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Set {
    pub(super) value: String,
    pub(super) place: Place,
}

/// Reads a file's bytes into `variables`, over what is there. `${…}` in values asks `lookup` first and then
/// `variables`. A name without `=` asks `lookup` and is left out if that knows no value.
///
/// # Errors
/// The first line that Compose refuses.
pub(super) fn parse(
    bytes: &[u8],
    file: &Path,
    lookup: &Lookup<'_>,
    variables: &mut BTreeMap<String, Set>,
) -> Result<()> {
    let text = String::from_utf8_lossy(bytes);
    let rest = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
    let mut reader = Reader { rest, line: 1, file: file.into(), lookup, variables };
    while reader.skip_to_statement() {
        reader.statement()?;
    }
    Ok(())
}

struct Reader<'a> {
    rest: &'a str,
    /// 1-based, of `rest`.
    line: u32,
    file: Arc<Path>,
    lookup: &'a Lookup<'a>,
    variables: &'a mut BTreeMap<String, Set>,
}

impl<'a> Reader<'a> {
    /// Passes so many bytes.
    fn skip(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        let breaks = passed.bytes().filter(|byte| *byte == b'\n').count();
        self.line = self.line.saturating_add(u32::try_from(breaks).unwrap_or(u32::MAX));
        self.rest = rest;
    }

    fn skip_while(&mut self, passed: impl Fn(char) -> bool) {
        let length = self.rest.len() - self.rest.trim_start_matches(passed).len();
        self.skip(length);
    }

    /// Passes white space and comments. Whether anything follows.
    fn skip_to_statement(&mut self) -> bool {
        self.skip_while(char::is_whitespace);
        while self.rest.starts_with('#') {
            self.skip_while(|char| char != '\n');
            self.skip_while(char::is_whitespace);
        }
        !self.rest.is_empty()
    }

    fn statement(&mut self) -> Result<()> {
        self.skip_export()?;
        let place = self.place();
        let (key, separator) = self.key()?;
        if key.contains(' ') {
            return Err(self.error(&place, format!("the name `{key}` contains a space")));
        }
        let value = if separator == Some('\n') { (self.lookup)(key) } else { Some(self.value(&place)?) };
        if let Some(value) = value {
            self.variables.insert(key.to_owned(), Set { value, place });
        }
        Ok(())
    }

    fn skip_export(&mut self) -> Result<()> {
        let Some(rest) = self.rest.strip_prefix("export") else { return Ok(()) };
        if !rest.starts_with(['\t', '\n', '\x0C', '\r', ' ']) {
            return Ok(());
        }
        self.skip("export".len());
        self.skip_while(is_blank);
        if self.rest.is_empty() {
            Err(self.error(&self.place(), "`export` names no variable".to_owned()))
        } else {
            Ok(())
        }
    }

    /// The name, and what ended it: `=`, `:` or the line. At the end of the file nothing does, and Compose takes
    /// the last line for the value of a variable without a name.
    fn key(&mut self) -> Result<(&'a str, Option<char>)> {
        let text = self.rest;
        let is_part =
            |char: char| is_blank(char) || char.is_alphabetic() || char.is_numeric() || "_.-[]".contains(char);
        let (key, separator) = match text.char_indices().find(|(_, char)| !is_part(*char)) {
            Some((end, char @ ('=' | ':' | '\n'))) => (&text[..end], Some(char)),
            None => ("", None),
            Some((_, char)) => {
                let message = format!("{char:?} cannot stand in a variable's name");
                return Err(self.error(&self.place(), message));
            }
        };
        self.skip(key.len() + separator.map_or(0, char::len_utf8));
        self.skip_while(is_blank);
        Ok((key.trim_end(), separator))
    }

    fn value(&mut self, place: &Place) -> Result<String> {
        match self.rest.as_bytes().first() {
            Some(b'"') => {
                let value = self.quoted(place)?;
                self.expand(&unescape(&value), place)
            }
            Some(b'\'') => self.quoted(place),
            _ => {
                let line = self.rest.split('\n').next().unwrap_or_default();
                self.skip((line.len() + 1).min(self.rest.len()));
                let value = line.split_once(" #").map_or(line, |(value, _comment)| value);
                self.expand(value.trim_end(), place)
            }
        }
    }

    /// The text up to the quote that closes it; a `\` before that quote is dropped, any other stays.
    fn quoted(&mut self, place: &Place) -> Result<String> {
        let (quote, mut value, mut escaped) = (self.rest.chars().next(), String::new(), false);
        for (at, char) in self.rest.char_indices().skip(1) {
            if Some(char) == quote {
                if !escaped {
                    self.skip(at + 1);
                    return Ok(value);
                }
                value.push(char);
            } else if char == '\\' && !escaped {
                escaped = true;
                continue;
            } else {
                value.extend(escaped.then_some('\\'));
                value.push(char);
            }
            escaped = false;
        }
        Err(self.error(place, "a quote is opened here and never closed".to_owned()))
    }

    fn expand(&self, value: &str, place: &Place) -> Result<String> {
        let known = |name: &str| (self.lookup)(name).or_else(|| self.variables.get(name).map(|set| set.value.clone()));
        interpolate::text(value, &known).map_err(|problem| problem.at(place))
    }

    fn place(&self) -> Place {
        Place { file: self.file.clone(), line: self.line }
    }

    fn error(&self, place: &Place, message: String) -> Error {
        place
            .error(Code::ComposeSyntax, message)
            .hint("write one `KEY=value` a line, and quote values of several lines")
    }
}

/// White space that ends no line.
fn is_blank(char: char) -> bool {
    matches!(char, '\t' | '\x0B' | '\x0C' | '\r' | ' ' | '\u{85}' | '\u{A0}')
}

/// Replaces the escape sequences between double quotes; unknown ones stay as they are.
fn unescape(text: &str) -> String {
    let (mut result, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('\\') {
        result.push_str(&rest[..at]);
        let (value, length) = escape(&rest[at..]);
        result.push_str(&value);
        rest = &rest[at + length..];
    }
    result + rest
}

/// What the sequence at the beginning of `text`, which is a `\`, stands for, and how long it is.
fn escape(text: &str) -> (String, usize) {
    let simple = match text.as_bytes().get(1) {
        Some(b'a') => "\x07",
        Some(b'b') => "\x08",
        Some(b'f') => "\x0C",
        Some(b'n') => "\n",
        Some(b'r') => "\r",
        Some(b't') => "\t",
        Some(b'v') => "\x0B",
        Some(b'"') => "\"",
        Some(b'\\') => "\\",
        // For the variables, which are replaced afterwards.
        Some(b'$') => "$$",
        Some(b'0') => return octal(text),
        _ => return ("\\".to_owned(), 1),
    };
    (simple.to_owned(), 2)
}

/// `\0123` is the character 0o123. With fewer digits than three Compose drops the 0 and nothing else.
fn octal(text: &str) -> (String, usize) {
    let digits: String = text[2..].chars().take(3).take_while(char::is_ascii_digit).collect();
    let length = 2 + digits.len();
    match u8::from_str_radix(&digits, 8) {
        Ok(code) if digits.len() == 3 => (char::from(code).to_string(), length),
        _ => (format!("\\{digits}"), length),
    }
}
