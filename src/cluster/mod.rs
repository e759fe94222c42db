//! The cluster: how devk talks to it.

pub mod client;
