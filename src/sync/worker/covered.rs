//! Paths that stay as they are in this container: the pod mounts something over them, or its user may not write there.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::Worker;
use super::reading::Read;
use crate::sync::stream::Applied;

impl Worker {
    /// Takes what only a build brings to the container out of the failures, and asks for the build. The answer is those
    /// paths.
    pub(super) fn take_unwritable(
        &self,
        sent: &[&Read],
        applied: &mut Applied,
    ) -> BTreeSet<PathBuf> {
        let mut taken = BTreeSet::new();
        applied.failures.retain(|failure| {
            if failure.needs_build {
                let of_target = sent
                    .iter()
                    .filter(|read| read.item.target == failure.target);
                for read in of_target {
                    let why = failure.why.clone();
                    self.shared.rebuild(Some(read.path.clone()), why);
                    taken.insert(read.path.clone());
                }
            }
            !failure.needs_build
        });
        taken
    }

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
