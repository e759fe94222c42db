//! YAML line by line, with comments; and texts of users inside of templates.

use serde_json::Value;

/// Comments are broken after this many characters.
const MAX_COMMENT_CHARS: usize = 110;

/// A text in the making.
#[derive(Debug, Default)]
pub(super) struct ChartLines(pub(super) String);

impl ChartLines {
    pub(super) fn line(&mut self, indent: usize, text: impl AsRef<str>) {
        let text = text.as_ref();
        if !text.is_empty() {
            self.0.push_str(&" ".repeat(indent));
            self.0.push_str(text);
        }
        self.0.push('\n');
    }

    pub(super) fn lines(&mut self, indent: usize, text: &str) {
        text.lines().for_each(|line| self.line(indent, line));
    }

    /// A comment, broken between words. Control characters are left out.
    pub(super) fn comment(&mut self, indent: usize, text: &str) {
        let mut open = String::new();
        for word in text.split_whitespace() {
            let is_full = indent + open.len() + word.len() + 3 > MAX_COMMENT_CHARS;
            if is_full && !open.is_empty() {
                self.line(indent, format!("# {open}"));
                open.clear();
            }
            if !open.is_empty() {
                open.push(' ');
            }
            open.extend(word.chars().filter(|c| !c.is_control()));
        }
        if !open.is_empty() {
            self.line(indent, format!("# {open}"));
        }
    }

    /// A key and its value, in blocks.
    pub(super) fn value(&mut self, indent: usize, key: &str, value: &Value) {
        let key = scalar(key);
        match value {
            Value::Object(map) if map.is_empty() => self.line(indent, format!("{key}: {{}}")),
            Value::Array(items) if items.is_empty() => self.line(indent, format!("{key}: []")),
            Value::Object(map) => {
                self.line(indent, format!("{key}:"));
                for (key, value) in map {
                    self.value(indent + 2, key, value);
                }
            }
            Value::Array(items) => {
                self.line(indent, format!("{key}:"));
                items.iter().for_each(|item| self.item(indent + 2, item));
            }
            other => self.line(indent, format!("{key}: {}", plain(other))),
        }
    }

    fn item(&mut self, indent: usize, item: &Value) {
        match item {
            Value::Object(map) if !map.is_empty() => {
                let mut inner = Self::default();
                for (key, value) in map {
                    inner.value(indent + 2, key, value);
                }
                // The first line begins with the dash.
                let inner = inner.0.replacen(
                    &" ".repeat(indent + 2),
                    &format!("{}- ", " ".repeat(indent)),
                    1,
                );
                self.0.push_str(&inner);
            }
            other => self.line(indent, format!("- {}", plain(other))),
        }
    }
}

/// A scalar, or an empty or nested value as JSON, which is YAML.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// A text plain where all readers of YAML take it for a text, else in quotes.
pub(crate) fn scalar(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    let is_word = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"]
        .contains(&text.to_ascii_lowercase().as_str());
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '_');
    let is_text = begins && !is_word && text.chars().all(is_plain);
    match is_text || is_amount(text) {
        true => text.to_owned(),
        false => Value::String(text.to_owned()).to_string(),
    }
}

/// `128Mi`, `500m`: no number to any reader.
fn is_amount(text: &str) -> bool {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    unit.len() < text.len() && ["Ki", "Mi", "Gi", "Ti", "m"].contains(&unit)
}

/// A text inside of a template: nothing in it is a template.
pub(super) fn literal(text: &str) -> String {
    scalar(text).replace("{{", "{{ `{{` }}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_blocks_and_texts_are_quoted_where_they_could_be_something_else() {
        let mut lines = ChartLines::default();
        let value = json!({"a": [{"b": 1, "c": ["x y", "no"]}, {"d": {}}], "e": {}, "f": "1.10", "g": "plain-text"});
        lines.value(0, "top", &value);
        let expected = "top:\n  a:\n    - b: 1\n      c:\n        - \"x y\"\n        - \"no\"\n    - d: {}\n  e: {}\n  f: \"1.10\"\n  g: plain-text\n";
        assert_eq!(lines.0, expected);
    }

    #[test]
    fn what_looks_like_a_template_stays_what_it_is() {
        assert_eq!(literal("/a/{{x}}"), "\"/a/{{ `{{` }}x}}\"");
        assert_eq!(literal("/etc/nginx.conf"), "/etc/nginx.conf");
    }
}
