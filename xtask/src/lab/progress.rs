//! One line when a piece starts, one when it ends, and a table of times at the end.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

#[derive(Debug)]
pub(super) struct Progress {
    began: Instant,
    times: Mutex<Vec<(String, Duration)>>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            times: Mutex::new(Vec::new()),
        }
    }

    pub(super) fn step<T>(&self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        eprintln!("lab: {name} …");
        let began = Instant::now();
        let outcome = work().with_context(|| format!("{name} failed"));
        let took = began.elapsed();
        let end = if outcome.is_ok() { "done" } else { "FAILED" };
        eprintln!(
            "lab: {name} {end} in {:.1} s (at {:.0} s)",
            took.as_secs_f64(),
            self.began.elapsed().as_secs_f64()
        );
        if let Ok(mut times) = self.times.lock() {
            times.push((name.to_owned(), took));
        }
        outcome
    }

    /// Silent where nothing had to be done.
    pub(super) fn table(&self) -> String {
        let Ok(times) = self.times.lock() else {
            return String::new();
        };
        let rows = times
            .iter()
            .map(|(name, took)| format!("  {:7.1} s  {name}\n", took.as_secs_f64()));
        rows.collect()
    }

    pub(super) fn elapsed(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }
}
