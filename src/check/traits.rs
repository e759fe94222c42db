//! What a chart does of its own accord, and what could be asked of others: where its images come from, the labels that all of
//! its workloads have, the classes that it names.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::facts::{ChartFacts, RenderingUse};
use super::view::{ChartObject, texts};

/// By a key of `check:` the values that hold for the whole chart.
pub(super) type ChartTraits = BTreeMap<String, BTreeSet<String>>;

/// The images of the containers of an object.
pub(super) fn images(object: &Value) -> Vec<&str> {
    let pod = ChartObject::of(object, "").pod;
    let containers = pod.map(|pod| pod.containers).unwrap_or_default();
    containers
        .iter()
        .map(|container| container.image())
        .filter(|image| !image.is_empty())
        .collect()
}

/// `registry.example/shop` of `registry.example/shop/api:1.2`: the host, and the first folder; None of an image of Docker Hub.
pub(super) fn registry(image: &str) -> Option<String> {
    let (host, rest) = image.split_once('/')?;
    let is_host = host.contains(['.', ':']) || host == "localhost";
    let folder = rest.split_once('/').map(|(folder, _)| format!("/{folder}"));
    is_host.then(|| format!("{host}{}", folder.unwrap_or_default()))
}

/// What holds for a chart as it is installed by default.
pub(super) fn traits(facts: &ChartFacts) -> ChartTraits {
    let mut judged = facts
        .renderings
        .iter()
        .filter(|rendering| rendering.usage == RenderingUse::Judged);
    let documents = judged
        .next()
        .map_or(&[][..], |rendering| &rendering.documents[..]);
    // What dependencies bring says nothing of who wrote the chart.
    let own = documents
        .iter()
        .filter(|document| !document.source.contains("/charts/"));
    let objects: Vec<_> = own.map(|document| &document.object).collect();
    let mut found = ChartTraits::new();
    let mut add = |key: &str, values: BTreeSet<String>| {
        if !values.is_empty() {
            found.insert(key.to_owned(), values);
        }
    };
    let registries: Option<BTreeSet<_>> = objects
        .iter()
        .flat_map(|object| images(object))
        .map(registry)
        .collect();
    add("registries", registries.unwrap_or_default());
    add("labels", labels(&objects));
    let classes = |kind: &str, pointer: &str| {
        let of_kind = objects.iter().filter(|object| object["kind"] == kind);
        let named: Option<BTreeSet<_>> = of_kind
            .map(|object| Some(object.pointer(pointer)?.as_str()?.to_owned()))
            .collect();
        named.unwrap_or_default()
    };
    add(
        "ingressClasses",
        classes("Ingress", "/spec/ingressClassName"),
    );
    add(
        "storageClasses",
        classes("PersistentVolumeClaim", "/spec/storageClassName"),
    );
    found
}

/// The labels that every workload has, but those that all charts have.
fn labels(objects: &[&Value]) -> BTreeSet<String> {
    let workloads = objects.iter().filter(|object| {
        let object = ChartObject::of(object, "");
        object.is_installed() && object.pod.is_some()
    });
    let of_each = workloads.map(|object| {
        let labels = texts(&object["metadata"]["labels"]);
        let own = labels
            .keys()
            .filter(|key| !key.starts_with("app.kubernetes.io/") && !key.starts_with("helm.sh/"));
        own.map(|key| (*key).to_owned())
            .filter(|key| key != "app" && key != "chart" && key != "release")
            .collect::<BTreeSet<_>>()
    });
    of_each
        .reduce(|all, next| all.intersection(&next).cloned().collect())
        .unwrap_or_default()
}

/// The parts of a trait that every one of these charts has.
pub(super) fn common<'a>(all: &[&'a ChartTraits], key: &str) -> BTreeSet<&'a str> {
    let sets = all.iter().map(|traits| {
        let values = traits.get(key).into_iter().flatten();
        values.map(String::as_str).collect::<BTreeSet<_>>()
    });
    sets.reduce(|all, next| all.intersection(&next).copied().collect())
        .unwrap_or_default()
}

/// The values of a list that a chart may go beyond only together with all others: the same in each.
pub(super) fn equal<'a>(all: &[&'a ChartTraits], key: &str) -> Option<&'a BTreeSet<String>> {
    let first = all.first()?.get(key)?;
    all.iter()
        .all(|traits| traits.get(key) == Some(first))
        .then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_of_an_image_is_its_host_and_first_folder() {
        for (image, expected) in [
            (
                "registry.example/shop/api:1.2",
                Some("registry.example/shop"),
            ),
            ("localhost:5000/api@sha256:a", Some("localhost:5000")),
            ("postgres:17", None),
            ("bitnami/redis:7", None),
        ] {
            assert_eq!(registry(image).as_deref(), expected, "{image}");
        }
    }
}
