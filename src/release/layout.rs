//! The paths of a release's files below the project's state folder.

use std::path::{Path, PathBuf};

/// The folder of all values that devk ever wrote for a release, below the project's state.
pub(super) fn values_dir(state: &Path, release: &str) -> PathBuf {
    state.join("values").join(release)
}
