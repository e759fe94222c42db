//! The last test of a run: whatever the others made, and killed in the middle, has gone.

use crate::support::leftovers::Everything;
use crate::support::machine::{FRAIL, cluster, nodes_of, remove_frail};

/// Run when the tests on that cluster have ended (.config/nextest.toml): it costs the others their processor time.
#[test]
fn the_cluster_whose_node_is_stopped_goes() {
    remove_frail();
    assert!(nodes_of(FRAIL).is_empty());
}

#[test]
fn the_run_leaves_nothing() {
    let baseline = cluster().baseline();
    Everything::read(&baseline).leaves_nothing("the run");
}
