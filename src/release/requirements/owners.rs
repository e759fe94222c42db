//! Rendered objects that belong to somebody else: helm gives an object to one release, and refuses the release that
//! comes later.

use std::collections::BTreeMap;

use futures::{FutureExt, StreamExt};
use kube::core::GroupVersionKind;
use kube::discovery::{Discovery, Scope};
use kube::{Client, ResourceExt};

use super::named;
use crate::cluster::client::objects_of;
use crate::cluster::sleep::RELEASE_NAMESPACE_ANNOTATION;
use crate::error::{Code, Error, on_cluster};
use crate::release::installed::RELEASE_ANNOTATION;
use crate::release::manifest::{Manifest, Rendered};
use crate::release::prepare::Prepared;
use crate::release::written::Written;
use crate::shell::quote;

/// So many objects are looked at at once.
const LOOKS_AT_ONCE: usize = 16;

/// Who has an object, by helm's notes on it.
#[derive(Debug, PartialEq, Eq)]
enum Owner {
    Release {
        name: String,
        namespace: String,
    },
    /// It was made without helm.
    Nobody,
}

impl Owner {
    fn of(object: &impl ResourceExt) -> Self {
        let note = |key: &str| object.annotations().get(key).cloned();
        match (note(RELEASE_ANNOTATION), note(RELEASE_NAMESPACE_ANNOTATION)) {
            (Some(name), Some(namespace)) => Self::Release { name, namespace },
            _ => Self::Nobody,
        }
    }
}

/// An error for each object that two releases of a project render, or that manifests hold twice: with the project's
/// namespace and without one.
pub fn rendered_twice(releases: &[(&Prepared, &Rendered)]) -> Vec<Error> {
    let mut first: BTreeMap<_, &str> = BTreeMap::new();
    let mut errors = vec![];
    for (prepared, rendered) in releases {
        for manifest in objects(rendered) {
            let key = (
                group(manifest),
                manifest.kind(),
                manifest.namespace(&prepared.namespace),
                manifest.name(),
            );
            let is_wrapped = prepared.chart.wrapped.is_some();
            match first.get(&key) {
                Some(owner) if *owner != prepared.name || is_wrapped => {
                    errors.push(twice(prepared, rendered, manifest, owner));
                }
                Some(_) => {}
                None => drop(first.insert(key, prepared.name.as_str())),
            }
        }
    }
    errors
}

fn twice(prepared: &Prepared, rendered: &Rendered, manifest: &Manifest, other: &str) -> Error {
    let written = Written::new(prepared, rendered, manifest);
    let name = &prepared.name;
    let object = named(manifest);
    let message = match other == name {
        true => format!(
            "{object} is in the manifests of release `{name}` twice, with the project's namespace and without"
        ),
        false => format!(
            "{object} is rendered by release `{other}` and by release `{name}`, and helm gives an object to one release"
        ),
    };
    let hint = match written.switch() {
        None if other == name => "keep one of them".to_owned(),
        Some(path) => {
            format!("leave it out of one of them: `set: {{{path}: false}}` of release `{name}`")
        }
        None => "leave it out of one of them, or give it another name there".to_owned(),
    };
    written
        .locate(Error::new(Code::ReleaseConflict, message), &["name:"])
        .hint(hint)
}

/// An error for each object of a release that the cluster has already and that this release does not own, outside of
/// the project's own namespace: there names are shared with other projects. `kinds` are those that the cluster knows.
pub async fn owned_by_others(
    client: &Client,
    kinds: &Discovery,
    prepared: &Prepared,
    rendered: &Rendered,
) -> Vec<Error> {
    let shared = objects(rendered).filter_map(|manifest| {
        // A kind that is unknown is reported elsewhere, or comes with an earlier release.
        let (resource, capabilities) = kinds.resolve_gvk(&gvk(manifest))?;
        let namespace = manifest.namespace(&prepared.namespace);
        let namespace = match capabilities.scope {
            Scope::Cluster => None,
            Scope::Namespaced if namespace == prepared.namespace => return None,
            Scope::Namespaced => Some(namespace.as_str()),
        };
        Some((manifest, objects_of(client, namespace, &resource)))
    });
    let own = Owner::Release {
        name: prepared.name.clone(),
        namespace: prepared.namespace.clone(),
    };
    let looks = shared.map(|(manifest, api)| {
        let name = manifest.name().unwrap_or_default().to_owned();
        async move { (manifest, api.get_metadata_opt(&name).await) }.boxed()
    });
    let looks: Vec<_> = looks.collect();
    let mut found = futures::stream::iter(looks).buffered(LOOKS_AT_ONCE);
    let mut errors = vec![];
    while let Some((manifest, object)) = found.next().await {
        // What is not ours to see is told by helm.
        let owner = object.ok().flatten().map(|object| Owner::of(&object));
        if let Some(owner) = owner.filter(|owner| *owner != own) {
            errors.push(taken(prepared, rendered, manifest, &owner));
        }
    }
    errors
}

fn taken(prepared: &Prepared, rendered: &Rendered, manifest: &Manifest, owner: &Owner) -> Error {
    let written = Written::new(prepared, rendered, manifest);
    let object = named(manifest);
    let place = match manifest.object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("in namespace `{namespace}`, which is not the project's own"),
        None => "for the whole cluster".to_owned(),
    };
    let is_placed = manifest.object["metadata"]["namespace"].is_string();
    let instead = match (&prepared.chart.wrapped, is_placed) {
        (None, _) => {
            "put the namespace into it (`{{ .Release.Namespace }}`), by a value or in the template"
        }
        (Some(_), true) => {
            "leave `metadata.namespace` out, and the object goes into the project's own namespace"
        }
        (Some(_), false) => {
            "give it another name, in the manifest or by `namePrefix` of a kustomization"
        }
    };
    let rename = format!("its name counts {place}: {instead}");
    let (message, hint) = match owner {
        Owner::Release { name, namespace } => (
            format!("{object} belongs to release `{name}` in namespace `{namespace}`"),
            rename,
        ),
        Owner::Nobody => {
            let resource = manifest.kind().to_lowercase();
            let show = format!(
                "kubectl get {resource} {} --output yaml",
                quote(manifest.name().unwrap_or_default())
            );
            let show = on_cluster(match manifest.object["metadata"]["namespace"].as_str() {
                Some(namespace) => format!("{show} --namespace {}", quote(namespace)),
                None => show,
            });
            (
                format!("{object} is on the cluster already, and no release has made it"),
                format!("{rename}; to look at it: {show}"),
            )
        }
    };
    written
        .locate(Error::new(Code::ReleaseConflict, message), &["name:"])
        .hint(hint)
}

/// What becomes part of the release: hooks do not.
fn objects(rendered: &Rendered) -> impl Iterator<Item = &Manifest> {
    let manifests = rendered.manifests.iter();
    manifests.filter(|manifest| !manifest.is_hook() && manifest.name().is_some())
}

/// The group of an apiVersion: `apps` of `apps/v1`, empty for `v1`.
fn group(manifest: &Manifest) -> &str {
    let version = manifest.object["apiVersion"].as_str().unwrap_or_default();
    version.split_once('/').map_or("", |(group, _)| group)
}

fn gvk(manifest: &Manifest) -> GroupVersionKind {
    let version = manifest.object["apiVersion"].as_str().unwrap_or_default();
    let version = version.rsplit('/').next().unwrap_or_default();
    GroupVersionKind::gvk(group(manifest), version, manifest.kind())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::release::prepare::fixture;

    fn rendered(text: &str) -> Rendered {
        Rendered::parse(text).unwrap()
    }

    fn service(namespace: &str) -> String {
        format!("apiVersion: v1\nkind: Service\nmetadata: {{name: web{namespace}}}\n")
    }

    #[test]
    fn an_object_that_two_releases_render_is_told_once() {
        let a = fixture::prepared(Path::new("/p"));
        let b = Prepared {
            name: "blog".into(),
            ..a.clone()
        };
        let (one, own) = (
            rendered(&service("")),
            rendered(&service(", namespace: shop")),
        );
        let elsewhere = rendered(&service(", namespace: elsewhere"));
        let errors = rendered_twice(&[(&a, &one), (&b, &own)]);
        let messages: Vec<_> = errors.iter().map(|e| e.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "Service `web` is rendered by release `shop` and by release `blog`, and helm gives an object to one release"
            ]
        );
        assert!(rendered_twice(&[(&a, &one), (&b, &elsewhere)]).is_empty());
        let hook = format!(
            "{}  annotations: {{helm.sh/hook: pre-install}}\n",
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n"
        );
        let hook = rendered(&hook);
        assert!(rendered_twice(&[(&a, &hook), (&b, &hook)]).is_empty());
    }

    #[test]
    fn manifests_that_hold_an_object_with_and_without_the_projects_namespace_are_told() {
        let mut prepared = fixture::prepared(Path::new("/p"));
        let both = rendered(&format!(
            "{}---\n{}",
            service(""),
            service(", namespace: shop")
        ));
        assert!(
            rendered_twice(&[(&prepared, &both)]).is_empty(),
            "helm takes it of a chart"
        );
        prepared.chart.wrapped = Some(Default::default());
        let errors = rendered_twice(&[(&prepared, &both)]);
        let messages: Vec<_> = errors.iter().map(|e| e.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "Service `web` is in the manifests of release `shop` twice, with the project's namespace and without"
            ]
        );
    }

    #[test]
    fn the_owner_of_a_shared_object_is_named_with_its_namespace() {
        let prepared = fixture::prepared(Path::new("/p"));
        let role = rendered(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: reader}\n",
        );
        let owner = Owner::Release {
            name: "shop".into(),
            namespace: "roles".into(),
        };
        let error = taken(&prepared, &role, &role.manifests[0], &owner);
        assert_eq!(
            error.message,
            "ClusterRole `reader` belongs to release `shop` in namespace `roles`"
        );
        assert!(
            error
                .hint
                .unwrap()
                .starts_with("its name counts for the whole cluster: ")
        );
        let error = taken(&prepared, &role, &role.manifests[0], &Owner::Nobody);
        assert!(
            error
                .hint
                .unwrap()
                .contains("kubectl get clusterrole reader --output yaml")
        );
    }
}
