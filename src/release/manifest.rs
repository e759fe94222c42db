//! What a chart renders to, as far as devk needs it: Services, workloads and images.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value;

use super::pods::list;
use super::yaml;
use crate::error::{Code, Error, Result};
use crate::image::ReferenceParts;

mod services;

pub use services::{ManifestService, ServicePort};

/// One rendered object.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// helm's name of the template: `shop/templates/api.yaml`; empty if helm did not say.
    pub source: String,
    pub object: Value,
}

/// All objects of a release, hooks included, chart tests left out.
#[derive(Debug, Clone, Default)]
pub struct Rendered {
    pub manifests: Vec<Manifest>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkloadKind {
    Deployment,
    StatefulSet,
    DaemonSet,
    Job,
    Pod,
}

/// Something whose pods a release waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Workload {
    pub kind: WorkloadKind,
    pub namespace: String,
    pub name: String,
    /// A Job that Kubernetes removes some time after it has ended (`ttlSecondsAfterFinished`).
    pub expires: bool,
}

impl std::fmt::Display for Workload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.kind.noun(), self.name)
    }
}

/// A use of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUse {
    pub image: String,
    pub pull_policy: Option<String>,
    /// `Deployment/api`.
    pub object: String,
    pub container: String,
    pub source: String,
    /// helm runs the object as a hook.
    pub is_of_hook: bool,
}

impl Rendered {
    /// Reads the output of `helm template`.
    ///
    /// # Errors
    /// [`Code::ChartRender`] naming the template if a document is not YAML.
    pub fn parse(text: &str) -> Result<Self> {
        let mut manifests = Vec::new();
        for document in documents(text).into_iter().map(|range| &text[range]) {
            let source = document
                .lines()
                .find_map(|l| l.strip_prefix("# Source: "))
                .unwrap_or_default()
                .trim();
            let object = yaml::parse(document).map_err(|(message, _)| {
                Error::new(
                    Code::ChartRender,
                    format!("`{source}` does not render to YAML: {message}"),
                )
            })?;
            flatten(source, object, &mut manifests);
        }
        manifests.retain(|manifest| !manifest.is_test());
        Ok(Self { manifests })
    }

    /// Everything with pods that is no hook, sorted. helm itself waits for hooks.
    pub fn workloads(&self, namespace: &str) -> Vec<Workload> {
        let installed = self.manifests.iter().filter(|m| !m.is_hook());
        let mut workloads: Vec<_> = installed.filter_map(|m| m.workload(namespace)).collect();
        workloads.sort();
        workloads
    }

    /// Every image: of the containers of workloads and hooks, of image volumes, and in custom resources wherever
    /// `image` is a reference. `Rewrite` changes the same ones.
    pub fn images(&self) -> Vec<ImageUse> {
        let mut uses = Vec::new();
        for manifest in &self.manifests {
            if may_name_images(manifest.kind()) {
                manifest.images_below(&manifest.object, &mut uses);
            }
        }
        uses
    }

    /// True if some value holds exactly this reference, alone or within a longer text (an argument,
    /// an environment variable, a ConfigMap).
    pub fn mentions(&self, reference: &str) -> bool {
        self.manifests
            .iter()
            .any(|m| any_string(&m.object, &|text| has_reference(text, reference)))
    }
}

impl Manifest {
    pub fn kind(&self) -> &str {
        self.object["kind"].as_str().unwrap_or_default()
    }

    pub fn name(&self) -> Option<&str> {
        self.object["metadata"]["name"].as_str()
    }

    /// The manifest's own namespace, else the release's.
    pub fn namespace(&self, release: &str) -> String {
        self.object["metadata"]["namespace"]
            .as_str()
            .unwrap_or(release)
            .to_owned()
    }

    /// True if helm runs it as a hook instead of installing it.
    pub fn is_hook(&self) -> bool {
        self.hooks().next().is_some()
    }

    /// True if helm runs it at this event, such as `pre-install`.
    pub fn is_hook_of(&self, event: &str) -> bool {
        self.hooks().any(|hook| hook == event)
    }

    fn is_test(&self) -> bool {
        let mut hooks = self.hooks().peekable();
        hooks.peek().is_some()
            && hooks.all(|hook| matches!(hook, "test" | "test-success" | "test-failure"))
    }

    fn hooks(&self) -> impl Iterator<Item = &str> {
        let hooks = self.object["metadata"]["annotations"]["helm.sh/hook"]
            .as_str()
            .unwrap_or_default();
        hooks
            .split(',')
            .map(str::trim)
            .filter(|hook| !hook.is_empty())
    }

    fn is(&self, version: &str, kind: &str) -> bool {
        self.object["apiVersion"] == version && self.kind() == kind
    }

    fn workload(&self, namespace: &str) -> Option<Workload> {
        let kind = match (self.object["apiVersion"].as_str()?, self.kind()) {
            ("apps/v1", "Deployment") => WorkloadKind::Deployment,
            ("apps/v1", "StatefulSet") => WorkloadKind::StatefulSet,
            ("apps/v1", "DaemonSet") => WorkloadKind::DaemonSet,
            ("batch/v1", "Job") => WorkloadKind::Job,
            ("v1", "Pod") => WorkloadKind::Pod,
            _ => return None,
        };
        let expires =
            kind == WorkloadKind::Job && !self.object["spec"]["ttlSecondsAfterFinished"].is_null();
        Some(Workload {
            kind,
            namespace: self.namespace(namespace),
            name: self.name()?.to_owned(),
            expires,
        })
    }

    /// The pod, or the pod template of a workload.
    fn template(&self) -> Option<&Value> {
        if self.is("v1", "Pod") {
            return Some(&self.object);
        }
        let spec = &self.object["spec"];
        spec.get("template")
            .or_else(|| spec.pointer("/jobTemplate/spec/template"))
    }

    /// The labels of the pods that it makes; none if it makes none.
    pub fn pod_labels(&self) -> BTreeMap<String, String> {
        let labels = self
            .template()
            .map(|template| &template["metadata"]["labels"]);
        let labels = labels.and_then(Value::as_object).into_iter().flatten();
        let texts =
            labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        texts.collect()
    }

    /// `Deployment/api`.
    pub fn object_name(&self) -> String {
        format!("{}/{}", self.kind(), self.name().unwrap_or_default())
    }

    fn images_below(&self, value: &Value, uses: &mut Vec<ImageUse>) {
        for (key, below) in value.as_object().into_iter().flatten() {
            match (key.as_str(), below) {
                ("metadata", _) => {}
                ("image", Value::String(image)) => {
                    uses.extend(self.image_use(value, image, &value["imagePullPolicy"]));
                }
                ("image", volume) if volume["reference"].is_string() => {
                    let image = volume["reference"].as_str().unwrap_or_default();
                    uses.extend(self.image_use(value, image, &volume["pullPolicy"]));
                }
                _ => self.images_below(below, uses),
            }
        }
        for item in list(value) {
            self.images_below(item, uses);
        }
    }

    fn image_use(&self, owner: &Value, image: &str, policy: &Value) -> Option<ImageUse> {
        ReferenceParts::parse(image)?;
        Some(ImageUse {
            image: image.to_owned(),
            pull_policy: policy.as_str().map(str::to_owned),
            object: self.object_name(),
            container: owner["name"].as_str().unwrap_or_default().to_owned(),
            source: self.source.clone(),
            is_of_hook: self.is_hook(),
        })
    }
}

impl ImageUse {
    /// The kubelet asks the registry before each start of the container (Kubernetes, "Image pull policy").
    pub fn is_always_pulled(&self) -> bool {
        match self.pull_policy.as_deref() {
            Some(policy) => policy == "Always",
            None => ReferenceParts::parse(&self.image).is_some_and(|found| found.is_latest()),
        }
    }
}

impl WorkloadKind {
    /// As in `kubectl get deployment`.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::StatefulSet => "statefulset",
            Self::DaemonSet => "daemonset",
            Self::Job => "job",
            Self::Pod => "pod",
        }
    }
}

/// What ConfigMaps, Secrets and definitions call `image` is nobody's container.
pub(super) fn may_name_images(kind: &str) -> bool {
    !matches!(kind, "ConfigMap" | "Secret" | "CustomResourceDefinition")
}

/// Where the documents of a text stand, in bytes. helm separates documents by a line of `---`.
pub(in crate::release) fn documents(text: &str) -> Vec<Range<usize>> {
    let mut documents = Vec::new();
    let mut begin = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_end() == "---" {
            documents.push(begin..at);
            begin = at + line.len();
        }
        at += line.len();
    }
    documents.push(begin..at);
    documents
}

/// `kind: List` is taken apart; empty documents are dropped.
fn flatten(source: &str, object: Value, manifests: &mut Vec<Manifest>) {
    match object {
        Value::Object(mut map) if map.get("kind").and_then(Value::as_str) == Some("List") => {
            for item in map
                .get_mut("items")
                .and_then(Value::as_array_mut)
                .map(std::mem::take)
                .into_iter()
                .flatten()
            {
                flatten(source, item, manifests);
            }
        }
        Value::Object(_) => manifests.push(Manifest {
            source: source.to_owned(),
            object,
        }),
        _ => {}
    }
}

fn any_string(value: &Value, test: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => test(text),
        Value::Array(items) => items.iter().any(|item| any_string(item, test)),
        Value::Object(map) => map.values().any(|item| any_string(item, test)),
        _ => false,
    }
}

/// `devk.local/shop/api:0123` within a text, but not as a part of another reference.
fn has_reference(text: &str, reference: &str) -> bool {
    let part_of_name = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    text.match_indices(reference).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + reference.len()..].chars().next();
        !before.is_some_and(part_of_name)
            && !after.is_some_and(|c| c.is_ascii_alphanumeric() || "_-@".contains(c))
    })
}

/// Third-party and devk-built references, each once, in order.
pub fn references(uses: &[ImageUse]) -> Vec<&str> {
    let unique: BTreeMap<&str, ()> = uses.iter().map(|u| (u.image.as_str(), ())).collect();
    unique.into_keys().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RENDERED: &str = r#"---
# Source: shop/templates/api.yaml
apiVersion: v1
kind: Service
metadata: {name: api}
spec:
  selector: {app: api}
  ports:
  - {name: http, port: "80", targetPort: http}
  - {port: 9000, targetPort: metrics}
  - {port: 53, protocol: UDP}
---
# Source: shop/templates/db.yaml
apiVersion: v1
kind: Service
metadata: {name: db, namespace: data}
spec: {clusterIP: None, type: ClusterIP, ports: [{port: 5432}]}
---
# Source: shop/templates/empty.yaml
# nothing here
---
# Source: shop/templates/api.yaml
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  template:
    metadata: {labels: {app: api, tier: x}}
    spec:
      initContainers: [{name: wait, image: busybox}]
      containers:
      - {name: api, image: "devk.local/shop/api:0123", imagePullPolicy: Always, ports: [{name: http, containerPort: 5000}]}
---
# Source: shop/templates/cron.yaml
apiVersion: batch/v1
kind: CronJob
metadata: {name: clean}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: c, image: "cleaner:1", args: ["--image=devk.local/shop/job:9"]}]}}}}}
---
# Source: shop/templates/list.yaml
apiVersion: v1
kind: List
items:
- {apiVersion: batch/v1, kind: Job, metadata: {name: migrate, annotations: {helm.sh/hook: "pre-install,pre-upgrade"}}, spec: {template: {spec: {containers: [{name: m, image: migrate}]}}}}
- {apiVersion: batch/v1, kind: Job, metadata: {name: seed}}
---
# Source: shop/templates/tests/t.yaml
apiVersion: v1
kind: Pod
metadata: {name: t, annotations: {helm.sh/hook: test}}
spec: {containers: [{name: t, image: tester}]}
"#;

    fn rendered() -> Rendered {
        Rendered::parse(RENDERED).unwrap()
    }

    #[test]
    fn services_carry_the_container_ports_behind_them() {
        let services = rendered().services("shop");
        assert_eq!(
            (services[0].name.as_str(), services[0].source.as_str()),
            ("api", "shop/templates/api.yaml")
        );
        let ports: Vec<_> = services[0]
            .ports
            .iter()
            .map(|p| (p.port, p.target, p.protocol.as_str()))
            .collect();
        assert_eq!(
            ports,
            [
                (80, Some(5000), "TCP"),
                (9000, None, "TCP"),
                (53, Some(53), "UDP")
            ]
        );
        assert_eq!(
            (services[1].namespace.as_str(), services[1].headless),
            ("data", true)
        );
    }

    #[test]
    fn workloads_leave_out_hooks_and_tests() {
        let names: Vec<_> = rendered()
            .workloads("shop")
            .into_iter()
            .map(|w| (w.kind, w.name))
            .collect();
        assert_eq!(
            names,
            [
                (WorkloadKind::Deployment, "api".to_owned()),
                (WorkloadKind::Job, "seed".to_owned())
            ]
        );
    }

    #[test]
    fn a_job_expires_if_its_manifest_says_so() {
        let job = |spec: &str| {
            let text = format!(
                "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: seed}}\nspec: {spec}\n"
            );
            Rendered::parse(&text).unwrap().workloads("shop")[0].expires
        };
        assert!(job("{ttlSecondsAfterFinished: 0}"));
        assert!(!job("{ttlSecondsAfterFinished: null}") && !job("{}"));
    }

    #[test]
    fn images_are_found_in_init_containers_hooks_and_cron_jobs() {
        let uses = rendered().images();
        assert_eq!(
            references(&uses),
            [
                "busybox",
                "cleaner:1",
                "devk.local/shop/api:0123",
                "migrate"
            ]
        );
        let api = uses.iter().find(|u| u.container == "api").unwrap();
        assert_eq!(
            (api.pull_policy.as_deref(), api.object.as_str()),
            (Some("Always"), "Deployment/api")
        );
    }

    #[test]
    fn a_reference_counts_only_when_it_is_exact() {
        assert!(rendered().mentions("devk.local/shop/api:0123"));
        assert!(
            rendered().mentions("devk.local/shop/job:9"),
            "an argument may carry it"
        );
        assert!(!rendered().mentions("devk.local/shop/api:012"));
        assert!(!has_reference(
            "docker.io/devk.local/shop/api:0123",
            "devk.local/shop/api:0123"
        ));
        assert!(has_reference(
            "uses devk.local/shop/api:0123, or so",
            "devk.local/shop/api:0123"
        ));
    }

    #[test]
    fn a_document_that_is_no_yaml_names_its_template() {
        let error = Rendered::parse("---\n# Source: shop/templates/x.yaml\na: [\n").unwrap_err();
        assert!(error.code == Code::ChartRender && error.message.contains("shop/templates/x.yaml"));
    }
}
