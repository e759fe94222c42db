//! The Compose reader against the real `docker compose config`, and against input that nobody meant well.
//!
//! `cargo test --test compose` compares devk with the answers recorded in `cases/`. With `DEVK_COMPOSE=1` the real
//! docker compose is asked as well (scripts/test does that), and with `UPDATE=1` its answers become the record.

// Clippy exempts test functions by itself, but not what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod agreement;
mod answer;
mod case;
mod real;
