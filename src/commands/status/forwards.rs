//! The forwards of a session, and what each of them waits for.

use std::collections::{BTreeMap, BTreeSet};

use kube::Client;
use serde::Serialize;

use crate::session::behind::NamespaceObjects;
use crate::session::status::ForwardStatus;

/// A forward that the session holds.
#[derive(Debug, Serialize)]
pub(super) struct HeldForward {
    #[serde(flatten)]
    status: ForwardStatus,
    /// Why connections wait for a pod; null if a pod is Ready, or if the cluster does not answer.
    waiting: Option<String>,
}

impl HeldForward {
    pub(super) fn row(&self) -> Vec<String> {
        let ForwardStatus { forward, stats } = &self.status;
        let open = format!("{} open, {} in all", stats.open, stats.total);
        let waits = self.waiting.iter().map(|why| format!("waits: {why}"));
        let notes: Vec<_> = std::iter::once(open).chain(waits).collect();
        vec![
            "forward".to_owned(),
            forward.name.clone(),
            forward.url.clone(),
            notes.join("; "),
        ]
    }
}

/// Looks once a namespace what is behind the forwards; without a client nobody can say.
pub(super) async fn held(
    client: Option<&Client>,
    forwards: Vec<ForwardStatus>,
) -> Vec<HeldForward> {
    let mut objects = BTreeMap::new();
    if let Some(client) = client {
        let namespaces: BTreeSet<_> = forwards
            .iter()
            .map(|held| held.forward.namespace.clone())
            .collect();
        for namespace in namespaces {
            let read = NamespaceObjects::read(client, &namespace).await;
            objects.insert(namespace, read);
        }
    }
    let with_reason = |status: ForwardStatus| {
        let forward = &status.forward;
        let waiting = match objects.get(&forward.namespace) {
            None => None,
            Some(Ok(objects)) => objects.behind_port(&forward.service, forward.remote).why(),
            Some(Err(why)) => Some(format!("what is behind it cannot be read: {why}")),
        };
        HeldForward { status, waiting }
    };
    forwards.into_iter().map(with_reason).collect()
}
