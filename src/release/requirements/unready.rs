//! A release that did not become ready, put to the line of the chart that is the cause.

use kube::Client;
use serde_json::Value;

use super::missing_objects;
use crate::error::{Code, Error, on_cluster};
use crate::release::manifest::{Manifest, Rendered};
use crate::release::pods::{Pod, pods};
use crate::release::prepare::Prepared;
use crate::release::written::Written;

/// Refusals of pods by the API server and by the scheduler, and the fields that they are about.
const FIELDS: [(&str, &[&str]); 11] = [
    ("exceeded quota", &["resources:"]),
    ("must specify", &["resources:"]),
    ("usage per Pod", &["resources:"]),
    ("usage per Container", &["resources:"]),
    ("violates PodSecurity", &["securityContext:"]),
    (
        "node affinity/selector",
        &["nodeSelector:", "nodeAffinity:"],
    ),
    ("anti-affinity rules", &["podAntiAffinity:"]),
    ("pod affinity rules", &["podAffinity:"]),
    ("topology spread", &["topologySpreadConstraints:"]),
    ("free ports", &["hostPort:"]),
    ("Insufficient ", &["requests:", "resources:"]),
];

/// The error of readiness, with template, line and value where the chart names something that is missing, or asks for a
/// pod that is refused. `others` are the project's other releases.
pub async fn at_its_cause(
    error: Error,
    client: &Client,
    prepared: &Prepared,
    rendered: &Rendered,
    others: &[&Rendered],
) -> Error {
    if error.code != Code::ReleaseNotReady {
        return error;
    }
    let missing = missing_objects(client, prepared, rendered, others).await;
    match missing.first() {
        Some(first) => {
            let told = missing.iter().map(ToString::to_string);
            let evidence: Vec<_> = told.chain(error.evidence).collect();
            Error {
                code: error.code,
                message: format!("{}; {}", error.message, first.message),
                evidence,
                ..first.clone()
            }
        }
        None => match at_config(&error, prepared, rendered) {
            Some(found) => found,
            None => at_refused(error, prepared, rendered),
        },
    }
}

/// A Secret or ConfigMap that a pod names and that is not there: `secret "x" not found`, and for a mount
/// `configmap "x" not found`.
fn at_config(error: &Error, prepared: &Prepared, rendered: &Rendered) -> Option<Error> {
    let (kind, rest) = ["secret", "configmap"].iter().find_map(|kind| {
        let rest = error.message.split_once(&format!(" {kind} \""))?.1;
        Some((*kind, rest))
    })?;
    let (name, _) = rest.split_once("\" not found")?;
    let is_named = |pod: &Pod<'_>| mentions(pod.spec, name);
    let manifest = pods(rendered).into_iter().find(is_named)?.manifest;
    let written = Written::new(prepared, rendered, manifest);
    let list = on_cluster(format!(
        "kubectl get {kind} --namespace {}",
        prepared.namespace
    ));
    let hint = match written.value(name, "name") {
        Some(path) => format!("set `{path}` to one that is there, or add it to the chart: {list}"),
        None => format!("name one that is there, or add it to the chart: {list}"),
    };
    let fields: &[&str] = match kind {
        "secret" => &["secretRef", "secretKeyRef", "secretName", "secret:"],
        _ => &["configMapRef", "configMapKeyRef", "configMap"],
    };
    let words: Vec<_> = std::iter::once(name)
        .chain(fields.iter().copied())
        .collect();
    Some(written.locate(error.clone(), &words).hint(hint))
}

/// Whether a value somewhere in it is exactly this text.
fn mentions(value: &Value, text: &str) -> bool {
    match value {
        Value::String(value) => value == text,
        Value::Array(items) => items.iter().any(|item| mentions(item, text)),
        Value::Object(map) => map.values().any(|item| mentions(item, text)),
        _ => false,
    }
}

/// The workload that gets no pod, or whose pod fits on no node.
fn at_refused(error: Error, prepared: &Prepared, rendered: &Rendered) -> Error {
    let is_refused = |manifest: &&Manifest| {
        let name = manifest.name().unwrap_or_default();
        let refused = format!("`{name}` gets no pod");
        let has_pods = manifest.object["spec"]["template"].is_object();
        has_pods && (error.message.contains(&refused) || fits_nowhere(&error.message, name))
    };
    let refused = rendered.manifests.iter().filter(is_refused);
    // Of `web` and `web-api` the latter has the pod `web-api-1`.
    let longest = |manifest: &&Manifest| manifest.name().unwrap_or_default().len();
    let Some(manifest) = refused.max_by_key(longest) else {
        return error;
    };
    let fields = FIELDS
        .iter()
        .find_map(|(words, fields)| error.message.contains(words).then_some(*fields));
    let words: Vec<_> = fields
        .into_iter()
        .flatten()
        .copied()
        .chain(["kind:"])
        .collect();
    Written::new(prepared, rendered, manifest).locate(error, &words)
}

/// Whether a pod that has its name from this workload fits on no node.
fn fits_nowhere(message: &str, workload: &str) -> bool {
    let pods = message.split("pod `").skip(1);
    let mut names = pods.filter_map(|rest| rest.split_once("` fits on no node"));
    names.any(|(name, _)| {
        let own = name.strip_prefix(workload);
        own.is_some_and(|own| own.starts_with('-'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::prepare::fixture;

    #[test]
    fn a_refused_pod_leads_to_the_field_that_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("chart/templates/web.yaml");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let template = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n    spec:\n      \
                        containers:\n      - name: web\n        resources: {requests: {memory: 2Gi}}\n";
        std::fs::write(&file, template).unwrap();
        let rendered =
            Rendered::parse(&format!("# Source: shop/templates/web.yaml\n{template}")).unwrap();
        let prepared = fixture::prepared(dir.path());
        let of = |message: &str| {
            let error = at_refused(
                Error::new(Code::ReleaseNotReady, message),
                &prepared,
                &rendered,
            );
            (error.file, error.line)
        };
        assert_eq!(
            of(
                "not ready: web (0/1): `web` gets no pod: pods \"web-1\" is forbidden: exceeded quota: small"
            ),
            (Some(file.clone()), Some(9))
        );
        assert_eq!(
            of("`web` gets no pod: denied"),
            (Some(file.clone()), Some(2))
        );
        assert_eq!(
            of("pod `web-1` fits on no node: 0/1 nodes are available: 1 Insufficient memory"),
            (Some(file.clone()), Some(9))
        );
        assert_eq!(
            of("pod `web-1` fits on no node"),
            (Some(file.clone()), Some(2))
        );
        assert_eq!(of("pod `website-1` fits on no node"), (None, None));
    }

    #[test]
    fn a_missing_secret_leads_to_the_line_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("chart/templates/web.yaml");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let template = |name: &str| {
            format!(
                "kind: Deployment\nmetadata: {{name: web}}\nspec:\n  template:\n    spec:\n      containers:\n      \
                 - name: web\n        envFrom:\n        - secretRef: {{name: {name}}}\n"
            )
        };
        std::fs::write(&file, template("{{ .Values.login }}")).unwrap();
        let text = format!(
            "# Source: shop/templates/web.yaml\n{}",
            template("shop-login")
        );
        let rendered = Rendered::parse(&text).unwrap();
        let mut prepared = fixture::prepared(dir.path());
        prepared.chart.defaults = serde_json::json!({"login": "shop-login"});
        let message =
            "container `web` of pod `web-1` cannot be created: secret \"shop-login\" not found";
        let error = Error::new(Code::ReleaseNotReady, message);
        let found = at_config(&error, &prepared, &rendered).unwrap();
        assert_eq!((found.file, found.line), (Some(file), Some(9)));
        assert!(
            found
                .hint
                .unwrap()
                .starts_with("set `login` to one that is there")
        );
        let other = Error::new(Code::ReleaseNotReady, "secret \"other\" not found");
        assert_eq!(at_config(&other, &prepared, &rendered), None);
    }
}
