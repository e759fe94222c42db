//! A YAML document as a tree in which every key and value knows its place in the text, so that single values can be
//! replaced and everything else stays byte for byte as helm wrote it.

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, StrInput, StructureStyle};

/// Deeper nesting is refused; the limit also bounds the recursion over the tree.
const MAX_DEPTH: usize = 256;

/// More nodes than this, aliases expanded, are refused ("billion laughs").
const MAX_NODES: usize = 2_000_000;

/// The key under which YAML 1.1 merges other maps into a map.
const MERGE: &str = "<<";

#[derive(Debug, Clone)]
pub(super) struct SpannedNode {
    /// Where the node stands in the text, in bytes; of an alias where the alias stands. Of a block collection only the
    /// start is exact.
    pub(super) range: Range<usize>,
    pub(super) data: Data,
}

#[derive(Debug, Clone)]
pub(super) enum Data {
    /// `is_block`: in the style of `|` or `>`, whose range begins behind that sign.
    Scalar {
        text: String,
        is_block: bool,
    },
    List(Vec<SpannedNode>),
    Map {
        entries: Vec<Entry>,
        flow: bool,
    },
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Where the key begins, in bytes.
    pub(super) start: usize,
    /// The key's column, from 0.
    pub(super) column: usize,
    pub(super) value: SpannedNode,
}

impl SpannedNode {
    /// The entries of a map; none for anything else.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.data {
            Data::Map { entries, .. } => entries,
            _ => &[],
        }
    }

    /// The items of a list; none for anything else.
    pub(super) fn items(&self) -> &[Self] {
        match &self.data {
            Data::List(items) => items,
            _ => &[],
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The entry of a key; one that is merged in counts if the map itself has none. The last of equal keys wins, as
    /// in helm.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        let own = self.entries().iter().rfind(|entry| entry.key == key);
        own.or_else(|| {
            let merged = self.entries().iter().filter(|entry| entry.key == MERGE);
            merged
                .flat_map(|entry| std::iter::once(&entry.value).chain(entry.value.items()))
                .find_map(|map| map.entry(key))
        })
    }

    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The text of the value at a path of keys.
    pub(super) fn text_at(&self, path: &[&str]) -> Option<&str> {
        path.iter()
            .try_fold(self, |node, key| node.get(key))?
            .text()
    }

    /// Where the last byte of the node ends.
    pub(super) fn end(&self) -> usize {
        let last = match &self.data {
            Data::Map {
                entries,
                flow: false,
            } => entries.last().map(|entry| entry.value.end()),
            // A list in flow style has the exact range.
            Data::List(items) => items.last().map(|item| item.end().max(self.range.end)),
            _ => None,
        };
        last.unwrap_or(self.range.end)
    }
}

/// The first document of a text; None if it is empty.
///
/// # Errors
/// What the parser says, with the line from 1.
pub(super) fn parse(text: &str) -> Result<Option<SpannedNode>, String> {
    let options = granit_parser::options! { emit_comments: false };
    let mut builder = Builder {
        events: Parser::new_from_str_with_options(text, options),
        anchors: HashMap::new(),
        nodes: 0,
    };
    loop {
        match builder.next()? {
            (Event::StreamStart, _) => {}
            (Event::DocumentStart(..), _) => {
                let (event, span) = builder.next()?;
                return builder.node(event, span, 0).map(Some);
            }
            _ => return Ok(None),
        }
    }
}

struct Builder<'a> {
    events: Parser<'a, StrInput<'a>>,
    /// Finished anchored nodes by the parser's anchor id.
    anchors: HashMap<usize, SpannedNode>,
    nodes: usize,
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), String> {
        match self.events.next_event() {
            Some(Ok(found)) => Ok(found),
            Some(Err(error)) => Err(format!("line {}: {}", error.marker().line(), error.info())),
            None => Err("it ends too early".to_owned()),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<SpannedNode, String> {
        self.count(1)?;
        if depth > MAX_DEPTH {
            return Err(format!("nested more than {MAX_DEPTH} levels deep"));
        }
        let range = range(span)?;
        let anchor = event.anchor_id();
        let (data, end) = match event {
            Event::Alias(id) => return self.alias(id, range),
            Event::Scalar(text, style, ..) => {
                let text = text.into_owned();
                let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                (Data::Scalar { text, is_block }, range.end)
            }
            Event::SequenceStart(style, ..) => {
                let (items, end) = self.list(depth)?;
                (Data::List(items), closed(style, range.start, end))
            }
            Event::MappingStart(style, ..) => {
                let (entries, end) = self.map(depth)?;
                let flow = style == StructureStyle::Flow;
                (Data::Map { entries, flow }, closed(style, range.start, end))
            }
            _ => return Err("a value is missing".to_owned()),
        };
        let node = SpannedNode {
            range: range.start..end,
            data,
        };
        if let Some(id) = anchor.filter(|id| *id != 0) {
            self.anchors.insert(id, node.clone());
        }
        Ok(node)
    }

    fn count(&mut self, nodes: usize) -> Result<(), String> {
        self.nodes += nodes;
        match self.nodes <= MAX_NODES {
            true => Ok(()),
            false => Err(format!(
                "more than {MAX_NODES} values, with aliases expanded"
            )),
        }
    }

    fn alias(&mut self, id: usize, range: Range<usize>) -> Result<SpannedNode, String> {
        let node = self
            .anchors
            .get(&id)
            .ok_or("an alias stands inside the value that it names")?
            .clone();
        self.count(size(&node))?;
        Ok(match node.data {
            Data::Scalar { .. } => SpannedNode { range, ..node },
            _ => node,
        })
    }

    fn list(&mut self, depth: usize) -> Result<(Vec<SpannedNode>, usize), String> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, span) => return Ok((items, range(span)?.end)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<(Vec<Entry>, usize), String> {
        let mut entries = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok((entries, range(span)?.end));
            }
            let column = span.start.col();
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            entries.push(Entry {
                key: key.text().unwrap_or_default().to_owned(),
                start: key.range.start,
                column,
                value,
            });
        }
    }
}

fn range(span: Span) -> Result<Range<usize>, String> {
    span.byte_range()
        .ok_or_else(|| "the parser does not know where a value stands".to_owned())
}

/// Only the brackets of flow style say where a collection ends; in block style that is where the next token begins.
fn closed(style: StructureStyle, start: usize, end: usize) -> usize {
    match style {
        StructureStyle::Flow => end,
        StructureStyle::Block => start,
    }
}

fn size(node: &SpannedNode) -> usize {
    let below: usize = match &node.data {
        Data::Scalar { .. } => 0,
        Data::List(items) => items.iter().map(size).sum(),
        Data::Map { entries, .. } => entries.iter().map(|entry| size(&entry.value)).sum(),
    };
    1 + below
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, path: &[&str]) -> String {
        let root = parse(text).unwrap().unwrap();
        let node = path
            .iter()
            .try_fold(&root, |node, key| node.get(key))
            .unwrap();
        text[node.range.start..node.end()].to_owned()
    }

    #[test]
    fn a_value_knows_its_bytes_in_every_style() {
        assert_eq!(at("a: {b: \"x\\n\", c: 'ü'}\n", &["a", "c"]), "'ü'");
        assert_eq!(at("ä: 1\nb: plain text # no\n", &["b"]), "plain text");
        assert_eq!(at("a: {b: [1, 2], c: 3}\n", &["a", "b"]), "[1, 2]");
        assert_eq!(
            at("a:\n  b:\n  - 1\n  - x: 2\nc: 3\n", &["a", "b"]),
            "1\n  - x: 2"
        );
        assert_eq!(at("a: &x {b: 1}\nc: *x\n", &["c", "b"]), "1");
        assert_eq!(at("a: &x word\nc: *x\n", &["c"]), "*x");
    }

    #[test]
    fn what_is_merged_in_is_found_and_the_own_key_wins() {
        let root = parse("b: &b {x: 1, y: 2}\nm: {<<: *b, y: 3}\n")
            .unwrap()
            .unwrap();
        assert_eq!(root.text_at(&["m", "x"]), Some("1"));
        assert_eq!(root.text_at(&["m", "y"]), Some("3"));
    }

    #[test]
    fn an_empty_document_is_none_and_a_broken_one_names_its_line() {
        assert!(parse("# only a comment\n").unwrap().is_none());
        assert!(parse("a: 1\nb: [\n").unwrap_err().starts_with("line "));
    }

    #[test]
    fn aliases_that_multiply_are_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for at in 1..9 {
            let below = format!("*a{}", at - 1);
            let many = [below.as_str(); 10].join(", ");
            text += &format!("a{at}: &a{at} [{many}]\n");
        }
        assert!(parse(&text).unwrap_err().contains("more than"));
    }
}
