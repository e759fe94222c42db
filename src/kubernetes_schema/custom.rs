//! Kinds that a chart brings along: its CustomResourceDefinitions (apiextensions.k8s.io/v1) are the schemas of the custom
//! resources beside them.

mod values;

use serde_json::Value;

use super::packed::VersionMask;
use super::walk::Walk;

/// The kinds of a chart's definitions.
#[derive(Debug, Default)]
pub(super) struct CustomKinds(Vec<CustomKind>);

/// One version of a kind.
#[derive(Debug)]
pub(super) struct CustomKind {
    api_version: String,
    kind: String,
    is_served: bool,
    /// `openAPIV3Schema`; null if there is none.
    schema: Value,
}

impl CustomKinds {
    pub(super) fn of<'v>(objects: impl IntoIterator<Item = &'v Value>) -> Self {
        let definitions = objects.into_iter().filter(|object| {
            object["kind"] == "CustomResourceDefinition"
                && object["apiVersion"] == "apiextensions.k8s.io/v1"
        });
        Self(definitions.flat_map(kinds_of).collect())
    }

    /// A kind in a version that is served.
    pub(super) fn find(&self, api_version: &str, kind: &str) -> Option<&CustomKind> {
        let mut all = self.0.iter();
        all.find(|one| one.is_served && one.kind == kind && one.api_version == api_version)
    }

    /// The served versions of a kind, for people; None if no definition has it.
    pub(super) fn versions_of(&self, group: &str, kind: &str) -> Option<String> {
        let same = |one: &&CustomKind| {
            one.kind == kind && super::lifecycle::group(&one.api_version) == group
        };
        let served: Vec<_> = self
            .0
            .iter()
            .filter(|one| one.is_served)
            .filter(same)
            .map(|one| format!("`{}`", one.api_version))
            .collect();
        (!served.is_empty()).then(|| served.join(" or "))
    }
}

fn kinds_of(definition: &Value) -> Vec<CustomKind> {
    let spec = &definition["spec"];
    let (Some(group), Some(kind)) = (spec["group"].as_str(), spec["names"]["kind"].as_str()) else {
        return vec![];
    };
    let versions = spec["versions"].as_array().into_iter().flatten();
    let found = versions.filter_map(|version| {
        let name = version["name"].as_str()?;
        Some(CustomKind {
            api_version: format!("{group}/{name}"),
            kind: kind.to_owned(),
            is_served: version["served"] == true,
            schema: version["schema"]["openAPIV3Schema"].clone(),
        })
    });
    found.collect()
}

impl CustomKind {
    /// Checks an object of the kind. What was not checked is returned.
    pub(super) fn check(
        &self,
        walk: &mut Walk<'_>,
        object: &Value,
        mask: VersionMask,
    ) -> Option<String> {
        let packed = walk.packed;
        if let Some(metadata) = packed.definition("meta.v1.ObjectMeta") {
            walk.within("metadata", |walk| {
                walk.definition(metadata, &object["metadata"], mask)
            });
        }
        if !self.schema.is_object() {
            return Some(format!("the definition of `{}` has no schema", self.kind));
        }
        values::check(walk, &self.schema, object, mask);
        let has_rules = has_key(&self.schema, "x-kubernetes-validations");
        has_rules.then(|| {
            format!(
                "the CEL rules in the definition of `{}` are not evaluated",
                self.kind
            )
        })
    }
}

fn has_key(value: &Value, key: &str) -> bool {
    match value {
        Value::Object(map) => {
            map.contains_key(key) || map.values().any(|value| has_key(value, key))
        }
        Value::Array(items) => items.iter().any(|value| has_key(value, key)),
        _ => false,
    }
}
