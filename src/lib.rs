//! devk: a team's Helm stack on a local Kubernetes cluster, beside its Docker Compose stack.
//!
//! Data flows one way: config → observe → plan → up → session (docs/architecture.md); imports lead downwards only
//! (xtask/src/tidy/layers.rs).

mod again;
pub mod approval;
pub mod ask;
pub mod audit;
pub mod bridge;
pub mod change;
pub mod check;
pub mod ci;
pub mod cli;
pub mod cluster;
pub mod commands;
pub mod compose;
pub mod config;
pub mod daemon;
pub mod database;
pub mod docker;
mod dockerfile;
pub mod doctor;
pub mod down;
pub mod environment;
pub mod error;
mod go_path;
mod hex;
pub mod image;
pub mod init;
pub mod inputs;
pub mod inventory;
pub mod kubernetes_schema;
pub mod kubernetes_version;
pub mod limits;
mod log_lines;
pub mod logs;
pub mod mcp;
mod memory;
pub mod new_chart;
pub mod observe;
pub mod owner;
pub mod paths;
mod place;
pub mod plan;
pub mod pod_security;
pub mod ports;
pub mod process;
pub mod program;
pub mod quantity;
pub mod relay;
pub mod release;
pub mod session;
mod shell;
pub mod sync;
pub mod ui;
pub mod up;
pub mod variables;
pub mod version_range;
