//! A position in the text.

/// Reads characters in order and knows where it is. The end reads as the byte 0, which no text contains.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    /// In bytes.
    at: usize,
    /// 1-based.
    pub(super) line: u32,
    /// Characters since the line began.
    pub(super) column: usize,
    /// Characters since the text began.
    pub(super) index: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
            column: 0,
            index: 0,
        }
    }

    /// The byte that stands `ahead` bytes ahead.
    pub(super) fn byte(&self, ahead: usize) -> u8 {
        self.text
            .as_bytes()
            .get(self.at + ahead)
            .copied()
            .unwrap_or(0)
    }

    pub(super) fn is(&self, byte: u8) -> bool {
        self.byte(0) == byte
    }

    pub(super) fn is_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// A space or tab.
    pub(super) fn is_blank(&self, ahead: usize) -> bool {
        matches!(self.byte(ahead), b' ' | b'\t')
    }

    /// The bytes of the line break `ahead`; 0 if there is none. NEL, LS and PS are line breaks (YAML 1.1).
    pub(super) fn line_break(&self, ahead: usize) -> usize {
        let rest = self.text.as_bytes().get(self.at + ahead..).unwrap_or(&[]);
        match rest {
            [b'\r', b'\n', ..] | [0xC2, 0x85, ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            [0xE2, 0x80, 0xA8 | 0xA9, ..] => 3,
            _ => 0,
        }
    }

    pub(super) fn is_break(&self) -> bool {
        self.line_break(0) > 0
    }

    /// A line break or the end.
    pub(super) fn is_line_end(&self, ahead: usize) -> bool {
        self.byte(ahead) == 0 || self.line_break(ahead) > 0
    }

    /// A blank, a line break or the end.
    pub(super) fn is_space(&self, ahead: usize) -> bool {
        self.is_blank(ahead) || self.is_line_end(ahead)
    }

    /// A digit, a letter, `_` or `-`.
    pub(super) fn is_word(&self) -> bool {
        matches!(self.byte(0), b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'-')
    }

    /// `---` or `...` on its own, as a line begins.
    pub(super) fn is_document_mark(&self, mark: &str) -> bool {
        self.column == 0 && self.text[self.at..].starts_with(mark) && self.is_space(mark.len())
    }

    /// At the end: begins a line of its own, so that nothing on the last one is still open.
    pub(super) fn end_line(&mut self) {
        if self.column > 0 {
            self.column = 0;
            self.line += 1;
        }
    }

    /// Passes one character that is no line break.
    pub(super) fn skip(&mut self) -> Option<char> {
        let char = self.text[self.at..].chars().next()?;
        self.at += char.len_utf8();
        self.column += 1;
        self.index += 1;
        Some(char)
    }

    pub(super) fn read(&mut self, into: &mut String) {
        into.extend(self.skip());
    }

    /// Passes the rest of the line, but not its break.
    pub(super) fn skip_to_line_end(&mut self) {
        while !self.is_line_end(0) {
            self.skip();
        }
    }

    /// Passes blanks.
    pub(super) fn skip_blanks(&mut self) {
        while self.is_blank(0) {
            self.skip();
        }
    }

    /// Whether nothing but blanks and line breaks, at most 512 characters of them, stand before a `#`.
    pub(super) fn is_comment_ahead(&self) -> bool {
        let ahead = self.text[self.at..]
            .chars()
            .take(512)
            .find(|char| !matches!(char, ' ' | '\t' | '\r' | '\n'));
        ahead == Some('#')
    }

    /// Passes one line break, if there is one. LS and PS stay what they are, all others become `\n`.
    pub(super) fn read_break(&mut self, into: &mut String) {
        let length = self.line_break(0);
        if length == 0 {
            return;
        }
        into.push_str(if length == 3 {
            &self.text[self.at..self.at + length]
        } else {
            "\n"
        });
        self.index += if length == 2 && self.is(b'\r') { 2 } else { 1 };
        self.at += length;
        self.column = 0;
        self.line += 1;
    }

    pub(super) fn skip_break(&mut self) {
        self.read_break(&mut String::new());
    }
}
