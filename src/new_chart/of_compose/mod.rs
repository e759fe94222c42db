//! The chart's model out of a Compose project: every key is carried over, or in the report.

mod bound;
mod environment;
mod files;
mod granted;
mod health;
mod images;
mod keys;
mod limits;
mod mounts;
mod network;
mod process;
mod project;
mod secret_names;
mod secret_search;
mod secrets;
mod security;
mod service;
mod waits;

pub use images::{FactsOfServices, look_at_images};
pub use project::{ComposeChart, LocalSecret, from_compose};
