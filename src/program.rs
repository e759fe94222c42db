//! Identifies the build of devk that a process runs. After an upgrade a running session is still the old program, so
//! the fixes of the new one would silently not apply.

use std::fmt;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

/// A build of devk, identified by version, size and time of the program's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    pub version: String,
    bytes: u64,
    /// Milliseconds since 1970.
    modified: i64,
}

impl Build {
    /// The build of this process; None if the system does not provide it.
    pub fn own() -> Option<Self> {
        let file = std::fs::metadata(program().ok()?).ok()?;
        let modified = file
            .modified()
            .ok()?
            .duration_since(UNIX_EPOCH)
            .ok()?
            .as_millis();
        let modified = i64::try_from(modified).ok()?;
        Some(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            bytes: file.len(),
            modified,
        })
    }

    /// The size of the program's file.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A part of a file's name that no other build has.
    pub(crate) fn id(&self) -> String {
        format!("{}-{}-{}", self.version, self.bytes, self.modified)
    }
}

/// Where the running program can be read, on Linux even if its file has been replaced since.
pub(crate) fn program() -> std::io::Result<PathBuf> {
    if cfg!(target_os = "linux") {
        Ok("/proc/self/exe".into())
    } else {
        std::env::current_exe()
    }
}

/// The running program as its child processes can start it: by its path, so that a command can be pasted, or while the
/// file at that path is another one by now, through this process.
pub(crate) fn program_for_children() -> std::io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    match cfg!(target_os = "linux") && !path.is_file() {
        true => Ok(format!("/proc/{}/exe", std::process::id()).into()),
        false => Ok(path),
    }
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "devk {}", self.version)?;
        match jiff::Timestamp::from_millisecond(self.modified) {
            Ok(time) => write!(f, " of {time:.0}"),
            Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_itself_and_no_other() {
        let own = Build::own().unwrap();
        assert_eq!(Build::own(), Some(own.clone()));
        assert_ne!(
            Build {
                bytes: own.bytes + 1,
                ..own.clone()
            },
            own
        );
        let early = Build {
            version: "1.2.3".to_owned(),
            bytes: 1,
            modified: 86_400_000,
        };
        assert_eq!(early.to_string(), "devk 1.2.3 of 1970-01-02T00:00:00Z");
    }
}
