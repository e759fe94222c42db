//! What a namespace holds, before it goes with all of that: the API server is asked for every kind that it serves, custom ones
//! too.

use futures::future::join_all;
use kube::Client;
use kube::api::ListParams;
use kube::core::ApiResource;
use kube::discovery::{Scope, verbs};
use serde_json::{Value, json};

use super::access::unreachable;
use crate::cluster::client::{discovery, objects_of};
use crate::error::Result;

/// Kinds that come and go by themselves and tell of other objects.
const TOLD_BY_OTHERS: &[&str] = &["Event", "EndpointSlice", "Endpoints", "Lease"];
const CLAIM: &str = "PersistentVolumeClaim";

/// The objects of a namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct HeldObjects {
    /// Kinds and how many of each there are.
    counts: Vec<(String, usize)>,
    /// Names and UIDs of the claims.
    claims: Vec<(String, String)>,
    /// Kinds that could not be listed.
    unread: Vec<String>,
}

/// Lists what a namespace holds.
///
/// # Errors
/// [`crate::error::Code::ClusterUnreachable`] if the API server does not say which kinds it has.
pub(super) async fn held(client: &Client, namespace: &str) -> Result<HeldObjects> {
    let kinds = discovery(client).await.map_err(|e| unreachable(&e))?;
    let all = kinds
        .groups()
        .flat_map(|group| group.resources_by_stability());
    let kinds: Vec<ApiResource> = all
        .filter(|(kind, can)| {
            can.scope == Scope::Namespaced
                && can.supports_operation(verbs::LIST)
                && can.supports_operation(verbs::DELETE)
                && !TOLD_BY_OTHERS.contains(&kind.kind.as_str())
        })
        .map(|(kind, _)| kind)
        .collect();
    let every = ListParams::default();
    let lists = kinds.iter().map(|kind| {
        let (api, every) = (objects_of(client, Some(namespace), kind), &every);
        async move { api.list_metadata(every).await }
    });
    let mut held = HeldObjects::default();
    for (kind, listed) in kinds.iter().zip(join_all(lists).await) {
        let Ok(listed) = listed else {
            held.unread.push(kind.kind.clone());
            continue;
        };
        if kind.kind == CLAIM {
            let claims = listed.items.iter().map(|claim| &claim.metadata);
            held.claims.extend(claims.map(|claim| {
                let of = |text: &Option<String>| text.clone().unwrap_or_default();
                (of(&claim.name), of(&claim.uid))
            }));
        }
        if !listed.items.is_empty() {
            held.counts.push((kind.kind.clone(), listed.items.len()));
        }
    }
    held.counts.sort();
    held.claims.sort();
    held.unread.sort();
    Ok(held)
}

impl HeldObjects {
    /// For the preview: kinds and counts, and the claims by name.
    pub(super) fn notes(&self) -> Vec<String> {
        let counts = self
            .counts
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"));
        let counts: Vec<_> = counts.collect();
        let mut notes = vec![match counts[..] {
            [] => "the namespace holds nothing".to_owned(),
            _ => format!("goes with it: {}", counts.join(", ")),
        }];
        let claims: Vec<_> = self.claims.iter().map(|(name, _)| name.as_str()).collect();
        if !claims.is_empty() {
            notes.push(format!(
                "the data of these claims goes: {}",
                claims.join(", ")
            ));
        }
        if !self.unread.is_empty() {
            notes.push(format!(
                "the API server does not list these kinds, of which there may be more: {}",
                self.unread.join(", ")
            ));
        }
        notes
    }

    /// What an approval is bound to: the claims, since their data goes. Pods come and go by themselves.
    pub(super) fn bound(&self) -> Value {
        json!(self.claims)
    }
}
