//! The offset table: which host port stands for which Service port.

use serde::{Deserialize, Serialize};

/// One row of the table (the contract of `devk ports --format json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// The name in devk.yaml, or the Service's.
    pub name: String,
    pub namespace: String,
    pub service: String,
    /// The Service's port.
    pub remote: u16,
    /// The host port devk listens on.
    pub local: u16,
    /// `http://127.0.0.1:15000`.
    pub url: String,
    /// Why `local` is not the base port + 10000, if it is not.
    pub moved: Option<String>,
}
