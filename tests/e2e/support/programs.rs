//! Stand-ins on PATH: programs that note how they were called and then are the real ones, and a PATH
//! that lacks some.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A folder for the front of PATH with programs that record their calls.
pub(crate) struct Recorder {
    dir: tempfile::TempDir,
}

impl Recorder {
    pub(crate) fn of(programs: &[&str]) -> Self {
        let recorder = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        for program in programs {
            let real = which::which(program).unwrap();
            let log = recorder.log();
            let script = format!(
                "#!/bin/sh\necho \"{program} $*\" >>'{}'\nexec '{}' \"$@\"\n",
                log.display(),
                real.display()
            );
            let file = recorder.dir.path().join(program);
            std::fs::write(&file, script).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        recorder
    }

    pub(crate) fn folder(&self) -> &Path {
        self.dir.path()
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("calls")
    }

    /// The calls since the last time this was asked.
    pub(crate) fn calls(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        let _ = std::fs::remove_file(self.log());
        text.lines().map(str::to_owned).collect()
    }
}

/// A folder for the front of PATH with a program that waits a second before it is the real one.
pub(crate) fn slowed(program: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let real = which::which(program).unwrap();
    let file = dir.path().join(program);
    std::fs::write(
        &file,
        format!("#!/bin/sh\nsleep 1\nexec '{}' \"$@\"\n", real.display()),
    )
    .unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

/// A PATH of one folder that holds these programs and nothing else.
pub(crate) fn path_with_only(programs: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for program in programs {
        std::os::unix::fs::symlink(which::which(program).unwrap(), dir.path().join(program))
            .unwrap();
    }
    dir
}
