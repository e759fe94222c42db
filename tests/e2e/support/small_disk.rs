//! A file system of a few megabytes in memory, whose room and mode the test decides. Never the machine's own disk.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::left_out::left_out;
use super::machine::{machine, run};

pub(crate) struct SmallDisk {
    dir: tempfile::TempDir,
}

impl SmallDisk {
    /// None where nobody may mount; the test is left out.
    pub(crate) fn mount() -> Option<Self> {
        if !is_root() && !may_sudo() {
            left_out("only root may mount a file system of a few megabytes");
            return None;
        }
        let dir = machine().new_folder();
        let owner = format!(
            "size=4m,mode=700,uid={}",
            rustix::process::getuid().as_raw()
        );
        run(as_root(&["mount", "-t", "tmpfs", "-o", &owner, "tmpfs"]).arg(dir.path()));
        Some(Self { dir })
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }

    /// Leaves no byte free.
    pub(crate) fn fill(&self) {
        let mut ballast = std::fs::File::create(self.ballast()).unwrap();
        loop {
            match ballast.write_all(&[0; 4096]) {
                Ok(()) => {}
                Err(e) if e.kind() == ErrorKind::StorageFull => return,
                Err(e) => panic!("{e}"),
            }
        }
    }

    pub(crate) fn make_room(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    /// Nothing may have a file open there for writing.
    pub(crate) fn remount(&self, mode: &str) {
        run(as_root(&["mount", "-o", &format!("remount,{mode}")]).arg(self.path()));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = as_root(&["umount", "--lazy"]).arg(self.path()).status();
    }
}

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

fn may_sudo() -> bool {
    let sudo = Command::new("sudo")
        .args(["-n", "true"])
        .stderr(Stdio::null())
        .status();
    sudo.is_ok_and(|status| status.success())
}

fn as_root(words: &[&str]) -> Command {
    let mut command = Command::new(if is_root() { words[0] } else { "sudo" });
    if !is_root() {
        command.args(["-n", words[0]]);
    }
    command.args(&words[1..]);
    command
}
