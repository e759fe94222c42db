//! Bytes → characters: UTF-8, or UTF-16 if a byte order mark says so.

use std::borrow::Cow;

use super::{Fallible, Fault, fault};

/// The text without its byte order mark.
pub(super) fn decode(bytes: &[u8]) -> Fallible<Cow<'_, str>> {
    let text = match bytes {
        [0xFF, 0xFE, rest @ ..] => Cow::Owned(utf16(rest, u16::from_le_bytes)?),
        [0xFE, 0xFF, rest @ ..] => Cow::Owned(utf16(rest, u16::from_be_bytes)?),
        [0xEF, 0xBB, 0xBF, rest @ ..] => Cow::Borrowed(utf8(rest)?),
        _ => Cow::Borrowed(utf8(bytes)?),
    };
    match text.char_indices().find(|(_, char)| !is_allowed(*char)) {
        None => Ok(text),
        Some((at, char)) => fault(
            line(&text.as_bytes()[..at]),
            format!(
                "the control character {} is not allowed",
                char.escape_unicode()
            ),
        ),
    }
}

fn utf8(bytes: &[u8]) -> Fallible<&str> {
    std::str::from_utf8(bytes).map_err(|error| Fault {
        line: line(&bytes[..error.valid_up_to()]),
        message: "not valid UTF-8".to_owned(),
    })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Fallible<String> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let decoded: Result<String, _> =
        char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).collect();
    match decoded {
        Ok(text) if rest.is_empty() => Ok(text),
        _ => fault(1, "not valid UTF-16"),
    }
}

fn line(before: &[u8]) -> u32 {
    let breaks = before.iter().filter(|byte| **byte == b'\n').count();
    u32::try_from(breaks + 1).unwrap_or(u32::MAX)
}

fn is_allowed(char: char) -> bool {
    matches!(char, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{A0}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}
