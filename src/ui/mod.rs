//! What the user sees: a live view on a terminal, plain lines in a pipe, JSON events with `--format json`.

pub mod event;
