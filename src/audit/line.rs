//! A record as a line: JSON whose last two members are the SHA-256 of the record before (`prev`) and its own (`hash`), of
//! all that stands before `hash`. So a changed byte is found in the record that has it, and a record that is missing or
//! was put in by the record after it.

use sha2::{Digest as _, Sha256};

use super::record::AuditRecord;
use crate::error::{Result, internal};
use crate::hex::hex;

/// What the first record of all follows on.
pub(super) const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

const PREV: &str = ",\"prev\":\"";
const HASH: &str = ",\"hash\":\"";
const END: &str = "\"}";
const DIGITS: usize = 64;
/// The length of what the chain adds to a record.
const TAIL_BYTES: usize = PREV.len() + DIGITS + 1 + HASH.len() + DIGITS + END.len();

/// A line, without its line end, and its hash.
#[derive(Debug)]
pub(super) struct Sealed {
    pub line: String,
    pub hash: String,
}

/// Makes a line of a record.
///
/// # Errors
/// [`crate::error::Code::Internal`] if the record is no JSON.
pub(super) fn seal(record: &AuditRecord, prev: &str) -> Result<Sealed> {
    let mut line = serde_json::to_string(record).map_err(|e| internal(&e))?;
    line.pop();
    line = line + PREV + prev + "\"";
    let hash = hex(Sha256::digest(line.as_bytes()));
    line = line + HASH + &hash + END;
    Ok(Sealed { line, hash })
}

/// The parts of a line by their places, whether or not they fit each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LineParts<'a> {
    /// The record's own members: what a search looks at.
    pub body: &'a str,
    pub prev: &'a str,
    pub hash: &'a str,
    /// What the hash is of.
    sealed: &'a str,
}

impl<'a> LineParts<'a> {
    /// None: this is no line of the log.
    pub(super) fn of(line: &'a str) -> Option<Self> {
        let body = line.get(..line.len().checked_sub(TAIL_BYTES)?)?;
        let (prev, rest) = line[body.len()..]
            .strip_prefix(PREV)?
            .split_at_checked(DIGITS)?;
        let hash = rest.strip_prefix('"')?.strip_prefix(HASH)?;
        let hash = hash.strip_suffix(END)?;
        let is_hash = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let sealed = &line[..line.len() - HASH.len() - DIGITS - END.len()];
        let parts = Self {
            body,
            prev,
            hash,
            sealed,
        };
        (is_hash(prev) && is_hash(hash)).then_some(parts)
    }

    /// What the hash should be.
    pub(super) fn computed(&self) -> String {
        hex(Sha256::digest(self.sealed.as_bytes()))
    }

    /// A member of the record as the line writes it: of several of this name the first. Within a text the quotes around a
    /// name are escaped, so what is found is a member.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        let rest = self.after(name)?.strip_prefix('"')?;
        rest.split('"').next()
    }

    /// As [`Self::text`], for a whole number.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        let rest = self.after(name)?;
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        rest[..end].parse().ok()
    }

    fn after(&self, name: &str) -> Option<&'a str> {
        let body = self.body.as_bytes();
        let mut places = memchr::memmem::find_iter(body, name.as_bytes());
        let at = places.find(|at| {
            let end = at + name.len();
            *at > 0 && body[at - 1] == b'"' && body[end..].starts_with(b"\":")
        })?;
        self.body.get(at + name.len() + 2..)
    }

    /// The record's members.
    pub(super) fn value(&self) -> Option<serde_json::Value> {
        serde_json::from_str(&(self.body.to_owned() + "}")).ok()
    }

    /// The whole record. None: it has not the shape of one.
    pub(super) fn record(&self) -> Option<AuditRecord> {
        serde_json::from_str(&(self.body.to_owned() + "}")).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{AuditKind, AuditPhase};
    use super::super::text::AuditText;
    use super::*;

    fn record() -> AuditRecord {
        let mut record = AuditRecord::bare("0f", AuditPhase::Intent, AuditKind::Up);
        record.seq = 17;
        record.arguments = vec![AuditText::masked("a \"kind\":\"x\"", str::to_owned)];
        record
    }

    #[test]
    fn a_line_is_one_json_object_with_the_hash_before_and_its_own() {
        let sealed = seal(&record(), GENESIS).unwrap();
        let json: serde_json::Value = serde_json::from_str(&sealed.line).unwrap();
        assert_eq!(
            (&json["prev"], &json["hash"]),
            (&GENESIS.into(), &sealed.hash.as_str().into())
        );
        let parts = LineParts::of(&sealed.line).unwrap();
        assert_eq!((parts.prev, parts.hash), (GENESIS, sealed.hash.as_str()));
        assert_eq!(parts.computed(), sealed.hash);
        assert_eq!(parts.record().unwrap(), record());
    }

    #[test]
    fn members_are_found_by_their_names_and_not_within_texts() {
        let line = seal(&record(), GENESIS).unwrap().line;
        let parts = LineParts::of(&line).unwrap();
        assert_eq!(
            (parts.text("kind"), parts.text("id")),
            (Some("up"), Some("0f"))
        );
        assert_eq!((parts.number("seq"), parts.number("ms")), (Some(17), None));
        assert_eq!(parts.text("x"), None);
    }

    #[test]
    fn what_is_no_line_of_the_log_is_told_apart() {
        let line = seal(&record(), GENESIS).unwrap().line;
        for other in [
            "",
            "{}",
            "ä",
            &line[1..line.len() - 1],
            &line.replace('0', "g"),
        ] {
            assert_eq!(LineParts::of(other), None, "{other}");
        }
    }
}
