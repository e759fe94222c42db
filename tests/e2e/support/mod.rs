//! What the tests are written in: a machine apart from the user's, projects on it, and small clients.

pub(crate) mod compose;
pub(crate) mod copy;
pub(crate) mod followed;
pub(crate) mod knocker;
pub(crate) mod left_out;
pub(crate) mod leftovers;
pub(crate) mod listeners;
pub(crate) mod machine;
pub(crate) mod programs;
pub(crate) mod project;
pub(crate) mod run;
pub(crate) mod sample;
pub(crate) mod small_disk;
pub(crate) mod terminal;
pub(crate) mod wire;

use std::io::Write;
use std::time::{Duration, Instant};

/// Waits until `reached`, or ends the test with `otherwise`.
pub(crate) fn eventually(otherwise: &str, within: Duration, mut reached: impl FnMut() -> bool) {
    let deadline = Instant::now() + within;
    while !reached() {
        assert!(Instant::now() < deadline, "after {within:?}: {otherwise}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A figure for the log of the run, written past the harness, which shows only what failing tests print.
pub(crate) fn tell(what: &str, took: Duration) {
    let _ = writeln!(
        std::io::stderr(),
        "\n    {what}: {:.2} s",
        took.as_secs_f64()
    );
}
