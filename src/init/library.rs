//! Which of the charts' images Docker's own library and other publishers have, and which somebody has to build.

use super::references::SeenReference;

/// What Docker puts in front of a name without a registry.
pub(super) const LIBRARY: &str = "docker.io/library/";

/// An image without a registry in its name that is none of Docker's own.
pub(super) fn is_unbuilt(reference: &SeenReference, own: &[String]) -> bool {
    reference.repository.starts_with(LIBRARY) && !is_official(reference, own)
}

/// `postgres`, `redis`: what Docker's own library has. An image that is called `<project>-…` and has no registry in its
/// name is one that somebody builds.
pub(super) fn is_official(reference: &SeenReference, own: &[String]) -> bool {
    if let Some(name) = reference.repository.strip_prefix(LIBRARY) {
        let mut own = own.iter().filter(|own| !own.is_empty());
        return !own.any(|own| name.starts_with(&format!("{own}-")));
    }
    [
        "docker.io/bitnami/",
        "quay.io/",
        "registry.k8s.io/",
        "docker.io/rancher/",
    ]
    .iter()
    .any(|registry| reference.repository.starts_with(registry))
}
