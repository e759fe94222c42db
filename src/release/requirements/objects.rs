//! Objects that a release names, and that neither it nor the cluster has: without a StorageClass a claim waits for
//! ever, without a claim its pod does, and without a ServiceAccount, PriorityClass or RuntimeClass no pod is made.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, ServiceAccount};
use k8s_openapi::api::node::v1::RuntimeClass;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use serde_json::Value;

use super::{named, names};
use crate::error::{Code, Error, on_cluster};
use crate::release::manifest::{Manifest, Rendered};
use crate::release::pods::{self, list};
use crate::release::prepare::Prepared;
use crate::release::written::Written;
use crate::shell::quote;

/// The annotation of the StorageClass that claims without one get.
const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

/// The kinds that are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    StorageClass,
    PersistentVolumeClaim,
    ServiceAccount,
    PriorityClass,
    RuntimeClass,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::StorageClass => "StorageClass",
            Self::PersistentVolumeClaim => "PersistentVolumeClaim",
            Self::ServiceAccount => "ServiceAccount",
            Self::PriorityClass => "PriorityClass",
            Self::RuntimeClass => "RuntimeClass",
        }
    }

    /// The field of a claim or pod that names it.
    const fn field(self) -> &'static str {
        match self {
            Self::StorageClass => "storageClassName",
            Self::PersistentVolumeClaim => "claimName",
            Self::ServiceAccount => "serviceAccountName",
            Self::PriorityClass => "priorityClassName",
            Self::RuntimeClass => "runtimeClassName",
        }
    }
}

/// One name in one rendered object.
struct Need<'a> {
    kind: Kind,
    /// None: the default StorageClass.
    name: Option<String>,
    manifest: &'a Manifest,
    /// ``claim `data-db-0` of StatefulSet `db` ``.
    whose: String,
}

/// What the cluster has of a kind.
struct Found {
    names: BTreeSet<String>,
    /// The StorageClass that claims without one get.
    default: Option<String>,
}

/// An error for each name in a rendered object that nobody has, with template, line and value. `others` are the
/// project's other releases, which may bring it. A kind that the API server does not show is not looked for.
pub async fn missing_objects(
    client: &Client,
    prepared: &Prepared,
    rendered: &Rendered,
    others: &[&Rendered],
) -> Vec<Error> {
    let needs = needs(rendered);
    let kinds: BTreeSet<Kind> = needs.iter().map(|need| need.kind).collect();
    let mut known = BTreeMap::new();
    for kind in kinds {
        if let Some(found) = found(client, kind, &prepared.namespace).await {
            known.insert(kind, found);
        }
    }
    let missing = needs.iter().filter_map(|need| {
        let found = known.get(&need.kind)?;
        let is_there = match &need.name {
            Some(name) => found.names.contains(name) || brings(rendered, others, need.kind, name),
            None => found.default.is_some() || brings_any(rendered, others, need.kind),
        };
        (!is_there).then(|| error(prepared, rendered, need, found))
    });
    missing.collect()
}

fn needs(rendered: &Rendered) -> Vec<Need<'_>> {
    let mut needs: Vec<_> = rendered.manifests.iter().flat_map(of_claims).collect();
    for pod in pods::pods(rendered) {
        for kind in [
            Kind::ServiceAccount,
            Kind::PriorityClass,
            Kind::RuntimeClass,
        ] {
            let name = pod.spec[kind.field()].as_str();
            // Every namespace and cluster has these.
            let named_one =
                name.filter(|name| !["", "default"].contains(name) && !name.starts_with("system-"));
            needs.extend(named_one.map(|name| Need {
                kind,
                name: Some(name.to_owned()),
                manifest: pod.manifest,
                whose: named(pod.manifest),
            }));
        }
        let volumes = list(&pod.spec["volumes"]);
        let claims =
            volumes.filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str());
        needs.extend(claims.map(|name| Need {
            kind: Kind::PersistentVolumeClaim,
            name: Some(name.to_owned()),
            manifest: pod.manifest,
            whose: named(pod.manifest),
        }));
    }
    needs
}

/// Claims of their own, and those that a StatefulSet makes for its pods.
fn of_claims(manifest: &Manifest) -> Vec<Need<'_>> {
    let object = &manifest.object;
    let need = |spec: &Value, whose: String| {
        let name = spec["storageClassName"].as_str();
        // `""` asks for a volume that somebody made by hand; so does the name of a volume.
        let is_static = name == Some("") || spec["volumeName"].is_string();
        (!is_static).then(|| Need {
            kind: Kind::StorageClass,
            name: name.map(str::to_owned),
            manifest,
            whose,
        })
    };
    match manifest.kind() {
        "PersistentVolumeClaim" => {
            let name = manifest.name().unwrap_or_default();
            need(&object["spec"], format!("claim `{name}`"))
                .into_iter()
                .collect()
        }
        "StatefulSet" => list(&object["spec"]["volumeClaimTemplates"])
            .filter_map(|claim| {
                let claim_name = claim["metadata"]["name"].as_str().unwrap_or_default();
                let set = manifest.name().unwrap_or_default();
                need(
                    &claim["spec"],
                    format!("claim `{claim_name}-{set}-0` of StatefulSet `{set}`"),
                )
            })
            .collect(),
        _ => vec![],
    }
}

/// None if the API server does not say.
async fn found(client: &Client, kind: Kind, namespace: &str) -> Option<Found> {
    let plain = |names| Found {
        names,
        default: None,
    };
    match kind {
        Kind::StorageClass => storage_classes(client).await,
        Kind::PersistentVolumeClaim => {
            let api: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
            names(&api).await.map(plain)
        }
        Kind::ServiceAccount => {
            let api: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
            names(&api).await.map(plain)
        }
        Kind::PriorityClass => names::<PriorityClass>(&Api::all(client.clone()))
            .await
            .map(plain),
        Kind::RuntimeClass => names::<RuntimeClass>(&Api::all(client.clone()))
            .await
            .map(plain),
    }
}

/// Volumes that were made by hand serve claims of a class that exists nowhere else.
async fn storage_classes(client: &Client) -> Option<Found> {
    let all = ListParams::default();
    let classes: Api<StorageClass> = Api::all(client.clone());
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    let classes = classes.list_metadata(&all).await.ok()?;
    let volumes = volumes.list(&all).await.ok()?;
    let is_default = |class: &&kube::core::PartialObjectMeta<StorageClass>| {
        class.annotations().get(DEFAULT_CLASS).map(String::as_str) == Some("true")
    };
    let of_volumes = volumes
        .items
        .into_iter()
        .filter_map(|volume| volume.spec?.storage_class_name);
    Some(Found {
        default: classes
            .items
            .iter()
            .find(is_default)
            .map(ResourceExt::name_any),
        names: classes
            .items
            .iter()
            .map(ResourceExt::name_any)
            .chain(of_volumes)
            .collect(),
    })
}

fn brings(rendered: &Rendered, others: &[&Rendered], kind: Kind, name: &str) -> bool {
    let makes_claim = |set: &Manifest| {
        list(&set.object["spec"]["volumeClaimTemplates"]).any(|claim| {
            let claim = claim["metadata"]["name"].as_str().unwrap_or_default();
            let set = set.name().unwrap_or_default();
            name.starts_with(&format!("{claim}-{set}-"))
        })
    };
    let is_it = |manifest: &Manifest| {
        let volume_class = &manifest.object["spec"]["storageClassName"];
        (manifest.kind() == kind.name() && manifest.name() == Some(name))
            || (kind == Kind::StorageClass
                && manifest.kind() == "PersistentVolume"
                && volume_class == name)
            || (kind == Kind::PersistentVolumeClaim
                && manifest.kind() == "StatefulSet"
                && makes_claim(manifest))
    };
    any(rendered, others, is_it)
}

fn brings_any(rendered: &Rendered, others: &[&Rendered], kind: Kind) -> bool {
    any(rendered, others, |manifest| manifest.kind() == kind.name())
}

fn any(rendered: &Rendered, others: &[&Rendered], test: impl Fn(&Manifest) -> bool) -> bool {
    std::iter::once(&rendered)
        .chain(others)
        .any(|rendered| rendered.manifests.iter().any(&test))
}

fn error(prepared: &Prepared, rendered: &Rendered, need: &Need<'_>, found: &Found) -> Error {
    let Need {
        kind, name, whose, ..
    } = need;
    let noun = kind.name();
    let namespace = &prepared.namespace;
    let written = Written::new(prepared, rendered, need.manifest);
    let has = has(*kind, found, namespace);
    let Some(name) = name else {
        let message = format!("{whose} wants the default {noun}, and {has}");
        let hint =
            "name a StorageClass in the values, if the chart takes one; the ones there are: ";
        let list = on_cluster("kubectl get storageclass");
        return written
            .locate(Error::new(Code::ReleaseNotReady, message), &[noun, "kind:"])
            .hint(format!("{hint}{list}"));
    };
    let message = format!("{whose} wants {noun} `{name}`, and {has}");
    let instead = match kind {
        Kind::StorageClass => found.default.clone().unwrap_or_else(|| "…".to_owned()),
        Kind::PersistentVolumeClaim => "…".to_owned(),
        Kind::ServiceAccount => "default".to_owned(),
        Kind::PriorityClass | Kind::RuntimeClass => "null".to_owned(),
    };
    let change = match written.value(name, kind.field()) {
        Some(path) => format!("set `{path}: {instead}` in the values"),
        None => format!("change `{}` in the template", kind.field()),
    };
    let hint = match kind {
        Kind::ServiceAccount => format!(
            "{change}, or make it: {}",
            on_cluster(format!(
                "kubectl create serviceaccount {} --namespace {namespace}",
                quote(name)
            ))
        ),
        Kind::PersistentVolumeClaim => format!("{change}, or add the claim to the chart"),
        _ => format!("{change}, or install a {noun} of that name"),
    };
    written
        .locate(
            Error::new(Code::ReleaseNotReady, message),
            &[kind.field(), name],
        )
        .hint(hint)
}

/// What the cluster has instead.
fn has(kind: Kind, found: &Found, namespace: &str) -> String {
    let whose = match kind {
        Kind::ServiceAccount | Kind::PersistentVolumeClaim => format!("namespace `{namespace}`"),
        _ => "the cluster".to_owned(),
    };
    let shown = |name: &String| {
        let is_default = found.default.as_ref() == Some(name);
        format!("`{name}`{}", if is_default { " (default)" } else { "" })
    };
    let names: Vec<_> = found.names.iter().map(shown).collect();
    match names.is_empty() {
        true => format!("{whose} has none"),
        false => format!("{whose} has {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::prepare::fixture;

    const RENDERED: &str = "# Source: shop/templates/all.yaml
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  template: {spec: {serviceAccountName: deployer, priorityClassName: system-node-critical, containers: []}}
  volumeClaimTemplates:
  - {metadata: {name: data}, spec: {storageClassName: gp3}}
  - {metadata: {name: log}, spec: {storageClassName: ''}}
---
# Source: shop/templates/all.yaml
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: files}
spec: {}
---
# Source: shop/templates/all.yaml
apiVersion: v1
kind: Pod
metadata: {name: p, annotations: {helm.sh/hook: pre-install}}
spec: {serviceAccountName: default, runtimeClassName: gvisor, containers: []}
";

    fn found(names: &[&str], default: Option<&str>) -> Found {
        Found {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            default: default.map(str::to_owned),
        }
    }

    #[test]
    fn what_claims_and_pods_name_is_needed_and_what_every_cluster_has_is_not() {
        let rendered = Rendered::parse(RENDERED).unwrap();
        let needs = needs(&rendered);
        let told: Vec<_> = needs
            .iter()
            .map(|need| (need.kind.name(), need.name.as_deref(), need.whose.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (
                    "StorageClass",
                    Some("gp3"),
                    "claim `data-db-0` of StatefulSet `db`"
                ),
                ("StorageClass", None, "claim `files`"),
                ("ServiceAccount", Some("deployer"), "StatefulSet `db`"),
                ("RuntimeClass", Some("gvisor"), "Pod `p`"),
            ]
        );
    }

    #[test]
    fn a_missing_class_is_told_with_those_there_are() {
        let rendered = Rendered::parse(RENDERED).unwrap();
        let prepared = fixture::prepared(std::path::Path::new("/p"));
        let needs = needs(&rendered);
        let standard = found(&["standard"], Some("standard"));
        let missing = error(&prepared, &rendered, &needs[0], &standard);
        assert_eq!(
            missing.message,
            "claim `data-db-0` of StatefulSet `db` wants StorageClass `gp3`, and the cluster has `standard` (default)"
        );
        let none = error(&prepared, &rendered, &needs[1], &found(&[], None));
        assert_eq!(
            none.message,
            "claim `files` wants the default StorageClass, and the cluster has none"
        );
        let account = error(&prepared, &rendered, &needs[2], &found(&["default"], None));
        assert_eq!(
            account.message,
            "StatefulSet `db` wants ServiceAccount `deployer`, and namespace `shop` has `default`"
        );
        assert!(account.hint.unwrap().ends_with(
            "kubectl create serviceaccount deployer --namespace shop --kubeconfig \"$(devk kubeconfig)\""
        ));
    }

    #[test]
    fn another_release_or_a_volume_made_by_hand_brings_it() {
        let rendered = Rendered::parse(RENDERED).unwrap();
        let text = "apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: v}\nspec: {storageClassName: gp3}\n\
                    ---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: deployer}\n";
        let other = Rendered::parse(text).unwrap();
        assert!(!brings(&rendered, &[], Kind::StorageClass, "gp3"));
        assert!(brings(&rendered, &[&other], Kind::StorageClass, "gp3"));
        assert!(brings(
            &rendered,
            &[&other],
            Kind::ServiceAccount,
            "deployer"
        ));
        assert!(!brings(&rendered, &[&other], Kind::ServiceAccount, "gp3"));
    }
}
