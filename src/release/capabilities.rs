//! What a chart's templates see as `.Capabilities`: the version of Kubernetes, and the API versions of the cluster.
//!
//! `helm upgrade` asks the cluster, `helm template` only knows its own defaults. A chart that asks is therefore rendered
//! with what the cluster has, and with what the releases before it and its own `crds` folders bring
//! (helm, "Built-in Objects": `Capabilities`).

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::read::GzDecoder;
use kube::Client;
use kube::discovery::ApiGroup;
use serde::{Deserialize, Serialize};

use super::chart::Chart;
use super::files;
use super::hasher::PartsHasher;
use super::helm::Helm;
use super::installed::unreachable;
use super::manifest::Rendered;
use crate::cluster::client::discovery;
use crate::error::{Code, Error, Result};
use crate::paths::{forget_old, write_atomic};

/// The file in a cluster's state folder: for rendering while the cluster is stopped.
const FILE: &str = "capabilities.json";
/// What was read in charts that were not used for this long is removed.
const MAX_UNUSED_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// What a chart may ask. Versions are written `apps/v1`, and with a kind `apps/v1/Deployment`, as helm has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// `v1.36.3`; None: helm's own default.
    pub kube_version: Option<String>,
    /// Beside those that helm knows of itself.
    pub api_versions: BTreeSet<String>,
}

impl Capabilities {
    /// Those of a cluster that answers.
    ///
    /// # Errors
    /// [`Code::ClusterUnreachable`].
    pub async fn of_cluster(client: &Client) -> Result<Self> {
        let failed = |e: kube::Error| unreachable(&e, "read what the API server knows");
        let version = client.apiserver_version().await.map_err(failed)?;
        let discovered = discovery(client).await.map_err(failed)?;
        Ok(Self {
            kube_version: Some(version.git_version),
            api_versions: discovered.groups().flat_map(of_group).collect(),
        })
    }

    /// Those that a cluster had when devk last asked; None if devk never did.
    ///
    /// # Errors
    /// [`Code::StateIo`] if the file is damaged.
    pub fn load(cluster: &Path) -> Result<Option<Self>> {
        let file = cluster.join(FILE);
        let Ok(text) = std::fs::read(&file) else {
            return Ok(None);
        };
        let damaged = |e| Error::new(Code::StateIo, format!("`{}`: {e}", file.display()));
        serde_json::from_slice(&text).map(Some).map_err(damaged)
    }

    /// Keeps them in the cluster's state folder, unless that has gone with its cluster.
    ///
    /// # Errors
    /// [`Code::StateIo`].
    pub fn save(&self, cluster: &Path) -> Result<()> {
        let is_kept = Self::load(cluster).is_ok_and(|kept| kept.as_ref() == Some(self));
        if is_kept || !cluster.is_dir() {
            return Ok(());
        }
        let text = serde_json::to_vec(self)
            .map_err(|e| Error::new(Code::StateIo, format!("cannot write `{FILE}`: {e}")))?;
        write_atomic(&cluster.join(FILE), &text, 0o600)
    }

    /// The arguments of `helm template`.
    pub(super) fn arguments(&self) -> Vec<String> {
        let version = self.kube_version.iter();
        let mut arguments: Vec<_> = version
            .map(|version| format!("--kube-version={version}"))
            .collect();
        if !self.api_versions.is_empty() {
            let versions: Vec<_> = self.api_versions.iter().map(String::as_str).collect();
            arguments.push(format!("--api-versions={}", versions.join(",")));
        }
        arguments
    }
}

fn of_group(group: &ApiGroup) -> Vec<String> {
    let of_version = |version: &str| {
        let resources = group.versioned_resources(version).into_iter();
        let mut found: Vec<_> = resources
            .map(|(resource, _)| format!("{}/{}", resource.api_version, resource.kind))
            .collect();
        found.push(match group.name() {
            "" => version.to_owned(),
            name => format!("{name}/{version}"),
        });
        found
    };
    group.versions().flat_map(of_version).collect()
}

/// Whether a chart asks for capabilities: some file of it, or of a chart in it, says so. An archive that cannot be read
/// counts as asking.
pub(super) fn are_asked_by(chart: &Path) -> Result<bool> {
    let files = files::read(chart)?;
    Ok(files
        .iter()
        .any(|file| is_asking(&file.path, &file.content)))
}

fn is_asking(path: &Path, content: &[u8]) -> bool {
    match path.extension().is_some_and(|end| end == "tgz") {
        true => is_archive_asking(content).unwrap_or(true),
        false => {
            let text = String::from_utf8_lossy(content);
            text.contains("Capabilities") || text.contains("kubeVersion")
        }
    }
}

fn is_archive_asking(content: &[u8]) -> std::io::Result<bool> {
    let mut archive = tar::Archive::new(GzDecoder::new(content));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let mut content = vec![];
        entry.read_to_end(&mut content)?;
        if is_asking(&path, &content) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The API versions that the definitions among these objects bring.
pub fn defined(rendered: &Rendered) -> BTreeSet<String> {
    let definitions = rendered
        .manifests
        .iter()
        .filter(|manifest| manifest.kind() == "CustomResourceDefinition");
    let versions = definitions.flat_map(|definition| {
        let spec = &definition.object["spec"];
        let group = spec["group"].as_str().unwrap_or_default();
        let kind = spec["names"]["kind"].as_str().unwrap_or_default();
        let versions = spec["versions"].as_array().into_iter().flatten();
        let served = versions.filter(|version| version["served"] != false);
        let names = served.filter_map(|version| version["name"].as_str());
        names.flat_map(move |name| [format!("{group}/{name}"), format!("{group}/{name}/{kind}")])
    });
    versions.collect()
}

/// The API versions that the `crds` folders of a chart and of its dependencies bring. helm reads them once for each
/// content.
///
/// # Errors
/// Those of helm, and [`Code::StateIo`].
pub async fn brought_by(chart: &Chart, helm: &Helm, cache: &Path) -> Result<BTreeSet<String>> {
    let file = crds_file(chart, helm, cache)?;
    let kept = std::fs::read(&file).ok();
    if let Some(kept) = kept.and_then(|text| serde_json::from_slice(&text).ok()) {
        files::touch(&file);
        return Ok(kept);
    }
    let brought = defined(&helm.crds(&chart.dir).await?);
    let text = serde_json::to_vec(&brought)
        .map_err(|e| Error::new(Code::StateIo, format!("cannot write definitions: {e}")))?;
    write_atomic(&file, &text, 0o600)?;
    forget_old(&cache.join("crds"), MAX_UNUSED_AGE);
    Ok(brought)
}

fn crds_file(chart: &Chart, helm: &Helm, cache: &Path) -> Result<PathBuf> {
    let key = PartsHasher::default()
        .part(&chart.hash)
        .part(helm.identity()?)
        .hex();
    Ok(cache.join("crds").join(key).with_extension("json"))
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const DEFINITION: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  names: {kind: Widget}
  versions:
  - {name: v1, served: true}
  - {name: v1beta1, served: false}
";

    #[test]
    fn a_definition_brings_the_versions_that_it_serves() {
        let found = defined(&Rendered::parse(DEFINITION).unwrap());
        let found: Vec<_> = found.iter().map(String::as_str).collect();
        assert_eq!(found, ["example.com/v1", "example.com/v1/Widget"]);
    }

    #[test]
    fn the_arguments_hold_what_is_known_and_nothing_else() {
        assert!(Capabilities::default().arguments().is_empty());
        let known = Capabilities {
            kube_version: Some("v1.36.3".to_owned()),
            api_versions: ["b/v1", "a/v1"].map(str::to_owned).into(),
        };
        let expected = ["--kube-version=v1.36.3", "--api-versions=a/v1,b/v1"];
        assert_eq!(known.arguments(), expected);
    }

    #[test]
    fn a_chart_asks_in_a_template_in_its_metadata_or_in_an_archive() {
        let asks = |file: &str, text: &str| {
            let dir = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(dir.path().join("templates")).unwrap();
            std::fs::create_dir_all(dir.path().join("charts")).unwrap();
            std::fs::write(dir.path().join(file), text).unwrap();
            are_asked_by(dir.path()).unwrap()
        };
        let archive = |text: &str| {
            let dir = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(dir.path().join("charts")).unwrap();
            let file = std::fs::File::create(dir.path().join("charts/db-1.0.0.tgz")).unwrap();
            let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::fast()));
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            archive
                .append_data(&mut header, "db/templates/a.yaml", text.as_bytes())
                .unwrap();
            archive.into_inner().unwrap().finish().unwrap();
            are_asked_by(dir.path()).unwrap()
        };
        assert!(archive("{{ .Capabilities.KubeVersion }}"));
        assert!(!archive("kind: ConfigMap"));
        assert!(!asks("templates/a.yaml", "kind: ConfigMap"));
        assert!(asks("templates/a.yaml", "{{ .Capabilities.KubeVersion }}"));
        assert!(asks("Chart.yaml", "kubeVersion: \">=1.30\""));
        assert!(asks("charts/db-1.0.0.tgz", "no archive"));
    }

    #[test]
    fn what_was_seen_is_kept_for_the_time_when_the_cluster_is_stopped() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Capabilities::load(dir.path()).unwrap(), None);
        let seen = Capabilities {
            api_versions: ["example.com/v1".to_owned()].into(),
            ..Capabilities::default()
        };
        seen.save(dir.path()).unwrap();
        assert_eq!(Capabilities::load(dir.path()).unwrap(), Some(seen));
        std::fs::write(dir.path().join(FILE), "{").unwrap();
        assert_eq!(
            Capabilities::load(dir.path()).unwrap_err().code,
            Code::StateIo
        );
    }
}
