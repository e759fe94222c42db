//! Why a folder cannot be watched, and what helps.

use std::path::Path;

use notify::ErrorKind;

use crate::error::{Code, Error};

pub(super) fn unwatched(path: &Path, cause: &dyn std::fmt::Display) -> Error {
    Error::new(
        Code::SyncWatch,
        format!("cannot watch `{}`: {cause}", path.display()),
    )
}

pub(super) fn refused(path: &Path, error: &notify::Error) -> Error {
    match &error.kind {
        ErrorKind::MaxFilesWatch => {
            unwatched(path, &"the system's limit of watched folders is reached")
                .evidence(limit("max_user_watches"))
                .hint("sudo sysctl fs.inotify.max_user_watches=524288")
        }
        // EMFILE, by inotify_init1(2): too many instances, or too many files.
        ErrorKind::Io(e) if e.raw_os_error() == Some(24) => {
            unwatched(path, &"the system's limit of watchers is reached")
                .evidence(limit("max_user_instances"))
                .hint("sudo sysctl fs.inotify.max_user_instances=512")
        }
        _ => unwatched(path, error),
    }
}

fn limit(name: &str) -> String {
    let value = std::fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).unwrap_or_default();
    format!("fs.inotify.{name} = {}", value.trim())
}
