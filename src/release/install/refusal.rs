//! Fields that Kubernetes changes in no object once it is there: which object, which field, and how to make it again.
//!
//! helm quotes the API server, in v3 (`cannot patch "migrate" with kind Job: Job.batch "migrate" is invalid: …`) and in
//! v4 (`server-side apply failed for object shop/migrate batch/v1, Kind=Job: Job.batch "migrate" is invalid: …`) alike.

use kube::Client;
use kube::api::{Api, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::Value;

use super::claim;
use crate::error::{Code, Error, on_cluster};
use crate::release::manifest::{Manifest, Rendered};
use crate::release::prepare::Prepared;
use crate::release::written::Written;
use crate::shell::quote;

/// How the API server says that a field cannot change (`k8s.io/apimachinery/pkg/api/validation`, and each kind's own).
const IMMUTABLE: [&str; 8] = [
    "can not be less than",
    "field is immutable",
    "is immutable after",
    "may not change once set",
    "cannot change roleRef",
    "updates to statefulset spec for fields other than",
    "pod updates may not change fields other than",
    "updates to parameters are forbidden",
];

/// What a StatefulSet may change in place.
const STATEFUL_SET_MAY: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

/// An object that the API server left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::release) struct Refusal {
    pub(super) kind: String,
    /// `apps`; empty for the core group.
    group: String,
    pub(super) name: String,
    /// `spec.template`.
    field: String,
}

/// The refusals in helm's output.
pub(super) fn refusals(error: &Error) -> Vec<Refusal> {
    let mut found: Vec<Refusal> = vec![];
    for line in &error.evidence {
        for refusal in of_line(line) {
            if !found.contains(&refusal) {
                found.push(refusal);
            }
        }
    }
    found
}

fn of_line(line: &str) -> Vec<Refusal> {
    let parts: Vec<_> = line.split("\" is invalid: ").collect();
    let pairs = parts.windows(2).filter_map(|pair| {
        let (before, after) = (pair[0], pair[1]);
        let (before, name) = before.rsplit_once(" \"")?;
        let kind = before.rsplit(' ').next()?;
        let (kind, group) = kind.split_once('.').unwrap_or((kind, ""));
        if !IMMUTABLE.iter().any(|words| after.contains(words)) {
            return None;
        }
        let field = after.trim_start_matches('[').split(": ").next()?;
        Some(Refusal {
            kind: kind.to_owned(),
            group: group.to_owned(),
            name: name.to_owned(),
            field: field.to_owned(),
        })
    });
    let fixed = claim::of_fixed_size(line).map(|name| Refusal {
        kind: "PersistentVolumeClaim".to_owned(),
        group: String::new(),
        name: name.to_owned(),
        field: CLAIM_SIZE.to_owned(),
    });
    pairs.chain(fixed).collect()
}

const CLAIM_SIZE: &str = "spec.resources.requests.storage";

impl Refusal {
    pub(super) fn manifest<'a>(&self, rendered: &'a Rendered) -> Option<&'a Manifest> {
        let is_it = |manifest: &&Manifest| {
            let version = manifest.object["apiVersion"].as_str().unwrap_or_default();
            let group = version.split_once('/').map_or("", |(group, _)| group);
            manifest.kind() == self.kind
                && group == self.group
                && manifest.name() == Some(&self.name)
        };
        rendered.manifests.iter().find(is_it)
    }

    /// A Job that helm installs as any other object, and that holds nothing.
    pub(super) fn is_job(&self, rendered: &Rendered) -> bool {
        let is_hook = self.manifest(rendered).is_some_and(Manifest::is_hook);
        self.kind == "Job" && self.group == "batch" && !is_hook
    }

    /// Whether it is a Job of which nothing has changed but images that devk has built anew.
    pub(super) async fn is_rebuilt_job(
        &self,
        prepared: &Prepared,
        rendered: &Rendered,
        client: &Client,
    ) -> bool {
        let manifest = self.manifest(rendered).filter(|_| self.is_job(rendered));
        let Some(manifest) = manifest else {
            return false;
        };
        let namespace = manifest.namespace(&prepared.namespace);
        let live = live(client, manifest, &JOBS, &namespace).await;
        live.is_some_and(|live| only_rebuilt(&manifest.object["spec"], &live["spec"]))
    }

    /// What helm said, with the object, its field and a way out.
    pub(super) async fn explain(
        &self,
        error: Error,
        prepared: &Prepared,
        rendered: &Rendered,
        client: &Client,
    ) -> Error {
        let manifest = self.manifest(rendered);
        let changes = match manifest {
            Some(manifest) if self.kind == "StatefulSet" => {
                let namespace = manifest.namespace(&prepared.namespace);
                live(client, manifest, &STATEFUL_SETS, &namespace)
                    .await
                    .map(|live| changes(&manifest.object, &live))
            }
            _ => None,
        };
        let first = changes.as_ref().and_then(|changes| changes.first());
        let field = first.map_or(self.field.as_str(), |change| change.field.as_str());
        let how = first.map_or_else(String::new, |change| {
            format!(" ({} → {})", change.from, change.to)
        });
        let why = match self.is_claims_size() {
            true => format!("its volume keeps the size that it has (`{field}`)"),
            false => format!("Kubernetes changes its `{field}`{how} in no existing object"),
        };
        let message = format!(
            "release `{}` cannot be upgraded: {} `{}` is there, and {why}",
            prepared.name, self.kind, self.name
        );
        let others = changes.iter().flatten().skip(1);
        let also: Vec<_> = others
            .map(|change| format!("also {}: {} → {}", change.field, change.from, change.to))
            .collect();
        let error = Error {
            code: Code::ReleaseApply,
            message,
            ..error
        }
        .evidence(also.join("\n"))
        .hint(self.way_out(prepared, rendered));
        match manifest {
            Some(manifest) => {
                let key = field.rsplit('.').next().unwrap_or(field);
                let word = format!("{}:", key.split('[').next().unwrap_or(key));
                Written::new(prepared, rendered, manifest).locate(error, &[&word, "kind:"])
            }
            None => error.at(&prepared.origin.file, prepared.origin.line),
        }
    }

    /// The size that a claim is to have, and does not get.
    fn is_claims_size(&self) -> bool {
        self.kind == "PersistentVolumeClaim" && self.field == CLAIM_SIZE
    }

    fn way_out(&self, prepared: &Prepared, rendered: &Rendered) -> String {
        let namespace = self.manifest(rendered).map_or_else(
            || prepared.namespace.clone(),
            |m| m.namespace(&prepared.namespace),
        );
        let delete = self.delete(&namespace);
        match self.kind.as_str() {
            "StatefulSet" => format!(
                "make it again; its pods, claims and data stay, and the claims keep their size: {delete}; then `devk up`"
            ),
            "PersistentVolumeClaim" => format!(
                "set the value back, or make the claim again without the data in it: {}; then `devk up`",
                claim::removal(&self.name, &namespace, &prepared.namespace, rendered)
            ),
            "Job" if self.is_job(rendered) => format!(
                "make it again: {delete}; then `devk up`; or have devk do so each time by `replaceJobs: true` in release \
                 `{}` ({})",
                prepared.name,
                prepared.origin.file.display()
            ),
            _ => format!("make it again: {delete}; then `devk up`"),
        }
    }

    fn delete(&self, namespace: &str) -> String {
        let separator = if self.group.is_empty() { "" } else { "." };
        let kind = format!("{}{separator}{}", self.kind.to_lowercase(), self.group);
        let orphan = match self.kind.as_str() {
            "StatefulSet" => " --cascade=orphan",
            _ => "",
        };
        on_cluster(format!(
            "kubectl delete {} {}{orphan} --namespace {namespace}",
            quote(kind),
            quote(&self.name)
        ))
    }
}

/// A field that the chart wants to be another one.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    field: String,
    from: String,
    to: String,
}

/// The fields of a StatefulSet that stand in the chart, cannot change, and differ.
fn changes(rendered: &Value, live: &Value) -> Vec<Change> {
    let mut found = vec![];
    for (key, wanted) in rendered["spec"].as_object().into_iter().flatten() {
        if !STATEFUL_SET_MAY.contains(&key.as_str()) {
            compare(
                wanted,
                &live["spec"][key],
                &format!("spec.{key}"),
                &mut found,
            );
        }
    }
    found
}

/// The API server adds defaults: only what the chart says counts.
fn compare(wanted: &Value, live: &Value, path: &str, found: &mut Vec<Change>) {
    match (wanted, live) {
        (Value::Object(wanted), _) => {
            for (key, wanted) in wanted {
                compare(wanted, &live[key.as_str()], &format!("{path}.{key}"), found);
            }
        }
        (Value::Array(wanted), Value::Array(items)) if wanted.len() == items.len() => {
            for (index, (wanted, live)) in wanted.iter().zip(items).enumerate() {
                compare(wanted, live, &format!("{path}[{index}]"), found);
            }
        }
        (Value::Null, _) => {}
        (wanted, live) if text(wanted) == text(live) => {}
        (wanted, live) => found.push(Change {
            field: path.to_owned(),
            from: text(live),
            to: text(wanted),
        }),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "nothing".to_owned(),
        Value::Array(items) => format!("{} items", items.len()),
        other => other.to_string(),
    }
}

/// Whether images of devk's are all that differs.
fn only_rebuilt(wanted: &Value, live: &Value) -> bool {
    let mut found = vec![];
    compare(wanted, live, "spec", &mut found);
    let is_rebuilt =
        |change: &Change| change.field.ends_with(".image") && crate::image::is_built(&change.to);
    !found.is_empty() && found.iter().all(is_rebuilt)
}

/// A kind of the API server: group, version, kind and its plural.
type LiveKind = [&'static str; 4];

const STATEFUL_SETS: LiveKind = ["apps", "v1", "StatefulSet", "statefulsets"];
const JOBS: LiveKind = ["batch", "v1", "Job", "jobs"];

/// The object as it is in the cluster.
async fn live(
    client: &Client,
    manifest: &Manifest,
    kind: &LiveKind,
    namespace: &str,
) -> Option<Value> {
    let [group, version, kind, plural] = kind;
    let gvk = GroupVersionKind::gvk(group, version, kind);
    let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let object = api.get_opt(manifest.name()?).await.ok()??;
    serde_json::to_value(object).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::release::prepare::fixture;

    fn failed(said: &str) -> Error {
        Error::new(Code::CommandFailed, "`helm` failed").evidence(said)
    }

    fn refusal(said: &str) -> Refusal {
        let mut all = refusals(&failed(said));
        assert_eq!(all.len(), 1, "{said}");
        all.remove(0)
    }

    #[test]
    fn a_job_of_a_rebuilt_image_differs_by_that_alone() {
        let spec = |image: &str, backoff: u32| {
            json!({"backoffLimit": backoff, "template": {"spec": {"restartPolicy": "Never",
                "containers": [{"name": "seed", "image": image}]}}})
        };
        let mut live = spec("devk.local/shop/api:h1", 6);
        live["selector"] = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}});
        assert!(only_rebuilt(&spec("devk.local/shop/api:h2", 6), &live));
        assert!(!only_rebuilt(&spec("devk.local/shop/api:h2", 2), &live));
        assert!(!only_rebuilt(&spec("redis:8", 6), &live));
        assert!(
            !only_rebuilt(&spec("devk.local/shop/api:h1", 6), &live),
            "nothing differs"
        );
    }

    #[test]
    fn the_object_and_its_field_are_read_from_both_helms() {
        let job = Refusal {
            kind: "Job".into(),
            group: "batch".into(),
            name: "shop-migrate".into(),
            field: "spec.template".into(),
        };
        let three = "Error: UPGRADE FAILED: cannot patch \"shop-migrate\" with kind Job: Job.batch \"shop-migrate\" is \
                     invalid: spec.template: Invalid value: …: field is immutable";
        let four = "Error: UPGRADE FAILED: server-side apply failed for object shop/shop-migrate batch/v1, Kind=Job: \
                    Job.batch \"shop-migrate\" is invalid: spec.template: Invalid value: …: field is immutable";
        assert_eq!(refusal(three), job);
        assert_eq!(refusal(four), job);
    }

    #[test]
    fn a_claim_of_another_size_is_one() {
        let grown = "Error: UPGRADE FAILED: cannot patch \"data\" with kind PersistentVolumeClaim: persistentvolumeclaims \
                     \"data\" is forbidden: only dynamically provisioned pvc can be resized and the storageclass that \
                     provisions the pvc must support resize";
        let shrunk = "Error: UPGRADE FAILED: cannot patch \"data\" with kind PersistentVolumeClaim: \
                      PersistentVolumeClaim \"data\" is invalid: spec.resources.requests.storage: Forbidden: field can \
                      not be less than status.capacity";
        assert!(refusal(grown).is_claims_size());
        assert_eq!(refusal(grown), refusal(shrunk));
    }

    #[test]
    fn every_refused_object_of_one_message_is_found() {
        let said = "Error: UPGRADE FAILED: server-side apply failed for object shop/a batch/v1, Kind=Job: Job.batch \"a\" \
                    is invalid: spec.template: Invalid value: …: field is immutable && server-side apply failed for \
                    object shop/b v1, Kind=Service: Service \"b\" is invalid: [spec.clusterIPs[0]: Invalid value: \
                    [\"None\"]: may not change once set, spec.x: Required value]";
        let found = refusals(&failed(said));
        let told: Vec<_> = found
            .iter()
            .map(|refusal| (refusal.kind.as_str(), refusal.field.as_str()))
            .collect();
        assert_eq!(
            told,
            [("Job", "spec.template"), ("Service", "spec.clusterIPs[0]")]
        );
    }

    #[test]
    fn an_object_that_is_merely_wrong_is_no_refusal() {
        let said = "Error: UPGRADE FAILED: Service \"x\" is invalid: spec.ports[0].port: Invalid value: 0: must be \
                    between 1 and 65535, inclusive";
        assert_eq!(refusals(&failed(said)), []);
    }

    const RENDERED: &str = "apiVersion: batch/v1
kind: Job
metadata: {name: seed, namespace: data}
---
apiVersion: batch/v1
kind: Job
metadata: {name: hook, annotations: {helm.sh/hook: pre-upgrade}}
";

    fn way_out(kind: &str, group: &str, name: &str) -> String {
        let refusal = Refusal {
            kind: kind.into(),
            group: group.into(),
            name: name.into(),
            field: "spec".into(),
        };
        let rendered = Rendered::parse(RENDERED).unwrap();
        refusal.way_out(&fixture::prepared(std::path::Path::new("/p")), &rendered)
    }

    #[test]
    fn the_command_names_kind_name_and_namespace_and_keeps_what_holds_data() {
        let on = "--kubeconfig \"$(devk kubeconfig)\"";
        assert_eq!(
            way_out("Service", "", "x"),
            format!(
                "make it again: kubectl delete service x --namespace shop {on}; then `devk up`"
            )
        );
        assert!(way_out("StatefulSet", "apps", "db").contains(&format!(
            "kubectl delete statefulset.apps db --cascade=orphan --namespace shop {on}"
        )));
        let claim = way_out("PersistentVolumeClaim", "", "db");
        assert!(claim.contains("without the data in it"));
        // A claim that a pod uses stays until the pod has ended.
        assert!(
            claim.contains("delete persistentvolumeclaim db --wait=false"),
            "{claim}"
        );
        let job = way_out("Job", "batch", "seed");
        assert!(job.contains(&format!(
            "kubectl delete job.batch seed --namespace data {on}"
        )));
        assert!(job.contains("`replaceJobs: true` in release `shop`"));
        assert!(!way_out("Job", "batch", "hook").contains("replaceJobs"));
    }

    #[test]
    fn the_field_of_a_stateful_set_is_the_one_that_differs() {
        let claim = |size: &str| json!({"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": size}}}});
        let set = |size: &str, replicas: i32| json!({"spec": {"replicas": replicas, "serviceName": "db", "volumeClaimTemplates": [claim(size)]}});
        let mut live = set("1Gi", 1);
        live["spec"]["volumeClaimTemplates"][0]["status"] = json!({"phase": "Pending"});
        live["spec"]["podManagementPolicy"] = json!("OrderedReady");
        let field = "spec.volumeClaimTemplates[0].spec.resources.requests.storage";
        assert_eq!(
            changes(&set("2Gi", 2), &live),
            [Change {
                field: field.into(),
                from: "1Gi".into(),
                to: "2Gi".into()
            }]
        );
    }
}
