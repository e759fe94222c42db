//! Objects against the schemas of Kubernetes, of each version that is meant, and of the definitions that the chart brings.

use super::super::rule::rules;
use super::super::seen::Sightings;
use super::super::view::RenderingView;
use crate::config::CheckConfig;
use crate::kubernetes_schema::{SchemaCatalog, SchemaProblem, SchemaViolation, schema_versions};
use crate::kubernetes_version::KubernetesVersion;
use crate::version_range::{self, VersionRange};

rules! { Functional;
    "schema.unknown-key" High, Foundation 8, On, Every(unknown_key):
        "Kubernetes has no such field: the API server refuses the object, or drops the field without a word",
        "correct the name, or remove the field",
        "Kubernetes API reference";
    "schema.value" High, Foundation 10, On, Every(wrong_value):
        "the value is none that the field takes, by its type, its form or its bounds: the API server refuses the object",
        "write what the field takes; quote texts, and neither numbers nor booleans",
        "Kubernetes API reference; validation of the API server";
    "schema.required" High, Foundation 10, On, Every(missing):
        "a field that Kubernetes demands is missing: the API server refuses the object",
        "add the field",
        "Kubernetes API reference";
    "schema.removed" High, Foundation 10, On, Every(removed):
        "a version of Kubernetes that is meant does not have this version of the API, or this kind",
        "write the object for the version of the API that follows on it",
        "Kubernetes, \"Deprecated API Migration Guide\"";
    "schema.deprecated" Medium, Foundation 2, On, Every(deprecated):
        "the version of the API goes with a later version of Kubernetes",
        "write the object for the version of the API that follows on it",
        "Kubernetes, \"Deprecated API Migration Guide\"";
}

/// So many versions of Kubernetes are supported at a time.
const SUPPORTED: usize = 3;

/// The versions that `check.kubernetes` means, else the newest ones.
pub(in crate::check) fn targets(config: &CheckConfig) -> Vec<KubernetesVersion> {
    let range = config.kubernetes.as_deref().and_then(VersionRange::parse);
    match range {
        Some(range) => schema_versions()
            .filter(|version| {
                let version = version_range::version(&version.to_string());
                version.is_some_and(|version| range.has(&version))
            })
            .collect(),
        None => schema_versions().rev().take(SUPPORTED).collect(),
    }
}

/// What is wrong with the objects of a rendering, each with the object's position.
pub(in crate::check) fn violations(view: &RenderingView<'_>) -> Vec<(usize, SchemaViolation)> {
    let rendered = view.objects.iter().map(|object| object.json);
    let catalog = SchemaCatalog::new(view.facts.definitions.iter().chain(rendered));
    let targets = targets(view.constraints);
    let objects = view.objects.iter().enumerate();
    let found = objects.flat_map(|(at, object)| {
        let verdict = catalog.check(object.json, &targets);
        verdict
            .violations
            .into_iter()
            .map(move |violation| (at, violation))
    });
    found.collect()
}

fn each(view: &RenderingView<'_>, seen: &mut Sightings, problems: &[SchemaProblem]) {
    let violations = view.schema.get_or_init(|| violations(view));
    let meant = targets(view.constraints).len();
    for (at, found) in violations
        .iter()
        .filter(|(_, found)| problems.contains(&found.problem))
    {
        let mut message = found.what.clone();
        if let Some(expected) = &found.expected {
            message += &format!("; {expected}");
        }
        let versions: Vec<_> = found.versions.iter().map(ToString::to_string).collect();
        if !versions.is_empty() && versions.len() < meant {
            message += &format!(" (Kubernetes {})", versions.join(", "));
        }
        seen.object(&view.objects[*at], &found.path, message);
    }
}

fn unknown_key(view: &RenderingView<'_>, seen: &mut Sightings) {
    each(view, seen, &[SchemaProblem::UnknownKey]);
}

fn wrong_value(view: &RenderingView<'_>, seen: &mut Sightings) {
    let problems = [
        SchemaProblem::WrongType,
        SchemaProblem::NotInEnumeration,
        SchemaProblem::WrongFormat,
        SchemaProblem::Conflict,
    ];
    each(view, seen, &problems);
}

fn missing(view: &RenderingView<'_>, seen: &mut Sightings) {
    each(view, seen, &[SchemaProblem::Missing]);
}

fn removed(view: &RenderingView<'_>, seen: &mut Sightings) {
    each(
        view,
        seen,
        &[SchemaProblem::NotServed, SchemaProblem::UnknownKind],
    );
}

fn deprecated(view: &RenderingView<'_>, seen: &mut Sightings) {
    each(view, seen, &[SchemaProblem::Deprecated]);
}
