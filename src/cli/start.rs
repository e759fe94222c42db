//! Where a command starts: its folder, its project's file, its runtime.

use std::path::{Path, PathBuf};

use super::ProjectArgs;
use crate::config::Source;
use crate::error::{Code, Error, Errors};

pub(super) fn source(args: ProjectArgs) -> Result<Source, Errors> {
    let dir = folder(args.directory.as_deref())?;
    let file = args.file.map(|file| dir.join(file));
    Ok(Source {
        dir,
        file,
        profile: args.profile,
    })
}

/// The folder to start from.
pub(super) fn folder(directory: Option<&Path>) -> Result<PathBuf, Errors> {
    let here = std::env::current_dir().and_then(|here| match directory {
        Some(dir) => here.join(dir).canonicalize(),
        None => Ok(here),
    });
    here.map_err(|e| Error::new(Code::ConfigPath, format!("cannot enter the folder: {e}")).into())
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Errors> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.map_err(|e| Error::new(Code::StateIo, format!("cannot start: {e}")).into())
}
