//! The schemas of Kubernetes 1.25 to 1.37, and what an object has that the API server would not take: unknown keys, wrong
//! types, texts that are no member of an enumeration or not in their format, missing fields, versions of an API that are
//! gone. Pure, and without network: the schemas are a part of devk (`schemas.json.gz`, which `cargo xtask kubernetes`
//! makes from the OpenAPI and the Go types of each version).
//!
//! An object is checked against several versions at once, in one walk: each field knows in which versions it exists. What
//! the API server demands beyond its OpenAPI is in `fields.rs` (formats) and `demands.rs` (fields that depend on each
//! other). Null is nothing, as for the API server, which decodes it into the empty value: a required field that is null
//! is missing. Only the schema of a custom resource may tell them apart (`custom/`). Keys that occur twice are the YAML
//! reader's part: a JSON value cannot hold them.

mod custom;
mod demands;
mod fields;
mod formats;
mod lifecycle;
mod names;
mod packed;
mod walk;

use serde::Serialize;
use serde_json::Value;

use crate::kubernetes_version::KubernetesVersion;
use custom::CustomKinds;
pub(crate) use names::{is_dns_label, is_dns_subdomain, is_label_value, is_qualified};
use packed::{Packed, packed};
use walk::Walk;

/// What is wrong with a part of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SchemaProblem {
    /// The API server ignores such a key, or refuses the object.
    UnknownKey,
    WrongType,
    /// None of the texts that are allowed.
    NotInEnumeration,
    Missing,
    WrongFormat,
    /// Fields that exclude each other, or a value out of its bounds.
    Conflict,
    /// The group has no such version or kind.
    UnknownKind,
    /// The version of the API is no longer there, or not yet.
    NotServed,
    /// The version of the API goes with a later version of Kubernetes; the object is still taken.
    Deprecated,
}

/// One thing that the API server would not take, or soon would not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SchemaViolation {
    pub problem: SchemaProblem,
    /// JSON pointer from the object; to the field that is missing, if one is.
    pub path: String,
    /// What is wrong, a lowercase fragment with backticked names. Values are shown only where they name something.
    pub what: String,
    /// What would be right, as a fragment (`an integer`, `did you mean `replicas`?`); None if that is not known.
    pub expected: Option<String>,
    /// The versions of those that were asked for.
    pub versions: Vec<KubernetesVersion>,
}

/// What the schemas say of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SchemaVerdict {
    /// In the order of the object.
    pub violations: Vec<SchemaViolation>,
    /// What was not checked, as a fragment: no schema of the kind or of a version is at hand. Not the same as valid.
    pub unchecked: Vec<String>,
}

/// The schemas of Kubernetes, and those of the custom resources of a chart.
#[derive(Debug)]
pub struct SchemaCatalog {
    packed: &'static Packed,
    custom: CustomKinds,
}

/// The versions that have schemas, the oldest first.
pub fn schema_versions() -> impl DoubleEndedIterator<Item = KubernetesVersion> {
    let versions = packed().versions.iter();
    versions.map(|minor| KubernetesVersion::new(*minor))
}

impl SchemaCatalog {
    /// `definitions` are objects among which those of the kind CustomResourceDefinition give schemas; others are passed by.
    pub fn new<'v>(definitions: impl IntoIterator<Item = &'v Value>) -> Self {
        Self {
            packed: packed(),
            custom: CustomKinds::of(definitions),
        }
    }

    /// Whether there is a schema for an object's kind, in any version.
    pub fn knows(&self, api_version: &str, kind: &str) -> bool {
        self.packed.kind(api_version, kind).is_some()
            || self.custom.find(api_version, kind).is_some()
    }

    /// Checks an object, or the items of a `List`, against versions of Kubernetes.
    pub fn check(&self, object: &Value, targets: &[KubernetesVersion]) -> SchemaVerdict {
        let mut verdict = SchemaVerdict::default();
        let mask = targets
            .iter()
            .filter_map(|target| self.packed.bit(*target))
            .fold(0, |all, bit| all | bit);
        let unknown = targets
            .iter()
            .filter(|target| self.packed.bit(**target).is_none());
        let unknown: Vec<_> = unknown
            .map(|target| format!("devk has no schemas of Kubernetes {target}"))
            .collect();
        verdict.unchecked.extend(unknown);
        if mask != 0 {
            let mut walk = Walk::new(self.packed, &mut verdict.violations);
            let unchecked = walk.root(object, &self.custom, mask);
            verdict.unchecked.extend(unchecked);
        }
        verdict
    }
}

#[cfg(test)]
mod tests;
