//! Writing: one writer at a time on the whole machine, at the end of the newest file, and not before the record is on
//! the disk. A full file is followed by a new one; of too many files the oldest goes, which is recorded. A line that was
//! cut, by a loss of power or a full disk, is kept aside, which is recorded too.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::folder::{AuditFolder, name, private, unwritable};
use super::kind::AuditKind;
use super::line::{GENESIS, LineParts, is_hash, seal};
use super::record::{AuditNote, AuditPhase, AuditRecord};
use crate::error::{Code, Error, Result, internal};
use crate::paths::Lock;

/// A record takes milliseconds to write: whoever holds the lock for longer is stopped.
const PATIENCE: Duration = Duration::from_secs(3);
const LOCK_INTERVAL: Duration = Duration::from_millis(2);
/// Most last lines fit into it.
const TAIL_BYTES: u64 = 4 << 10;

/// How large the log grows.
#[derive(Debug, Clone, Copy)]
pub struct AuditLimits {
    /// A file of this size is followed by a new one.
    pub file_bytes: u64,
    /// So many files are kept.
    pub files: usize,
}

impl Default for AuditLimits {
    fn default() -> Self {
        Self {
            file_bytes: 8 << 20,
            files: 32,
        }
    }
}

/// The number and the hash of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ChainEnd {
    pub seq: u64,
    pub hash: String,
}

impl ChainEnd {
    fn genesis() -> Self {
        Self {
            seq: 0,
            hash: GENESIS.to_owned(),
        }
    }

    fn of(line: &str) -> Option<Self> {
        let parts = LineParts::of(line)?;
        Some(Self {
            seq: parts.head.seq,
            hash: parts.hash.to_owned(),
        })
    }

    /// What the folder remembers of its last record. It may be older than the log if power was lost.
    pub(super) fn noted(folder: &AuditFolder) -> Option<Self> {
        let text = std::fs::read_to_string(folder.head()).ok()?;
        let (seq, hash) = text.trim_end().split_once(' ')?;
        is_hash(hash).then_some(Self {
            seq: seq.parse().ok()?,
            hash: hash.to_owned(),
        })
    }

    /// Always of the same length: written over the one before, it is never cut.
    fn note(&self, folder: &AuditFolder) -> std::io::Result<()> {
        let path = folder.head();
        let file = private(&path).write(true).truncate(false).open(&path)?;
        file.write_all_at(format!("{:020} {}\n", self.seq, self.hash).as_bytes(), 0)
    }
}

/// The end of a file of the log.
#[derive(Debug)]
struct FileEnd {
    bytes: u64,
    /// How many of these are whole lines.
    whole: u64,
    /// The last whole line that is a record.
    last: Option<ChainEnd>,
}

impl FileEnd {
    /// # Errors
    /// [`Code::AuditUnwritable`].
    fn at(path: &Path) -> Result<Self> {
        let end = File::open(path).and_then(|file| Self::of(&file));
        end.map_err(|e| unwritable(path, &e))
    }

    fn of(file: &File) -> std::io::Result<Self> {
        let bytes = file.metadata()?.len();
        let mut span = TAIL_BYTES;
        loop {
            let start = bytes.saturating_sub(span);
            let mut tail = vec![0; usize::try_from(bytes - start).unwrap_or_default()];
            file.read_exact_at(&mut tail, start)?;
            let whole = memchr::memrchr(b'\n', &tail).map_or(0, |at| at + 1);
            let mut lines = tail[..whole].rsplit(|b| *b == b'\n');
            // The first piece of the tail may be the end of a line: then it is no record.
            let last = lines.find_map(|line| ChainEnd::of(str::from_utf8(line).ok()?));
            if last.is_some() || start == 0 {
                let whole = if whole == 0 { 0 } else { start + whole as u64 };
                return Ok(Self { bytes, whole, last });
            }
            span *= 8;
        }
    }
}

/// Writes a record behind all others, and returns when the disk has it.
///
/// # Errors
/// [`Code::AuditUnwritable`]; then nothing of the record is there.
pub(super) fn append(folder: &AuditFolder, limits: AuditLimits, record: AuditRecord) -> Result<()> {
    folder.prepare()?;
    let _lock = lock(folder)?;
    let numbers = folder.numbers()?;
    let mut newest = numbers.last().copied().unwrap_or(1);
    let mut file = folder.append_to(newest)?;
    let failed = |e: &std::io::Error| unwritable(folder.path(), e);
    let end = FileEnd::of(&file).map_err(|e| failed(&e))?;
    let last = match &end.last {
        Some(last) => last.clone(),
        None => before(folder, &numbers)?,
    };
    // What was cut off behind the log's last record is missed for good: the chain goes on where it was.
    let last = match ChainEnd::noted(folder) {
        Some(noted) if noted.seq >= last.seq => noted,
        _ => last,
    };
    let mut records = vec![];
    records.extend(put_aside(folder, newest, &file, &end)?);
    if end.whole >= limits.file_bytes {
        let full = || internal(&"the log has no number for another file");
        newest = newest.checked_add(1).ok_or_else(full)?;
        file = folder.append_to(newest)?;
    }
    let is_new = !numbers.contains(&newest);
    let kept = numbers.len() + usize::from(is_new);
    let surplus = numbers.iter().take(kept.saturating_sub(limits.files));
    let surplus: Vec<_> = surplus.copied().collect();
    records.extend(removal(folder, &surplus)?);
    records.push(record);
    let path = folder.file(newest);
    let written = write(&mut file, &path, records, last)?;
    if is_new {
        folder.sync()?;
    }
    // Nothing but `verify` needs them.
    let _ = written.note(folder);
    for number in surplus {
        let _ = std::fs::remove_file(folder.file(number));
    }
    Ok(())
}

/// Keeps other writers out.
///
/// # Errors
/// [`Code::AuditUnwritable`] if one of them keeps this one out for long.
pub(super) fn lock(folder: &AuditFolder) -> Result<Lock> {
    let path = folder.lock();
    let since = Instant::now();
    loop {
        if let Some(lock) = Lock::try_take(&path).map_err(|e| unwritable(&path, &e))? {
            return Ok(lock);
        }
        if since.elapsed() > PATIENCE {
            let what = "the audit log cannot be written: another devk holds its lock";
            let error = Error::new(Code::AuditUnwritable, what);
            return Err(error
                .evidence(format!("`{}` is locked for more than 3 s", path.display()))
                .hint(format!(
                    "end or continue it: fuser -v {}",
                    crate::shell::quote(&path)
                )));
        }
        std::thread::sleep(LOCK_INTERVAL);
    }
}

/// The end of the chain before the newest file, which has no record.
fn before(folder: &AuditFolder, numbers: &[u32]) -> Result<ChainEnd> {
    let older = numbers.iter().rev().skip(1);
    for number in older {
        if let Some(last) = FileEnd::at(&folder.file(*number))?.last {
            return Ok(last);
        }
    }
    Ok(ChainEnd::genesis())
}

/// Moves what is behind the last whole line into a file of its own.
fn put_aside(
    folder: &AuditFolder,
    number: u32,
    file: &File,
    end: &FileEnd,
) -> Result<Option<AuditRecord>> {
    if end.whole == end.bytes {
        return Ok(None);
    }
    let failed = |e: &std::io::Error| unwritable(&folder.file(number), e);
    let mut torn = vec![0; usize::try_from(end.bytes - end.whole).unwrap_or_default()];
    file.read_exact_at(&mut torn, end.whole)
        .map_err(|e| failed(&e))?;
    let kept = format!("{number:06}-{}.torn", end.whole);
    let path = folder.path().join(&kept);
    let keep = || {
        let mut file = private(&path).write(true).truncate(true).open(&path)?;
        file.write_all(&torn)?;
        file.sync_all()
    };
    keep().map_err(|e| unwritable(&path, &e))?;
    file.set_len(end.whole).map_err(|e| failed(&e))?;
    let note = AuditNote {
        file: name(number),
        kept: Some(kept),
        begins: None,
        bytes: end.bytes - end.whole,
    };
    Ok(Some(noted(AuditKind::LogTorn, note)?))
}

/// What is told of files that will be removed.
fn removal(folder: &AuditFolder, surplus: &[u32]) -> Result<Option<AuditRecord>> {
    let Some(last) = surplus.last() else {
        return Ok(None);
    };
    let end = FileEnd::at(&folder.file(*last))?;
    let note = AuditNote {
        file: name(*last),
        kept: None,
        begins: end.last.map(|last| last.hash),
        bytes: end.bytes,
    };
    Ok(Some(noted(AuditKind::LogRemoved, note)?))
}

fn noted(kind: AuditKind, note: AuditNote) -> Result<AuditRecord> {
    let mut record = AuditRecord::bare(&super::new_id()?, AuditPhase::Note, kind);
    record.note = Some(note);
    Ok(record)
}

/// Appends the records in one piece. Of a piece that the disk does not take nothing stays.
fn write(
    file: &mut File,
    path: &Path,
    records: Vec<AuditRecord>,
    mut last: ChainEnd,
) -> Result<ChainEnd> {
    let failed = |e: &std::io::Error| unwritable(path, e);
    let mut lines = String::new();
    for mut record in records {
        let full = || internal(&"the log has no number for another record");
        record.seq = last.seq.checked_add(1).ok_or_else(full)?;
        let sealed = seal(&record, &last.hash)?;
        lines = lines + &sealed.line + "\n";
        last = ChainEnd {
            seq: record.seq,
            hash: sealed.hash,
        };
    }
    let before = file.metadata().map_err(|e| failed(&e))?.len();
    let written = file
        .write_all(lines.as_bytes())
        .and_then(|()| file.sync_data());
    if let Err(e) = written {
        // What stays if this fails too is put aside by the next record.
        let _ = file.set_len(before);
        return Err(failed(&e));
    }
    Ok(last)
}
