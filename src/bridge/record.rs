//! devk's record of a bridge, kept beside the project's other state: which database stays on Compose's server, and the
//! command that drops the database, for the time after the cluster is gone.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result, internal};
use crate::paths::write_atomic;

/// A bridge that was made (also a part of `devk status --format json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The Compose service.
    pub service: String,
    pub database: String,
    /// Where pods are led: `172.18.0.1:5439`.
    pub address: String,
    /// devk carries the connections; else the address is Compose's own.
    pub relay: bool,
    /// The command that drops the database, for people.
    pub drop: String,
}

fn file(state: &Path) -> PathBuf {
    state.join("bridge.json")
}

/// The record in a project's state folder; None if there is none.
///
/// # Errors
/// [`Code::StateIo`].
pub fn load(state: &Path) -> Result<Option<Record>> {
    match std::fs::read(file(state)) {
        // A damaged record counts as none: it only serves messages.
        Ok(text) => Ok(serde_json::from_slice(&text).ok()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed("read", state, &e)),
    }
}

/// Keeps a record.
///
/// # Errors
/// [`Code::StateIo`].
pub fn save(state: &Path, record: &Record) -> Result<()> {
    write_atomic(
        &file(state),
        &serde_json::to_vec_pretty(record).map_err(|e| internal(&e))?,
        0o600,
    )
}

/// Removes the record; none is fine.
///
/// # Errors
/// [`Code::StateIo`].
pub fn forget(state: &Path) -> Result<()> {
    match std::fs::remove_file(file(state)) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(failed("remove", state, &e)),
        _ => Ok(()),
    }
}

impl Record {
    /// The database that pods use.
    pub fn what(&self) -> String {
        format!(
            "database `{}` on Compose's `{}`",
            self.database, self.service
        )
    }

    /// How pods reach the database.
    pub fn upstream(&self) -> String {
        let how = if self.relay { "devk's relay" } else { "direct" };
        format!("{} ({how})", self.address)
    }

    /// The text for the user when the bridge is removed.
    pub fn stays(&self) -> String {
        format!(
            "database `{}` stays on Compose's `{}`; to drop it by hand: {}",
            self.database, self.service, self.drop
        )
    }
}

fn failed(what: &str, state: &Path, cause: &std::io::Error) -> Error {
    Error::new(
        Code::StateIo,
        format!("cannot {what} `{}`: {cause}", file(state).display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_kept_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let record = Record {
            service: "db".into(),
            database: "shop_k8s".into(),
            address: "172.18.0.1:5439".into(),
            relay: false,
            drop: "psql".into(),
        };
        assert_eq!(load(dir.path()), Ok(None));
        save(dir.path(), &record).unwrap();
        assert_eq!(load(dir.path()), Ok(Some(record)));
        forget(dir.path()).unwrap();
        forget(dir.path()).unwrap();
        assert_eq!(load(dir.path()), Ok(None));
    }
}
