//! `!reset` and `!override`: which values a document takes from those before it.
//!
//! Compose finds them while it replaces aliases by what they name, in place: a value that is reset under an
//! anchor is gone by the time an alias leads there, and then resets nothing more.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::graph::{Graph, NodeId, Raw, RawKind, check_count};
use super::scan::too_deep;
use super::{Fallible, MAX_DEPTH, Reset, fault};

/// The document without its reset values, and the places that are reset or overridden.
///
/// # Errors
/// Keys that stand twice, and aliases that lead back to themselves.
pub(super) fn resolve(graph: &mut Graph, root: NodeId) -> Fallible<(NodeId, Vec<Reset>)> {
    let mut walk = Walk {
        graph,
        path: Vec::new(),
        resets: Vec::new(),
        visited: Visits::default(),
        nodes: 0,
        depth: 0,
    };
    match walk.node(root)? {
        Some(id) => Ok((id, walk.resets)),
        None => fault(walk.graph.get(root).line, "the whole document is reset"),
    }
}

struct Walk<'a> {
    graph: &'a mut Graph,
    path: Vec<String>,
    resets: Vec<Reset>,
    visited: Visits,
    nodes: usize,
    depth: usize,
}

impl Walk<'_> {
    /// What stands in this node's place; None if it is reset.
    fn node(&mut self, id: NodeId) -> Fallible<Option<NodeId>> {
        let line = self.graph.get(id).line;
        self.count(1, line)?;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return too_deep(line);
        }
        let resolved = self.resolved(id, line)?;
        self.depth -= 1;
        Ok(resolved)
    }

    fn resolved(&mut self, id: NodeId, line: u32) -> Fallible<Option<NodeId>> {
        let raw = self.graph.get(id);
        if let RawKind::Alias { name, target } = &raw.kind {
            let name = name.clone();
            let target = *target;
            self.count(self.path_cost(), line)?;
            if self.visited.is_cycle(target, &self.path) {
                return fault(
                    line,
                    format!("the alias `*{name}` leads back to a value that contains it"),
                );
            }
            return self.node(target);
        }
        let tag = raw.tag.as_deref();
        if matches!(tag, Some("!reset" | "!override")) {
            let is_override = tag == Some("!override");
            self.count(self.path_cost(), line)?;
            self.resets.push(Reset(self.path.clone()));
            return Ok(is_override.then_some(id));
        }
        self.children(id)?;
        Ok(Some(id))
    }

    fn children(&mut self, id: NodeId) -> Fallible<()> {
        let kind = match &self.graph.get(id).kind {
            RawKind::List(items) => RawKind::List(self.items(items.clone())?),
            RawKind::Map(entries) => {
                let entries = entries.clone();
                check_keys(self.graph, &entries)?;
                RawKind::Map(self.entries(entries)?)
            }
            RawKind::Scalar { .. } | RawKind::Alias { .. } => return Ok(()),
        };
        self.graph.get_mut(id).kind = kind;
        Ok(())
    }

    fn items(&mut self, items: Vec<NodeId>) -> Fallible<Vec<NodeId>> {
        let mut kept = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            self.path.push(index.to_string());
            kept.extend(self.node(item)?);
            self.path.pop();
        }
        Ok(kept)
    }

    fn entries(&mut self, entries: Vec<(NodeId, NodeId)>) -> Fallible<Vec<(NodeId, NodeId)>> {
        let mut kept = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let name = self.graph.get(key).key_text();
            // What is merged stands beside the `<<`, except in the document's own map.
            let named = name != "<<" || self.path.is_empty();
            if named {
                self.path.push(name.to_owned());
            }
            kept.extend(self.node(value)?.map(|value| (key, value)));
            if named {
                self.path.pop();
            }
        }
        Ok(kept)
    }

    /// The work and memory that the path takes, in nodes.
    fn path_cost(&self) -> usize {
        self.path.iter().map(|key| 1 + key.len() / 64).sum()
    }

    fn count(&mut self, nodes: usize, line: u32) -> Fallible<()> {
        self.nodes += nodes;
        check_count(self.nodes, line)
    }
}

/// # Errors
/// If a key stands twice.
pub(super) fn check_keys(graph: &Graph, entries: &[(NodeId, NodeId)]) -> Fallible<()> {
    let mut seen = std::collections::HashMap::new();
    for (key, _) in entries {
        let key: &Raw = graph.get(*key);
        if let Some(first) = seen.insert(key.key_text(), key.line) {
            let text = key.key_text();
            return fault(
                key.line,
                format!("the key `{text}` stands here a second time; the first is in line {first}"),
            );
        }
    }
    Ok(())
}

/// The paths at which aliases to a node were met, as hashes.
#[derive(Default)]
struct Visits {
    at: HashSet<(NodeId, u64)>,
    above: HashSet<(NodeId, u64)>,
}

impl Visits {
    /// Compose takes it for a cycle if a node is reached at a path and again below that path, even where it
    /// is none: a map that is merged into a service and used again as one of the service's values.
    fn is_cycle(&mut self, target: NodeId, path: &[String]) -> bool {
        // An alias merged into the whole document is exempt.
        if path.first().is_some_and(|key| key == "<<") {
            return false;
        }
        let mut hasher = DefaultHasher::new();
        let mut hashes: Vec<u64> = Vec::with_capacity(path.len());
        for key in path {
            key.hash(&mut hasher);
            hashes.push(hasher.finish());
        }
        let Some((here, above)) = hashes.split_last() else {
            return false;
        };
        if !self.at.insert((target, *here)) {
            return false;
        }
        let cycle = self.above.contains(&(target, *here))
            || above.iter().any(|hash| self.at.contains(&(target, *hash)));
        self.above.extend(above.iter().map(|hash| (target, *hash)));
        cycle
    }
}
