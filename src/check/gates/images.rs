//! Images: which version of them runs, and where they come from.

use super::super::rule::rules;
use super::super::seen::Sightings;
use super::super::view::RenderingView;
use crate::image::ReferenceParts;

rules! { Security;
    "image.latest" Medium, Foundation 5, On, Rendering(latest):
        "the tag `latest`, or none, is another image tomorrow: pods of one workload differ, and nothing can be rolled back",
        "name the version: `repository:1.2.3`",
        "Kubernetes, \"Configuration Best Practices\"; NSA/CISA, \"Kubernetes Hardening Guide\"";
    "image.digest" Low, Foundation 0, Off, Rendering(digest):
        "a tag may be moved to another image; a digest cannot",
        "name the digest: `repository:1.2.3@sha256:…`",
        "Kubernetes, \"Images\": Image names";
    "image.registry" High, Foundation 5, Constraint, Rendering(registry):
        "the image comes from a registry that `check.registries` does not have",
        "take the image from one of the registries of `check.registries`",
        "`check.registries`";
}

/// Every image but those that devk builds, at its container.
fn each(
    view: &RenderingView<'_>,
    seen: &mut Sightings,
    mut judge: impl FnMut(&ReferenceParts) -> Option<String>,
) {
    for (object, pod) in view.pods() {
        for container in &pod.containers {
            let image = container.image();
            let found = ReferenceParts::parse(image).filter(|_| !crate::image::is_built(image));
            if let Some(message) = found.and_then(|parts| judge(&parts)) {
                let values = &["tag", "image", "repository"];
                seen.container(object, container, "/image", values, message);
            }
        }
    }
}

fn latest(view: &RenderingView<'_>, seen: &mut Sightings) {
    each(view, seen, |parts| {
        let written = &parts.written;
        parts
            .is_latest()
            .then(|| format!("the image `{written}` has no version"))
    });
}

fn digest(view: &RenderingView<'_>, seen: &mut Sightings) {
    each(view, seen, |parts| {
        let written = &parts.written;
        (parts.digest.is_none() && !parts.is_latest())
            .then(|| format!("the image `{written}` has no digest"))
    });
}

fn registry(view: &RenderingView<'_>, seen: &mut Sightings) {
    let allowed = &view.constraints.registries;
    each(view, seen, |parts| {
        let is_below = |prefix: &String| {
            let prefix = prefix.trim_end_matches('/');
            [&parts.repository, &parts.written].iter().any(|name| {
                name.strip_prefix(prefix)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        let is_allowed = allowed.is_empty() || allowed.iter().any(is_below);
        let repository = &parts.repository;
        (!is_allowed).then(|| format!("`{repository}` is not in an allowed registry"))
    });
}
