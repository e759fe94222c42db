//! The projects and worktrees of this machine that this user has: which there are, on which cluster each is, what of it
//! runs there, how much memory that takes, when somebody last edited it.
//!
//! Which there are is told by the record of ports. On which cluster one is says its devk.yaml; where that file is gone or
//! cannot be read, the clusters are looked at for its namespace. A cluster that does not answer in time is unknown, and
//! keeps nobody from the answers of the others.

mod edits;
mod look;
mod place;
mod shortage;
mod usage;

use std::time::Duration;

pub use edits::last_edit;
pub use look::{ClusterLook, PodsOfProject, ProjectLook, Workloads, look_at, look_at_clusters};
pub use place::{PlacedProject, placed};
pub use shortage::{Neighbour, shortage};
pub use usage::{PodUse, UseOfMemory};

/// A cluster that does not answer within this time is unknown.
pub const PATIENCE: Duration = Duration::from_secs(1);
