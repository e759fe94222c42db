//! Replaced, added and removed values of a YAML text.

use std::ops::Range;

use crate::release::spanned::{Data, Entry, SpannedNode};

/// The edits of one text, made together at the end.
#[derive(Debug)]
pub(super) struct Edits<'t> {
    text: &'t str,
    edits: Vec<(Range<usize>, String)>,
}

impl<'t> Edits<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        Self {
            text,
            edits: Vec::new(),
        }
    }

    /// A scalar becomes another one. Words and the text of block scalars stay plain; everything else is quoted as in
    /// JSON, which is YAML.
    pub(super) fn replace(&mut self, node: &SpannedNode, with: &str) {
        let is_word = with.chars().all(|c| c.is_ascii_alphabetic());
        let is_block = matches!(node.data, Data::Scalar { is_block: true, .. });
        let mut scalar = match is_word || is_block {
            true => with.to_owned(),
            false => serde_json::Value::from(with).to_string(),
        };
        // A block scalar (`>`, `|`) reaches to the next token.
        let written = self.text[node.range.clone()].trim_end();
        let range = node.range.start..node.range.start + written.len();
        // After `key:` without a value.
        if range.is_empty() {
            scalar.insert(0, ' ');
        }
        self.edits.push((range, scalar));
    }

    /// A map gets one entry more, in front of its first one.
    pub(super) fn insert(&mut self, map: &SpannedNode, key: &str, value: &str) {
        let Data::Map { entries, flow } = &map.data else {
            return;
        };
        let Some(first) = entries.first() else { return };
        let text = match flow {
            true => format!("{key}: {value}, "),
            false => format!("{key}: {value}\n{}", " ".repeat(first.column)),
        };
        self.edits.push((first.start..first.start, text));
    }

    /// A map loses an entry; the only one of a map becomes null. A map without it is left alone.
    pub(super) fn remove(&mut self, map: &SpannedNode, key: &str) {
        let entries = map.entries();
        let Some(at) = entries.iter().position(|entry| entry.key == key) else {
            return;
        };
        let edit = match (entries.get(at + 1), entries.len()) {
            (Some(next), _) => (entries[at].start..next.start, String::new()),
            (None, 1) => (value(&entries[at]), " null".to_owned()),
            (None, _) => (entries[at].start..entries[at].value.end(), String::new()),
        };
        self.edits.push(edit);
    }

    /// The text with all edits made. Where two of them meet in one place, as by aliases, the first one counts.
    pub(super) fn made(mut self) -> String {
        self.edits
            .sort_by_key(|(range, _)| (range.start, range.end));
        let mut made = String::with_capacity(self.text.len());
        let mut done = 0;
        let mut last = None;
        for (range, with) in self.edits {
            if range.start < done || last.as_ref() == Some(&range) {
                continue;
            }
            made.push_str(&self.text[done..range.start]);
            made.push_str(&with);
            done = range.end;
            last = Some(range);
        }
        made.push_str(&self.text[done..]);
        made
    }
}

fn value(entry: &Entry) -> Range<usize> {
    entry.value.range.start..entry.value.end()
}
