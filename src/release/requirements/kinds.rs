//! Rendered kinds that the API server does not know.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use kube::Client;

use super::named;
use crate::error::{Code, Error, Result};
use crate::release::helm::Helm;
use crate::release::installed::unreachable;
use crate::release::manifest::{Manifest, Rendered};
use crate::release::prepare::Prepared;
use crate::release::written::Written;

/// `apiVersion` and `kind`.
type Kind<'a> = (&'a str, &'a str);

/// An error for each rendered object of a kind that neither the API server nor the chart's `crds` folders have. What
/// hooks bring is left out: helm asks for their kinds when it runs them.
///
/// # Errors
/// [`Code::ClusterUnreachable`].
pub async fn missing_kinds(
    client: &Client,
    prepared: &Prepared,
    rendered: &Rendered,
    helm: &Helm,
) -> Result<Vec<Error>> {
    let wanted: BTreeSet<Kind<'_>> = installed(rendered).map(kind).collect();
    let versions: BTreeSet<String> = wanted
        .iter()
        .map(|(version, _)| (*version).to_owned())
        .collect();
    let known = try_join_all(versions.into_iter().map(|version| async move {
        let kinds = kinds_of(client, &version).await?;
        Ok::<_, Error>((version, kinds))
    }));
    let known: BTreeMap<String, BTreeSet<String>> = known.await?.into_iter().collect();
    let is_missing = |(version, kind): Kind<'_>| !known[version].contains(kind);
    if !wanted.into_iter().any(is_missing) {
        return Ok(vec![]);
    }
    let brought = helm.crds(&prepared.chart.dir).await?;
    let missing = installed(rendered)
        .filter(|manifest| is_missing(kind(manifest)) && !brings(&brought, kind(manifest)));
    Ok(missing
        .map(|manifest| no_such_kind(prepared, rendered, manifest))
        .collect())
}

fn installed(rendered: &Rendered) -> impl Iterator<Item = &Manifest> {
    rendered
        .manifests
        .iter()
        .filter(|manifest| !manifest.is_hook())
}

fn kind(manifest: &Manifest) -> Kind<'_> {
    let version = manifest.object["apiVersion"].as_str().unwrap_or_default();
    (version, manifest.kind())
}

/// The kinds of a version such as `apps/v1` or `v1`; none if the API server does not have it.
async fn kinds_of(client: &Client, version: &str) -> Result<BTreeSet<String>> {
    let found = if version.contains('/') {
        client.list_api_group_resources(version).await
    } else {
        client.list_core_api_resources(version).await
    };
    match found {
        Ok(list) => Ok(list
            .resources
            .into_iter()
            .map(|resource| resource.kind)
            .collect()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(BTreeSet::new()),
        Err(error) => Err(unreachable(&error, "read what the API server knows")),
    }
}

/// Whether a CustomResourceDefinition of these brings the kind.
fn brings(definitions: &Rendered, (version, kind): Kind<'_>) -> bool {
    let Some((group, version)) = version.split_once('/') else {
        return false;
    };
    definitions.manifests.iter().any(|definition| {
        let spec = &definition.object["spec"];
        let versions = spec["versions"].as_array().into_iter().flatten();
        definition.kind() == "CustomResourceDefinition"
            && spec["group"] == group
            && spec["names"]["kind"] == kind
            && versions.map(|one| &one["name"]).any(|name| name == version)
    })
}

/// The rendered object whose kind helm finds unknown: `… name: "shop" … no matches for kind "ServiceMonitor" in version
/// "monitoring.coreos.com/v1"`, in helm 3 and 4 alike.
pub(in crate::release) fn unmatched<'a>(
    text: &str,
    rendered: &'a Rendered,
) -> Option<&'a Manifest> {
    let quoted = |after: &str| Some(text.split_once(after)?.1.split('"').next()?.to_owned());
    let wanted = quoted("no matches for kind \"")?;
    let version = quoted("\" in version \"")?;
    let name = quoted("mapping not found for name: \"");
    let mut of_kind = rendered
        .manifests
        .iter()
        .filter(|manifest| kind(manifest) == (version.as_str(), wanted.as_str()));
    let first = of_kind.clone().next();
    of_kind
        .find(|manifest| manifest.name() == name.as_deref())
        .or(first)
}

/// The error of an object whose kind the cluster does not have.
pub(in crate::release) fn no_such_kind(
    prepared: &Prepared,
    rendered: &Rendered,
    manifest: &Manifest,
) -> Error {
    let (version, kind) = kind(manifest);
    let written = Written::new(prepared, rendered, manifest);
    // The groups of Kubernetes itself that have no domain: apps, batch, extensions, …
    let is_built_in = !version
        .split('/')
        .next()
        .is_some_and(|group| group.contains('.'));
    let unknown = format!("the cluster knows no kind `{kind}` of `{version}`");
    let message = match is_built_in {
        true => format!("{} cannot be installed: {unknown}", named(manifest)),
        false => format!(
            "{} has no CustomResourceDefinition: {unknown}",
            named(manifest)
        ),
    };
    let hint = if brings(rendered, (version, kind)) {
        "the chart renders the definition together with the object, which helm cannot install at once: move it to the \
         chart's folder `crds`"
            .to_owned()
    } else {
        let install = match is_built_in {
            true => "write an apiVersion that this Kubernetes has",
            false => "install the definition first, by a release before this one",
        };
        match written.switch() {
            Some(path) => format!(
                "leave the object out by `set: {{{path}: false}}` of release `{}`, or {install}",
                prepared.name
            ),
            None => format!("leave the object out, or {install}"),
        }
    };
    written
        .locate(Error::new(Code::ChartKind, message), &["kind:"])
        .hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::prepare::fixture;

    const RENDERED: &str = "# Source: shop/templates/m.yaml
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: one}
---
# Source: shop/templates/m.yaml
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: two}
";

    const CRD: &str = "---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: servicemonitors.monitoring.coreos.com}
spec: {group: monitoring.coreos.com, names: {kind: ServiceMonitor}, versions: [{name: v1}]}
";

    #[test]
    fn helms_words_for_an_unknown_kind_name_the_object() {
        // As helm composes the message; not recorded from a run.
        let said = "Error: unable to build kubernetes objects from release manifest: resource mapping not found for \
                    name: \"two\" namespace: \"\" from \"\": no matches for kind \"ServiceMonitor\" in version \
                    \"monitoring.coreos.com/v1\"";
        let rendered = Rendered::parse(RENDERED).unwrap();
        assert_eq!(unmatched(said, &rendered).unwrap().name(), Some("two"));
        assert!(unmatched("Error: timed out", &rendered).is_none());
        let prepared = fixture::prepared(std::path::Path::new("/p"));
        let error = no_such_kind(&prepared, &rendered, &rendered.manifests[1]);
        assert_eq!(
            error.message,
            "ServiceMonitor `two` has no CustomResourceDefinition: the cluster knows no kind `ServiceMonitor` of \
             `monitoring.coreos.com/v1`"
        );
        assert_eq!(error.line, Some(7));
    }

    #[test]
    fn a_version_that_kubernetes_has_given_up_is_no_missing_definition() {
        let text = "apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: web}\n";
        let rendered = Rendered::parse(text).unwrap();
        let prepared = fixture::prepared(std::path::Path::new("/p"));
        let error = no_such_kind(&prepared, &rendered, &rendered.manifests[0]);
        assert_eq!(
            error.message,
            "Ingress `web` cannot be installed: the cluster knows no kind `Ingress` of `extensions/v1beta1`"
        );
        assert!(
            error
                .hint
                .unwrap()
                .ends_with("write an apiVersion that this Kubernetes has")
        );
    }

    #[test]
    fn a_definition_in_the_same_templates_comes_too_late() {
        let rendered = Rendered::parse(&format!("{RENDERED}{CRD}")).unwrap();
        assert!(brings(
            &rendered,
            ("monitoring.coreos.com/v1", "ServiceMonitor")
        ));
        assert!(!brings(
            &rendered,
            ("monitoring.coreos.com/v2", "ServiceMonitor")
        ));
        let prepared = fixture::prepared(std::path::Path::new("/p"));
        let error = no_such_kind(&prepared, &rendered, &rendered.manifests[0]);
        assert!(error.hint.unwrap().contains("folder `crds`"));
    }
}
