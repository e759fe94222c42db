//! A Compose file's text as trees in which every key and value knows its file and line, and every
//! scalar has the type that Compose's YAML library gives it.
//!
//! devk.yaml is read with a YAML 1.2 parser. Compose uses a descendant of libyaml, which takes and
//! refuses other texts (`{a:b}`, tabs, `0120`, long keys, quotes that continue at column 0), and what it
//! refuses must be refused here. Hence a reader of its own, in layers:
//!
//! [`text`] bytes → characters · [`scan`] characters → tokens · [`grammar`] tokens → [`graph`] of raw
//! nodes with aliases · [`reset`] `!reset` and `!override` · [`build`] graph → tree, by [`scalar`] types.

mod build;
mod cursor;
mod grammar;
mod graph;
mod instant;
mod key;
mod property;
mod reset;
mod scalar;
mod scan;
mod styled;
mod text;
mod token;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use crate::error::{Code, Error, Result};
use crate::place::Place;

/// Deeper nesting is refused; it also bounds the recursion over the tree. Compose's limit is 10,000,
/// which no file comes near.
const MAX_DEPTH: usize = 200;

/// More values than this, aliases expanded, are refused ("billion laughs"): some 100 bytes each.
const MAX_NODES: usize = 200_000;

/// One of a file's documents. Compose reads them as if each were a file, one over the other.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Document {
    /// Values under `!reset` are gone; values under `!override` are here.
    pub(super) root: YamlNode,
    /// What `!reset` and `!override` remove from all that was read before this document.
    pub(super) resets: Vec<Reset>,
}

/// The keys that lead to a removed value; list items by their index. A key `*` stands for every key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reset(pub(super) Vec<String>);

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct YamlNode {
    pub(crate) place: Place,
    pub(crate) data: YamlData,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum YamlData {
    Null,
    Bool(bool),
    /// Of -2⁶³ to 2⁶⁴-1.
    Int(i128),
    Float(f64),
    /// An unquoted date.
    Time(String),
    Text(String),
    List(Vec<YamlNode>),
    Map(Vec<YamlEntry>),
}

/// One `key: value`. Keys of one map are unique.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct YamlEntry {
    pub(crate) key: String,
    /// The key's place.
    pub(crate) place: Place,
    pub(crate) value: YamlNode,
}

impl YamlNode {
    /// The entries of a map; none for anything else.
    pub(crate) fn entries(&self) -> &[YamlEntry] {
        if let YamlData::Map(entries) = &self.data {
            entries
        } else {
            &[]
        }
    }

    /// The items of a list; none for anything else.
    pub(crate) fn items(&self) -> &[YamlNode] {
        if let YamlData::List(items) = &self.data {
            items
        } else {
            &[]
        }
    }

    /// The value of a map's key.
    pub(crate) fn get(&self, key: &str) -> Option<&YamlNode> {
        self.entries()
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.value)
    }

    /// The text of a text.
    pub(crate) fn text(&self) -> Option<&str> {
        if let YamlData::Text(text) = &self.data {
            Some(text)
        } else {
            None
        }
    }
}

/// Reads a file's bytes into its documents; none if there is nothing but comments.
///
/// # Errors
/// What Compose's YAML library refuses, and texts that expand to more than devk is willing to hold.
pub(super) fn parse(bytes: &[u8], file: &Path) -> Result<Vec<Document>> {
    let file: Arc<Path> = file.into();
    documents(bytes, &file).map_err(|fault| {
        Error::new(Code::ComposeSyntax, fault.message)
            .at(&file, fault.line)
            .hint(
                "look around this line for an open bracket or quote, a tab, or a wrong indentation",
            )
    })
}

fn documents(bytes: &[u8], file: &Arc<Path>) -> Fallible<Vec<Document>> {
    let text = text::decode(bytes)?;
    let mut grammar = grammar::Grammar::new(&text);
    let mut documents = Vec::new();
    while let Some(root) = grammar.document()? {
        let graph = grammar.graph();
        let (root, resets) = reset::resolve(graph, root)?;
        documents.push(Document {
            root: build::tree(graph, root, file)?,
            resets,
        });
    }
    Ok(documents)
}

/// A problem in the file at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault {
    line: u32,
    message: String,
}

type Fallible<T> = std::result::Result<T, Fault>;

fn fault<T>(line: u32, message: impl Into<String>) -> Fallible<T> {
    Err(Fault {
        line,
        message: message.into(),
    })
}
