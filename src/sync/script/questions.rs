//! Questions to the shell of a container: what runs there, what watches files, what stands in files. Pure.

use std::path::{Path, PathBuf};

use super::Text;
use crate::sync::batch::ContainerPath;

/// A file as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sync) struct Expected {
    /// Relative to the build context.
    pub(in crate::sync) path: PathBuf,
    pub(in crate::sync) target: ContainerPath,
    /// The SHA-256, in hexadecimal digits; None: no file is to be there.
    pub(in crate::sync) sum: Option<String>,
    /// The permission bits, 0o7777.
    pub(in crate::sync) mode: u32,
    /// `uid:gid`; None if nothing says whose the file should be.
    pub(in crate::sync) owner: Option<String>,
}

/// Asks for what runs in the container, in lines that [`crate::sync::processes::Processes`] reads.
pub(in crate::sync) fn processes(number: u64) -> Vec<u8> {
    format!("q\nprintf 'ok {number}\\n'\n").into_bytes()
}

/// Asks for what watches files in the container, and for these paths, in lines that
/// [`crate::sync::watching::WatchLook`] reads.
pub(in crate::sync) fn watches<'a>(number: u64, paths: impl Iterator<Item = &'a Path>) -> Vec<u8> {
    let mut text = Text::default();
    text.add("v");
    for path in paths {
        text.add(" ").quote(path.as_os_str());
    }
    text.add(&format!("\nprintf 'ok {number}\\n'\n"));
    text.0
}

/// Asks for the state of files, a line for each: `sum`, the permission bits, the owner and what `sha256sum` says, or `sum`
/// alone; or `mounted` and the mount that covers it.
pub(in crate::sync) fn sums<'a>(
    number: u64,
    targets: impl Iterator<Item = &'a ContainerPath>,
) -> Vec<u8> {
    let mut text = Text::default();
    for ContainerPath {
        root,
        folders,
        name,
    } in targets
    {
        text.add(&format!("R=$R{root}; ")).enter(folders, false);
        text.add(" && h ").quote(name);
        text.add(" || { [ $? = 4 ] && printf 'mounted %s\\n' \"$p\" || echo sum; }\n");
    }
    text.add(&format!("printf 'ok {number}\\n'\n"));
    text.0
}
