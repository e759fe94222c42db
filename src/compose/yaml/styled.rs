//! The text of scalars in their five styles.

use super::scan::{Scanner, TokenKind};
use super::{Fallible, fault};

/// What stands between two words of a scalar, on one line or several.
#[derive(Debug, Default)]
struct Gap {
    blanks: String,
    /// The first line break; those after it are in `more`.
    first: String,
    more: String,
}

impl Gap {
    /// Adds what the gap means: its blanks, or for one line break a space, for more all but the first.
    fn fold_into(&mut self, text: &mut String) {
        match (self.first.as_str(), self.more.as_str()) {
            ("", _) => text.push_str(&self.blanks),
            ("\n", "") => text.push(' '),
            ("\n", more) => text.push_str(more),
            (first, more) => [first, more].iter().for_each(|part| text.push_str(part)),
        }
        *self = Self::default();
    }
}

/// What becomes of the line breaks at the end of a block scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chomp {
    Strip,
    Clip,
    Keep,
}

impl Scanner<'_> {
    pub(super) fn scan_plain(&mut self) -> Fallible<TokenKind> {
        let mut text = String::new();
        let mut gap = Gap::default();
        let indent = self.scalar_indent();
        loop {
            if self.is_any_document_mark() || self.cursor.is(b'#') {
                break;
            }
            while !self.ends_plain() {
                gap.fold_into(&mut text);
                self.cursor.read(&mut text);
            }
            if !self.cursor.is_blank(0) && !self.cursor.is_break() {
                break;
            }
            self.scan_gap(&mut gap, Some(indent))?;
            if !self.in_flow() && self.cursor.column < indent {
                break;
            }
        }
        if !gap.first.is_empty() {
            self.key_allowed = true;
        }
        Ok(TokenKind::Scalar { text, plain: true })
    }

    fn ends_plain(&self) -> bool {
        self.cursor.is_space(0)
            || (self.cursor.is(b':') && self.cursor.is_space(1))
            || (self.in_flow() && b",?[]{}".contains(&self.cursor.byte(0)))
    }

    fn is_any_document_mark(&self) -> bool {
        self.cursor.is_document_mark("---") || self.cursor.is_document_mark("...")
    }

    /// Blanks and line breaks. Tabs may not indent a further line of a plain scalar below `indent`.
    fn scan_gap(&mut self, gap: &mut Gap, indent: Option<usize>) -> Fallible<()> {
        loop {
            if self.cursor.is_break() {
                let into = if gap.first.is_empty() {
                    &mut gap.first
                } else {
                    &mut gap.more
                };
                self.cursor.read_break(into);
            } else if !self.cursor.is_blank(0) {
                return Ok(());
            } else if gap.first.is_empty() {
                self.cursor.read(&mut gap.blanks);
            } else if self.cursor.is(b'\t')
                && indent.is_some_and(|indent| self.cursor.column < indent)
            {
                return fault(
                    self.cursor.line,
                    "a tab stands where only spaces may indent",
                );
            } else {
                self.cursor.skip();
            }
        }
    }

    /// `'…'` or `"…"`.
    pub(super) fn scan_quoted(&mut self) -> Fallible<TokenKind> {
        let line = self.cursor.line;
        let quote = self.cursor.byte(0);
        self.cursor.skip();
        let mut text = String::new();
        let mut gap = Gap::default();
        loop {
            if self.cursor.is_end() || self.is_any_document_mark() {
                return fault(line, "a quote is opened here and never closed");
            }
            let joined = self.scan_quoted_word(quote, &mut text)?;
            if self.cursor.is(quote) {
                self.cursor.skip();
                return Ok(TokenKind::Scalar { text, plain: false });
            }
            if joined {
                self.skip_joined(&mut gap)?;
                text.push_str(&gap.more);
                gap = Gap::default();
            } else {
                self.scan_gap(&mut gap, None)?;
                gap.fold_into(&mut text);
            }
        }
    }

    /// What follows a line break that `\` takes away: blanks, and line breaks that stay.
    fn skip_joined(&mut self, gap: &mut Gap) -> Fallible<()> {
        gap.first.push('\\');
        self.scan_gap(gap, None)
    }

    /// Up to a blank, a line break, the closing quote or the end. Whether a `\` took a line break away.
    fn scan_quoted_word(&mut self, quote: u8, text: &mut String) -> Fallible<bool> {
        while !self.cursor.is_space(0) {
            if self.cursor.is(quote) {
                if quote == b'"' || self.cursor.byte(1) != b'\'' {
                    return Ok(false);
                }
                self.cursor.skip();
                self.cursor.read(text);
            } else if quote == b'"' && self.cursor.is(b'\\') {
                self.cursor.skip();
                if self.cursor.is_break() {
                    self.cursor.skip_break();
                    return Ok(true);
                }
                text.push(self.scan_escape()?);
            } else {
                self.cursor.read(text);
            }
        }
        Ok(false)
    }

    /// What follows a `\` between double quotes.
    fn scan_escape(&mut self) -> Fallible<char> {
        let line = self.cursor.line;
        let escape = self.cursor.skip();
        Ok(match escape {
            Some('0') => '\0',
            Some('a') => '\x07',
            Some('b') => '\x08',
            Some('t' | '\t') => '\t',
            Some('n') => '\n',
            Some('v') => '\x0B',
            Some('f') => '\x0C',
            Some('r') => '\r',
            Some('e') => '\x1B',
            Some(char @ (' ' | '"' | '\'' | '\\')) => char,
            Some('N') => '\u{85}',
            Some('_') => '\u{A0}',
            Some('L') => '\u{2028}',
            Some('P') => '\u{2029}',
            Some(kind @ ('x' | 'u' | 'U')) => {
                let digits = if kind == 'x' {
                    2
                } else if kind == 'u' {
                    4
                } else {
                    8
                };
                match self.scan_hex(digits).and_then(char::from_u32) {
                    Some(char) => char,
                    None => {
                        return fault(
                            line,
                            format!("`\\{kind}` needs {digits} digits that name a character"),
                        );
                    }
                }
            }
            _ => {
                return fault(
                    line,
                    "a `\\` between double quotes stands before a character that it cannot; write `\\\\`",
                );
            }
        })
    }

    /// `|` or `>`, its indicators, and the lines below.
    pub(super) fn scan_block(&mut self) -> Fallible<TokenKind> {
        let literal = self.cursor.skip() == Some('|');
        let (chomp, given) = self.scan_block_header()?;
        let mut indent = given.map(|given| self.scalar_indent().max(1) - 1 + given);
        let mut text = String::new();
        let mut last = String::new();
        let mut breaks = String::new();
        let mut after_blank = false;
        self.scan_block_breaks(&mut indent, &mut breaks)?;
        while Some(self.cursor.column) == indent && !self.cursor.is_end() {
            let at_blank = self.cursor.is_blank(0);
            if literal || after_blank || at_blank || last != "\n" {
                text.push_str(&last);
            } else if breaks.is_empty() {
                text.push(' ');
            }
            text.push_str(&std::mem::take(&mut breaks));
            after_blank = at_blank;
            while !self.cursor.is_line_end(0) {
                self.cursor.read(&mut text);
            }
            last.clear();
            self.cursor.read_break(&mut last);
            self.scan_block_breaks(&mut indent, &mut breaks)?;
        }
        if chomp != Chomp::Strip {
            text.push_str(&last);
        }
        if chomp == Chomp::Keep {
            text.push_str(&breaks);
        }
        Ok(TokenKind::Scalar { text, plain: false })
    }

    /// `+` or `-` and a digit, in either order, and the rest of the line.
    fn scan_block_header(&mut self) -> Fallible<(Chomp, Option<usize>)> {
        let line = self.cursor.line;
        let mut chomp = None;
        let mut indent = None;
        loop {
            match self.cursor.byte(0) {
                b'+' if chomp.is_none() => chomp = Some(Chomp::Keep),
                b'-' if chomp.is_none() => chomp = Some(Chomp::Strip),
                digit @ b'1'..=b'9' if indent.is_none() => indent = Some(usize::from(digit - b'0')),
                _ => break,
            }
            self.cursor.skip();
        }
        self.cursor.skip_blanks();
        if self.cursor.is(b'#') {
            self.cursor.skip_to_line_end();
        }
        if !self.cursor.is_line_end(0) {
            return fault(
                line,
                "nothing but `+`, `-`, a digit from 1 to 9 and a comment may follow `|` or `>` on its line",
            );
        }
        self.cursor.skip_break();
        Ok((chomp.unwrap_or(Chomp::Clip), indent))
    }

    /// Indentation and empty lines. The first line with text sets the indentation, unless the header did.
    fn scan_block_breaks(
        &mut self,
        indent: &mut Option<usize>,
        breaks: &mut String,
    ) -> Fallible<()> {
        let mut widest = 0;
        loop {
            let inside = |column: usize| indent.is_none_or(|indent| column < indent);
            while self.cursor.is(b' ') && inside(self.cursor.column) {
                self.cursor.skip();
            }
            widest = widest.max(self.cursor.column);
            if self.cursor.is(b'\t') && inside(self.cursor.column) {
                return fault(
                    self.cursor.line,
                    "a tab stands where only spaces may indent",
                );
            }
            if !self.cursor.is_break() {
                break;
            }
            self.cursor.read_break(breaks);
        }
        indent.get_or_insert(widest.max(self.scalar_indent()).max(1));
        Ok(())
    }
}
