//! Anchors, tags and directives: the parts that precede a value and describe it.

use super::scan::{Scanner, TokenKind};
use super::{Fallible, fault};

impl Scanner<'_> {
    /// `&name` or `*name`.
    pub(super) fn scan_name(&mut self) -> Fallible<TokenKind> {
        let line = self.cursor.line;
        let is_alias = self.cursor.skip() == Some('*');
        let name = self.scan_word();
        let ends = self.cursor.is_space(0) || b"?:,]}%@`".contains(&self.cursor.byte(0));
        if name.is_empty() || !ends {
            return fault(
                line,
                "a name of letters, digits, `-` and `_` is missing after `&` or `*`",
            );
        }
        Ok(if is_alias {
            TokenKind::Alias(name)
        } else {
            TokenKind::Anchor(name)
        })
    }

    /// `!tag`, `!!tag`, `!handle!tag` or `!<uri>`.
    pub(super) fn scan_tag(&mut self) -> Fallible<TokenKind> {
        let line = self.cursor.line;
        let kind = if self.cursor.byte(1) == b'<' {
            self.scan_verbatim_tag()?
        } else {
            self.scan_short_tag()?
        };
        if self.cursor.is_space(0) {
            Ok(kind)
        } else {
            fault(line, "a tag must be followed by a space")
        }
    }

    fn scan_verbatim_tag(&mut self) -> Fallible<TokenKind> {
        self.cursor.skip();
        self.cursor.skip();
        let suffix = self.scan_uri(String::new(), false)?;
        if self.cursor.skip() == Some('>') {
            Ok(TokenKind::Tag {
                handle: String::new(),
                suffix,
            })
        } else {
            fault(
                self.cursor.line,
                "a tag that begins with `!<` must end with `>`",
            )
        }
    }

    fn scan_short_tag(&mut self) -> Fallible<TokenKind> {
        let handle = self.scan_handle(false)?;
        if handle.len() > 1 && handle.ends_with('!') {
            let suffix = self.scan_uri(String::new(), false)?;
            return Ok(TokenKind::Tag { handle, suffix });
        }
        let suffix = self.scan_uri(handle.trim_start_matches('!').to_owned(), true)?;
        if suffix.is_empty() {
            return Ok(TokenKind::Tag {
                handle: String::new(),
                suffix: "!".to_owned(),
            });
        }
        Ok(TokenKind::Tag {
            handle: "!".to_owned(),
            suffix,
        })
    }

    /// `%YAML 1.1` or `%TAG !e! prefix`.
    pub(super) fn scan_directive(&mut self) -> Fallible<TokenKind> {
        let line = self.cursor.line;
        self.cursor.skip();
        let name = self.scan_word();
        if !self.cursor.is_space(0) {
            return fault(line, "a directive's name must be followed by a space");
        }
        self.cursor.skip_blanks();
        let kind = match name.as_str() {
            "YAML" => self.scan_version()?,
            "TAG" => self.scan_tag_prefix()?,
            _ => return fault(line, "no other directives than %YAML and %TAG are known"),
        };
        self.cursor.skip_blanks();
        if self.cursor.is(b'#') {
            self.cursor.skip_to_line_end();
        }
        if !self.cursor.is_line_end(0) {
            return fault(line, "a directive must end with its line");
        }
        self.cursor.skip_break();
        Ok(kind)
    }

    fn scan_version(&mut self) -> Fallible<TokenKind> {
        let mut version = String::new();
        while self.cursor.byte(0).is_ascii_digit() || self.cursor.is(b'.') {
            self.cursor.read(&mut version);
        }
        Ok(TokenKind::Version {
            supported: matches!(version.as_str(), "1.1" | "01.1" | "1.01" | "01.01"),
        })
    }

    fn scan_tag_prefix(&mut self) -> Fallible<TokenKind> {
        let line = self.cursor.line;
        let handle = self.scan_handle(true)?;
        if !self.cursor.is_blank(0) {
            return fault(line, "a space is missing in a %TAG directive");
        }
        self.cursor.skip_blanks();
        let prefix = self.scan_uri(String::new(), false)?;
        if !self.cursor.is_space(0) {
            return fault(
                line,
                "a %TAG directive has a character that no prefix may have",
            );
        }
        Ok(TokenKind::TagPrefix { handle, prefix })
    }

    fn scan_word(&mut self) -> String {
        let mut word = String::new();
        while self.cursor.is_word() {
            self.cursor.read(&mut word);
        }
        word
    }

    /// `!`, `!!` or `!name!`; in a tag also the beginning `!name` of one without a handle.
    fn scan_handle(&mut self, directive: bool) -> Fallible<String> {
        let line = self.cursor.line;
        if !self.cursor.is(b'!') {
            return fault(line, "a tag must begin with `!`");
        }
        let mut handle = String::new();
        self.cursor.read(&mut handle);
        handle.push_str(&self.scan_word());
        if self.cursor.is(b'!') {
            self.cursor.read(&mut handle);
        } else if directive && handle != "!" {
            return fault(line, "a tag's handle must end with `!`");
        }
        Ok(handle)
    }

    /// The characters that a URI may have, added to `uri`.
    fn scan_uri(&mut self, mut uri: String, may_be_empty: bool) -> Fallible<String> {
        loop {
            match self.cursor.byte(0) {
                b'%' => uri.push(self.scan_escaped()?),
                byte if self.cursor.is_word() || b";/?:@&=+$,.!~*'()[]".contains(&byte) => {
                    self.cursor.read(&mut uri)
                }
                _ if uri.is_empty() && !may_be_empty => {
                    return fault(self.cursor.line, "a tag has no name");
                }
                _ => return Ok(uri),
            }
        }
    }

    /// One character as `%XX` of each of its bytes.
    fn scan_escaped(&mut self) -> Fallible<char> {
        let line = self.cursor.line;
        let mut bytes = Vec::new();
        while bytes.len() < 4 && self.cursor.is(b'%') {
            self.cursor.skip();
            let Some(byte) = self.scan_hex(2).and_then(|value| u8::try_from(value).ok()) else {
                break;
            };
            bytes.push(byte);
            if let Some(char) = std::str::from_utf8(&bytes)
                .ok()
                .and_then(|text| text.chars().next())
            {
                return Ok(char);
            }
        }
        fault(
            line,
            "a tag has a `%` that stands before no character's code",
        )
    }

    /// The value of so many hexadecimal digits.
    pub(super) fn scan_hex(&mut self, digits: usize) -> Option<u32> {
        (0..digits).try_fold(0_u32, |value, _| {
            let digit = char::from(self.cursor.byte(0)).to_digit(16)?;
            self.cursor.skip();
            Some((value << 4) | digit)
        })
    }
}
