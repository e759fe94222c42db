//! Sync: a saved file is in the containers, milliseconds later, without a build.
//!
//! [`rules`] says what a path of the working tree means for an image, [`watch`] which paths changed,
//! [`journal`] what containers must have, [`stream`] brings it there, and [`engine`] ties them together.

mod archive;
pub mod batch;
mod beside;
pub mod checked;
pub mod containers;
mod copied;
pub mod dockerfile;
pub mod engine;
pub mod exec;
mod inherit;
pub mod journal;
mod links;
pub mod pods;
mod processes;
mod program_file;
pub mod readiness;
mod reload;
pub mod reloader;
pub mod rules;
mod script;
mod served_by;
mod served_folders;
pub mod status;
pub mod stream;
pub mod trace;
mod tree;
mod upload;
pub mod verify;
pub mod watch;
mod watching;
mod worker;
