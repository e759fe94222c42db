//! Verifying: every record has the hash that it carries, and carries the hash of the one before, over all files.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::folder::{AuditFolder, name};
use super::kind::AuditKind;
use super::line::{GENESIS, LineParts};
use super::read::{LogFile, LogLine};
use super::write::{ChainEnd, lock};
use crate::error::Result;

/// What a look at the whole log found.
#[derive(Debug, Default)]
pub struct AuditVerdict {
    pub files: usize,
    pub records: u64,
    /// In the order of the files and lines.
    pub breaks: Vec<AuditBreak>,
    /// Lines that were cut: what is kept aside, and one that waits for the next record.
    pub torn: Vec<String>,
    /// The number of the first record, if older ones were removed with their file.
    pub begins: Option<u64>,
}

/// A place where the chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditBreak {
    pub file: PathBuf,
    /// 1-based; None: it is about the file as a whole.
    pub line: Option<u32>,
    pub what: String,
}

/// More missing files are told together.
const MOST_MISSING: u32 = 100;

/// What the next record has to follow on.
#[derive(Debug, Default)]
struct Expected {
    /// None: the record before is no record, so nothing is known.
    seq: Option<u64>,
    hashes: Vec<String>,
}

#[derive(Debug, Default)]
struct Verifier {
    verdict: AuditVerdict,
    expected: Expected,
    /// On what the first record of the oldest file may follow, beside nothing.
    removed: BTreeSet<String>,
    first: Option<(AuditBreak, String)>,
    /// The record whose hash the folder remembers.
    noted: Option<ChainEnd>,
    last: u64,
}

/// Looks at every record. Nobody writes meanwhile, unless somebody who has stopped holds the lock.
///
/// # Errors
/// [`crate::error::Code::AuditUnreadable`].
pub(super) fn verify(folder: &AuditFolder) -> Result<AuditVerdict> {
    let numbers = folder.numbers()?;
    if numbers.is_empty() && !folder.head().exists() {
        return Ok(AuditVerdict::default());
    }
    let _lock = lock(folder).ok();
    let numbers = folder.numbers()?;
    let mut verifier = Verifier {
        noted: ChainEnd::noted(folder),
        ..Verifier::default()
    };
    let mut next = numbers.first().copied().unwrap_or(1);
    for number in numbers {
        let gap = number.saturating_sub(next);
        for missing in next..next.saturating_add(gap.min(MOST_MISSING)) {
            let what = "the file is missing".to_owned();
            verifier.broken(folder.file(missing), None, what);
        }
        if gap > MOST_MISSING {
            let what = format!("all files before {} are missing, too", name(number));
            verifier.broken(folder.file(next.saturating_add(MOST_MISSING)), None, what);
        }
        next = number.saturating_add(1);
        if let Some(file) = LogFile::read(folder, number)? {
            verifier.file(&file, &name(number));
        }
    }
    Ok(verifier.end(folder, next))
}

impl Verifier {
    fn file(&mut self, file: &LogFile, name: &str) {
        self.verdict.files += 1;
        for line in file.lines() {
            self.line(file, line);
        }
        if file.torn() > 0 {
            let torn = format!("{} bytes behind the last line of {name}", file.torn());
            self.verdict.torn.push(torn);
        }
    }

    fn line(&mut self, file: &LogFile, line: LogLine<'_>) {
        let at = Some(line.number);
        let Some(parts) = line.text.and_then(LineParts::of) else {
            self.broken(file.path.clone(), at, "the line is no record".to_owned());
            self.expected = Expected::default();
            return;
        };
        let seq = parts.head.seq;
        self.verdict.records += 1;
        let computed = parts.computed();
        let is_whole = computed == parts.hash;
        if !is_whole {
            let what = format!(
                "record {seq} was changed: its SHA-256 is {}…, and it carries {}…",
                &computed[..12],
                &parts.hash[..12]
            );
            self.broken(file.path.clone(), at, what);
        } else if let Some(what) = self.misplaced(&parts) {
            self.broken(file.path.clone(), at, what);
        }
        if self.verdict.records == 1 && self.verdict.breaks.is_empty() && parts.prev != GENESIS {
            let what = format!(
                "the records before {seq} are missing, and no record says that devk removed them"
            );
            let place = AuditBreak {
                file: file.path.clone(),
                line: at,
                what,
            };
            self.first = Some((place, parts.prev.to_owned()));
            self.verdict.begins = Some(seq);
        }
        // What the folder remembers of the last record.
        let is_another = |noted: &ChainEnd| noted.seq == seq && noted.hash != parts.hash;
        if is_whole && self.noted.as_ref().is_some_and(is_another) {
            let what = format!("record {seq} is not the one that devk wrote last: it was replaced");
            self.broken(file.path.clone(), at, what);
        }
        self.notes(&parts);
        self.last = seq;
        self.expected = Expected {
            seq: seq.checked_add(1),
            hashes: vec![computed, parts.hash.to_owned()],
        };
    }

    /// Why a record that is whole is not at its place.
    fn misplaced(&self, parts: &LineParts<'_>) -> Option<String> {
        let (expected, seq) = (&self.expected, parts.head.seq);
        let wanted = expected.seq?;
        let follows = expected.hashes.iter().any(|hash| hash == parts.prev);
        match (follows, seq) {
            (true, seq) if seq == wanted => None,
            (_, seq) if seq > wanted => Some(match seq - wanted {
                1 => format!("record {wanted} is missing before record {seq}"),
                _ => format!(
                    "records {wanted} to {} are missing before record {seq}",
                    seq - 1
                ),
            }),
            (_, seq) if seq < wanted => Some(format!(
                "record {seq} is out of order: record {wanted} belongs here"
            )),
            _ => Some(format!(
                "record {seq} does not follow on the one before, which was replaced, or it was put in itself"
            )),
        }
    }

    fn notes(&mut self, parts: &LineParts<'_>) {
        if parts.head.phase != "note" {
            return;
        }
        let Some((kind, note)) = parts
            .record()
            .and_then(|record| Some((record.kind, record.note?)))
        else {
            return;
        };
        match kind {
            AuditKind::LogRemoved => self.removed.extend(note.begins),
            AuditKind::LogTorn => {
                let kept = note.kept.unwrap_or_default();
                let torn = format!("{} bytes of {}, kept in {kept}", note.bytes, note.file);
                self.verdict.torn.push(torn);
            }
            _ => {}
        }
    }

    fn broken(&mut self, file: PathBuf, line: Option<u32>, what: String) {
        self.verdict.breaks.push(AuditBreak { file, line, what });
    }

    /// Cut lines that no record tells of, as the disk did not take that record either.
    fn untold(&mut self, folder: &AuditFolder) {
        let entries = std::fs::read_dir(folder.path()).into_iter().flatten();
        let names = entries.flatten().map(|entry| entry.file_name());
        for name in names.filter_map(|name| name.into_string().ok()) {
            let is_told = self.verdict.torn.iter().any(|torn| torn.contains(&name));
            if name.ends_with(".torn") && !is_told {
                self.verdict
                    .torn
                    .push(format!("a part of a line, kept in {name}"));
            }
        }
    }

    /// What only shows when all was read.
    fn end(mut self, folder: &AuditFolder, next: u32) -> AuditVerdict {
        self.untold(folder);
        if let Some((place, prev)) = self.first.take()
            && !self.removed.contains(&prev)
        {
            self.verdict.breaks.insert(0, place);
        }
        if self.noted.is_none() && (self.verdict.records > 0 || folder.head().exists()) {
            let what = "which record devk wrote last is missing or damaged, so nobody can tell whether records are \
                        missing at the end"
                .to_owned();
            self.broken(folder.head(), None, what);
        }
        if let Some(noted) = self.noted.take().filter(|noted| noted.seq > self.last) {
            let what = format!(
                "records {} to {} are missing at the end",
                self.last + 1,
                noted.seq
            );
            let file = folder.file(next.saturating_sub(1).max(1));
            self.broken(file, None, what);
        }
        self.verdict
    }
}
