//! Local clusters: create, adopt, start, stop, delete, and the pin that says which one devk may write to.

pub mod client;
pub mod kind;
pub mod namespace;
mod orphans;
pub mod pin;
mod restart;
pub mod sleep;
