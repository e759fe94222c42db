//! Paths over which the pod mounts something.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::Worker;
use super::reading::Read;
use crate::sync::stream::Applied;

impl Worker {
    /// Takes what a mount of the pod covers out of the failures, and tells it. The answer is those paths.
    pub(super) fn take_covered(&self, sent: &[&Read], applied: &mut Applied) -> BTreeSet<PathBuf> {
        if applied.failures.is_empty() {
            return BTreeSet::new();
        }
        let places = self.shared.state().mount_places.clone();
        let mut covered = vec![];
        applied.failures.retain(|failure| {
            let Some(mount) = &failure.mount else {
                return true;
            };
            let of_target = sent
                .iter()
                .filter(|read| read.item.target == failure.target);
            covered
                .extend(of_target.map(|read| self.container.covered(&read.path, mount, &places)));
            false
        });
        let paths = covered.iter().map(|covered| covered.path.clone()).collect();
        covered.iter().for_each(|one| self.shared.tell_covered(one));
        if !covered.is_empty() {
            self.tell(|status| {
                status.covered.retain(|old| !covered.contains(old));
                status.covered.extend(covered);
            });
        }
        paths
    }
}
