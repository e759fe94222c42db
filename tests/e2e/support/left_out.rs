//! Tests that cannot run here. CI has to have what they need; elsewhere they are counted and named at
//! the end of the run.

use std::io::Write;

/// Says that this test is left out, and why. Fails it with CI=true.
pub(crate) fn left_out(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test").to_owned();
    assert!(
        std::env::var_os("CI").is_none(),
        "CI has to run `{test}`: {why}"
    );
    eprintln!("left out: {why}");
    // `scripts/test` names the file, and prints it.
    let Some(file) = std::env::var_os("DEVK_LEFT_OUT") else {
        return;
    };
    let mut open = std::fs::File::options()
        .append(true)
        .create(true)
        .open(file)
        .unwrap();
    writeln!(open, "{test}: {why}").unwrap();
}
