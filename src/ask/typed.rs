//! What of a snapshot is read as types of the API, which is done once: the events as the crash reports read them, and the
//! objects of a namespace as forwards see them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use k8s_openapi::api::core::v1::Event;
use serde::de::DeserializeOwned;

use super::kind::AskedKind::{self, *};
use super::snapshot::ClusterSnapshot;
use crate::session::behind::{NamespaceLists, NamespaceObjects};

/// Made when they are first asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct TypedObjects {
    events: OnceLock<Vec<Arc<Event>>>,
    behind: OnceLock<BTreeMap<String, Arc<NamespaceObjects>>>,
}

impl ClusterSnapshot {
    pub(super) fn typed_events(&self) -> &[Arc<Event>] {
        self.typed.events.get_or_init(|| {
            let events = self.all(AskedKind::Event).filter_map(|event| event.typed());
            events.map(Arc::new).collect()
        })
    }

    /// What says what is behind the Services of a namespace; None if it has no Service.
    pub(super) fn behind(&self, namespace: &str) -> Option<&NamespaceObjects> {
        let all = self.typed.behind.get_or_init(|| {
            let places = self.all(Service).map(|service| service.namespace());
            let places: BTreeSet<_> = places.collect();
            let objects = |place: &str| {
                let objects = NamespaceObjects::of(place, self.lists(place));
                (place.to_owned(), Arc::new(objects))
            };
            places.into_iter().map(objects).collect()
        });
        all.get(namespace).map(Arc::as_ref)
    }

    fn lists(&self, namespace: &str) -> NamespaceLists {
        NamespaceLists {
            services: self.typed_here(Service, namespace),
            slices: self.typed_here(EndpointSlice, namespace),
            pods: self.typed_here(Pod, namespace),
            deployments: self.typed_here(Deployment, namespace),
            stateful_sets: self.typed_here(StatefulSet, namespace),
            daemon_sets: self.typed_here(DaemonSet, namespace),
            replica_sets: self.typed_here(ReplicaSet, namespace),
            jobs: self.typed_here(Job, namespace),
            cron_jobs: self.typed_here(CronJob, namespace),
        }
    }

    fn typed_here<K: DeserializeOwned>(&self, kind: AskedKind, namespace: &str) -> Vec<K> {
        let here = self.here(kind, namespace);
        here.filter_map(|seen| seen.typed()).collect()
    }
}
