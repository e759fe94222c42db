//! The graph of a document → its tree: aliases and merge keys are replaced by what they stand for.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::graph::{Graph, NodeId, Raw, RawKind, check_count};
use super::reset::check_keys;
use super::scan::too_deep;
use super::{Fallible, MAX_DEPTH, YamlData, YamlEntry, YamlNode, fault, scalar};
use crate::place::Place;

/// # Errors
/// Keys that are no texts, merge keys without a map, values that their tags contradict.
pub(super) fn tree(graph: &Graph, root: NodeId, file: &Arc<Path>) -> Fallible<YamlNode> {
    Builder {
        graph,
        file,
        nodes: 0,
        depth: 0,
    }
    .node(root)
}

struct Builder<'a> {
    graph: &'a Graph,
    file: &'a Arc<Path>,
    nodes: usize,
    depth: usize,
}

/// A map in the making.
#[derive(Default)]
struct Entries {
    list: Vec<YamlEntry>,
    /// A set beside the list keeps a huge map linear.
    at: HashMap<String, usize>,
}

impl Entries {
    fn put(&mut self, entry: YamlEntry) {
        match self.at.get(&entry.key) {
            // Only an alias can name a key that is there already: the last one wins.
            Some(at) => self.list[*at] = entry,
            None => {
                self.at.insert(entry.key.clone(), self.list.len());
                self.list.push(entry);
            }
        }
    }
}

impl<'a> Builder<'a> {
    fn node(&mut self, id: NodeId) -> Fallible<YamlNode> {
        let raw = self.graph.get(id);
        self.count(1, raw.line)?;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return too_deep(raw.line);
        }
        let data = match &raw.kind {
            RawKind::Alias { target, .. } => self.node(*target)?.data,
            RawKind::Scalar { text, plain } => self.scalar(raw, text, *plain)?,
            RawKind::List(items) => YamlData::List(
                items
                    .iter()
                    .map(|item| self.node(*item))
                    .collect::<Fallible<_>>()?,
            ),
            RawKind::Map(entries) => YamlData::Map(self.map(entries)?),
        };
        self.depth -= 1;
        Ok(YamlNode {
            place: self.place(raw),
            data,
        })
    }

    fn count(&mut self, nodes: usize, line: u32) -> Fallible<()> {
        self.nodes += nodes;
        check_count(self.nodes, line)
    }

    fn scalar(&self, raw: &Raw, text: &str, plain: bool) -> Fallible<YamlData> {
        if raw.is_merge() {
            return Ok(YamlData::Text(text.to_owned()));
        }
        scalar::value(raw.tag.as_deref(), text, plain).or_else(|message| fault(raw.line, message))
    }

    fn place(&self, raw: &Raw) -> Place {
        Place {
            file: self.file.clone(),
            line: raw.line,
        }
    }

    fn map(&mut self, entries: &[(NodeId, NodeId)]) -> Fallible<Vec<YamlEntry>> {
        check_keys(self.graph, entries)?;
        let mut built = Entries::default();
        for (key, value) in self.own(entries) {
            let name = self.key(key)?;
            let place = self.place(self.graph.get(key));
            built.put(YamlEntry {
                key: name,
                place,
                value: self.node(value)?,
            });
        }
        self.merge(entries, &mut built)?;
        Ok(built.list)
    }

    /// The entries but for the merge key.
    fn own(&self, entries: &[(NodeId, NodeId)]) -> Vec<(NodeId, NodeId)> {
        entries
            .iter()
            .filter(|(key, _)| !self.graph.get(*key).is_merge())
            .copied()
            .collect()
    }

    /// Adds what `<<` brings: the keys that are not there yet.
    fn merge(&mut self, entries: &[(NodeId, NodeId)], into: &mut Entries) -> Fallible<()> {
        let Some((_, value)) = entries
            .iter()
            .find(|(key, _)| self.graph.get(*key).is_merge())
        else {
            return Ok(());
        };
        match &self.target(*value).kind {
            RawKind::List(items) if matches!(self.graph.get(*value).kind, RawKind::List(_)) => {
                items
                    .iter()
                    .try_for_each(|item| self.merge_map(*item, into))
            }
            _ => self.merge_map(*value, into),
        }
    }

    fn merge_map(&mut self, id: NodeId, into: &mut Entries) -> Fallible<()> {
        let raw = self.target(id);
        let RawKind::Map(entries) = &raw.kind else {
            return fault(
                self.graph.get(id).line,
                "`<<` needs a map or a list of maps",
            );
        };
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return too_deep(raw.line);
        }
        self.count(entries.len(), raw.line)?;
        check_keys(self.graph, entries)?;
        for (key, value) in self.own(entries) {
            let Some(name) = self.merged_key(key)? else {
                continue;
            };
            // A value that is not taken is not looked at: Compose lets its mistakes pass.
            if !into.at.contains_key(&name) {
                let place = self.place(self.graph.get(key));
                into.put(YamlEntry {
                    key: name,
                    place,
                    value: self.node(value)?,
                });
            }
        }
        self.merge(entries, into)?;
        self.depth -= 1;
        Ok(())
    }

    fn target(&self, id: NodeId) -> &'a Raw {
        match &self.graph.get(id).kind {
            RawKind::Alias { target, .. } => self.graph.get(*target),
            _ => self.graph.get(id),
        }
    }

    fn key(&mut self, id: NodeId) -> Fallible<String> {
        let raw = self.target(id);
        if let RawKind::Scalar { text, plain } = &raw.kind
            && let YamlData::Text(text) = self.scalar(raw, text, *plain)?
        {
            return Ok(text);
        }
        let text = raw.key_text();
        fault(
            self.graph.get(id).line,
            format!("the key `{text}` is not a text; put it in quotes"),
        )
    }

    /// A key of a map that is written out below `<<`: there, and only there, a number is as good as its text,
    /// and a key that is nothing is passed over.
    fn merged_key(&mut self, id: NodeId) -> Fallible<Option<String>> {
        let raw = self.target(id);
        let RawKind::Scalar { text, plain } = &raw.kind else {
            return self.key(id).map(Some);
        };
        Ok(match self.scalar(raw, text, *plain)? {
            YamlData::Null => None,
            YamlData::Text(text) => Some(text),
            _ => Some(text.clone()),
        })
    }
}
