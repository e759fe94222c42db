//! The namespaces of a project: its own, and those into which its charts put objects.

use std::collections::BTreeSet;

use kube::Client;

use super::installed;
use super::manifest::{Manifest, Rendered};
use super::record::all_manifests;
use crate::error::Result;

/// The namespaces of a project by what its charts render, or by what helm has installed.
pub fn of<'a>(
    project: &str,
    renderings: impl IntoIterator<Item = &'a Rendered>,
) -> BTreeSet<String> {
    let manifests = renderings
        .into_iter()
        .flat_map(|rendered| &rendered.manifests);
    let namespaces = manifests.map(|manifest| manifest.namespace(project));
    namespaces.chain([project.to_owned()]).collect()
}

/// The other namespaces of a project, by helm's records of its releases.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct OtherNamespaces {
    /// Those that hold objects of the releases.
    pub used: BTreeSet<String>,
    /// Those that the releases have made: they go with their release.
    pub made: BTreeSet<String>,
}

impl OtherNamespaces {
    /// # Errors
    /// [`crate::error::Code::ClusterUnreachable`], and those of [`installed::Installed::manifests`].
    pub async fn of_project(client: &Client, project: &str) -> Result<Self> {
        let releases = installed::releases(client, project).await?;
        let installed = all_manifests(client, project, &releases).await?;
        Ok(Self::of_installed(project, &installed))
    }

    fn of_installed(project: &str, installed: &[Rendered]) -> Self {
        let mut used = of(project, installed);
        used.remove(project);
        let manifests = installed.iter().flat_map(|rendered| &rendered.manifests);
        let namespaces = manifests.filter(|manifest| manifest.kind() == "Namespace");
        Self {
            used,
            made: namespaces
                .filter_map(Manifest::name)
                .map(str::to_owned)
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_projects_own_namespace_is_always_among_its_namespaces_and_none_of_the_others() {
        let text = "kind: Namespace\nmetadata: {name: made}\n---\nkind: Service\nmetadata: {name: a, namespace: elsewhere}\n";
        let rendered = Rendered::parse(text).unwrap();
        let found: Vec<_> = of("shop", [&rendered]).into_iter().collect();
        assert_eq!(found, ["elsewhere", "shop"]);
        assert_eq!(of("shop", []).len(), 1);
        let expected = OtherNamespaces {
            used: ["elsewhere".to_owned()].into(),
            made: ["made".to_owned()].into(),
        };
        assert_eq!(OtherNamespaces::of_installed("shop", &[rendered]), expected);
    }
}
