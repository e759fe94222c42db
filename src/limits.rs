//! How much this process may have at once: open files, and connections that wait to be accepted. Every connection
//! through a forward takes two files, every watch of the cluster one; many systems begin with a soft limit that is
//! far below what they allow.

use rustix::fd::AsFd;
use rustix::net::listen;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::{Code, Error, Result};

/// Enough for a thousand connections; more than macOS takes.
const WANTED_FILES: u64 = 10_240;

/// With less a session of a few services does not come up.
const MIN_FILES: u64 = 256;

/// Connections that a listener keeps until they are accepted; the system may allow fewer (listen(2)).
const LISTEN_BACKLOG: i32 = 4096;

/// Raises the soft limit as far as it is of use; the session that this process starts has it, too.
///
/// # Errors
/// [`Code::LimitFiles`] if the hard limit is too low for a session.
pub fn raise_files() -> Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.unwrap_or(WANTED_FILES).min(WANTED_FILES);
    if current.is_some_and(|current| current < wanted) {
        // What counts is what it is then.
        let _ = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(wanted),
                maximum,
            },
        );
    }
    match getrlimit(Resource::Nofile).current {
        Some(now) if now < MIN_FILES => Err(too_few(now)),
        _ => Ok(()),
    }
}

/// Gives a listener room for a burst. The standard library asks for 128, and a connection beyond that is made a
/// second late over TCP, whose client has to ask again (RFC 6298, section 2), and not at all at a Unix socket.
///
/// # Errors
/// It is no listener.
pub fn raise_backlog(listener: impl AsFd) -> std::io::Result<()> {
    Ok(listen(listener, LISTEN_BACKLOG)?)
}

fn too_few(now: u64) -> Error {
    Error::new(Code::LimitFiles, format!("devk may open only {now} files here, and a session needs {MIN_FILES}"))
        .evidence(format!("ulimit -Hn is {now}"))
        .hint("raise the hard limit (in /etc/security/limits.conf, or --ulimit nofile=4096 of the container), then: ulimit -n 4096")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_raised() {
        raise_files().unwrap();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert!(
            current
                .is_none_or(|current| current >= maximum.unwrap_or(WANTED_FILES).min(WANTED_FILES))
        );
    }

    /// Each of them waits for its place in vain otherwise, and fails.
    #[test]
    fn five_hundred_connections_have_room_before_the_first_is_accepted() {
        raise_files().unwrap();
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        raise_backlog(&listener).unwrap();
        let to = listener.local_addr().unwrap();
        let patience = std::time::Duration::from_secs(10);
        let connect = |_| std::net::TcpStream::connect_timeout(&to, patience);
        let waiting: Vec<_> = (0..500).map(connect).collect::<Result<_, _>>().unwrap();
        assert_eq!(waiting.len(), 500);
    }
}
