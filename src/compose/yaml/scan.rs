//! Characters → tokens. Indentation becomes tokens too, as brackets are in the flow style.

use std::collections::VecDeque;

use super::cursor::Cursor;
use super::key::{Candidate, Candidates, Spot};
pub(super) use super::token::{TokenKind, YamlToken};
use super::{Fallible, MAX_DEPTH, fault};

#[derive(Debug)]
pub(super) struct Scanner<'a> {
    pub(super) cursor: Cursor<'a>,
    /// Scanned and not yet taken.
    tokens: VecDeque<YamlToken>,
    /// How many tokens were taken before them.
    taken: usize,
    keys: Candidates,
    /// Whether a key may begin here; also whether a tab would stand for indentation.
    pub(super) key_allowed: bool,
    /// The column of the innermost block collection; -1 outside of all.
    indent: isize,
    outer_indents: Vec<isize>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            cursor: Cursor::new(text),
            tokens: VecDeque::new(),
            taken: 0,
            keys: Candidates::new(),
            key_allowed: true,
            indent: -1,
            outer_indents: Vec::new(),
        }
    }

    /// The next token; it stays the next one.
    pub(super) fn peek(&mut self) -> Fallible<&YamlToken> {
        // A token that may be a key waits for its `:`, since a `Key` token would go before it.
        while self.tokens.is_empty() || self.keys.may_be_key(self.taken, self.spot())? {
            self.fetch()?;
        }
        Ok(&self.tokens[0])
    }

    /// Takes the next token. The end can be taken for ever.
    pub(super) fn next(&mut self) -> Fallible<YamlToken> {
        let line = self.peek()?.line;
        self.taken += 1;
        Ok(self.tokens.pop_front().unwrap_or(YamlToken {
            kind: TokenKind::End,
            line,
        }))
    }

    /// Passes the token that was peeked at.
    pub(super) fn skip(&mut self) {
        self.tokens.pop_front();
        self.taken += 1;
    }

    /// Whether a bracket is open.
    pub(super) fn in_flow(&self) -> bool {
        self.keys.level() > 0
    }

    /// The column at which a scalar's further lines may begin.
    pub(super) fn scalar_indent(&self) -> usize {
        self.indent.saturating_add(1).unsigned_abs()
    }

    fn spot(&self) -> Spot {
        Spot {
            line: self.cursor.line,
            column: self.cursor.column,
            index: self.cursor.index,
        }
    }

    fn push(&mut self, kind: TokenKind, line: u32) {
        self.tokens.push_back(YamlToken { kind, line });
    }

    fn fetch(&mut self) -> Fallible<()> {
        self.skip_to_token();
        self.close_blocks(column(self.cursor.column));
        if self.cursor.is_end() {
            return self.fetch_end();
        }
        if self.cursor.column == 0 && self.cursor.is(b'%') {
            return self.fetch_directive();
        }
        if self.cursor.is_document_mark("---") {
            return self.fetch_document_mark(TokenKind::DocumentStart);
        }
        if self.cursor.is_document_mark("...") {
            return self.fetch_document_mark(TokenKind::DocumentEnd);
        }
        self.fetch_content()?;
        self.skip_trailing_comment();
        Ok(())
    }

    fn fetch_content(&mut self) -> Fallible<()> {
        let in_flow = self.in_flow();
        let before_space = self.cursor.is_space(1);
        match self.cursor.byte(0) {
            b'[' => self.fetch_open(TokenKind::FlowList),
            b'{' => self.fetch_open(TokenKind::FlowMap),
            b']' => self.fetch_close(TokenKind::FlowListEnd),
            b'}' => self.fetch_close(TokenKind::FlowMapEnd),
            b',' => self.fetch_comma(),
            b'-' if before_space => self.fetch_item(),
            b'?' if in_flow || before_space => self.fetch_key(),
            b':' if in_flow || before_space => self.fetch_value(),
            b'*' | b'&' => self.fetch_scalar(Self::scan_name),
            b'!' => self.fetch_scalar(Self::scan_tag),
            b'|' | b'>' if !in_flow => self.fetch_block_scalar(),
            b'\'' | b'"' => self.fetch_scalar(Self::scan_quoted),
            byte if starts_plain(byte)
                || byte == b'-'
                || (!in_flow && matches!(byte, b'?' | b':')) =>
            {
                self.fetch_scalar(Self::scan_plain)
            }
            b'\t' => fault(
                self.cursor.line,
                "a tab stands where only spaces may indent",
            ),
            byte => fault(
                self.cursor.line,
                format!("`{}` cannot begin a value; quote it", byte.escape_ascii()),
            ),
        }
    }

    /// Passes blanks, line breaks and comments.
    fn skip_to_token(&mut self) {
        loop {
            let tabs = self.in_flow() || !self.key_allowed;
            while self.cursor.is(b' ') || (tabs && self.cursor.is(b'\t')) {
                self.cursor.skip();
            }
            if self.cursor.is(b'#') {
                self.skip_comments();
            }
            if !self.cursor.is_break() {
                return;
            }
            self.cursor.skip_break();
            if !self.in_flow() {
                self.key_allowed = true;
            }
        }
    }

    /// Passes a comment and those that follow it with nothing but blanks and empty lines between; those may be
    /// indented with tabs, which Compose lets pass.
    fn skip_comments(&mut self) {
        loop {
            self.cursor.skip_to_line_end();
            if !self.cursor.is_comment_ahead() {
                return;
            }
            while !self.cursor.is(b'#') {
                if self.cursor.is_break() {
                    self.cursor.skip_break()
                } else {
                    self.cursor.skip_blanks()
                }
            }
        }
    }

    /// Passes the comment behind a token, which may stand behind tabs where a token may not.
    fn skip_trailing_comment(&mut self) {
        let line = self.cursor.line;
        if self
            .tokens
            .back()
            .is_some_and(|token| token.kind != TokenKind::Item && token.line == line)
        {
            let blanks = (0..)
                .take_while(|ahead| self.cursor.is_blank(*ahead))
                .count();
            if self.cursor.byte(blanks) == b'#' {
                self.cursor.skip_to_line_end();
            }
        }
    }

    fn fetch_end(&mut self) -> Fallible<()> {
        self.close_blocks(-1);
        self.keys.drop_last()?;
        self.key_allowed = false;
        self.push(TokenKind::End, self.cursor.line);
        self.cursor.end_line();
        Ok(())
    }

    fn fetch_directive(&mut self) -> Fallible<()> {
        self.close_blocks(-1);
        self.keys.drop_last()?;
        self.key_allowed = false;
        let line = self.cursor.line;
        let kind = self.scan_directive()?;
        self.push(kind, line);
        Ok(())
    }

    fn fetch_document_mark(&mut self, kind: TokenKind) -> Fallible<()> {
        self.close_blocks(-1);
        self.keys.drop_last()?;
        self.key_allowed = false;
        self.push(kind, self.cursor.line);
        (0..3).for_each(|_| _ = self.cursor.skip());
        Ok(())
    }

    fn fetch_open(&mut self, kind: TokenKind) -> Fallible<()> {
        self.save_key()?;
        self.keys.open();
        if self.keys.level() > MAX_DEPTH {
            return too_deep(self.cursor.line);
        }
        self.key_allowed = true;
        self.fetch_indicator(kind);
        Ok(())
    }

    fn fetch_close(&mut self, kind: TokenKind) -> Fallible<()> {
        self.keys.drop_last()?;
        self.keys.close();
        self.key_allowed = false;
        self.fetch_indicator(kind);
        Ok(())
    }

    fn fetch_comma(&mut self) -> Fallible<()> {
        self.keys.drop_last()?;
        self.key_allowed = true;
        self.fetch_indicator(TokenKind::Comma);
        Ok(())
    }

    fn fetch_item(&mut self) -> Fallible<()> {
        self.open_block(TokenKind::BlockList, "a list item")?;
        self.keys.drop_last()?;
        self.key_allowed = true;
        self.fetch_indicator(TokenKind::Item);
        Ok(())
    }

    fn fetch_key(&mut self) -> Fallible<()> {
        self.open_block(TokenKind::BlockMap, "a key")?;
        self.keys.drop_last()?;
        self.key_allowed = !self.in_flow();
        self.fetch_indicator(TokenKind::Key);
        Ok(())
    }

    fn fetch_value(&mut self) -> Fallible<()> {
        let here = self.spot();
        if let Some(key) = self.keys.take_last(here)? {
            let at = key.token.saturating_sub(self.taken);
            self.tokens.insert(
                at,
                YamlToken {
                    kind: TokenKind::Key,
                    line: key.spot.line,
                },
            );
            if !self.in_flow() && self.indent_to(key.spot.column)? {
                self.tokens.insert(
                    at,
                    YamlToken {
                        kind: TokenKind::BlockMap,
                        line: key.spot.line,
                    },
                );
            }
            self.key_allowed = false;
        } else {
            self.open_block(TokenKind::BlockMap, "a `:`")?;
            self.key_allowed = !self.in_flow();
        }
        self.fetch_indicator(TokenKind::Value);
        Ok(())
    }

    fn fetch_block_scalar(&mut self) -> Fallible<()> {
        self.keys.drop_last()?;
        self.key_allowed = true;
        let line = self.cursor.line;
        let kind = self.scan_block()?;
        self.push(kind, line);
        Ok(())
    }

    /// A scalar, or one of its properties: anything that may be or begin a key.
    fn fetch_scalar(&mut self, scan: fn(&mut Self) -> Fallible<TokenKind>) -> Fallible<()> {
        self.save_key()?;
        self.key_allowed = false;
        let line = self.cursor.line;
        let kind = scan(self)?;
        self.push(kind, line);
        Ok(())
    }

    fn fetch_indicator(&mut self, kind: TokenKind) {
        self.push(kind, self.cursor.line);
        self.cursor.skip();
    }

    fn save_key(&mut self) -> Fallible<()> {
        if !self.key_allowed {
            return Ok(());
        }
        let required = !self.in_flow() && self.indent == column(self.cursor.column);
        let token = self.taken + self.tokens.len();
        self.keys.put(Candidate {
            token,
            spot: self.spot(),
            required,
        })
    }

    /// Begins a block collection at this column unless it has begun. Nothing in the flow style.
    fn open_block(&mut self, kind: TokenKind, what: &str) -> Fallible<()> {
        if self.in_flow() {
            return Ok(());
        }
        if !self.key_allowed {
            return fault(self.cursor.line, format!("{what} is not allowed here"));
        }
        if self.indent_to(self.cursor.column)? {
            self.push(kind, self.cursor.line);
        }
        Ok(())
    }

    /// Whether that is deeper than before.
    fn indent_to(&mut self, wanted: usize) -> Fallible<bool> {
        if self.indent >= column(wanted) {
            return Ok(false);
        }
        self.outer_indents.push(self.indent);
        self.indent = column(wanted);
        if self.outer_indents.len() > MAX_DEPTH {
            too_deep(self.cursor.line)
        } else {
            Ok(true)
        }
    }

    /// Ends the block collections that are indented deeper than this column.
    fn close_blocks(&mut self, column: isize) {
        while !self.in_flow() && self.indent > column {
            self.push(TokenKind::BlockEnd, self.cursor.line);
            self.indent = self.outer_indents.pop().unwrap_or(-1);
        }
    }
}

/// A character that begins a plain scalar whatever follows it.
fn starts_plain(byte: u8) -> bool {
    !matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0) && !b"-?:,[]{}#&*!|>'\"%@`".contains(&byte)
}

fn column(column: usize) -> isize {
    isize::try_from(column).unwrap_or(isize::MAX)
}

pub(super) fn too_deep<T>(line: u32) -> Fallible<T> {
    fault(line, format!("nested more than {MAX_DEPTH} levels deep"))
}
