//! helm's record of an installed revision: what helm says that it has installed, which need not be what the chart
//! renders now (`now`, `randAlphaNum`, `.Release.Revision`, `.Release.IsInstall`, `lookup`).
//!
//! The record is a Secret of type `helm.sh/release.v1`. Its key `release` holds the base64 of gzipped JSON, as helm's
//! storage driver writes it (helm/helm, `pkg/storage/driver/util.go`); releases of helm before 3 are not read.

use std::collections::BTreeMap;
use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::Api;
use serde::Deserialize;

use super::installed::{Installed, installed, unreachable};
use super::manifest::Rendered;
use crate::error::{Code, Error, Result, on_cluster};

/// The first bytes of what is gzipped; helm does not compress small records of old versions.
const GZIP: [u8; 3] = [0x1f, 0x8b, 0x08];

/// The parts of the record that devk reads.
#[derive(Deserialize)]
struct Record {
    /// The objects as they went to the API server, each below a line `# Source: …`.
    manifest: String,
    #[serde(default)]
    hooks: Vec<Hook>,
}

/// The part of the record that holds the chart.
#[derive(Deserialize)]
struct OfChart {
    chart: RecordedChart,
}

#[derive(Deserialize)]
struct RecordedChart {
    #[serde(default)]
    templates: Vec<RecordedTemplate>,
}

/// A file below `templates/`, in base64.
#[derive(Deserialize)]
struct RecordedTemplate {
    name: String,
    data: String,
}

#[derive(Deserialize)]
struct Hook {
    /// helm's name of the template.
    path: String,
    manifest: String,
}

/// What helm has recorded of one revision, and of the chart that it was made from.
#[derive(Debug)]
pub struct RecordedRelease {
    pub rendered: Rendered,
    /// The chart's own, by their paths in it: `templates/api.yaml`. helm keeps none of its dependencies.
    pub templates: BTreeMap<String, String>,
}

impl Installed {
    /// The objects of this revision as helm installed them, hooks included; None if the record is gone, as when an
    /// uninstall overtakes.
    ///
    /// # Errors
    /// [`Code::ClusterUnreachable`]; [`Code::ReleaseApply`] if the record is not as helm writes it.
    pub async fn manifests(&self, client: &Client, namespace: &str) -> Result<Option<Rendered>> {
        match self.decoded(client, namespace, manifests_of).await? {
            Some(text) => Rendered::parse(&text).map(Some),
            None => Ok(None),
        }
    }

    /// The objects of this revision, and the templates of its chart; None if the record is gone.
    ///
    /// # Errors
    /// As [`Self::manifests`].
    pub async fn recorded(
        &self,
        client: &Client,
        namespace: &str,
    ) -> Result<Option<RecordedRelease>> {
        let read = |json: &[u8]| Ok((manifests_of(json)?, templates_of(json)?));
        match self.decoded(client, namespace, read).await? {
            Some((text, templates)) => Ok(Some(RecordedRelease {
                rendered: Rendered::parse(&text)?,
                templates,
            })),
            None => Ok(None),
        }
    }

    /// The record as `read` understands it; None if it is gone.
    async fn decoded<T>(
        &self,
        client: &Client,
        namespace: &str,
        read: fn(&[u8]) -> Result<T, String>,
    ) -> Result<Option<T>> {
        let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
        let found = secrets
            .get_opt(self.secret())
            .await
            .map_err(|e| unreachable(&e, "read what helm has installed"))?;
        let Some(data) = found.and_then(|secret| secret.data) else {
            return Ok(None);
        };
        let encoded = data.get("release").map(|bytes| bytes.0.as_slice());
        let read = unpacked(encoded.unwrap_or_default()).and_then(|json| read(&json));
        read.map(Some).map_err(|why| {
            let secret = self.secret();
            let message = format!("helm's record `{secret}` cannot be read: {why}");
            Error::new(Code::ReleaseApply, message).hint(on_cluster(format!(
                "kubectl get secret {secret} --namespace {namespace} --output yaml"
            )))
        })
    }
}

/// What helm has installed as the newest revision of a release; None if the release is not installed.
///
/// # Errors
/// As [`Installed::manifests`].
pub async fn installed_manifests(
    client: &Client,
    namespace: &str,
    release: &str,
) -> Result<Option<Rendered>> {
    match installed(client, namespace, release).await? {
        Some(found) => found.manifests(client, namespace).await,
        None => Ok(None),
    }
}

/// What helm has installed of several releases; one whose record is gone is left out.
///
/// # Errors
/// As [`Installed::manifests`].
pub async fn all_manifests(
    client: &Client,
    namespace: &str,
    releases: &[Installed],
) -> Result<Vec<Rendered>> {
    let manifests = releases
        .iter()
        .map(|release| release.manifests(client, namespace));
    Ok(try_join_all(manifests)
        .await?
        .into_iter()
        .flatten()
        .collect())
}

/// The JSON of a record.
fn unpacked(encoded: &[u8]) -> Result<Vec<u8>, String> {
    let bytes = STANDARD.decode(encoded).map_err(|e| e.to_string())?;
    let mut json = Vec::new();
    match bytes.starts_with(&GZIP) {
        true => GzDecoder::new(&bytes[..])
            .read_to_end(&mut json)
            .map(drop)
            .map_err(|e| e.to_string())?,
        false => json = bytes,
    }
    Ok(json)
}

/// The record as the text that `helm template` would have written.
fn manifests_of(json: &[u8]) -> Result<String, String> {
    // serde_json names a place, never a value.
    let record: Record = serde_json::from_slice(json).map_err(|e| e.to_string())?;
    let hooks = record
        .hooks
        .iter()
        .map(|hook| format!("---\n# Source: {}\n{}\n", hook.path, hook.manifest));
    Ok([record.manifest, "\n".to_owned()]
        .into_iter()
        .chain(hooks)
        .collect())
}

fn templates_of(json: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let record: OfChart = serde_json::from_slice(json).map_err(|e| e.to_string())?;
    let templates = record.chart.templates.into_iter().map(|template| {
        let bytes = STANDARD.decode(template.data).map_err(|e| e.to_string())?;
        Ok((template.name, String::from_utf8_lossy(&bytes).into_owned()))
    });
    templates.collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use serde_json::json;

    use super::*;

    const MANIFEST: &str = "---\n# Source: shop/templates/seed.yaml\napiVersion: batch/v1\nkind: Job\n\
                            metadata: {name: shop-seed-2}\n";

    fn record() -> String {
        let hook = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: migrate\n  annotations: {helm.sh/hook: pre-upgrade}";
        json!({
            "name": "shop",
            "info": {"status": "deployed"},
            "manifest": MANIFEST,
            "hooks": [{"name": "migrate", "path": "shop/templates/migrate.yaml", "manifest": hook}],
            "version": 2,
            "chart": {"templates": [{"name": "templates/seed.yaml", "data": STANDARD.encode("kind: Job\n")}]},
        })
        .to_string()
    }

    fn decode(encoded: &[u8]) -> Result<String, String> {
        manifests_of(&unpacked(encoded)?)
    }

    fn zipped(text: &str) -> String {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text.as_bytes()).unwrap();
        STANDARD.encode(encoder.finish().unwrap())
    }

    #[test]
    fn objects_and_hooks_are_read_with_their_templates() {
        for encoded in [zipped(&record()), STANDARD.encode(record())] {
            let rendered = Rendered::parse(&decode(encoded.as_bytes()).unwrap()).unwrap();
            let found: Vec<_> = rendered
                .manifests
                .iter()
                .map(|m| (m.object_name(), m.source.as_str(), m.is_hook()))
                .collect();
            assert_eq!(
                found,
                [
                    (
                        "Job/shop-seed-2".to_owned(),
                        "shop/templates/seed.yaml",
                        false
                    ),
                    (
                        "Job/migrate".to_owned(),
                        "shop/templates/migrate.yaml",
                        true
                    ),
                ]
            );
        }
    }

    #[test]
    fn the_templates_of_the_chart_are_read_by_their_paths() {
        let json = unpacked(zipped(&record()).as_bytes()).unwrap();
        let templates = templates_of(&json).unwrap();
        assert_eq!(templates["templates/seed.yaml"], "kind: Job\n");
    }

    #[test]
    fn a_damaged_record_is_an_error_without_its_content() {
        let cut = &zipped(&record())[..40];
        assert!(decode(cut.as_bytes()).is_err());
        assert!(decode(b"%").is_err());
        let secret = STANDARD.encode(r#"{"manifest": 3, "password": "hunter2"}"#);
        assert!(!decode(secret.as_bytes()).unwrap_err().contains("hunter2"));
    }
}
