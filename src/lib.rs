//! devk: a team's Helm stack on a local Kubernetes cluster, beside its Docker Compose stack.
//!
//! Data flows one way: config → observe → plan → up → session (docs/architecture.md).

pub mod cluster;
pub mod config;
pub mod docker;
pub mod doctor;
pub mod error;
pub mod graph;
mod hex;
pub mod image;
pub mod logs;
pub mod paths;
pub mod plan;
pub mod ports;
pub mod process;
pub mod release;
pub mod session;
pub mod ui;
