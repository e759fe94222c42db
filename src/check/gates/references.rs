//! What pods refer to: ConfigMaps, Secrets, claims, accounts, volumes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::rule::rules;
use super::super::seen::Sightings;
use super::super::view::{ChartObject, PodView, RenderingView, list};

rules! { Functional;
    "reference.missing" Medium, Foundation 5, On, Every(missing):
        "the pod asks for a ConfigMap, Secret, claim or ServiceAccount that the chart does not make and no value names: it does not start",
        "name the object as it is rendered, make it, or mark the reference `optional`",
        "Kubernetes, \"ConfigMaps\", \"Secrets\", \"Persistent Volumes\"";
    "reference.key" High, Foundation 5, Off, Every(missing_key):
        "the ConfigMap or Secret is there and does not have the key: the container does not start",
        "name a key that it has",
        "Kubernetes, \"Configure a Pod to Use a ConfigMap\"";
    "reference.volume" High, Foundation 10, On, Every(volume):
        "the API server refuses a pod that mounts a volume it does not have",
        "add the volume, or correct the name",
        "Kubernetes, \"Volumes\"";
    "reference.unused-volume" Low, Foundation 0, Off, Every(unused_volume):
        "no container mounts the volume",
        "remove the volume, or mount it",
        "Kubernetes, \"Volumes\"";
}

/// A reference of a pod.
struct Reference<'a> {
    kind: &'static str,
    name: &'a str,
    key: Option<&'a str>,
    path: String,
}

fn references<'a>(pod: &PodView<'a>) -> Vec<Reference<'a>> {
    let mut found = vec![];
    let mut add = |kind, target: &'a Value, name_key: &str, path: String| {
        let is_optional = target["optional"] == true;
        if let Some(name) = target[name_key].as_str().filter(|_| !is_optional) {
            let key = target["key"].as_str();
            found.push(Reference {
                kind,
                name,
                key,
                path,
            });
        }
    };
    for (at, volume) in list(&pod.spec["volumes"]).iter().enumerate() {
        let path = pod.at(&format!("/volumes/{at}"));
        add(
            "ConfigMap",
            &volume["configMap"],
            "name",
            format!("{path}/configMap/name"),
        );
        add(
            "Secret",
            &volume["secret"],
            "secretName",
            format!("{path}/secret/secretName"),
        );
        let claim = &volume["persistentVolumeClaim"];
        let claim_path = format!("{path}/persistentVolumeClaim/claimName");
        add("PersistentVolumeClaim", claim, "claimName", claim_path);
        for (item, source) in list(&volume["projected"]["sources"]).iter().enumerate() {
            let path = format!("{path}/projected/sources/{item}");
            add(
                "ConfigMap",
                &source["configMap"],
                "name",
                format!("{path}/configMap/name"),
            );
            add(
                "Secret",
                &source["secret"],
                "name",
                format!("{path}/secret/name"),
            );
        }
    }
    for container in &pod.containers {
        for (at, source) in list(&container.json["envFrom"]).iter().enumerate() {
            let path = format!("{}/envFrom/{at}", container.path);
            let (map, secret) = (&source["configMapRef"], &source["secretRef"]);
            add(
                "ConfigMap",
                map,
                "name",
                format!("{path}/configMapRef/name"),
            );
            add("Secret", secret, "name", format!("{path}/secretRef/name"));
        }
        for (at, variable) in list(&container.json["env"]).iter().enumerate() {
            let path = format!("{}/env/{at}/valueFrom", container.path);
            let from = &variable["valueFrom"];
            let (map, secret) = (&from["configMapKeyRef"], &from["secretKeyRef"]);
            add(
                "ConfigMap",
                map,
                "name",
                format!("{path}/configMapKeyRef/name"),
            );
            add(
                "Secret",
                secret,
                "name",
                format!("{path}/secretKeyRef/name"),
            );
        }
    }
    add(
        "ServiceAccount",
        pod.spec,
        "serviceAccountName",
        pod.at("/serviceAccountName"),
    );
    found
}

/// Objects that operators or the cluster make.
fn is_made_elsewhere(view: &RenderingView<'_>, reference: &Reference<'_>, namespace: &str) -> bool {
    let name = reference.name;
    let of_cluster = match reference.kind {
        "ServiceAccount" => name == "default",
        "ConfigMap" => name == "kube-root-ca.crt",
        _ => false,
    };
    let made = || {
        view.objects.iter().any(|object| {
            let spec = object.spec();
            let names = match object.kind {
                "Certificate" => [&spec["secretName"], &Value::Null],
                "ExternalSecret" => [&spec["target"]["name"], &object.json["metadata"]["name"]],
                "SealedSecret" => [
                    &spec["template"]["metadata"]["name"],
                    &object.json["metadata"]["name"],
                ],
                "Bundle" => [&object.json["metadata"]["name"], &Value::Null],
                _ => return false,
            };
            names.iter().any(|made| *made == name)
        })
    };
    of_cluster || view.has(reference.kind, namespace, name) || made()
}

/// Every text of the values.
fn texts_of_values(values: &Value) -> BTreeSet<&str> {
    fn below<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::String(text) => drop(found.insert(text)),
            Value::Array(items) => items.iter().for_each(|item| below(item, found)),
            Value::Object(map) => map.values().for_each(|value| below(value, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    below(values, &mut found);
    found
}

fn missing(view: &RenderingView<'_>, seen: &mut Sightings) {
    let mut named = None;
    for (object, pod) in view.pods() {
        for reference in references(pod) {
            if is_made_elsewhere(view, &reference, object.namespace) {
                continue;
            }
            // A name that a value has in full was chosen by who wrote the value: `existingSecret`.
            let named = named.get_or_insert_with(|| texts_of_values(view.values));
            if !named.contains(reference.name) {
                let (kind, name) = (reference.kind, reference.name);
                let message = format!("the chart makes no {kind} `{name}`");
                seen.object(object, &reference.path, message);
            }
        }
    }
}

fn missing_key(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, pod) in view.pods() {
        for reference in references(pod) {
            let Some(key) = reference.key else { continue };
            let target = view.find(reference.kind, object.namespace, reference.name);
            let Some(target) = target else { continue };
            let parts = ["data", "stringData", "binaryData"];
            if parts
                .iter()
                .all(|part| target.json[*part].get(key).is_none())
            {
                let (kind, name) = (reference.kind, reference.name);
                let message = format!("the {kind} `{name}` has no key `{key}`");
                seen.object(object, &reference.path, message);
            }
        }
    }
}

/// The names of a pod's volumes with their pointers, those of claim templates included.
fn volumes<'a>(object: &ChartObject<'a>, pod: &PodView<'a>) -> Vec<(&'a str, String)> {
    let own = list(&pod.spec["volumes"]).iter().enumerate();
    let own = own.map(|(at, volume)| (&volume["name"], pod.at(&format!("/volumes/{at}"))));
    let claims = match object.kind {
        "StatefulSet" => list(&object.spec()["volumeClaimTemplates"]),
        _ => &[],
    };
    let claims = claims.iter().enumerate().map(|(at, claim)| {
        let path = format!("/spec/volumeClaimTemplates/{at}");
        (&claim["metadata"]["name"], path)
    });
    let named = own.chain(claims);
    named
        .filter_map(|(name, path)| Some((name.as_str()?, path)))
        .collect()
}

fn volume(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, pod) in view.pods() {
        let known = volumes(object, pod);
        for container in &pod.containers {
            for (key, field) in [
                ("volumeMounts", "mountPath"),
                ("volumeDevices", "devicePath"),
            ] {
                for (at, mount) in list(&container.json[key]).iter().enumerate() {
                    let name = mount["name"].as_str().unwrap_or_default();
                    if !known.iter().any(|(known, _)| *known == name) {
                        let place = mount[field].as_str().unwrap_or_default();
                        let message = format!(
                            "container `{}` mounts `{name}` at `{place}`, and the pod has no such volume",
                            container.name
                        );
                        let below = format!("/{key}/{at}/name");
                        seen.container(object, container, &below, &[], message);
                    }
                }
            }
        }
    }
}

fn unused_volume(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, pod) in view.pods() {
        let mounts = pod.containers.iter().flat_map(|container| {
            let keys = ["volumeMounts", "volumeDevices"].into_iter();
            keys.flat_map(|key| list(&container.json[key]))
        });
        let used: BTreeSet<_> = mounts.filter_map(|mount| mount["name"].as_str()).collect();
        for (name, path) in volumes(object, pod) {
            if !used.contains(name) {
                let message = format!("no container mounts the volume `{name}`");
                seen.object(object, &path, message);
            }
        }
    }
}
