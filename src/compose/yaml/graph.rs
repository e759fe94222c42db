//! Nodes as they are written: aliases point to what they name, even where that contains them.

use super::{Fallible, MAX_NODES, fault};

/// Of a node in its [`Graph`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct NodeId(u32);

#[derive(Debug)]
pub(super) struct Raw {
    /// 1-based; of the node's first property, if it has any.
    pub(super) line: u32,
    pub(super) tag: Option<String>,
    pub(super) kind: RawKind,
}

#[derive(Debug)]
pub(super) enum RawKind {
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<NodeId>),
    /// Keys and their values.
    Map(Vec<(NodeId, NodeId)>),
    Alias {
        name: String,
        target: NodeId,
    },
}

/// All nodes of a file.
#[derive(Debug, Default)]
pub(super) struct Graph(Vec<Raw>);

impl Graph {
    pub(super) fn add(&mut self, raw: Raw) -> Fallible<NodeId> {
        let id = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        check_count(self.0.len(), raw.line)?;
        self.0.push(raw);
        Ok(NodeId(id))
    }

    pub(super) fn get(&self, id: NodeId) -> &Raw {
        &self.0[id.0 as usize]
    }

    pub(super) fn get_mut(&mut self, id: NodeId) -> &mut Raw {
        &mut self.0[id.0 as usize]
    }
}

/// # Errors
/// If that is more than devk is willing to hold.
pub(super) fn check_count(nodes: usize, line: u32) -> Fallible<()> {
    if nodes < MAX_NODES {
        Ok(())
    } else {
        fault(
            line,
            format!("more than {MAX_NODES} values, with all aliases expanded"),
        )
    }
}

impl Raw {
    /// A value that is not there.
    pub(super) fn nothing(line: u32) -> Self {
        Self {
            line,
            tag: None,
            kind: RawKind::Scalar {
                text: String::new(),
                plain: true,
            },
        }
    }

    /// `<<`, the key whose value is merged into the map.
    pub(super) fn is_merge(&self) -> bool {
        let RawKind::Scalar { text, plain } = &self.kind else {
            return false;
        };
        text == "<<"
            && match self.tag.as_deref() {
                None => *plain,
                Some(tag) => tag == "!!merge",
            }
    }

    /// What tells a key from the map's others: an alias is told by its name.
    pub(super) fn key_text(&self) -> &str {
        match &self.kind {
            RawKind::Scalar { text, .. } => text,
            RawKind::Alias { name, .. } => name,
            RawKind::List(_) | RawKind::Map(_) => "",
        }
    }
}
