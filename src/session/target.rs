//! Which pod a connection goes to: the newest Ready one behind the Service. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::discovery::v1::{Endpoint as SliceEndpoint, EndpointSlice};

/// The label by which an EndpointSlice names its Service (Kubernetes, well-known labels).
pub(crate) const SERVICE_LABEL: &str = "kubernetes.io/service-name";

/// A Service port, as EndpointSlices name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub namespace: String,
    pub service: String,
    /// The name of the Service's port; empty where the Service gives none.
    pub port_name: String,
}

/// Where to dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub pod: String,
    /// The port in the pod, resolved from the Service's `targetPort`.
    pub port: u16,
    /// None: only the API server knows the way.
    pub address: Option<IpAddr>,
}

/// What is known of one namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// EndpointSlice → its content.
    pub slices: BTreeMap<String, Slice>,
    /// Pod → creation.
    pub born: BTreeMap<String, Timestamp>,
    /// Why the snapshot may be out of date.
    pub trouble: Option<String>,
}

/// The part of an EndpointSlice that matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slice {
    pub service: String,
    /// Service port name → port in the pods.
    pub ports: BTreeMap<String, u16>,
    /// The pods that are ready and not about to end, and their addresses.
    pub ready: BTreeMap<String, Option<IpAddr>>,
}

impl From<EndpointSlice> for Slice {
    fn from(slice: EndpointSlice) -> Self {
        let ports = slice
            .ports
            .unwrap_or_default()
            .into_iter()
            .filter_map(|port| {
                let number = u16::try_from(port.port?).ok()?;
                Some((port.name.unwrap_or_default(), number))
            });
        Self {
            service: slice
                .metadata
                .labels
                .unwrap_or_default()
                .remove(SERVICE_LABEL)
                .unwrap_or_default(),
            ports: ports.collect(),
            ready: slice
                .endpoints
                .into_iter()
                .filter(is_ready)
                .filter_map(pod)
                .collect(),
        }
    }
}

/// An unknown `ready` counts as true (EndpointConditions, discovery.k8s.io/v1).
fn is_ready(endpoint: &SliceEndpoint) -> bool {
    endpoint
        .conditions
        .as_ref()
        .is_none_or(|c| c.ready.unwrap_or(true) && !c.terminating.unwrap_or(false))
}

fn pod(endpoint: SliceEndpoint) -> Option<(String, Option<IpAddr>)> {
    let address = endpoint
        .addresses
        .first()
        .and_then(|address| address.parse().ok());
    Some((
        endpoint
            .target_ref
            .filter(|target| target.kind.as_deref() == Some("Pod"))?
            .name?,
        address,
    ))
}

/// The newest Ready pod behind the target that `is_synced`, one that was not `tried` before others; among
/// equals the last by name, so that the choice is stable.
pub fn choose(
    snapshot: &Snapshot,
    target: &Target,
    tried: &BTreeSet<String>,
    is_synced: impl Fn(&str) -> bool,
) -> Option<Endpoint> {
    let slices = snapshot
        .slices
        .values()
        .filter(|slice| slice.service == target.service);
    let dialable = slices.filter_map(|slice| Some((slice, *slice.ports.get(&target.port_name)?)));
    let pods = dialable.flat_map(|(slice, port)| slice.ready.iter().map(move |pod| (pod, port)));
    let synced = pods.filter(|((pod, _), _)| is_synced(pod));
    let ((pod, address), port) = synced
        .max_by_key(|((pod, _), _)| (!tried.contains(*pod), snapshot.born.get(*pod), *pod))?;
    Some(Endpoint {
        pod: pod.clone(),
        port,
        address: *address,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `pods`: (name, ready, terminating).
    fn slice(service: &str, port: &str, number: i32, pods: &[(&str, Option<bool>, bool)]) -> Slice {
        let endpoints = pods.iter().map(|(pod, ready, terminating)| {
            serde_json::json!({"addresses": ["10.0.0.1"], "conditions": {"ready": ready, "terminating": terminating},
                               "targetRef": {"kind": "Pod", "name": pod}})
        });
        let slice: EndpointSlice = serde_json::from_value(serde_json::json!({
            "addressType": "IPv4", "metadata": {"name": "x", "labels": {"kubernetes.io/service-name": service}},
            "ports": [{"name": port, "port": number}], "endpoints": endpoints.collect::<Vec<_>>()
        }))
        .unwrap();
        slice.into()
    }

    fn snapshot(slices: Vec<Slice>, born: &[(&str, i64)]) -> Snapshot {
        let slices = slices
            .into_iter()
            .enumerate()
            .map(|(n, slice)| (n.to_string(), slice))
            .collect();
        let born = born
            .iter()
            .map(|(pod, s)| ((*pod).to_owned(), Timestamp::from_second(*s).unwrap()))
            .collect();
        Snapshot {
            slices,
            born,
            trouble: None,
        }
    }

    fn chosen(snapshot: &Snapshot, port_name: &str, tried: &[&str]) -> Option<(String, u16)> {
        let target = Target {
            namespace: "ns".into(),
            service: "api".into(),
            port_name: port_name.into(),
        };
        let tried = tried.iter().map(|pod| (*pod).to_owned()).collect();
        choose(snapshot, &target, &tried, |_| true).map(|e| (e.pod, e.port))
    }

    fn some(pod: &str, port: u16) -> Option<(String, u16)> {
        Some((pod.to_owned(), port))
    }

    #[test]
    fn the_newest_ready_pod_is_chosen() {
        let pods = [
            ("old", Some(true), false),
            ("new", Some(true), false),
            ("newest", Some(false), false),
        ];
        let snapshot = snapshot(
            vec![slice("api", "", 8080, &pods)],
            &[("old", 1), ("new", 2), ("newest", 3)],
        );
        assert_eq!(chosen(&snapshot, "", &[]), some("new", 8080));
    }

    #[test]
    fn a_pod_that_is_about_to_end_is_not_chosen_and_an_unknown_readiness_is() {
        let pods = [("ending", Some(true), true), ("unknown", None, false)];
        let snapshot = snapshot(
            vec![slice("api", "", 8080, &pods)],
            &[("unknown", 1), ("ending", 2)],
        );
        assert_eq!(chosen(&snapshot, "", &[]), some("unknown", 8080));
    }

    #[test]
    fn the_port_is_resolved_by_its_name_in_the_slice_that_has_the_pod() {
        let slices = vec![
            slice("api", "http", 8080, &[("old", Some(true), false)]),
            slice("api", "http", 9090, &[("new", Some(true), false)]),
            slice("api", "metrics", 1, &[("new", Some(true), false)]),
            slice("other", "http", 2, &[("newest", Some(true), false)]),
        ];
        let snapshot = snapshot(slices, &[("old", 1), ("new", 2), ("newest", 3)]);
        assert_eq!(chosen(&snapshot, "http", &[]), some("new", 9090));
        assert_eq!(chosen(&snapshot, "absent", &[]), None);
    }

    #[test]
    fn a_tried_pod_comes_last_but_again_if_it_is_the_only_one() {
        let pods = [("old", Some(true), false), ("new", Some(true), false)];
        let snapshot = snapshot(vec![slice("api", "", 80, &pods)], &[("old", 1), ("new", 2)]);
        assert_eq!(chosen(&snapshot, "", &["new"]), some("old", 80));
        assert_eq!(chosen(&snapshot, "", &["new", "old"]), some("new", 80));
    }

    #[test]
    fn a_pod_that_is_not_admitted_yet_is_not_chosen() {
        let pods = [("old", Some(true), false), ("new", Some(true), false)];
        let snapshot = snapshot(vec![slice("api", "", 80, &pods)], &[("old", 1), ("new", 2)]);
        let target = Target {
            namespace: "ns".into(),
            service: "api".into(),
            port_name: String::new(),
        };
        let chosen = choose(&snapshot, &target, &BTreeSet::new(), |pod| pod != "new");
        assert_eq!(chosen.map(|endpoint| endpoint.pod).as_deref(), Some("old"));
    }

    #[test]
    fn a_service_whose_pods_are_all_gone_has_a_slice_with_null_endpoints() {
        let empty: EndpointSlice = serde_json::from_value(serde_json::json!({
            "addressType": "IPv4", "metadata": {"labels": {"kubernetes.io/service-name": "api"}},
            "ports": null, "endpoints": null
        }))
        .unwrap();
        assert_eq!(
            Slice::from(empty),
            Slice {
                service: "api".into(),
                ..Slice::default()
            }
        );
    }

    #[test]
    fn an_endpoint_without_a_pod_cannot_be_chosen() {
        let external: EndpointSlice = serde_json::from_value(serde_json::json!({
            "addressType": "IPv4", "metadata": {"labels": {"kubernetes.io/service-name": "api"}},
            "ports": [{"port": 80}], "endpoints": [{"addresses": ["192.0.2.1"]}]
        }))
        .unwrap();
        assert_eq!(chosen(&snapshot(vec![external.into()], &[]), "", &[]), None);
    }
}
