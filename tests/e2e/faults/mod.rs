//! What breaks on a laptop, done from outside to a session that runs: its listeners stay, and the containers
//! come to have the working tree.

mod cluster;
mod container;
mod engine;
mod session;
