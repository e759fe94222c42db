//! A part of a test's cases, another one for each commit: all of them take longer than a run has.

use std::io::Write;
use std::process::Command;
use std::time::Duration;

/// What a run leaves out for its time; `DEVK_E2E_ALL=1` does it.
pub(crate) fn takes_all() -> bool {
    std::env::var_os("DEVK_E2E_ALL").is_some()
}

/// How often to repeat what a run does once; `DEVK_E2E_ALL=1` repeats it `all` times.
pub(crate) fn times(all: usize) -> usize {
    if takes_all() { all } else { 1 }
}

/// The 95th of a hundred, by rank.
pub(crate) fn p95(took: &[Duration]) -> Duration {
    let mut took = took.to_vec();
    took.sort_unstable();
    took[(took.len() * 95).div_ceil(100) - 1]
}

/// Some of the cases with their numbers, evenly spread; `DEVK_E2E_ALL=1` (`scripts/test --all`) takes all.
pub(crate) fn sample<T: Copy + std::fmt::Debug>(cases: &[T], count: usize) -> Vec<(usize, T)> {
    let numbered = cases.iter().copied().enumerate();
    if takes_all() || count >= cases.len() {
        return numbered.collect();
    }
    let first = seed() % cases.len();
    let is_taken =
        |at: usize| (0..count).any(|n| (first + n * cases.len() / count) % cases.len() == at);
    let taken: Vec<_> = numbered.filter(|(at, _)| is_taken(*at)).collect();
    let of = cases.len();
    let _ = writeln!(
        std::io::stderr(),
        "\n    {count} of {of} cases in this run: {taken:?}"
    );
    taken
}

/// A number that a commit always gives, and another commit hardly ever.
fn seed() -> usize {
    let head = Command::new("git")
        .args(["rev-parse", "--short=7", "HEAD"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let head = String::from_utf8(head.stdout).unwrap();
    usize::from_str_radix(head.trim(), 16).unwrap_or(0)
}
