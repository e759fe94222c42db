//! Tokens → nodes.

mod flow;

use std::collections::HashMap;

use super::graph::{Graph, NodeId, Raw, RawKind};
use super::scan::{Scanner, TokenKind, YamlToken, too_deep};
use super::{Fallible, MAX_DEPTH, fault};

const STANDARD_TAGS: &str = "tag:yaml.org,2002:";

#[derive(Debug)]
pub(super) struct Grammar<'a> {
    scanner: Scanner<'a>,
    graph: Graph,
    /// They outlive their document, in Compose's library.
    anchors: HashMap<String, NodeId>,
    /// What `%TAG` made of tags' handles, for one document.
    handles: HashMap<String, String>,
    first: bool,
    depth: usize,
}

/// What stands before a value.
#[derive(Debug, Default)]
struct Properties {
    anchor: Option<String>,
    tag: Option<String>,
    line: Option<u32>,
}

/// How a collection begins.
#[derive(Debug, Clone, Copy)]
enum Opening {
    CompactList,
    BlockList,
    BlockMap,
    FlowList,
    FlowMap,
}

/// The collection that the token begins. `compact`: a list may begin without indentation.
fn opening(token: &TokenKind, block: bool, compact: bool) -> Option<Opening> {
    match token {
        TokenKind::Item if compact => Some(Opening::CompactList),
        TokenKind::BlockList if block => Some(Opening::BlockList),
        TokenKind::BlockMap if block => Some(Opening::BlockMap),
        TokenKind::FlowList => Some(Opening::FlowList),
        TokenKind::FlowMap => Some(Opening::FlowMap),
        _ => None,
    }
}

impl<'a> Grammar<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            scanner: Scanner::new(text),
            graph: Graph::default(),
            anchors: HashMap::new(),
            handles: HashMap::new(),
            first: true,
            depth: 0,
        }
    }

    /// The nodes of all documents so far.
    pub(super) fn graph(&mut self) -> &mut Graph {
        &mut self.graph
    }

    /// The next document; None at the end.
    pub(super) fn document(&mut self) -> Fallible<Option<NodeId>> {
        let first = std::mem::replace(&mut self.first, false);
        while !first && self.scanner.peek()?.kind == TokenKind::DocumentEnd {
            self.scanner.skip();
        }
        if self.scanner.peek()?.kind == TokenKind::End {
            return Ok(None);
        }
        let directives = self.directives()?;
        let explicit = self.scanner.peek()?.kind == TokenKind::DocumentStart;
        if explicit {
            self.scanner.skip();
        } else if !first || directives {
            return fault(
                self.scanner.peek()?.line,
                "a `---` is missing before this document",
            );
        }
        let root = if explicit && ends_document(self.scanner.peek()?) {
            self.nothing()?
        } else {
            self.node(true, false)?
        };
        if self.scanner.peek()?.kind == TokenKind::DocumentEnd {
            self.scanner.skip();
        }
        Ok(Some(root))
    }

    /// Whether there are any.
    fn directives(&mut self) -> Fallible<bool> {
        self.handles.clear();
        let mut versions = 0;
        let mut any = false;
        loop {
            let line = self.scanner.peek()?.line;
            match self.scanner.peek()?.kind.clone() {
                TokenKind::Version { supported } => {
                    versions += 1;
                    if !supported || versions > 1 {
                        return fault(line, "Compose reads YAML 1.1 alone; remove the %YAML line");
                    }
                }
                TokenKind::TagPrefix { handle, prefix } => {
                    if self.handles.insert(handle, prefix).is_some() {
                        return fault(line, "a %TAG directive stands here a second time");
                    }
                }
                _ => return Ok(any),
            }
            any = true;
            self.scanner.skip();
        }
    }

    /// A value; it must be there. `compact`: see [`opening`].
    fn node(&mut self, block: bool, compact: bool) -> Fallible<NodeId> {
        let token = self.scanner.peek()?;
        let line = token.line;
        if let TokenKind::Alias(name) = &token.kind {
            let name = name.clone();
            self.scanner.skip();
            let Some(target) = self.anchors.get(&name).copied() else {
                return fault(line, format!("the alias `*{name}` names nothing above it"));
            };
            return self.graph.add(Raw {
                line,
                tag: None,
                kind: RawKind::Alias { name, target },
            });
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return too_deep(line);
        }
        let properties = self.properties()?;
        let id = self.content(properties, block, compact)?;
        self.depth -= 1;
        Ok(id)
    }

    /// An anchor and a tag, in either order.
    fn properties(&mut self) -> Fallible<Properties> {
        let mut properties = Properties::default();
        loop {
            let token = self.scanner.peek()?;
            let line = token.line;
            match &token.kind {
                TokenKind::Anchor(name) if properties.anchor.is_none() => {
                    properties.anchor = Some(name.clone())
                }
                TokenKind::Tag { .. } if properties.tag.is_none() => {
                    let TokenKind::Tag { handle, suffix } = token.kind.clone() else {
                        return Ok(properties);
                    };
                    properties.tag = Some(self.tag(&handle, &suffix, line)?);
                }
                _ => return Ok(properties),
            }
            properties.line.get_or_insert(line);
            self.scanner.skip();
        }
    }

    /// The tag in its short form, `!!str` for the standard ones.
    fn tag(&self, handle: &str, suffix: &str, line: u32) -> Fallible<String> {
        let prefix = match (handle, self.handles.get(handle)) {
            ("", _) => "",
            (_, Some(prefix)) => prefix,
            ("!", None) => "!",
            ("!!", None) => STANDARD_TAGS,
            _ => return fault(line, format!("the tag handle `{handle}` is not declared")),
        };
        let tag = format!("{prefix}{suffix}");
        Ok(tag
            .strip_prefix(STANDARD_TAGS)
            .map(|name| format!("!!{name}"))
            .unwrap_or(tag))
    }

    fn content(&mut self, properties: Properties, block: bool, compact: bool) -> Fallible<NodeId> {
        let token = self.scanner.peek()?;
        let opening = opening(&token.kind, block, compact);
        let is_scalar = matches!(token.kind, TokenKind::Scalar { .. });
        if opening.is_none() && !is_scalar && properties.line.is_none() {
            return fault(token.line, "a value is missing here");
        }
        let line = properties.line.unwrap_or(token.line);
        let kind = match opening {
            Some(Opening::CompactList | Opening::BlockList | Opening::FlowList) => {
                RawKind::List(Vec::new())
            }
            Some(Opening::BlockMap | Opening::FlowMap) => RawKind::Map(Vec::new()),
            None if is_scalar => self.scalar()?,
            None => Raw::nothing(line).kind,
        };
        let id = self.graph.add(Raw {
            line,
            tag: properties.tag.filter(|tag| tag != "!"),
            kind,
        })?;
        if let Some(anchor) = properties.anchor {
            self.anchors.insert(anchor, id);
        }
        match opening {
            Some(Opening::CompactList) => self.compact_list(id)?,
            Some(Opening::BlockList) => self.block_list(id)?,
            Some(Opening::BlockMap) => self.block_map(id)?,
            Some(Opening::FlowList) => self.flow_list(id)?,
            Some(Opening::FlowMap) => self.flow_map(id)?,
            None => {}
        }
        Ok(id)
    }

    fn scalar(&mut self) -> Fallible<RawKind> {
        let token = self.scanner.next()?;
        match token.kind {
            TokenKind::Scalar { text, plain } => Ok(RawKind::Scalar { text, plain }),
            _ => Ok(Raw::nothing(token.line).kind),
        }
    }

    fn block_list(&mut self, id: NodeId) -> Fallible<()> {
        self.scanner.skip();
        loop {
            let token = self.scanner.next()?;
            match token.kind {
                TokenKind::Item => {
                    let item = self.node_unless(
                        token.line,
                        &[TokenKind::Item, TokenKind::BlockEnd],
                        false,
                    )?;
                    self.add_item(id, item);
                }
                TokenKind::BlockEnd => return Ok(()),
                _ => return fault(token.line, "a `-` is missing: the lines above are a list"),
            }
        }
    }

    /// A list whose `-` stand in the column of the key that it belongs to.
    fn compact_list(&mut self, id: NodeId) -> Fallible<()> {
        while self.scanner.peek()?.kind == TokenKind::Item {
            let line = self.scanner.next()?.line;
            let item = self.node_unless(
                line,
                &[
                    TokenKind::Item,
                    TokenKind::Key,
                    TokenKind::Value,
                    TokenKind::BlockEnd,
                ],
                false,
            )?;
            self.add_item(id, item);
        }
        Ok(())
    }

    fn block_map(&mut self, id: NodeId) -> Fallible<()> {
        const NEXT: &[TokenKind] = &[TokenKind::Key, TokenKind::Value, TokenKind::BlockEnd];
        self.scanner.skip();
        loop {
            let token = self.scanner.next()?;
            match token.kind {
                TokenKind::Key => {
                    let key = self.node_unless(token.line, NEXT, true)?;
                    let value = match self.take(&TokenKind::Value)? {
                        Some(line) => self.node_unless(line, NEXT, true)?,
                        None => self.nothing()?,
                    };
                    self.add_entry(id, key, value);
                }
                TokenKind::BlockEnd => return Ok(()),
                _ => {
                    return fault(
                        token.line,
                        "a key is missing here: is the indentation that of the keys above?",
                    );
                }
            }
        }
    }

    /// Takes the next token if it is that one; its line.
    fn take(&mut self, kind: &TokenKind) -> Fallible<Option<u32>> {
        let token = self.scanner.peek()?;
        let line = token.line;
        if token.kind != *kind {
            return Ok(None);
        }
        self.scanner.skip();
        Ok(Some(line))
    }

    /// A value in the block style; nothing, at `line`, if one of `ends` is next.
    fn node_unless(&mut self, line: u32, ends: &[TokenKind], compact: bool) -> Fallible<NodeId> {
        if ends.contains(&self.scanner.peek()?.kind) {
            self.graph.add(Raw::nothing(line))
        } else {
            self.node(true, compact)
        }
    }

    fn nothing(&mut self) -> Fallible<NodeId> {
        let line = self.scanner.peek()?.line;
        self.graph.add(Raw::nothing(line))
    }

    fn add_item(&mut self, list: NodeId, item: NodeId) {
        if let RawKind::List(items) = &mut self.graph.get_mut(list).kind {
            items.push(item);
        }
    }

    fn add_entry(&mut self, map: NodeId, key: NodeId, value: NodeId) {
        if let RawKind::Map(entries) = &mut self.graph.get_mut(map).kind {
            entries.push((key, value));
        }
    }
}

fn ends_document(token: &YamlToken) -> bool {
    matches!(
        token.kind,
        TokenKind::Version { .. }
            | TokenKind::TagPrefix { .. }
            | TokenKind::DocumentStart
            | TokenKind::DocumentEnd
            | TokenKind::End
    )
}
