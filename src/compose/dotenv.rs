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
    let mut reader = Reader {
        rest,
        line: 1,
        file: file.into(),
        lookup,
        variables,
    };
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
        self.line = self
            .line
            .saturating_add(u32::try_from(breaks).unwrap_or(u32::MAX));
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
        let value = if separator == Some('\n') {
            (self.lookup)(key)
        } else {
            Some(self.value(&place)?)
        };
        if let Some(value) = value {
            self.variables.insert(key.to_owned(), Set { value, place });
        }
        Ok(())
    }

    fn skip_export(&mut self) -> Result<()> {
        let Some(rest) = self.rest.strip_prefix("export") else {
            return Ok(());
        };
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
        let is_part = |char: char| {
            is_blank(char) || char.is_alphabetic() || char.is_numeric() || "_.-[]".contains(char)
        };
        let (key, separator) = match text.char_indices().find(|(_, char)| !is_part(*char)) {
            Some((end, char @ ('=' | ':' | '\n'))) => (&text[..end], Some(char)),
            None => ("", None),
            Some((_, char)) => {
                let message = format!("{char:?} is not allowed in a variable's name");
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
                let value = line
                    .split_once(" #")
                    .map_or(line, |(value, _comment)| value);
                self.expand(value.trim_end(), place)
            }
        }
    }

    /// The text up to the quote that closes it; a `\` before that quote is dropped, any other stays.
    fn quoted(&mut self, place: &Place) -> Result<String> {
        let quote = self.rest.chars().next();
        let mut value = String::new();
        let mut escaped = false;
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
        let known = |name: &str| {
            (self.lookup)(name).or_else(|| self.variables.get(name).map(|set| set.value.clone()))
        };
        interpolate::text(value, &known).map_err(|problem| problem.at(place))
    }

    fn place(&self) -> Place {
        Place {
            file: self.file.clone(),
            line: self.line,
        }
    }

    fn error(&self, place: &Place, message: String) -> Error {
        place
            .error(Code::ComposeSyntax, message)
            .hint("write one `KEY=value` a line, and quote values of several lines")
    }
}

/// White space that ends no line.
fn is_blank(char: char) -> bool {
    matches!(
        char,
        '\t' | '\x0B' | '\x0C' | '\r' | ' ' | '\u{85}' | '\u{A0}'
    )
}

/// Replaces the escape sequences between double quotes; unknown ones stay as they are.
fn unescape(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
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
    let digits: String = text[2..]
        .chars()
        .take(3)
        .take_while(char::is_ascii_digit)
        .collect();
    let length = 2 + digits.len();
    match u8::from_str_radix(&digits, 8) {
        Ok(code) if digits.len() == 3 => (char::from(code).to_string(), length),
        _ => (format!("\\{digits}"), length),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<BTreeMap<String, Set>> {
        let mut variables = BTreeMap::new();
        let lookup = |name: &str| match name {
            "HOME" => Some("/me".to_owned()),
            "SHELL_WINS" => Some("shell".to_owned()),
            _ => None,
        };
        parse(
            text.as_bytes(),
            Path::new("/shop/.env"),
            &lookup,
            &mut variables,
        )
        .map(|()| variables)
    }

    fn assert_read(text: &str, expected: &[(&str, &str)]) {
        let read = read(text).unwrap();
        let values: Vec<_> = read
            .iter()
            .map(|(name, set)| (name.as_str(), set.value.as_str()))
            .collect();
        assert_eq!(values, expected, "{text:?}");
    }

    #[test]
    fn values_stand_behind_an_equals_sign_or_a_colon() {
        assert_read(
            "A=1\nB: 2\nexport C = 3 \n\tD=\n",
            &[("A", "1"), ("B", "2"), ("C", "3"), ("D", "")],
        );
        assert_read(
            "\u{FEFF}A.b-c[0]=x=y\r\nB=z\r\n",
            &[("A.b-c[0]", "x=y"), ("B", "z")],
        );
    }

    #[test]
    fn comments_need_a_space_before_them_behind_a_value() {
        assert_read(
            "# c\nA=1 # c\nB=x#y\nC=#z\nD= # w\n",
            &[("A", "1"), ("B", "x#y"), ("C", "#z"), ("D", "# w")],
        );
        assert_read("A='1' # c\nB=2", &[("A", "1"), ("B", "2")]);
    }

    #[test]
    fn quotes_hold_several_lines_and_escapes() {
        assert_read(
            "A='a\n$HOME\\n\\''\nB=\"a\\tb\\\"\\$HOME\nc\"\n",
            &[("A", "a\n$HOME\\n'"), ("B", "a\tb\"$HOME\nc")],
        );
        assert_read(r#"A="\0101\x\012\\""#, &[("A", "A\\x\\12\\")]);
    }

    #[test]
    fn variables_come_from_outside_first_and_then_from_above() {
        let text = "SHELL_WINS=file\nA=${SHELL_WINS}-${SHELL_LOSES:-d}\nSHELL_LOSES=x\nB=\"$HOME/$SHELL_LOSES\"\nC=$$HOME\n";
        let all = [
            ("A", "shell-d"),
            ("B", "/me/x"),
            ("C", "$HOME"),
            ("SHELL_LOSES", "x"),
            ("SHELL_WINS", "file"),
        ];
        assert_read(text, &all);
    }

    #[test]
    fn a_name_alone_takes_the_value_from_outside() {
        assert_read("HOME\nNOWHERE\nA=1\n", &[("A", "1"), ("HOME", "/me")]);
        // Compose takes a last line without its end for a value.
        assert_read("HOME", &[("", "HOME")]);
    }

    #[test]
    fn each_variable_knows_its_line() {
        let read = read("\n# c\nA=\"x\ny\"\n\nexport B=1\nC=2").unwrap();
        assert_eq!(
            read.values().map(|set| set.place.line).collect::<Vec<_>>(),
            [3, 6, 7]
        );
    }

    #[test]
    fn broken_lines_are_refused_and_their_values_not_told() {
        for (text, line) in [
            ("A=1\nB C=secret", 2),
            ("A=1\n\nB'=secret", 3),
            ("A=\"secret\nB=1", 1),
            ("A=1\nB=${secret!}\nC=2", 2),
            ("A=sec${ret", 1),
            ("A=1\nexport ", 2),
        ] {
            let error = read(text).expect_err(text);
            assert_eq!(error.line, Some(line), "{text:?}: {error}");
            assert!(
                !error.message.contains("secret!") && !error.message.contains("=secret"),
                "{error}"
            );
        }
    }

    #[test]
    fn variables_that_double_each_other_are_refused() {
        let mut text = format!("A0={}\n", "x".repeat(1024));
        (1..40).for_each(|level| text += &format!("A{level}=$A{0}$A{0}\n", level - 1));
        assert!(read(&text).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes, Path::new("/f"), &|_| None, &mut BTreeMap::new());
        }

        #[test]
        fn any_lines_are_read_or_refused(text in r#"([A-Z]{0,2}[=: ]|export |["'\\#$\{\}\n\t]|\\0[0-9]{0,4}|[a-zé ]{0,3}){0,30}"#) {
            let _ = read(&text);
        }
    }
}
