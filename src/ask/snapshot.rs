//! What was read of a cluster for one question. Everything that answers is a function of this, so that the answers can be
//! tested against objects of a real cluster without one.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kind::{AskedKind, KINDS};
use super::object::{SeenObject, items, selects};
use crate::inventory::PodUse;

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
            unread: vec![],
            logs: BTreeMap::new(),
            usage: None,
        }
    }

    /// Adds the objects of a kind, named by its plural. The values of Secrets are dropped here, before anything else
    /// sees them, and so are the annotations that repeat them.
    pub fn add(&mut self, plural: &str, mut objects: Vec<Value>) {
        let Some(row) = KINDS.iter().find(|row| row.kind().plural() == plural) else {
            return;
        };
        if row.kind() == AskedKind::Secret {
            objects.iter_mut().for_each(without_values);
        }
        let all = self.objects.entry(row.kind().plural()).or_default();
        all.extend(objects);
        all.sort_by_key(|object| {
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
        let here = || {
            self.all(AskedKind::Pod)
                .filter(|pod| pod.namespace() == of.namespace())
        };
        match of.kind {
            AskedKind::Pod => here().filter(|pod| pod.name() == of.name()).collect(),
            AskedKind::Deployment
            | AskedKind::StatefulSet
            | AskedKind::DaemonSet
            | AskedKind::ReplicaSet => here()
                .filter(|pod| selects(&of.spec()["selector"], &pod.labels()))
                .filter(|pod| self.is_made_by(*pod, of))
                .collect(),
            AskedKind::Job => here()
                .filter(|pod| pod.controller() == Some(("Job", of.name())))
                .collect(),
            AskedKind::CronJob => {
                let jobs: Vec<_> = self
                    .jobs_of(of)
                    .iter()
                    .map(|job| job.name().to_owned())
                    .collect();
                let is_own = |pod: &SeenObject<'_>| {
                    pod.controller().is_some_and(|(kind, name)| {
                        kind == "Job" && jobs.iter().any(|job| job == name)
                    })
                };
                here().filter(is_own).collect()
            }
            AskedKind::Service => {
                let selector = of.spec()["selector"]
                    .as_object()
                    .filter(|selector| !selector.is_empty());
                let fits = |pod: &SeenObject<'_>| {
                    let labels = pod.labels();
                    selector.is_some_and(|s| {
                        s.iter().all(|(key, value)| {
                            labels.get(key).map(String::as_str) == value.as_str()
                        })
                    })
                };
                here().filter(fits).collect()
            }
            AskedKind::DisruptionBudget => here()
                .filter(|pod| selects(&of.spec()["selector"], &pod.labels()))
                .collect(),
            AskedKind::NetworkPolicy => here()
                .filter(|pod| selects(&of.spec()["podSelector"], &pod.labels()))
                .collect(),
            AskedKind::Node => self
                .all(AskedKind::Pod)
                .filter(|pod| pod.spec()["nodeName"].as_str() == Some(of.name()))
                .collect(),
            AskedKind::Namespace => self
                .all(AskedKind::Pod)
                .filter(|pod| pod.namespace() == of.name())
                .collect(),
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
        let here = self
            .all(AskedKind::Job)
            .filter(|job| job.namespace() == cron_job.namespace());
        here.filter(|job| job.controller() == Some(("CronJob", cron_job.name())))
            .collect()
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
        let kind = KINDS
            .iter()
            .map(|row| row.kind())
            .find(|one| one.name() == kind)?;
        Some((kind, name.to_owned()))
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

    /// Whether a Service has an endpoint that is ready.
    pub(super) fn ready_endpoints(&self, service: SeenObject<'_>) -> Vec<String> {
        let slices = self.all(AskedKind::EndpointSlice).filter(|slice| {
            slice.namespace() == service.namespace()
                && slice
                    .labels()
                    .get("kubernetes.io/service-name")
                    .map(String::as_str)
                    == Some(service.name())
        });
        let mut found = vec![];
        for slice in slices {
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
