//! The supervisor of a project's session: the process that holds it, the control socket that clients reach it by, and
//! what it does by itself when files change.

pub mod client;
pub mod control;
mod controller;
mod events;
mod memory;
pub mod socket;
pub mod supervisor;
