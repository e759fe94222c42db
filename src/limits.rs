//! How many files this process may have open. Every connection through a forward takes two, every watch of the
//! cluster one; many systems begin with a soft limit that is far below what they allow.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::{Code, Error, Result};

/// Enough for a thousand connections; more than macOS takes.
const WANTED: u64 = 10_240;

/// With less a session of a few services does not come up.
const NEEDED: u64 = 256;

/// Raises the soft limit as far as it is of use; the session that this process starts has it, too.
///
/// # Errors
/// [`Code::LimitFiles`] if the hard limit is too low for a session.
pub fn raise_files() -> Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.unwrap_or(WANTED).min(WANTED);
    if current.is_some_and(|current| current < wanted) {
        // What counts is what it is then.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    }
    match getrlimit(Resource::Nofile).current {
        Some(now) if now < NEEDED => Err(too_few(now)),
        _ => Ok(()),
    }
}

fn too_few(now: u64) -> Error {
    Error::new(Code::LimitFiles, format!("devk may open only {now} files here, and a session needs {NEEDED}"))
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
        assert!(current.is_none_or(|current| current >= maximum.unwrap_or(WANTED).min(WANTED)));
    }
}
