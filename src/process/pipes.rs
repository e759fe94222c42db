//! The pipes between devk and a program that it runs.

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

/// How many bytes a program may print into a pipe that is not read any more before the program blocks: as many as
/// Linux lets anybody have (pipe(7)).
#[cfg(target_os = "linux")]
const PIPE_BYTES: usize = 1 << 20;

/// Lets the child write its standard output and error into pipes whose reading ends it holds itself, too: they
/// are never broken, whoever dies.
#[cfg(unix)]
pub(super) fn kept_pipes(
    command: &mut tokio::process::Command,
) -> std::io::Result<Option<(Kept, Kept)>> {
    let kept = || {
        let (reader, writer) = std::io::pipe()?;
        rustix::io::fcntl_setfd(&reader, rustix::io::FdFlags::empty())?;
        // Smaller ones do the same until they are full, which few programs' output makes them.
        #[cfg(target_os = "linux")]
        let _ = rustix::pipe::fcntl_setpipe_size(&reader, PIPE_BYTES);
        Kept::from_owned_fd(reader.into()).map(|reader| (reader, writer))
    };
    let ((stdout, out), (stderr, err)) = (kept()?, kept()?);
    command.stdout(out).stderr(err);
    Ok(Some((stdout, stderr)))
}

#[cfg(unix)]
pub(super) type Kept = tokio::net::unix::pipe::Receiver;

#[cfg(not(unix))]
pub(super) fn kept_pipes(
    _: &mut tokio::process::Command,
) -> std::io::Result<Option<(tokio::io::Empty, tokio::io::Empty)>> {
    Ok(None)
}

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
