//! The Compose reader against the real `docker compose config`, and against input that nobody meant well.
//!
//! `cargo test --test compose` compares devk with the answers recorded in `cases/`. With `DEVK_COMPOSE=1` the real
//! docker compose is asked as well (scripts/test does that); with `UPDATE=1` its answers become the record, of the
//! topics that have `TOPIC` in their name if it is set. `PROPTEST_CASES` is the number of inputs to each fuzzer, and
//! `RUNS=5000 cargo test --test compose -- --ignored differential` compares the two on random projects.

// Clippy exempts test functions by itself, but not what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod agreement;
mod answer;
mod case;
mod child;
mod differential;
mod fuzz;
mod hostile;
mod mutate;
mod random;
mod reader;
mod real;
