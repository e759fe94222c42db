//! The lines of a container's log: whatever bytes a program prints, and however long it goes on without ending a line.

use std::io;

use futures::io::{AsyncBufRead, AsyncBufReadExt};
use jiff::Timestamp;

/// A longer line comes in pieces of at most so many bytes.
const MAX_PIECE_BYTES: usize = 64 * 1024;

/// A line, or a piece of one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Without the line's end; bytes that are no UTF-8 are replaced.
    pub text: String,
    /// It goes on where the one before ended.
    pub continues: bool,
}

/// The time that the API server puts before a line, and the line; None for a line without one.
pub(crate) fn timed(line: &str) -> Option<(Timestamp, &str)> {
    let (time, text) = line.split_once(' ').unwrap_or((line, ""));
    Some((time.parse().ok()?, text))
}

/// Cuts a stream into lines.
#[derive(Debug)]
pub(crate) struct LogLines<R> {
    reader: R,
    bytes: Vec<u8>,
    continues: bool,
}

impl<R: AsyncBufRead + Unpin> LogLines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self {
            reader,
            bytes: vec![],
            continues: false,
        }
    }

    /// The next line; None at the end.
    ///
    /// # Errors
    /// Those of the stream.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let chunk = self.reader.fill_buf().await?;
            if chunk.is_empty() {
                return Ok((!self.bytes.is_empty()).then(|| self.whole()));
            }
            let taken = chunk.len().min(MAX_PIECE_BYTES - self.bytes.len());
            let end = chunk[..taken].iter().position(|byte| *byte == b'\n');
            self.bytes.extend_from_slice(&chunk[..end.unwrap_or(taken)]);
            self.reader.consume_unpin(end.map_or(taken, |at| at + 1));
            // The line's end may be all that was left of it.
            let is_line = !self.bytes.is_empty() || !self.continues;
            match end {
                Some(_) if is_line => return Ok(Some(self.whole())),
                Some(_) => self.continues = false,
                None if self.bytes.len() == MAX_PIECE_BYTES => return Ok(Some(self.piece())),
                None => {}
            }
        }
    }

    /// The line, or what was left of it.
    fn whole(&mut self) -> Line {
        let mut text = String::from_utf8_lossy(&std::mem::take(&mut self.bytes)).into_owned();
        if text.ends_with('\r') {
            text.pop();
        }
        Line {
            text,
            continues: std::mem::take(&mut self.continues),
        }
    }

    /// What there is of it, but for the beginning of a character.
    fn piece(&mut self) -> Line {
        let begun = self
            .bytes
            .utf8_chunks()
            .last()
            .map_or(0, |chunk| chunk.invalid().len());
        let rest = self.bytes.split_off(self.bytes.len() - begun);
        let bytes = std::mem::replace(&mut self.bytes, rest);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Line {
            text,
            continues: std::mem::replace(&mut self.continues, true),
        }
    }
}

/// The last `count` lines of a text.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(bytes: &[u8]) -> Vec<(String, bool)> {
        let mut lines = LogLines::new(bytes);
        let mut found = vec![];
        while let Some(line) = lines.next().await.unwrap() {
            found.push((line.text, line.continues));
        }
        found
    }

    async fn texts(bytes: &[u8]) -> Vec<String> {
        lines(bytes)
            .await
            .into_iter()
            .map(|(text, _)| text)
            .collect()
    }

    #[tokio::test]
    async fn a_byte_that_is_no_text_costs_no_line() {
        assert_eq!(
            texts(b"one\n\xfftwo\r\n\nfour").await,
            ["one", "\u{fffd}two", "", "four"]
        );
        assert_eq!(texts(b"").await, [""; 0]);
    }

    #[tokio::test]
    async fn an_overlong_line_comes_in_pieces_and_no_character_is_cut() {
        let long = format!("{}ü", "x".repeat(MAX_PIECE_BYTES - 1));
        let found = lines(format!("{long}end\nnext\n").as_bytes()).await;
        assert_eq!(found[0], ("x".repeat(MAX_PIECE_BYTES - 1), false));
        assert_eq!(
            found[1..],
            [("üend".to_owned(), true), ("next".to_owned(), false)]
        );
    }

    #[tokio::test]
    async fn a_line_that_is_as_long_as_a_piece_is_one_line() {
        let long = "x".repeat(MAX_PIECE_BYTES);
        assert_eq!(
            lines(format!("{long}\n\nnext").as_bytes()).await,
            [
                (long, false),
                (String::new(), false),
                ("next".to_owned(), false)
            ]
        );
    }
}
