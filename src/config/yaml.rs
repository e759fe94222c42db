//! YAML as a tree in which every key and value knows its file and line.
//!
//! Built from the events of serde-saphyr's own parser rather than through serde: serde stops at the
//! first duplicate key and hands over `1.10` as the number 1.1, while here every problem is to be
//! reported and a build argument keeps the text its author wrote.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};

use crate::error::{Code, Error, Result};
pub(super) use crate::place::Place;

/// Deeper nesting is refused; it also bounds the recursion over the tree.
const MAX_DEPTH: usize = 64;

/// More values than this, aliases expanded, are refused ("billion laughs").
const MAX_NODES: usize = 100_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConfigNode {
    pub(super) place: Place,
    pub(super) data: ConfigData,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ConfigData {
    /// `plain`: written without quotes, so that it may also be a number, a boolean or nothing.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<ConfigNode>),
    Map(Vec<ConfigEntry>),
}

/// One `key: value`. Keys of one map are unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConfigEntry {
    pub(super) key: String,
    /// The key's place.
    pub(super) place: Place,
    pub(super) value: ConfigNode,
}

impl ConfigNode {
    /// The entries of a map; none for anything else.
    pub(super) fn entries(&self) -> &[ConfigEntry] {
        if let ConfigData::Map(entries) = &self.data {
            entries
        } else {
            &[]
        }
    }

    /// The items of a list; none for anything else.
    pub(super) fn items(&self) -> &[ConfigNode] {
        if let ConfigData::List(items) = &self.data {
            items
        } else {
            &[]
        }
    }

    /// The value of a map's key.
    pub(super) fn get(&self, key: &str) -> Option<&ConfigNode> {
        self.entries()
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.value)
    }

    /// The text of a scalar, as it was written, unless it is null.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.data {
            ConfigData::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// Nothing, `~` or `null`, unquoted (YAML 1.2 core schema).
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.data, ConfigData::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }
}

/// Reads a file's text into a tree. An empty file is an empty map. Problems that leave a tree, such
/// as duplicate keys, are added to `problems` and the first of the keys is kept; None if the text is
/// no YAML, which is a problem too.
pub(super) fn parse(text: &str, file: &Path, problems: &mut Vec<Error>) -> Option<ConfigNode> {
    let options = granit_parser::options! { emit_comments: false };
    let mut builder = Builder {
        events: Parser::new_from_str_with_options(text, options),
        file: file.into(),
        anchors: HashMap::new(),
        nodes: 0,
        problems,
    };
    builder
        .document()
        .map_err(|problem| builder.problems.push(problem))
        .ok()
}

struct Builder<'a, 'p> {
    events: Parser<'a, StrInput<'a>>,
    file: Arc<Path>,
    /// Finished anchored nodes by the parser's anchor id.
    anchors: HashMap<usize, ConfigNode>,
    nodes: usize,
    problems: &'p mut Vec<Error>,
}

impl<'a> Builder<'a, '_> {
    /// The first document; a second one is a problem.
    fn document(&mut self) -> Result<ConfigNode> {
        let mut root = None;
        loop {
            let (event, place) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if root.is_some() => {
                    return Err(place
                        .error(Code::ConfigSyntax, "a second YAML document starts here")
                        .hint("keep one document and remove the `---` line"));
                }
                Event::DocumentStart(..) => {
                    let (event, place) = self.next()?;
                    root = Some(self.node(event, place, 0)?);
                }
                _ => break,
            }
        }
        let nothing = ConfigNode {
            place: self.place(1),
            data: ConfigData::Map(Vec::new()),
        };
        Ok(root.filter(|node| !node.is_null()).unwrap_or(nothing))
    }

    fn next(&mut self) -> Result<(Event<'a>, Place)> {
        match self.events.next_event() {
            Some(Ok((event, span))) => Ok((event, self.start(span))),
            Some(Err(error)) => {
                let place = self.place(error.marker().line());
                Err(place
                    .error(Code::ConfigSyntax, format!("not valid YAML: {}", error.info()))
                    .hint("look around this line for an open bracket or quote, a tab, or a wrong indentation"))
            }
            None => Err(self
                .place(1)
                .error(Code::ConfigSyntax, "not valid YAML: it ends too early")),
        }
    }

    fn start(&self, span: Span) -> Place {
        self.place(span.start.line())
    }

    fn place(&self, line: usize) -> Place {
        Place {
            file: self.file.clone(),
            line: u32::try_from(line.max(1)).unwrap_or(u32::MAX),
        }
    }

    fn node(&mut self, event: Event<'a>, place: Place, depth: usize) -> Result<ConfigNode> {
        self.count(1, &place)?;
        if depth > MAX_DEPTH {
            return Err(place.error(
                Code::ConfigSyntax,
                format!("nested more than {MAX_DEPTH} levels deep"),
            ));
        }
        let anchor = event.anchor_id();
        let tag = event.tag().cloned();
        let data = match event {
            Event::Alias(id) => return self.alias(id, &place),
            Event::Scalar(text, style, ..) => ConfigData::Scalar {
                text: text.into_owned(),
                plain: style == ScalarStyle::Plain,
            },
            Event::SequenceStart(..) => ConfigData::List(self.list(depth)?),
            Event::MappingStart(..) => ConfigData::Map(self.map(depth)?),
            _ => return Err(place.error(Code::ConfigSyntax, "not valid YAML: a value is missing")),
        };
        let node = ConfigNode {
            data: self.tagged(data, tag.as_ref(), &place),
            place,
        };
        if let Some(id) = anchor.filter(|id| *id != 0) {
            self.count(size(&node), &node.place)?;
            self.anchors.insert(id, node.clone());
        }
        Ok(node)
    }

    fn count(&mut self, nodes: usize, place: &Place) -> Result<()> {
        self.nodes += nodes;
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        Err(place.error(
            Code::ConfigSyntax,
            format!("more than {MAX_NODES} values, with all aliases expanded"),
        ))
    }

    fn alias(&mut self, id: usize, place: &Place) -> Result<ConfigNode> {
        let Some(node) = self.anchors.get(&id).cloned() else {
            return Err(place.error(
                Code::ConfigSyntax,
                "an alias stands inside the value that it names",
            ));
        };
        self.count(size(&node), place)?;
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<ConfigNode>> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, place) => items.push(self.node(event, place, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<ConfigEntry>> {
        let mut entries = Vec::<ConfigEntry>::new();
        let mut merged = Vec::new();
        // A set beside the list keeps a huge map linear.
        let mut lines = HashMap::<String, u32>::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => break,
                (event, place) => self.node(event, place, depth + 1)?,
            };
            let (event, place) = self.next()?;
            let value = self.node(event, place, depth + 1)?;
            match key.data {
                ConfigData::Scalar { text, plain: true } if text == "<<" => merged.push(value),
                ConfigData::Scalar { text, .. } => match lines.get(&text) {
                    Some(line) => self.problems.push(duplicate(&text, &key.place, *line)),
                    None => {
                        lines.insert(text.clone(), key.place.line);
                        entries.push(ConfigEntry {
                            key: text,
                            place: key.place,
                            value,
                        });
                    }
                },
                _ => self
                    .problems
                    .push(key.place.error(Code::ConfigSyntax, "a key must be a text")),
            }
        }
        merged
            .into_iter()
            .for_each(|value| self.merge_key(&mut entries, &mut lines, value));
        Ok(entries)
    }

    /// `<<: *other`: the other map's keys, where this one has none of its own (YAML 1.1 merge type).
    fn merge_key(
        &mut self,
        entries: &mut Vec<ConfigEntry>,
        lines: &mut HashMap<String, u32>,
        value: ConfigNode,
    ) {
        match value.data {
            ConfigData::Map(others) => {
                for other in others {
                    if !lines.contains_key(&other.key) {
                        lines.insert(other.key.clone(), other.place.line);
                        entries.push(other);
                    }
                }
            }
            ConfigData::List(maps) => maps
                .into_iter()
                .for_each(|map| self.merge_key(entries, lines, map)),
            ConfigData::Scalar { .. } => {
                self.problems.push(
                    value
                        .place
                        .error(Code::ConfigSyntax, "`<<` needs a map or a list of maps"),
                );
            }
        }
    }

    /// `!!str 5` is the text `5`; no other tag means anything to devk.
    fn tagged(&mut self, data: ConfigData, tag: Option<&Tag>, place: &Place) -> ConfigData {
        let Some(tag) = tag else { return data };
        match data {
            ConfigData::Scalar { text, .. } if tag.is_yaml_core_schema_tag("str") => {
                ConfigData::Scalar { text, plain: false }
            }
            data => {
                let message = format!("the YAML tag `{}` is not supported", tag.original());
                self.problems.push(place.error(Code::ConfigSyntax, message));
                data
            }
        }
    }
}

fn duplicate(key: &str, place: &Place, first: u32) -> Error {
    place
        .error(
            Code::ConfigValue,
            format!("the key `{key}` stands here a second time"),
        )
        .hint(format!("the first is in line {first}; keep one of them"))
}

fn size(node: &ConfigNode) -> usize {
    let below: usize = match &node.data {
        ConfigData::Scalar { .. } => 0,
        ConfigData::List(items) => items.iter().map(size).sum(),
        ConfigData::Map(entries) => entries.iter().map(|entry| size(&entry.value) + 1).sum(),
    };
    below + 1
}
