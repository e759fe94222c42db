//! The supervisor: the process that holds a project's session, the control socket for its clients, and the reconciles
//! that the supervisor starts when files change.

pub mod client;
pub mod control;
mod controller;
mod events;
mod memory;
mod signals;
pub mod socket;
pub mod supervisor;
