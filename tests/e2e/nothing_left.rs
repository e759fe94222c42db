//! The last test of a run: whatever the others made, and killed in the middle, has gone.

use crate::support::leftovers::Everything;
use crate::support::machine::{cluster, remove_frail};

#[test]
fn the_run_leaves_nothing() {
    let baseline = cluster().baseline();
    remove_frail();
    Everything::read(&baseline).leaves_nothing("the run");
}
