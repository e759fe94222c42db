//! What was read of a cluster for one question. Everything that answers is a function of this, so that the answers can be
//! tested against objects of a real cluster without one.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use kube::core::SelectorExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kind::AskedKind;
use super::moment::age;
use super::object::{SeenObject, items, selector, texts};
use super::typed::TypedObjects;
use crate::inventory::PodUse;
use crate::release::labels::has_all;
use crate::session::target::SERVICE_LABEL;

/// The project whose stack the question is about.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct AskedProject {
    /// Its id, which is its own namespace.
    pub namespace: String,
    /// Its namespaces, its own included.
    pub namespaces: BTreeSet<String>,
    /// Its releases: `shop` makes `api` mean `shop-api`.
    pub releases: Vec<String>,
    /// The Service of each forward.
    pub forwards: BTreeMap<String, String>,
}

/// The log of a container, and whether it is that of the run before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogOf {
    pub namespace: String,
    pub pod: String,
    pub container: String,
    pub previous: bool,
}

impl LogOf {
    pub(super) fn of(pod: SeenObject<'_>, container: impl Into<String>, previous: bool) -> Self {
        Self {
            namespace: pod.namespace().to_owned(),
            pod: pod.name().to_owned(),
            container: container.into(),
            previous,
        }
    }
}

/// Objects of a cluster, read at one moment.
#[derive(Debug, Clone)]
pub struct ClusterSnapshot {
    pub project: AskedProject,
    pub now: Timestamp,
    pub zone: TimeZone,
    pub cluster: String,
    /// The version of the API server.
    pub version: String,
    /// By the plural of their kind.
    objects: BTreeMap<&'static str, Vec<Value>>,
    pub(super) typed: TypedObjects,
    /// What could not be read, and the API server's words.
    pub unread: Vec<(AskedKind, String)>,
    /// The text of each log that was read, each line with its time before it.
    pub logs: BTreeMap<LogOf, String>,
    /// By namespace and pod; None if it was not asked for or no kubelet tells it.
    pub usage: Option<BTreeMap<(String, String), PodUse>>,
}

impl ClusterSnapshot {
    pub fn new(project: AskedProject, now: Timestamp, zone: TimeZone) -> Self {
        Self {
            project,
            now,
            zone,
            cluster: String::new(),
            version: String::new(),
            objects: BTreeMap::new(),
            typed: TypedObjects::default(),
            unread: vec![],
            logs: BTreeMap::new(),
            usage: None,
        }
    }

    /// Nothing read yet, of the same cluster at the same moment.
    pub(super) fn anew(&self) -> Self {
        let new = Self::new(self.project.clone(), self.now, self.zone.clone());
        Self {
            cluster: self.cluster.clone(),
            ..new
        }
    }

    /// Adds the objects of a kind, named by its plural. The values of Secrets are dropped here, before anything else
    /// sees them, and so are the annotations that repeat them.
    pub fn add(&mut self, plural: &str, mut objects: Vec<Value>) {
        let Some(kind) = AskedKind::all().find(|kind| kind.plural() == plural) else {
            return;
        };
        if kind == AskedKind::Secret {
            objects.iter_mut().for_each(without_values);
        }
        self.typed = TypedObjects::default();
        let all = self.objects.entry(kind.plural()).or_default();
        all.extend(objects);
        all.sort_by_cached_key(|object| {
            let part = |key: &str| {
                object["metadata"][key]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            };
            (part("namespace"), part("name"))
        });
    }

    /// The objects of a kind, by namespace and name.
    pub(super) fn all(&self, kind: AskedKind) -> impl Iterator<Item = SeenObject<'_>> {
        let objects = self.objects.get(kind.plural()).into_iter().flatten();
        objects.map(move |value| SeenObject { kind, value })
    }

    /// The objects of a kind in one namespace.
    pub(super) fn here(
        &self,
        kind: AskedKind,
        namespace: &str,
    ) -> impl Iterator<Item = SeenObject<'_>> {
        self.all(kind)
            .filter(move |seen| seen.namespace() == namespace)
    }

    /// The objects of a kind that another one controls.
    pub(super) fn made_by(
        &self,
        kind: AskedKind,
        of: SeenObject<'_>,
    ) -> impl Iterator<Item = SeenObject<'_>> {
        self.here(kind, of.namespace())
            .filter(move |seen| seen.controller() == Some((of.kind.name(), of.name())))
    }

    /// The EndpointSlices of a Service.
    pub(super) fn slices_of(
        &self,
        service: SeenObject<'_>,
    ) -> impl Iterator<Item = SeenObject<'_>> {
        let is_its = move |slice: &SeenObject<'_>| {
            slice.value["metadata"]["labels"][SERVICE_LABEL] == service.name()
        };
        self.here(AskedKind::EndpointSlice, service.namespace())
            .filter(is_its)
    }

    /// What a pod uses; None if that was not measured.
    pub(super) fn use_of(&self, pod: SeenObject<'_>) -> Option<PodUse> {
        let key = (pod.namespace().to_owned(), pod.name().to_owned());
        self.usage.as_ref()?.get(&key).copied()
    }

    /// `3d4h`: how long ago this was; empty if that is not known.
    pub(super) fn age(&self, since: Option<Timestamp>) -> String {
        since.map(|time| age(time, self.now)).unwrap_or_default()
    }

    /// `3d4h ago`, `never`.
    pub(super) fn ago(&self, time: Option<Timestamp>) -> String {
        time.map_or_else(
            || "never".to_owned(),
            |time| format!("{} ago", age(time, self.now)),
        )
    }

    /// A moment as the clock shows it where the question is asked.
    pub(super) fn local(&self, time: Timestamp) -> String {
        time.to_zoned(self.zone.clone())
            .strftime("%Y-%m-%d %H:%M:%S %Z")
            .to_string()
    }

    pub(super) fn find(
        &self,
        kind: AskedKind,
        namespace: &str,
        name: &str,
    ) -> Option<SeenObject<'_>> {
        self.all(kind).find(|seen| {
            seen.name() == name && (seen.namespace() == namespace || !kind.is_namespaced())
        })
    }

    /// The pods that an object has: its own, or those that it selects.
    pub(super) fn pods_of(&self, of: SeenObject<'_>) -> Vec<SeenObject<'_>> {
        let here = || self.here(AskedKind::Pod, of.namespace());
        let chosen_by = |value: &Value| -> Vec<SeenObject<'_>> {
            let Some(selector) = selector(value) else {
                return vec![];
            };
            here()
                .filter(|pod| selector.matches(&pod.labels()))
                .collect()
        };
        match of.kind {
            AskedKind::Pod => here().filter(|pod| pod.name() == of.name()).collect(),
            AskedKind::Deployment
            | AskedKind::StatefulSet
            | AskedKind::DaemonSet
            | AskedKind::ReplicaSet => {
                let mut pods = chosen_by(&of.spec()["selector"]);
                pods.retain(|pod| self.is_made_by(*pod, of));
                pods
            }
            AskedKind::Job => self.made_by(AskedKind::Pod, of).collect(),
            AskedKind::CronJob => {
                let jobs = self.jobs_of(of);
                let is_own = |pod: &SeenObject<'_>| {
                    pod.controller().is_some_and(|(kind, name)| {
                        kind == "Job" && jobs.iter().any(|job| job.name() == name)
                    })
                };
                here().filter(is_own).collect()
            }
            AskedKind::Service => {
                let selector = texts(&of.spec()["selector"]);
                if selector.is_empty() {
                    return vec![];
                }
                here()
                    .filter(|pod| has_all(&pod.labels(), &selector))
                    .collect()
            }
            AskedKind::DisruptionBudget => chosen_by(&of.spec()["selector"]),
            AskedKind::NetworkPolicy => chosen_by(&of.spec()["podSelector"]),
            AskedKind::Node => self
                .all(AskedKind::Pod)
                .filter(|pod| pod.spec()["nodeName"].as_str() == Some(of.name()))
                .collect(),
            AskedKind::Namespace => self.here(AskedKind::Pod, of.name()).collect(),
            _ => vec![],
        }
    }

    /// The workload of a pod that has this one's labels may be another one.
    fn is_made_by(&self, pod: SeenObject<'_>, of: SeenObject<'_>) -> bool {
        match pod.controller() {
            None => false,
            Some(("ReplicaSet", name)) if of.kind == AskedKind::Deployment => {
                let set = self.find(AskedKind::ReplicaSet, pod.namespace(), name);
                set.is_none_or(|set| {
                    set.controller()
                        .is_none_or(|owner| owner == ("Deployment", of.name()))
                })
            }
            Some(owner) => owner == (of.kind.name(), of.name()),
        }
    }

    pub(super) fn jobs_of(&self, cron_job: SeenObject<'_>) -> Vec<SeenObject<'_>> {
        self.made_by(AskedKind::Job, cron_job).collect()
    }

    /// What makes a pod: the workload behind its ReplicaSet or Job.
    pub(super) fn maker(&self, pod: SeenObject<'_>) -> Option<(AskedKind, String)> {
        let (kind, name) = pod.controller()?;
        let between = match kind {
            "ReplicaSet" => self.find(AskedKind::ReplicaSet, pod.namespace(), name),
            "Job" => self.find(AskedKind::Job, pod.namespace(), name),
            _ => None,
        };
        let (kind, name) = between
            .and_then(|one| one.controller())
            .unwrap_or((kind, name));
        Some((AskedKind::named(kind)?, name.to_owned()))
    }

    /// The events about an object, the oldest first.
    pub(super) fn events_of(&self, of: SeenObject<'_>) -> Vec<SeenObject<'_>> {
        let events = self.all(AskedKind::Event).filter(|event| {
            let about = &event.value["involvedObject"];
            let is_place = about["namespace"].as_str().unwrap_or_default() == of.namespace();
            about["kind"] == of.kind.name() && about["name"] == of.name() && is_place
        });
        let mut events: Vec<_> = events.collect();
        events.sort_by_key(|event| seen_last(*event));
        events
    }

    /// The endpoints of a Service that are ready.
    pub(super) fn ready_endpoints(&self, service: SeenObject<'_>) -> Vec<String> {
        let mut found = vec![];
        for slice in self.slices_of(service) {
            let ports: Vec<_> = items(&slice.value["ports"])
                .filter_map(|port| port["port"].as_i64())
                .collect();
            let endpoints =
                items(&slice.value["endpoints"]).filter(|one| one["conditions"]["ready"] != false);
            for address in endpoints
                .flat_map(|one| items(&one["addresses"]))
                .filter_map(Value::as_str)
            {
                found.extend(ports.iter().map(|port| format!("{address}:{port}")));
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// The namespaces of the cluster.
    pub(super) fn namespaces(&self) -> Vec<String> {
        self.all(AskedKind::Namespace)
            .map(|namespace| namespace.name().to_owned())
            .collect()
    }

    pub(super) fn is_read(&self, kind: AskedKind) -> bool {
        self.objects.contains_key(kind.plural())
    }
}

/// When an event was seen last.
pub(super) fn seen_last(event: SeenObject<'_>) -> Option<Timestamp> {
    let value = event.value;
    let times = [
        &value["series"]["lastObservedTime"],
        &value["lastTimestamp"],
        &value["eventTime"],
    ];
    let seen = times.into_iter().filter_map(super::object::moment).max();
    seen.or_else(|| event.created())
}

fn without_values(secret: &mut Value) {
    for member in ["data", "stringData"] {
        let entries = secret.get_mut(member).and_then(Value::as_object_mut);
        entries
            .into_iter()
            .flat_map(|entries| entries.values_mut())
            .for_each(|value| *value = Value::Null);
    }
    if let Some(metadata) = secret.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("annotations");
        metadata.remove("managedFields");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_value_of_a_secret_is_kept() {
        let mut snapshot = ClusterSnapshot::new(
            AskedProject::default(),
            Timestamp::UNIX_EPOCH,
            TimeZone::UTC,
        );
        let annotations = json!({"kubectl.kubernetes.io/last-applied-configuration": "hidden-1"});
        snapshot.add(
            "secrets",
            vec![
                json!({"metadata": {"name": "keys", "annotations": annotations},
            "data": {"A": "hidden-2"}, "stringData": {"B": "hidden-3"}}),
            ],
        );
        assert!(!format!("{snapshot:?}").contains("hidden"));
        let secret = snapshot.all(AskedKind::Secret).next().unwrap();
        assert_eq!(
            secret.value["data"]
                .as_object()
                .unwrap()
                .keys()
                .collect::<Vec<_>>(),
            ["A"]
        );
    }

    #[test]
    fn pods_of_another_workload_with_the_same_labels_are_not_its_own() {
        let mut snapshot = ClusterSnapshot::new(
            AskedProject::default(),
            Timestamp::UNIX_EPOCH,
            TimeZone::UTC,
        );
        let pod = |name: &str, owner: &str| {
            let owner = json!([{"controller": true, "kind": "StatefulSet", "name": owner}]);
            json!({"metadata": {"name": name, "namespace": "shop", "labels": {"app": "db"}, "ownerReferences": owner}})
        };
        snapshot.add("pods", vec![pod("db-0", "db"), pod("old-0", "old")]);
        let set = json!({"metadata": {"name": "db", "namespace": "shop"}, "spec": {"selector": {"matchLabels": {"app": "db"}}}});
        snapshot.add("statefulsets", vec![set]);
        let set = snapshot.find(AskedKind::StatefulSet, "shop", "db").unwrap();
        let pods: Vec<_> = snapshot
            .pods_of(set)
            .iter()
            .map(|pod| pod.name().to_owned())
            .collect();
        assert_eq!(pods, ["db-0"]);
    }
}
