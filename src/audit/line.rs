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

/// Whether a text is a SHA-256 as the log writes it.
pub(super) fn is_hash(text: &str) -> bool {
    let is_digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    text.len() == DIGITS && text.bytes().all(is_digit)
}

/// The first members of every record, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LineHead<'a> {
    pub seq: u64,
    pub time: &'a str,
    pub id: &'a str,
    pub phase: &'a str,
    pub kind: &'a str,
    /// Of an outcome.
    pub result: Option<&'a str>,
}

impl<'a> LineHead<'a> {
    fn of(body: &'a str) -> Option<Self> {
        let (_, rest) = body.strip_prefix("{\"v\":")?.split_once(',')?;
        let (seq, rest) = rest.strip_prefix("\"seq\":")?.split_once(',')?;
        let (time, rest) = member(rest, "\"time\":\"")?;
        let (id, rest) = member(rest, ",\"id\":\"")?;
        let (phase, rest) = member(rest, ",\"phase\":\"")?;
        let (kind, rest) = member(rest, ",\"kind\":\"")?;
        Some(Self {
            seq: seq.parse().ok()?,
            time,
            id,
            phase,
            kind,
            result: member(rest, ",\"result\":\"").map(|(result, _)| result),
        })
    }
}

/// The value of the member at the start of a text, and what follows. No value of these members has a quote in it.
fn member<'a>(text: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    text.strip_prefix(name)?.split_once('"')
}

/// The parts of a line by their places, whether or not they fit each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LineParts<'a> {
    pub head: LineHead<'a>,
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
        let parts = Self {
            head: LineHead::of(body)?,
            body,
            prev,
            hash,
            sealed: &line[..line.len() - HASH.len() - DIGITS - END.len()],
        };
        (is_hash(prev) && is_hash(hash)).then_some(parts)
    }

    /// What the hash should be.
    pub(super) fn computed(&self) -> String {
        hex(Sha256::digest(self.sealed.as_bytes()))
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
    use super::super::kind::AuditKind;
    use super::super::record::{AuditPhase, AuditResult};
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
        let record = record();
        let sealed = seal(&record, GENESIS).unwrap();
        let json: serde_json::Value = serde_json::from_str(&sealed.line).unwrap();
        assert_eq!(
            (&json["prev"], &json["hash"]),
            (&GENESIS.into(), &sealed.hash.as_str().into())
        );
        let parts = LineParts::of(&sealed.line).unwrap();
        assert_eq!((parts.prev, parts.hash), (GENESIS, sealed.hash.as_str()));
        assert_eq!(parts.computed(), sealed.hash);
        assert_eq!(parts.record().unwrap(), record);
    }

    #[test]
    fn the_first_members_are_read_without_the_rest() {
        let mut record = record();
        let line = seal(&record, GENESIS).unwrap().line;
        let head = LineParts::of(&line).unwrap().head;
        assert_eq!((head.seq, head.id, head.kind), (17, "0f", "up"));
        assert_eq!((head.time, head.phase), (record.time.as_str(), "intent"));
        assert_eq!(head.result, None);
        record.result = Some(AuditResult::Done);
        let line = seal(&record, GENESIS).unwrap().line;
        assert_eq!(LineParts::of(&line).unwrap().head.result, Some("done"));
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
