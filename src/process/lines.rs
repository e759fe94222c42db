//! The lines that a program prints.

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

/// A broken pipe ends the output; the exit status tells the rest.
pub(super) async fn read_lines(
    pipe: Option<impl AsyncRead + Unpin>,
    kept_bytes: usize,
    line: &mut impl FnMut(&str),
) -> String {
    let mut text = String::new();
    let Some(pipe) = pipe else { return text };
    let mut reader = BufReader::new(pipe);
    let piece = u64::try_from(kept_bytes).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    loop {
        let read = (&mut reader)
            .take(piece)
            .read_until(b'\n', &mut bytes)
            .await;
        if !matches!(read, Ok(1..)) {
            return text;
        }
        let part = String::from_utf8_lossy(&bytes);
        line(part.trim_end());
        let room = part.floor_char_boundary(kept_bytes.saturating_sub(text.len()));
        text.push_str(&part[..room]);
        bytes.clear();
    }
}
