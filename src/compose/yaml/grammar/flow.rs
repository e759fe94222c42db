//! The flow style: `[a, b]` and `{a: b}`.

use super::Grammar;
use crate::compose::yaml::graph::{Id, Raw, RawKind};
use crate::compose::yaml::scan::Kind;
use crate::compose::yaml::{Fallible, fault};

impl Grammar<'_> {
    pub(super) fn flow_list(&mut self, id: Id) -> Fallible<()> {
        self.scanner.skip();
        let mut first = true;
        while self.scanner.peek()?.kind != Kind::FlowListEnd {
            if !std::mem::replace(&mut first, false) && self.comma(&Kind::FlowListEnd, "]")? {
                break;
            }
            let item = if self.scanner.peek()?.kind == Kind::Key {
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
    fn flow_pair(&mut self) -> Fallible<Id> {
        let line = self.scanner.next()?.line;
        let id = self.graph.add(Raw {
            line,
            tag: None,
            kind: RawKind::Map(Vec::new()),
        })?;
        let key = if matches!(
            self.scanner.peek()?.kind,
            Kind::Value | Kind::Comma | Kind::FlowListEnd
        ) {
            // Compose's library passes the token too, and so refuses `[? : value]`.
            self.scanner.skip();
            self.nothing()?
        } else {
            self.node(false, false)?
        };
        let value = match self.take(&Kind::Value)? {
            Some(line) => self.flow_node_unless(line, &[Kind::Comma, Kind::FlowListEnd])?,
            None => self.nothing()?,
        };
        self.add_entry(id, key, value);
        Ok(id)
    }

    pub(super) fn flow_map(&mut self, id: Id) -> Fallible<()> {
        self.scanner.skip();
        let mut first = true;
        while self.scanner.peek()?.kind != Kind::FlowMapEnd {
            if !std::mem::replace(&mut first, false) && self.comma(&Kind::FlowMapEnd, "}")? {
                break;
            }
            let (key, value) = match self.take(&Kind::Key)? {
                None => (self.node(false, false)?, self.nothing()?),
                Some(line) => {
                    let key =
                        self.flow_node_unless(line, &[Kind::Value, Kind::Comma, Kind::FlowMapEnd])?;
                    let value = match self.take(&Kind::Value)? {
                        Some(line) => {
                            self.flow_node_unless(line, &[Kind::Comma, Kind::FlowMapEnd])?
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
    fn comma(&mut self, end: &Kind, bracket: &str) -> Fallible<bool> {
        if self.take(&Kind::Comma)?.is_none() {
            return fault(
                self.scanner.peek()?.line,
                format!("a `,` or `{bracket}` is missing here"),
            );
        }
        Ok(self.scanner.peek()?.kind == *end)
    }

    fn flow_node_unless(&mut self, line: u32, ends: &[Kind]) -> Fallible<Id> {
        if ends.contains(&self.scanner.peek()?.kind) {
            self.graph.add(Raw::nothing(line))
        } else {
            self.node(false, false)
        }
    }
}
