//! The pods of a project: all of its own namespace, and in other namespaces those of the workloads that its releases
//! have put there.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use serde::{Deserialize, Serialize};

use super::installed::{self, Installed, unreachable};
use super::labels::{PodLabels, has_all, words};
use super::manifest::Rendered;
use super::record::all_manifests;
use crate::error::Result;

/// Where the pods of a project are, by helm's records of its releases.
#[derive(Debug, Clone)]
pub struct ProjectPods {
    /// The id of the project, which is the name of its own namespace.
    project: String,
    /// The revisions whose records were read.
    releases: Vec<Installed>,
    /// Other namespaces, and the labels of the pods that each workload makes there.
    others: BTreeMap<String, Vec<PodLabels>>,
}

/// Pods of one namespace that have all of these labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodSelector {
    pub namespace: String,
    pub labels: PodLabels,
}

impl ProjectPods {
    /// By the records as they are now.
    ///
    /// # Errors
    /// [`crate::error::Code::ClusterUnreachable`], and those of [`Installed::manifests`].
    pub async fn of(client: &Client, project: &str) -> Result<Self> {
        let mut pods = Self {
            project: project.to_owned(),
            releases: vec![],
            others: BTreeMap::new(),
        };
        pods.look(client).await?;
        Ok(pods)
    }

    /// Reads the records that have changed since: one request if none has.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub async fn look(&mut self, client: &Client) -> Result<()> {
        let now = installed::releases(client, &self.project).await?;
        if now == self.releases {
            return Ok(());
        }
        let installed = all_manifests(client, &self.project, &now).await?;
        self.others = elsewhere(installed.iter(), &self.project);
        self.releases = now;
        Ok(())
    }

    /// The project's own namespace and the others that have pods of it.
    pub fn namespaces(&self) -> BTreeSet<&str> {
        let others = self.others.keys().map(String::as_str);
        others.chain([self.project.as_str()]).collect()
    }

    /// The pods that are there, or those of them that a selector chooses.
    ///
    /// # Errors
    /// [`crate::error::Code::ClusterUnreachable`].
    pub async fn list(&self, client: &Client, selector: Option<&PodSelector>) -> Result<Vec<Pod>> {
        let namespaces = match selector {
            Some(selector) => [selector.namespace.as_str()].into(),
            None => self.namespaces(),
        };
        let params = ListParams {
            label_selector: selector.map(|selector| words(&selector.labels)),
            ..ListParams::default()
        };
        let lists = namespaces.into_iter().map(|namespace| {
            let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
            let params = &params;
            async move { api.list(params).await }
        });
        let lists = try_join_all(lists)
            .await
            .map_err(|e| unreachable(&e, "list the pods"))?;
        let mut pods: Vec<_> = lists.into_iter().flatten().collect();
        pods.retain(|pod| self.includes(pod));
        Ok(pods)
    }

    fn includes(&self, pod: &Pod) -> bool {
        let namespace = pod.namespace().unwrap_or_default();
        let has = |labels: &PodLabels| has_all(pod.labels(), labels);
        let others = self.others.get(&namespace);
        namespace == self.project || others.is_some_and(|workloads| workloads.iter().any(has))
    }
}

/// The labels of the pods of each workload outside of the project's namespace. Hooks are left out: helm waits for them.
pub fn elsewhere<'a>(
    installed: impl Iterator<Item = &'a Rendered>,
    project: &str,
) -> BTreeMap<String, Vec<PodLabels>> {
    let mut found = BTreeMap::<String, Vec<PodLabels>>::new();
    for manifest in installed.flat_map(|rendered| &rendered.manifests) {
        let namespace = manifest.namespace(project);
        let labels = manifest.pod_labels();
        // Without labels every pod of the namespace would count.
        if namespace != project && !manifest.is_hook() && !labels.is_empty() {
            found.entry(namespace).or_default().push(labels);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pods() -> ProjectPods {
        let text = "kind: Deployment
metadata: {name: web, namespace: elsewhere}
spec: {template: {metadata: {labels: {app: web, tier: front}}}}
---
kind: CronJob
metadata: {name: nightly, namespace: elsewhere}
spec: {jobTemplate: {spec: {template: {metadata: {labels: {app: nightly}}}}}}
---
kind: Pod
metadata: {name: bare, namespace: third}
---
kind: Role
metadata: {name: reader, namespace: kube-system}
";
        let rendered = Rendered::parse(text).unwrap();
        ProjectPods {
            project: "shop".to_owned(),
            releases: vec![],
            others: elsewhere([&rendered].into_iter(), "shop"),
        }
    }

    #[test]
    fn in_other_namespaces_only_pods_of_own_workloads_count() {
        let pods = pods();
        let namespaces: Vec<_> = pods.namespaces().into_iter().collect();
        assert_eq!(namespaces, ["elsewhere", "shop"]);
        let is_own = |namespace: &str, labels: serde_json::Value| {
            let metadata = json!({"name": "p", "namespace": namespace, "labels": labels});
            pods.includes(&serde_json::from_value(json!({"metadata": metadata})).unwrap())
        };
        assert!(is_own("shop", json!({})));
        assert!(is_own(
            "elsewhere",
            json!({"app": "web", "tier": "front", "hash": "1"})
        ));
        assert!(is_own("elsewhere", json!({"app": "nightly"})));
        assert!(!is_own("elsewhere", json!({"app": "web"})));
        assert!(!is_own("third", json!({})));
    }
}
