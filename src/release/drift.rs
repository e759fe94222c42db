//! Drift of an installed release: fields that somebody changed and objects that somebody deleted by hand, of which
//! helm's own record says nothing.
//!
//! The API server notes who set each field last (`managedFields`). A field that the chart sets counts as changed if
//! somebody else set it last and it differs. Comparing all of a manifest would not do: the API server adds defaults
//! and writes quantities in its own way. Values are never shown: they may be secret.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use futures::future::try_join_all;
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::Value;

use super::installed::unreachable;
use super::manifest::{Manifest, Rendered};
use crate::cluster::sleep::REPLICAS_ANNOTATION;
use crate::error::Result;

/// The kinds that are compared: group, version, kind, and the name of the kind in URLs.
const KINDS: [(&str, &str, &str, &str); 6] = [
    ("apps", "v1", "Deployment", "deployments"),
    ("apps", "v1", "StatefulSet", "statefulsets"),
    ("apps", "v1", "DaemonSet", "daemonsets"),
    ("", "v1", "Service", "services"),
    ("", "v1", "ConfigMap", "configmaps"),
    ("", "v1", "Secret", "secrets"),
];

/// Field managers that are programs: a field that one of these set was not changed by hand (an autoscaler's replicas,
/// devk's own sleep).
const MACHINES: [&str; 8] = [
    "helm",
    "devk",
    "unknown",
    "before-first-apply",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-apiserver",
    "kubelet",
];

/// Lists whose items have names, and from which the API server drops nothing.
const NAMED: [&str; 5] = ["containers", "initContainers", "env", "volumes", "ports"];

/// One difference between the cluster and the installed release.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Drift {
    /// `Deployment/api: spec.replicas, by kubectl`.
    pub what: String,
    /// The chart sets this field or object, so an upgrade restores it. An upgrade leaves alone what the chart does not
    /// set.
    pub reverted_by_upgrade: bool,
}

/// All drift of a release in a namespace.
///
/// # Errors
/// [`crate::error::Code::ClusterUnreachable`].
pub async fn detect(client: &Client, namespace: &str, rendered: &Rendered) -> Result<Vec<Drift>> {
    let installed = || {
        rendered
            .manifests
            .iter()
            .filter(|manifest| !manifest.is_hook())
    };
    let kinds =
        installed().filter_map(|manifest| Some((manifest.namespace(namespace), kind(manifest)?)));
    let kinds: BTreeSet<_> = kinds.collect();
    let found = try_join_all(kinds.into_iter().map(|(near, at)| async move {
        let Some(live) = live(client, &near, at).await? else {
            return Ok(vec![]);
        };
        let of_kind = installed().filter(|m| kind(m) == Some(at) && m.namespace(namespace) == near);
        Ok(of_kind
            .flat_map(|manifest| differences(manifest, &live))
            .collect::<Vec<_>>())
    }));
    Ok(found.await?.into_iter().flatten().collect())
}

/// Its place in the list of kinds.
fn kind(manifest: &Manifest) -> Option<usize> {
    let version = manifest.object["apiVersion"].as_str()?;
    KINDS.iter().position(|(group, v, kind, _)| {
        let wanted = if group.is_empty() {
            (*v).to_owned()
        } else {
            format!("{group}/{v}")
        };
        version == wanted && manifest.kind() == *kind
    })
}

/// All objects of a kind by their names; None if it is not ours to list them.
async fn live(
    client: &Client,
    namespace: &str,
    kind: usize,
) -> Result<Option<BTreeMap<String, Value>>> {
    let (group, version, kind, plural) = KINDS[kind];
    let resource =
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
    let objects: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    match objects.list(&ListParams::default()).await {
        Ok(list) => {
            let named = |object: DynamicObject| {
                Some((
                    object.metadata.name.clone()?,
                    serde_json::to_value(object).ok()?,
                ))
            };
            Ok(Some(list.items.into_iter().filter_map(named).collect()))
        }
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(None),
        Err(error) => Err(unreachable(&error, "look at the objects of the release")),
    }
}

fn differences(manifest: &Manifest, live: &BTreeMap<String, Value>) -> Vec<Drift> {
    let Some(name) = manifest.name() else {
        return vec![];
    };
    let object = format!("{}/{name}", manifest.kind());
    let Some(live) = live.get(name) else {
        return vec![Drift {
            what: format!("{object}: deleted"),
            reverted_by_upgrade: true,
        }];
    };
    let rendered = in_base64(manifest);
    let mut found = BTreeSet::new();
    for (by, fields) in hands(live) {
        for part in ["spec", "data", "binaryData"] {
            let mut walk = Walk { found: vec![] };
            walk.fields(
                &fields[format!("f:{part}")],
                &rendered[part],
                &live[part],
                part,
            );
            found.extend(walk.found.into_iter().map(|(path, reverted_by_upgrade)| {
                (format!("{path}, by {by}"), reverted_by_upgrade)
            }));
        }
    }
    if is_scaled_down(&rendered, live) {
        found.insert(("spec.replicas, which is 0".to_owned(), false));
    }
    let mut gone = vec![];
    removed(&rendered["spec"], &live["spec"], "spec", &mut gone);
    let data = rendered["data"].as_object().into_iter().flatten();
    gone.extend(
        data.filter(|(key, value)| !value.is_null() && live["data"][*key].is_null())
            .map(|(k, _)| format!("data.{k}")),
    );
    found.extend(
        gone.into_iter()
            .map(|path| (format!("{path}, removed"), true)),
    );
    found
        .into_iter()
        .map(|(what, reverted_by_upgrade)| Drift {
            what: format!("{object}: {what}"),
            reverted_by_upgrade,
        })
        .collect()
}

/// Who scales what nobody owned is not noted. Without a number a workload has one replica; none is a hand's wish, or
/// devk's own sleep.
fn is_scaled_down(rendered: &Value, live: &Value) -> bool {
    let asleep = !live["metadata"]["annotations"][REPLICAS_ANNOTATION].is_null();
    live["spec"]["replicas"] == 0 && rendered["spec"]["replicas"].is_null() && !asleep
}

/// The manifest as the API server keeps it: a Secret's `stringData` is data.
fn in_base64(manifest: &Manifest) -> Value {
    let mut object = manifest.object.clone();
    let Some(Value::Object(texts)) = object.get_mut("stringData").map(Value::take) else {
        return object;
    };
    for (key, text) in texts {
        let bytes = text
            .as_str()
            .map(str::to_owned)
            .unwrap_or_else(|| text.to_string());
        object["data"][key] = base64::engine::general_purpose::STANDARD
            .encode(bytes)
            .into();
    }
    object
}

/// Who set fields of an object, and which.
fn hands(live: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let entries = live["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten();
    entries
        .filter(|entry| entry["subresource"] != "status")
        .filter_map(|entry| Some((entry["manager"].as_str()?, &entry["fieldsV1"])))
        .filter(|(manager, _)| !MACHINES.contains(manager))
}

/// One walk through a set of fields: in what was rendered, and in what is there.
struct Walk {
    found: Vec<(String, bool)>,
}

impl Walk {
    /// FieldsV1: `f:NAME` is a field, `k:{…}` an item of a list by its keys, `.` the thing itself.
    fn fields(&mut self, fields: &Value, rendered: &Value, live: &Value, path: &str) {
        let below: Vec<_> = fields
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, _)| *key != ".")
            .collect();
        if below.is_empty() && !fields.is_null() {
            self.leaf(rendered, live, path);
        }
        for (key, fields) in below {
            match key.split_once(':') {
                Some(("f", name)) => self.fields(
                    fields,
                    &rendered[name],
                    &live[name],
                    &format!("{path}.{name}"),
                ),
                Some(("k", keys)) => {
                    let keys: Value = serde_json::from_str(keys).unwrap_or_default();
                    let path = format!("{path}[{}]", shown(&keys));
                    match (item(rendered, &keys), item(live, &keys)) {
                        (Some(rendered), Some(live)) => self.fields(fields, rendered, live, &path),
                        (None, Some(_)) => self.found.push((path, false)),
                        // What is gone is found elsewhere.
                        (_, None) => {}
                    }
                }
                _ => {}
            }
        }
    }

    fn leaf(&mut self, rendered: &Value, live: &Value, path: &str) {
        let is_note = path.contains(".metadata.");
        if !rendered.is_null() && !same(rendered, live) {
            self.found.push((path.to_owned(), true));
        } else if rendered.is_null() && !live.is_null() && !is_note {
            self.found.push((path.to_owned(), false));
        }
    }
}

fn shown(keys: &Value) -> String {
    keys.as_object()
        .into_iter()
        .flatten()
        .next()
        .map(|(_, value)| text(value))
        .unwrap_or_default()
}

fn item<'a>(list: &'a Value, keys: &Value) -> Option<&'a Value> {
    let keys = keys.as_object()?;
    // The API server's default is part of the key.
    let is = |item: &Value, key: &str, value: &Value| match item.get(key) {
        Some(found) => text(found) == text(value),
        None => key == "protocol" && value == "TCP",
    };
    list.as_array()?
        .iter()
        .find(|item| keys.iter().all(|(key, value)| is(item, key, value)))
}

/// All that was rendered is so; `80` and `"80"` are the same.
fn same(rendered: &Value, live: &Value) -> bool {
    match (rendered, live) {
        (Value::Object(map), _) => map
            .iter()
            .all(|(key, value)| value.is_null() || same(value, &live[key.as_str()])),
        (Value::Array(items), Value::Array(others)) => {
            items.len() == others.len()
                && items
                    .iter()
                    .zip(others)
                    .all(|(item, other)| same(item, other))
        }
        _ => text(rendered) == text(live),
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Items of lists that were rendered and are not there.
fn removed(rendered: &Value, live: &Value, path: &str, gone: &mut Vec<String>) {
    for (key, value) in rendered.as_object().into_iter().flatten() {
        let path = format!("{path}.{key}");
        let there = &live[key.as_str()];
        match value {
            Value::Object(_) => removed(value, there, &path, gone),
            Value::Array(items) if NAMED.contains(&key.as_str()) => {
                for item in items.iter().filter(|item| item["name"].is_string()) {
                    let path = format!("{path}[{}]", text(&item["name"]));
                    let mut others = there.as_array().into_iter().flatten();
                    match others.find(|other| other["name"] == item["name"]) {
                        Some(other) => removed(item, other, &path, gone),
                        None => gone.push(path),
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment() -> Value {
        let container = json!({"name": "api", "image": "api:1", "ports": [{"containerPort": 80}],
            "resources": {"limits": {"memory": "1024Mi"}}, "env": [{"name": "A", "value": "1"}]});
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api"},
            "spec": {"replicas": 2, "template": {"spec": {"containers": [container]}}}})
    }

    fn container(deployment: &mut Value) -> &mut Value {
        &mut deployment["spec"]["template"]["spec"]["containers"][0]
    }

    /// What is found when `manager` is noted as the last one to have set `fields`.
    fn found(
        rendered: Value,
        mut live: Value,
        manager: &str,
        fields: Value,
    ) -> Vec<(String, bool)> {
        live["metadata"]["managedFields"] = json!([{"manager": manager, "fieldsV1": fields}]);
        let live = BTreeMap::from([(live["metadata"]["name"].as_str().unwrap().to_owned(), live)]);
        let found = differences(
            &Manifest {
                source: String::new(),
                object: rendered,
            },
            &live,
        );
        found
            .into_iter()
            .map(
                |Drift {
                     what,
                     reverted_by_upgrade,
                 }| (what, reverted_by_upgrade),
            )
            .collect()
    }

    fn in_container(fields: Value) -> Value {
        json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"api\"}": fields}}}}})
    }

    #[test]
    fn what_nobody_touched_is_as_rendered_however_the_api_server_writes_it() {
        let mut live = deployment();
        container(&mut live)["resources"]["limits"]["memory"] = json!("1Gi");
        container(&mut live)["terminationMessagePath"] = json!("/dev/termination-log");
        let fields = in_container(json!({".": {}, "f:resources": {"f:limits": {"f:memory": {}}}}));
        assert_eq!(found(deployment(), live, "helm", fields), []);
    }

    #[test]
    fn a_field_of_the_chart_that_a_hand_set_is_mended() {
        let mut live = deployment();
        live["spec"]["replicas"] = json!(0);
        container(&mut live)["image"] = json!("api:2");
        let mut fields = in_container(json!({"f:image": {}}));
        fields["f:spec"]["f:replicas"] = json!({});
        let image =
            "Deployment/api: spec.template.spec.containers[api].image, by kubectl-edit".to_owned();
        let replicas = "Deployment/api: spec.replicas, by kubectl-edit".to_owned();
        assert_eq!(
            found(deployment(), live, "kubectl-edit", fields.clone()),
            [(replicas, true), (image, true)]
        );
        assert_eq!(
            found(deployment(), deployment(), "kubectl-edit", fields),
            [],
            "set, and to what it was"
        );
    }

    #[test]
    fn an_autoscaler_and_devks_own_sleep_are_no_hands() {
        let mut live = deployment();
        live["spec"]["replicas"] = json!(5);
        for manager in ["kube-controller-manager", "devk"] {
            assert_eq!(
                found(
                    deployment(),
                    live.clone(),
                    manager,
                    json!({"f:spec": {"f:replicas": {}}})
                ),
                []
            );
        }
    }

    #[test]
    fn what_the_chart_leaves_open_is_told_and_cannot_be_mended() {
        let mut live = deployment();
        container(&mut live)["env"]
            .as_array_mut()
            .unwrap()
            .push(json!({"name": "B", "value": "secret"}));
        let fields = in_container(
            json!({"f:env": {"k:{\"name\":\"B\"}": {".": {}, "f:name": {}, "f:value": {}}}}),
        );
        let env =
            "Deployment/api: spec.template.spec.containers[api].env[B], by kubectl-set".to_owned();
        assert_eq!(
            found(deployment(), live, "kubectl-set", fields),
            [(env, false)]
        );
    }

    #[test]
    fn a_workload_of_no_replicas_is_told_unless_devk_put_it_to_sleep() {
        let without = |mut deployment: Value| {
            deployment["spec"]
                .as_object_mut()
                .unwrap()
                .remove("replicas");
            deployment
        };
        let mut live = deployment();
        live["spec"]["replicas"] = json!(0);
        let told = found(without(deployment()), live.clone(), "helm", json!({}));
        assert_eq!(
            told,
            [(
                "Deployment/api: spec.replicas, which is 0".to_owned(),
                false
            )]
        );
        live["metadata"]["annotations"] = json!({REPLICAS_ANNOTATION: "1"});
        assert_eq!(found(without(deployment()), live, "helm", json!({})), []);
    }

    #[test]
    fn what_was_removed_is_mended() {
        let mut live = deployment();
        container(&mut live)["env"] = json!([]);
        let env = "Deployment/api: spec.template.spec.containers[api].env[A], removed".to_owned();
        assert_eq!(found(deployment(), live, "helm", json!({})), [(env, true)]);
        let manifest = Manifest {
            source: String::new(),
            object: deployment(),
        };
        let deleted = Drift {
            what: "Deployment/api: deleted".to_owned(),
            reverted_by_upgrade: true,
        };
        assert_eq!(differences(&manifest, &BTreeMap::new()), [deleted]);
    }

    #[test]
    fn a_secret_is_compared_as_it_is_kept_and_never_shown() {
        let secret = |data: Value| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": data});
        let mut rendered = secret(json!({}));
        rendered["stringData"] = json!({"password": "geheim"});
        let fields = json!({"f:data": {"f:password": {}}});
        assert_eq!(
            found(
                rendered.clone(),
                secret(json!({"password": "Z2VoZWlt"})),
                "kubectl-edit",
                fields.clone()
            ),
            []
        );
        let told = found(
            rendered,
            secret(json!({"password": "YW5kZXJz"})),
            "kubectl-edit",
            fields,
        );
        assert_eq!(
            told,
            [("Secret/s: data.password, by kubectl-edit".to_owned(), true)]
        );
    }
}
