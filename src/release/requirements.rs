//! What a release requires of its cluster and does not bring itself: kinds of the API, and objects that it names.
//!
//! helm refuses a release with an unknown kind or with an object of another release, so these are errors before anything
//! is built. A missing object (a StorageClass, a ServiceAccount) is only likely to stay missing: a program of the stack
//! may make it. So it is told, the release is installed, and readiness decides.

mod definitions;
mod kinds;
mod objects;
mod owners;
mod stores;
mod unready;

pub use definitions::{absent_definitions, changed_definitions};
pub use kinds::missing_kinds;
pub(super) use kinds::{no_such_kind, unmatched};
pub use objects::missing_objects;
pub use owners::{owned_by_others, rendered_twice};
pub use stores::missing_stores;
pub use unready::at_its_cause;

use std::collections::BTreeSet;

use kube::api::{Api, ListParams};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::manifest::Manifest;

/// `Deployment `api``, as it stands in sentences.
fn named(manifest: &Manifest) -> String {
    format!(
        "{} `{}`",
        manifest.kind(),
        manifest.name().unwrap_or_default()
    )
}

/// The names of all objects of a kind. None if the API server does not say.
async fn names<K>(api: &Api<K>) -> Option<BTreeSet<String>>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let list = api.list_metadata(&ListParams::default()).await.ok()?;
    Some(list.items.iter().map(ResourceExt::name_any).collect())
}
