//! A file that the user edits: when it was saved, and which lines differ.

use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use tokio::time::sleep;

use crate::error::Result;
use crate::paths::refused;

/// How often the file is looked at: much less than a save takes to come live.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// More lines that differ are not shown.
const MAX_DIFFERENCES: usize = 5;

/// A text and when it came into the file.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) text: String,
    pub(super) at: SystemTime,
}

/// A line that is another than it was.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct LineDifference {
    /// In the text from before, from 1.
    pub(super) line: usize,
    pub(super) before: String,
    pub(super) now: String,
}

/// The file as it is.
///
/// # Errors
/// That of the system.
pub(super) fn read(file: &Path) -> Result<Saved> {
    let saved = || {
        let at = saved_at(&std::fs::metadata(file)?);
        let text = std::fs::read(file)?;
        Ok(Saved {
            text: String::from_utf8_lossy(&text).into_owned(),
            at,
        })
    };
    saved().map_err(|e| refused("read", file, &e))
}

/// Waits until the file holds another text than this. An editor may take it away for a moment.
pub(super) async fn changed(file: &Path, before: &str) -> Saved {
    let mut seen = None;
    loop {
        let now = std::fs::metadata(file)
            .ok()
            .map(|of| (saved_at(&of), of.len()));
        if now.is_some() && now != seen {
            seen = now;
            match read(file) {
                Ok(saved) if saved.text != before => return saved,
                _ => {}
            }
        }
        sleep(LOOK_INTERVAL).await;
    }
}

/// The time of the last change of the file or of its place: an editor that writes beside and renames saves with the
/// rename.
fn saved_at(of: &std::fs::Metadata) -> SystemTime {
    use std::os::unix::fs::MetadataExt;
    let seconds = Duration::from_secs(of.ctime().try_into().unwrap_or_default());
    let rest = Duration::from_nanos(of.ctime_nsec().try_into().unwrap_or_default());
    SystemTime::UNIX_EPOCH + seconds + rest
}

/// The first line that holds this, from 1.
pub(super) fn line_with(text: &str, part: &str) -> Option<(usize, String)> {
    let found = text
        .lines()
        .enumerate()
        .find(|(_, line)| line.contains(part));
    found.map(|(at, line)| (at + 1, line.trim().to_owned()))
}

/// The lines between the first and the last that differ, paired in their order.
pub(super) fn differences(before: &str, now: &str) -> Vec<LineDifference> {
    let (before, now): (Vec<_>, Vec<_>) = (before.lines().collect(), now.lines().collect());
    let same =
        |pairs: &mut dyn Iterator<Item = (&&str, &&str)>| pairs.take_while(|(a, b)| a == b).count();
    let head = same(&mut before.iter().zip(&now));
    let rest = before.len().min(now.len()) - head;
    let tail = same(&mut before.iter().rev().zip(now.iter().rev()).take(rest));
    let old = &before[head..before.len() - tail];
    let new = &now[head..now.len() - tail];
    let line = |lines: &[&str], at: usize| lines.get(at).copied().unwrap_or_default().to_owned();
    let all = (0..old.len().max(new.len())).map(|at| LineDifference {
        line: head + 1 + at,
        before: line(old, at),
        now: line(new, at),
    });
    all.take(MAX_DIFFERENCES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(line: usize, before: &str, now: &str) -> LineDifference {
        LineDifference {
            line,
            before: before.to_owned(),
            now: now.to_owned(),
        }
    }

    #[test]
    fn the_lines_that_differ_are_named_by_the_text_from_before() {
        assert_eq!(
            differences("a\nb\nc\n", "a\nB\nc\n"),
            [difference(2, "b", "B")]
        );
        assert_eq!(differences("a\nb\nb\n", "a\nb\n"), [difference(3, "b", "")]);
        assert_eq!(differences("a\nc\n", "a\nb\nc\n"), [difference(2, "", "b")]);
        assert!(differences("a\n", "a\n").is_empty());
        assert_eq!(
            differences(&"a\n".repeat(9), &"b\n".repeat(9)).len(),
            MAX_DIFFERENCES
        );
    }

    #[test]
    fn the_line_to_edit_is_found() {
        assert_eq!(
            line_with("x\n  <h1>Hi</h1>\n", "<h1>"),
            Some((2, "<h1>Hi</h1>".to_owned()))
        );
        assert_eq!(line_with("x", "<h1>"), None);
    }

    #[tokio::test]
    async fn a_save_in_place_and_one_by_rename_are_seen_with_their_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("page");
        std::fs::write(&file, "one").unwrap();
        let begun = SystemTime::now() - Duration::from_millis(50);
        let write = async {
            sleep(LOOK_INTERVAL * 3).await;
            std::fs::write(&file, "two").unwrap();
        };
        let (saved, ()) = tokio::join!(changed(&file, "one"), write);
        assert!(saved.text.is_empty() || saved.text == "two");
        assert!(saved.at >= begun && saved.at <= SystemTime::now());
        let rename = async {
            std::fs::remove_file(&file).unwrap();
            sleep(LOOK_INTERVAL * 3).await;
            std::fs::write(folder.path().join("new"), "three").unwrap();
            std::fs::rename(folder.path().join("new"), &file).unwrap();
        };
        let (saved, ()) = tokio::join!(changed(&file, "two"), rename);
        assert_eq!(saved.text, "three");
    }
}
