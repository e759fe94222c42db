//! Pod specs in rendered manifests, and what their containers get as environment: values, references to
//! ConfigMaps and Secrets of the same rendering, `envFrom`.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::manifest::{Manifest, Rendered};

/// A pod spec and the object it stands in: a workload, a bare pod, a hook, a custom resource. The last may say no more
/// than what init containers are added.
#[derive(Debug, Clone, Copy)]
pub struct Pod<'a> {
    pub manifest: &'a Manifest,
    pub spec: &'a Value,
}

/// Every pod spec of a rendering.
pub fn pods(rendered: &Rendered) -> Vec<Pod<'_>> {
    let mut pods = vec![];
    for manifest in &rendered.manifests {
        find(&manifest.object, &mut |spec| {
            pods.push(Pod { manifest, spec })
        });
    }
    pods
}

fn find<'a>(value: &'a Value, found: &mut dyn FnMut(&'a Value)) {
    match value {
        Value::Object(map) => {
            if ["containers", "initContainers"]
                .iter()
                .any(|key| map.get(*key).is_some_and(Value::is_array))
            {
                found(value);
            }
            map.values().for_each(|value| find(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| find(item, found)),
        _ => {}
    }
}

impl<'a> Pod<'a> {
    /// Init containers first.
    pub fn containers(&self) -> impl Iterator<Item = &'a Value> {
        ["initContainers", "containers"]
            .into_iter()
            .flat_map(|key| list(&self.spec[key]))
    }

    /// The ports that the pod's containers say they listen on.
    pub fn ports(&self) -> impl Iterator<Item = u16> {
        let ports = self
            .containers()
            .flat_map(|container| list(&container["ports"]));
        ports.filter_map(|port| port["containerPort"].as_u64()?.try_into().ok())
    }
}

/// The items of a list; none if it is no list.
pub fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// What stands in the ConfigMaps and Secrets of a rendering, decoded.
#[derive(Debug, Default)]
pub struct ConfigSources<'a>(BTreeMap<(&'a str, String, &'a str), BTreeMap<String, String>>);

impl<'a> ConfigSources<'a> {
    pub fn of(rendered: &'a Rendered, namespace: &str) -> Self {
        let stores = rendered
            .manifests
            .iter()
            .filter(|m| matches!(m.kind(), "ConfigMap" | "Secret"));
        let store =
            |m: &'a Manifest| Some(((m.kind(), m.namespace(namespace), m.name()?), data(m)));
        Self(stores.filter_map(store).collect())
    }

    /// The environment of a container; what refers to objects outside of the rendering is left out.
    pub fn environment(&self, container: &Value, namespace: &str) -> BTreeMap<String, String> {
        let mut environment = BTreeMap::new();
        for source in list(&container["envFrom"]) {
            let prefix = source["prefix"].as_str().unwrap_or_default();
            for (key, value) in self
                .referred(source, "Ref", namespace)
                .into_iter()
                .flatten()
            {
                environment.insert(format!("{prefix}{key}"), value.clone());
            }
        }
        for variable in list(&container["env"]) {
            let Some(name) = variable["name"].as_str() else {
                continue;
            };
            let value = variable["value"].as_str().map(str::to_owned);
            let source = &variable["valueFrom"];
            let referred = || {
                let key = source["configMapKeyRef"]["key"]
                    .as_str()
                    .or(source["secretKeyRef"]["key"].as_str())?;
                self.referred(source, "KeyRef", namespace)?
                    .get(key)
                    .cloned()
            };
            environment.extend(
                value
                    .or_else(referred)
                    .map(|value| (name.to_owned(), value)),
            );
        }
        environment
    }

    fn referred(
        &self,
        source: &Value,
        suffix: &str,
        namespace: &str,
    ) -> Option<&BTreeMap<String, String>> {
        let kinds = [("ConfigMap", "configMap"), ("Secret", "secret")];
        kinds.into_iter().find_map(|(kind, field)| {
            let name = source[format!("{field}{suffix}")]["name"].as_str()?;
            self.0
                .iter()
                .find(|((k, n, called), _)| *k == kind && n == namespace && *called == name)
                .map(|(_, data)| data)
        })
    }
}

/// The entries of a ConfigMap or Secret; those that are no text are left out.
pub fn data(manifest: &Manifest) -> BTreeMap<String, String> {
    let entries = |key: &str| manifest.object[key].as_object().into_iter().flatten();
    let plain = |value: &Value| value.as_str().map(str::to_owned);
    let decoded =
        |value: &Value| String::from_utf8(STANDARD.decode(value.as_str()?.trim()).ok()?).ok();
    let is_secret = manifest.kind() == "Secret";
    let data = entries("data").filter_map(|(key, value)| {
        Some((
            key.clone(),
            if is_secret {
                decoded(value)
            } else {
                plain(value)
            }?,
        ))
    });
    let strings =
        entries("stringData").filter_map(|(key, value)| Some((key.clone(), plain(value)?)));
    data.chain(strings).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RENDERED: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  template:
    spec:
      initContainers: [{name: wait, ports: [{containerPort: 1}]}]
      containers:
      - name: api
        ports: [{containerPort: 5000}]
        envFrom: [{configMapRef: {name: settings}, prefix: X_}, {secretRef: {name: elsewhere}}]
        env:
        - {name: A, value: a}
        - {name: B, valueFrom: {secretKeyRef: {name: secret, key: b}}}
        - {name: C, valueFrom: {configMapKeyRef: {name: settings, key: none}}}
        - {name: D, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {k: v}
---
apiVersion: v1
kind: Secret
metadata: {name: secret}
data: {b: "YmI=", binary: "/w==", broken: "?"}
stringData: {s: t}
---
apiVersion: v1
kind: Secret
metadata: {name: settings, namespace: other}
stringData: {k: other}
"#;

    #[test]
    fn a_containers_environment_follows_its_references() {
        let rendered = Rendered::parse(RENDERED).unwrap();
        let settings = ConfigSources::of(&rendered, "shop");
        let pods = pods(&rendered);
        let api = pods[0].containers().nth(1).unwrap();
        let environment: Vec<_> = settings.environment(api, "shop").into_iter().collect();
        let expected =
            [("A", "a"), ("B", "bb"), ("X_k", "v")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(environment, expected);
        assert_eq!(pods[0].ports().collect::<Vec<_>>(), [1, 5000]);
    }

    #[test]
    fn only_the_text_of_a_secret_is_read() {
        let rendered = Rendered::parse(RENDERED).unwrap();
        let secret = rendered
            .manifests
            .iter()
            .find(|m| m.name() == Some("secret"))
            .unwrap();
        assert_eq!(data(secret).into_keys().collect::<Vec<_>>(), ["b", "s"]);
    }
}
