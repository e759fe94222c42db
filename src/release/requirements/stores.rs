//! Secrets and ConfigMaps that pods name and that nobody has: their containers are not created. A hook that runs before
//! the release is installed finds none of the release's own, but for those that are such hooks themselves.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Client;
use kube::api::Api;
use serde_json::Value;

use super::{named, names};
use crate::error::{Code, Error, on_cluster};
use crate::release::installed::installed;
use crate::release::manifest::{Manifest, Rendered};
use crate::release::pods::{self, Pod, list};
use crate::release::prepare::Prepared;
use crate::release::written::Written;
use crate::shell::quote;

/// Every namespace has it.
const OF_EVERY_NAMESPACE: &str = "kube-root-ca.crt";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Store {
    Secret,
    ConfigMap,
}

impl Store {
    const fn kind(self) -> &'static str {
        match self {
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
        }
    }

    /// As `kubectl create` takes it.
    const fn noun(self) -> &'static str {
        match self {
            Self::Secret => "secret generic",
            Self::ConfigMap => "configmap",
        }
    }
}

/// A name in a rendered pod without which its containers are not created.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct StoreRef {
    store: Store,
    name: String,
    /// The key that is read, if one is named.
    key: Option<String>,
}

/// Who would have the store when the pod starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Maker {
    Nobody,
    /// The pod is a hook, and the release's own objects come after it.
    AfterHook,
    Somebody,
}

/// An error for each Secret and ConfigMap that a rendered pod names and will not find, with template and line. `others`
/// are the project's other releases. What an object or a program of the stack may make, as its text has the name, is not
/// told; nor is anything if the API server does not answer.
pub async fn missing_stores(
    client: &Client,
    prepared: &Prepared,
    rendered: &Rendered,
    others: &[&Rendered],
) -> Vec<Error> {
    let namespace = prepared.namespace.as_str();
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let config_maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let (secrets, config_maps, release) = tokio::join!(
        names(&secrets),
        names(&config_maps),
        installed(client, namespace, &prepared.name),
    );
    let (Some(secrets), Some(config_maps), Ok(release)) = (secrets, config_maps, release) else {
        return vec![];
    };
    let event = match release {
        None => "pre-install",
        Some(_) => "pre-upgrade",
    };
    let is_there = |wanted: &StoreRef| match wanted.store {
        Store::Secret => secrets.contains(&wanted.name),
        Store::ConfigMap => config_maps.contains(&wanted.name),
    };
    let lacking = lacking(rendered, others, namespace, event, is_there);
    let errors = lacking.into_iter().map(|(manifest, wanted, maker)| {
        let written = Written::new(prepared, rendered, manifest);
        let error = error(manifest, &wanted, maker, namespace);
        written.locate(error, &[&wanted.name, "kind:"])
    });
    errors.collect()
}

/// `event` is the hook that helm runs before it installs what is rendered.
fn lacking<'a>(
    rendered: &'a Rendered,
    others: &[&Rendered],
    namespace: &str,
    event: &str,
    is_there: impl Fn(&StoreRef) -> bool,
) -> Vec<(&'a Manifest, StoreRef, Maker)> {
    let mut told = BTreeSet::new();
    let mut lacking = vec![];
    for pod in pods::pods(rendered) {
        let manifest = pod.manifest;
        if manifest.namespace(namespace) != namespace {
            continue;
        }
        for wanted in wanted(&pod) {
            let maker = maker(rendered, others, manifest, event, &wanted);
            let key = (manifest.object_name(), wanted.store, wanted.name.clone());
            if maker != Maker::Somebody && !is_there(&wanted) && told.insert(key) {
                lacking.push((manifest, wanted, maker));
            }
        }
    }
    lacking
}

/// What a pod does not start without: `optional: true` says that it does.
fn wanted(pod: &Pod<'_>) -> BTreeSet<StoreRef> {
    let mut wanted = BTreeSet::new();
    let mut take = |store: Store, source: &Value, name: &str| {
        let is_named = source[name].as_str().filter(|name| !name.is_empty());
        if let Some(name) = is_named.filter(|name| *name != OF_EVERY_NAMESPACE)
            && source["optional"] != true
        {
            wanted.insert(StoreRef {
                store,
                name: name.to_owned(),
                key: source["key"].as_str().map(str::to_owned),
            });
        }
    };
    for container in pod.containers() {
        for variable in list(&container["env"]) {
            let source = &variable["valueFrom"];
            take(Store::Secret, &source["secretKeyRef"], "name");
            take(Store::ConfigMap, &source["configMapKeyRef"], "name");
        }
        for source in list(&container["envFrom"]) {
            take(Store::Secret, &source["secretRef"], "name");
            take(Store::ConfigMap, &source["configMapRef"], "name");
        }
    }
    for volume in list(&pod.spec["volumes"]) {
        take(Store::Secret, &volume["secret"], "secretName");
        take(Store::ConfigMap, &volume["configMap"], "name");
        for source in list(&volume["projected"]["sources"]) {
            take(Store::Secret, &source["secret"], "name");
            take(Store::ConfigMap, &source["configMap"], "name");
        }
    }
    wanted
}

fn maker(
    rendered: &Rendered,
    others: &[&Rendered],
    pod: &Manifest,
    event: &str,
    wanted: &StoreRef,
) -> Maker {
    let is_it = |manifest: &&Manifest| {
        manifest.kind() == wanted.store.kind() && manifest.name() == Some(&wanted.name)
    };
    let mut of_others = others.iter().flat_map(|other| &other.manifests);
    let own: Vec<_> = rendered.manifests.iter().filter(is_it).collect();
    let is_early = pod.is_hook_of(event);
    let may_make = |manifest: &Manifest| may_make(manifest, &wanted.name);
    if own.iter().any(|own| !is_early || own.is_hook_of(event))
        || of_others.any(|other| is_it(&other) || may_make(other))
        || rendered.manifests.iter().any(may_make)
    {
        return Maker::Somebody;
    }
    match own.is_empty() {
        true => Maker::Nobody,
        false => Maker::AfterHook,
    }
}

/// Whether an object's text says that it may make a store of that name: a custom resource, such as a Certificate, or a
/// program whose command, variables or scripts have the name.
fn may_make(manifest: &Manifest, name: &str) -> bool {
    let object = &manifest.object;
    let group = object["apiVersion"].as_str().unwrap_or_default();
    let is_custom = group
        .split_once('/')
        .is_some_and(|(group, _)| group.contains('.') && !group.ends_with(".k8s.io"));
    if is_custom {
        return says(object, name);
    }
    match manifest.kind() {
        "ConfigMap" | "Secret" => says(&object["data"], name) || says(&object["stringData"], name),
        _ => programs(object, name),
    }
}

/// Whether a program's command or the value of a variable has the name, anywhere in an object.
fn programs(value: &Value, name: &str) -> bool {
    match value {
        Value::Object(map) => map.iter().any(|(key, below)| match key.as_str() {
            "command" | "args" => says(below, name),
            "env" => list(below).any(|variable| says(&variable["value"], name)),
            _ => programs(below, name),
        }),
        Value::Array(items) => items.iter().any(|item| programs(item, name)),
        _ => false,
    }
}

fn says(value: &Value, name: &str) -> bool {
    match value {
        Value::String(text) => text.contains(name),
        Value::Object(map) => map.values().any(|below| says(below, name)),
        Value::Array(items) => items.iter().any(|item| says(item, name)),
        _ => false,
    }
}

fn error(manifest: &Manifest, wanted: &StoreRef, maker: Maker, namespace: &str) -> Error {
    let StoreRef { store, name, key } = wanted;
    let (kind, whose) = (store.kind(), named(manifest));
    if maker == Maker::AfterHook {
        let message = format!(
            "{whose} is a hook that reads {kind} `{name}`, which helm makes only after the hook"
        );
        return Error::new(Code::ReleaseNotReady, message).hint(format!(
            "make the {kind} a hook as well (`helm.sh/hook: pre-install,pre-upgrade` with a lower \
             `helm.sh/hook-weight`), or run {whose} as `post-install,post-upgrade`"
        ));
    }
    let message = format!(
        "{whose} wants {kind} `{name}`, and neither a chart of the project nor namespace `{namespace}` has it"
    );
    let literal = format!("{}=…", key.as_deref().unwrap_or("KEY"));
    let make = on_cluster(format!(
        "kubectl create {} {} --from-literal={} --namespace {namespace}",
        store.noun(),
        quote(name),
        quote(&literal)
    ));
    Error::new(Code::ReleaseNotReady, message).hint(format!(
        "add the {kind} to the chart, or write `optional: true` where it is named; or make it, after the first \
         `devk up` began: {make}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  template:
    spec:
      initContainers:
      - {name: init, envFrom: [{secretRef: {name: of-init}}, {configMapRef: {name: maybe, optional: true}}]}
      containers:
      - name: api
        env:
        - {name: A, valueFrom: {secretKeyRef: {name: login, key: password}}}
        - {name: B, valueFrom: {configMapKeyRef: {name: settings, key: b}}}
        - {name: C, valueFrom: {secretKeyRef: {name: maybe, key: c, optional: true}}}
      volumes:
      - {name: tls, secret: {secretName: tls}}
      - {name: all, projected: {sources: [{configMap: {name: kube-root-ca.crt}}, {secret: {name: token}}]}}
";

    fn told(text: &str, others: &str, event: &str, there: &[&str]) -> Vec<(String, Maker)> {
        let (rendered, others) = (
            Rendered::parse(text).unwrap(),
            Rendered::parse(others).unwrap(),
        );
        let is_there = |wanted: &StoreRef| there.contains(&wanted.name.as_str());
        let lacking = lacking(&rendered, &[&others], "shop", event, is_there);
        let told = lacking.into_iter();
        told.map(|(_, wanted, maker)| (format!("{}/{}", wanted.store.kind(), wanted.name), maker))
            .collect()
    }

    #[test]
    fn what_a_pod_does_not_start_without_and_nobody_has_is_told() {
        let names = |others: &str, there: &[&str]| -> Vec<String> {
            let told = told(POD, others, "pre-install", there).into_iter();
            told.map(|(name, _)| name).collect()
        };
        let all = [
            "Secret/login",
            "Secret/of-init",
            "Secret/tls",
            "Secret/token",
            "ConfigMap/settings",
        ];
        assert_eq!(names("", &[]), all);
        let others = "apiVersion: v1\nkind: Secret\nmetadata: {name: login}\n---\n\
                      apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: c}\nspec: {secretName: tls}\n---\n\
                      apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\n\
                      spec: {template: {spec: {containers: [{name: j, args: ['--secret-name=token']}]}}}\n";
        assert_eq!(names(others, &["settings"]), ["Secret/of-init"]);
    }

    #[test]
    fn a_hook_before_the_release_does_not_find_what_the_release_makes() {
        let chart = |hook: &str, secret: &str| {
            format!(
                "apiVersion: v1\nkind: Secret\nmetadata: {{name: login, annotations: {{{secret}}}}}\n---\n\
                 apiVersion: batch/v1\nkind: Job\nmetadata: {{name: migrate, annotations: {{helm.sh/hook: '{hook}'}}}}\n\
                 spec: {{template: {{spec: {{containers: [{{name: m, envFrom: [{{secretRef: {{name: login}}}}]}}]}}}}}}\n"
            )
        };
        let after = vec![("Secret/login".to_owned(), Maker::AfterHook)];
        let early = chart("pre-install,pre-upgrade", "");
        assert_eq!(told(&early, "", "pre-install", &[]), after);
        assert_eq!(told(&early, "", "pre-upgrade", &[]), after);
        assert_eq!(told(&early, "", "pre-upgrade", &["login"]), []);
        let with_hook = chart("pre-install", "helm.sh/hook: pre-install");
        assert_eq!(told(&with_hook, "", "pre-install", &[]), []);
        assert_eq!(told(&chart("pre-upgrade", ""), "", "pre-install", &[]), []);
        assert_eq!(told(&chart("post-install", ""), "", "pre-install", &[]), []);
    }

    #[test]
    fn the_command_that_makes_it_names_the_key_that_is_read() {
        let rendered = Rendered::parse(POD).unwrap();
        let wanted = wanted(&pods::pods(&rendered)[0]);
        let login = wanted.iter().find(|wanted| wanted.name == "login").unwrap();
        let error = error(&rendered.manifests[0], login, Maker::Nobody, "shop");
        assert_eq!(
            error.message,
            "Deployment `api` wants Secret `login`, and neither a chart of the project nor namespace `shop` has it"
        );
        let hint = error.hint.unwrap();
        let make =
            "kubectl create secret generic login --from-literal='password=…' --namespace shop";
        assert!(hint.contains(make), "{hint}");
    }
}
