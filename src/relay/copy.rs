//! Copies bytes in both directions between two sockets, and passes each end on unchanged: a half-close as a half-close,
//! a reset as a reset.

use std::io::Error;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

/// Bytes read at once in the beginning: most connections are small talk.
const MIN_BUFFER_BYTES: usize = 8 * 1024;
/// A connection that fills its buffer gets larger ones, up to here: fewer turns for the same bytes.
const MAX_BUFFER_BYTES: usize = 512 * 1024;

/// A side that broke: it was reset, or timed out.
#[derive(Debug)]
pub enum Broken {
    Near(Error),
    Far(Error),
}

/// Copies bytes until both sides have ended their stream. `to_far` and `to_near` get the length of every portion.
///
/// # Errors
/// The side that broke. The caller drops both, after [`TcpStream::set_zero_linger`], so that the other
/// side sees a reset too.
pub async fn copy_bidirectional(
    near: &mut TcpStream,
    far: &mut TcpStream,
    to_far: impl Fn(usize),
    to_near: impl Fn(usize),
) -> Result<(), Broken> {
    let (near_read, near_write) = near.split();
    let (far_read, far_write) = far.split();
    let up = async {
        one_way(near_read, far_write, to_far)
            .await
            .map_err(|end| match end {
                CopyError::Source(e) => Broken::Near(e),
                CopyError::Sink(e) => Broken::Far(e),
            })
    };
    let down = async {
        one_way(far_read, near_write, to_near)
            .await
            .map_err(|end| match end {
                CopyError::Source(e) => Broken::Far(e),
                CopyError::Sink(e) => Broken::Near(e),
            })
    };
    tokio::try_join!(up, down).map(|((), ())| ())
}

enum CopyError {
    Source(Error),
    Sink(Error),
}

async fn one_way(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    copied: impl Fn(usize),
) -> Result<(), CopyError> {
    let mut buffer = vec![0; MIN_BUFFER_BYTES];
    loop {
        let count = from.read(&mut buffer).await.map_err(CopyError::Source)?;
        if count == 0 {
            return to.shutdown().await.map_err(CopyError::Sink);
        }
        to.write_all(&buffer[..count])
            .await
            .map_err(CopyError::Sink)?;
        copied(count);
        if count == buffer.len() && count < MAX_BUFFER_BYTES {
            buffer = vec![0; count * 4];
        }
    }
}
