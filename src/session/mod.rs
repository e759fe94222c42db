//! A running session: what devk holds open and keeps alive after `up` has settled.

pub mod endpoints;
#[cfg(test)]
mod fake_api;
pub mod forward;
pub mod numbers;
pub mod target;
pub mod tunnel;
