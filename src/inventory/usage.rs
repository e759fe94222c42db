//! How much memory and cpu the pods of a cluster use, as each node's kubelet measures it (its Summary API, `/stats/summary`): the
//! working set, which is what the kernel cannot take back.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, ListParams};
use kube::core::Request;
use kube::{Client, ResourceExt};
use serde::{Deserialize, Serialize};

/// The part of a kubelet's answer that is read.
#[derive(Debug, Deserialize)]
struct Summary {
    #[serde(default)]
    pods: Vec<MeasuredPod>,
}

#[derive(Debug, Deserialize)]
struct MeasuredPod {
    #[serde(rename = "podRef")]
    pod: PodReference,
    /// Of the pod's whole cgroup; not every runtime tells it.
    memory: Option<MeasuredMemory>,
    cpu: Option<MeasuredCpu>,
    #[serde(default)]
    containers: Vec<MeasuredContainer>,
}

#[derive(Debug, Deserialize)]
struct PodReference {
    namespace: String,
    name: String,
}

#[derive(Debug, Deserialize)]
struct MeasuredContainer {
    memory: Option<MeasuredMemory>,
    cpu: Option<MeasuredCpu>,
}

#[derive(Debug, Deserialize)]
struct MeasuredMemory {
    #[serde(rename = "workingSetBytes")]
    bytes: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct MeasuredCpu {
    #[serde(rename = "usageNanoCores")]
    nanos: Option<u64>,
}

/// What a pod uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodUse {
    pub memory_bytes: u64,
    /// Billionths of a core; None if the kubelet has not measured it yet.
    pub cpu_nanos: Option<u64>,
}

impl PodUse {
    /// Thousandths of a byte, as quantities are compared ([`crate::quantity::thousandths`]).
    pub fn memory(self) -> f64 {
        self.memory_bytes as f64 * 1e3
    }

    /// Thousandths of a core.
    pub fn cpu(self) -> f64 {
        self.cpu_nanos.unwrap_or_default() as f64 / 1e6
    }
}

/// What the pods of a cluster use, by namespace and name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UseOfMemory(BTreeMap<(String, String), PodUse>);

impl UseOfMemory {
    /// Asks the kubelet of every node, through the API server.
    ///
    /// # Errors
    /// Those of the API server: a cluster of the user's may not let everybody ask.
    pub async fn of(client: &Client) -> kube::Result<Self> {
        let nodes: Api<Node> = Api::all(client.clone());
        let nodes = nodes.list_metadata(&ListParams::default()).await?;
        let summaries = nodes.into_iter().map(|node| async move {
            let summary = Request::new("/api/v1/nodes")
                .get_subresource("proxy/stats/summary", &node.name_any())
                .map_err(kube::Error::BuildRequest)?;
            client.request::<Summary>(summary).await
        });
        Ok(Self::in_summaries(try_join_all(summaries).await?))
    }

    fn in_summaries(summaries: Vec<Summary>) -> Self {
        let pods = summaries.into_iter().flat_map(|summary| summary.pods);
        let measured = pods.filter_map(|pod| {
            let own_or_sum = |own: Option<u64>, of: fn(&MeasuredContainer) -> Option<u64>| {
                let of_containers = pod.containers.iter().filter_map(of);
                own.or_else(|| of_containers.reduce(|sum, one| sum + one))
            };
            let bytes = pod.memory.as_ref().and_then(|memory| memory.bytes);
            let nanos = pod.cpu.as_ref().and_then(|cpu| cpu.nanos);
            let used = PodUse {
                memory_bytes: own_or_sum(bytes, |one| one.memory.as_ref()?.bytes)?,
                cpu_nanos: own_or_sum(nanos, |one| one.cpu.as_ref()?.nanos),
            };
            Some(((pod.pod.namespace, pod.pod.name), used))
        });
        Self(measured.collect())
    }

    /// What these pods use together. A pod that was not measured yet, since it has just started, counts as nothing.
    pub(super) fn of_pods(&self, pods: &[Pod]) -> u64 {
        let key = |pod: &Pod| (pod.namespace().unwrap_or_default(), pod.name_any());
        let used = pods.iter().filter_map(|pod| self.0.get(&key(pod)));
        used.map(|used| used.memory_bytes).sum()
    }

    /// All of it, by namespace and name.
    pub fn into_pods(self) -> BTreeMap<(String, String), PodUse> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pods_own_figure_counts_and_else_those_of_its_containers() {
        let memory = |bytes: u64| json!({"time": "t", "workingSetBytes": bytes, "rssBytes": 1});
        let summary = json!({"node": {}, "pods": [
            {"podRef": {"name": "api", "namespace": "shop", "uid": "1"}, "memory": memory(70),
                "containers": [{"name": "a", "memory": memory(50)}]},
            {"podRef": {"name": "web", "namespace": "shop"}, "containers": [
                {"name": "a", "memory": memory(20)}, {"name": "b", "memory": memory(3)}, {"name": "c"}]},
            {"podRef": {"name": "new", "namespace": "shop"}},
            {"podRef": {"name": "api", "namespace": "other"}, "memory": memory(1000)},
        ]});
        let used = UseOfMemory::in_summaries(vec![serde_json::from_value(summary).unwrap()]);
        let pod = |name: &str| -> Pod {
            serde_json::from_value(json!({"metadata": {"name": name, "namespace": "shop"}}))
                .unwrap()
        };
        assert_eq!(used.of_pods(&[pod("api"), pod("web"), pod("new")]), 93);
    }
}
