//! The flow style: `[a, b]` and `{a: b}`.

use super::Grammar;
use crate::compose::yaml::graph::{NodeId, Raw, RawKind};
use crate::compose::yaml::scan::TokenKind;
use crate::compose::yaml::{Fallible, fault};

impl Grammar<'_> {
    pub(super) fn flow_list(&mut self, id: NodeId) -> Fallible<()> {
        self.scanner.skip();
        let mut first = true;
        while self.scanner.peek()?.kind != TokenKind::FlowListEnd {
            if !std::mem::replace(&mut first, false) && self.comma(&TokenKind::FlowListEnd, "]")? {
                break;
            }
            let item = if self.scanner.peek()?.kind == TokenKind::Key {
                self.flow_pair()?
            } else {
                self.node(false, false)?
            };
            self.add_item(id, item);
        }
        self.scanner.skip();
        Ok(())
    }

    /// `[key: value]`, a map of one entry.
    fn flow_pair(&mut self) -> Fallible<NodeId> {
        let line = self.scanner.next()?.line;
        let id = self.graph.add(Raw {
            line,
            tag: None,
            kind: RawKind::Map(Vec::new()),
        })?;
        let key = if matches!(
            self.scanner.peek()?.kind,
            TokenKind::Value | TokenKind::Comma | TokenKind::FlowListEnd
        ) {
            // Compose's library passes the token too, and so refuses `[? : value]`.
            self.scanner.skip();
            self.nothing()?
        } else {
            self.node(false, false)?
        };
        let value = match self.take(&TokenKind::Value)? {
            Some(line) => {
                self.flow_node_unless(line, &[TokenKind::Comma, TokenKind::FlowListEnd])?
            }
            None => self.nothing()?,
        };
        self.add_entry(id, key, value);
        Ok(id)
    }

    pub(super) fn flow_map(&mut self, id: NodeId) -> Fallible<()> {
        self.scanner.skip();
        let mut first = true;
        while self.scanner.peek()?.kind != TokenKind::FlowMapEnd {
            if !std::mem::replace(&mut first, false) && self.comma(&TokenKind::FlowMapEnd, "}")? {
                break;
            }
            let (key, value) = match self.take(&TokenKind::Key)? {
                None => (self.node(false, false)?, self.nothing()?),
                Some(line) => {
                    let key = self.flow_node_unless(
                        line,
                        &[TokenKind::Value, TokenKind::Comma, TokenKind::FlowMapEnd],
                    )?;
                    let value = match self.take(&TokenKind::Value)? {
                        Some(line) => {
                            self.flow_node_unless(line, &[TokenKind::Comma, TokenKind::FlowMapEnd])?
                        }
                        None => self.nothing()?,
                    };
                    (key, value)
                }
            };
            self.add_entry(id, key, value);
        }
        self.scanner.skip();
        Ok(())
    }

    /// Takes the comma between two items. Whether the end follows it.
    fn comma(&mut self, end: &TokenKind, bracket: &str) -> Fallible<bool> {
        if self.take(&TokenKind::Comma)?.is_none() {
            return fault(
                self.scanner.peek()?.line,
                format!("a `,` or `{bracket}` is missing here"),
            );
        }
        Ok(self.scanner.peek()?.kind == *end)
    }

    fn flow_node_unless(&mut self, line: u32, ends: &[TokenKind]) -> Fallible<NodeId> {
        if ends.contains(&self.scanner.peek()?.kind) {
            self.graph.add(Raw::nothing(line))
        } else {
            self.node(false, false)
        }
    }
}
