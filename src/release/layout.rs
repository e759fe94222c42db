//! Where a release's files stand below the project's state.

use std::path::{Path, PathBuf};

/// The folder of all values that devk ever wrote for a release, below the project's state.
pub(super) fn values_dir(state: &Path, release: &str) -> PathBuf {
    state.join("values").join(release)
}
