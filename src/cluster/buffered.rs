//! TCP below TLS, read in large portions: rustls asks for 4 KiB at a time, a quarter of a record, and each of those
//! would be a system call.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::BufReader;
use tokio::net::TcpStream;

/// Bytes; four records (RFC 8446, section 5.1).
const BUFFER_BYTES: usize = 64 * 1024;

/// What hyper's connector connected, with a buffer.
pub(super) struct Buffered(TokioIo<BufReader<TcpStream>>);

impl From<TokioIo<TcpStream>> for Buffered {
    fn from(stream: TokioIo<TcpStream>) -> Self {
        Self(TokioIo::new(BufReader::with_capacity(
            BUFFER_BYTES,
            stream.into_inner(),
        )))
    }
}

impl Connection for Buffered {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Buffered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: ReadBufCursor<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl Write for Buffered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }
}
