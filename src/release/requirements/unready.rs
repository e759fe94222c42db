//! A release that did not become ready, put to the line of the chart that is the cause.

use kube::Client;

use super::missing_objects;
use crate::error::{Code, Error};
use crate::release::manifest::{Manifest, Rendered};
use crate::release::prepare::Prepared;
use crate::release::written::Written;

/// Refusals of pods, and the field that they are about.
const FIELDS: [(&str, &str); 5] = [
    ("exceeded quota", "resources:"),
    ("must specify", "resources:"),
    ("usage per Pod", "resources:"),
    ("usage per Container", "resources:"),
    ("violates PodSecurity", "securityContext:"),
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
        None => at_refused(error, prepared, rendered),
    }
}

fn at_refused(error: Error, prepared: &Prepared, rendered: &Rendered) -> Error {
    let is_refused = |manifest: &&Manifest| {
        let name = manifest.name().unwrap_or_default();
        let has_pods = manifest.object["spec"]["template"].is_object();
        has_pods && error.message.contains(&format!("`{name}` gets no pod"))
    };
    let Some(manifest) = rendered.manifests.iter().find(is_refused) else {
        return error;
    };
    let field = FIELDS
        .iter()
        .find_map(|(words, field)| error.message.contains(words).then_some(*field));
    let words = [field.unwrap_or("kind:"), "kind:"];
    Written::new(prepared, rendered, manifest).locate(error, &words)
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
        assert_eq!(of("`web` gets no pod: denied"), (Some(file), Some(2)));
        assert_eq!(of("pod `web-1` fits on no node"), (None, None));
    }
}
