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
    let mut publishers = [
        "docker.io/bitnami/",
        "quay.io/",
        "registry.k8s.io/",
        "docker.io/rancher/",
    ]
    .iter();
    is_mirrored(reference) || publishers.any(|registry| reference.repository.starts_with(registry))
}

/// An image of another registry behind a mirror, which has that registry's name or Docker's `library` in its path:
/// `mirror.example.com/docker.io/library/nginx`.
pub(super) fn is_mirrored(reference: &SeenReference) -> bool {
    let Some((_, path)) = reference.repository.split_once('/') else {
        return false;
    };
    let mut folders = path.split('/').rev().skip(1);
    let is_registry = |folder: &str| folder == "library" || folder.contains('.');
    !reference.repository.starts_with("docker.io/") && folders.any(is_registry)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn images_behind_a_mirror_are_their_publishers() {
        let is_official = |repository: &str| {
            let reference = SeenReference {
                written: repository.to_owned(),
                repository: repository.to_owned(),
                last_part: String::new(),
                tag: None,
                hints: BTreeSet::new(),
                ports: BTreeSet::new(),
                used: String::new(),
            };
            is_official(&reference, &["shop".to_owned()])
        };
        for theirs in [
            "docker.io/library/nginx",
            "mirror.example.com/docker.io/library/nginx",
            "mirror.example.com/library/nginx",
            "mirror.example.com/quay.io/acme/tool",
            "quay.io/acme/tool",
        ] {
            assert!(is_official(theirs), "{theirs}");
        }
        for ours in [
            "docker.io/library/shop-api",
            "docker.io/acme/api",
            "registry.example.com/acme/nginx",
        ] {
            assert!(!is_official(ours), "{ours}");
        }
    }
}
