//! The pin: the recorded identity of the cluster that devk may write to.
//!
//! A context name says nothing about which cluster it names (skaffold#1313: the wrong cluster was
//! written to); the UID of the `kube-system` namespace lives and dies with a cluster's storage.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use serde::{Deserialize, Serialize};

use crate::docker::Identity;
use crate::error::{Code, Error, Result};
use crate::paths::write_atomic;
use crate::shell::quote;

/// The recorded identity of a cluster. One file a cluster, `<state>/clusters/<name>/pin.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    pub version: u32,
    /// UID of the `kube-system` namespace.
    pub uid: String,
    /// The API server's URL in the private kubeconfig.
    pub endpoint: String,
    /// Container id of the control-plane node: a new one means that the cluster was created again. Empty for a
    /// cluster that the user brings.
    pub node: String,
    /// devk created the cluster, so `down --delete` may remove it.
    pub created: bool,
    /// The `kind` network was not there before devk created the cluster.
    pub network_created: bool,
    /// The Docker Engine that has the nodes. None for a cluster that the user brings, and in a pin of an older devk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Identity>,
}

/// The pin's file in a cluster's state folder.
pub fn file(cluster: &Path) -> PathBuf {
    cluster.join("pin.json")
}

/// The pin of a cluster, if there is one.
///
/// # Errors
/// [`Code::StateIo`] if the file is there but unreadable: guessing would defeat the pin.
pub fn load(cluster: &Path) -> Result<Option<Pin>> {
    let path = file(cluster);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unreadable(&path, &e)),
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|e| unreadable(&path, &e))
}

fn unreadable(path: &Path, cause: &dyn std::fmt::Display) -> Error {
    Error::new(
        Code::StateIo,
        format!("cannot read the cluster pin `{}`: {cause}", path.display()),
    )
    .hint(format!(
        "if the cluster is yours to write to: rm {} && devk up",
        quote(path)
    ))
}

/// Keeps the pin.
///
/// # Errors
/// [`Code::StateIo`].
pub fn save(cluster: &Path, pin: &Pin) -> Result<()> {
    let json =
        serde_json::to_vec_pretty(pin).map_err(|e| Error::new(Code::StateIo, e.to_string()))?;
    write_atomic(&file(cluster), &json, 0o600)
}

/// The UID of `kube-system` behind a client.
///
/// # Errors
/// [`Code::ClusterUnreachable`].
pub async fn uid(client: &kube::Client) -> Result<String> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = namespaces.get_metadata("kube-system").await.map_err(|e| {
        Error::new(
            Code::ClusterUnreachable,
            "the cluster's API server does not answer",
        )
        .evidence(e.to_string())
    })?;
    Ok(namespace.metadata.uid.unwrap_or_default())
}

/// Compares the pin with the cluster that answers; with its endpoint, too, where that is part of what was pinned.
///
/// # Errors
/// [`Code::ClusterPin`] if another cluster answers at the pinned place, or this one at another.
pub fn check(
    pin: &Pin,
    name: &str,
    cluster: &Path,
    uid: &str,
    endpoint: Option<&str>,
) -> Result<()> {
    if pin.uid == uid && endpoint.is_none_or(|endpoint| pin.endpoint == endpoint) {
        return Ok(());
    }
    let at = endpoint
        .map(|endpoint| format!(" at {endpoint}"))
        .unwrap_or_default();
    Err(Error::new(
        Code::ClusterPin,
        format!("cluster `{name}` is not the one that devk pinned"),
    )
    .evidence(format!(
        "pinned: kube-system {} at {}",
        pin.uid, pin.endpoint
    ))
    .evidence(format!("found:  kube-system {uid}{at}"))
    .hint(format!(
        "if this cluster is yours to write to: rm {} && devk up",
        quote(file(cluster))
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::pasted;

    fn pin() -> Pin {
        let uid = "u1".into();
        let endpoint = "https://127.0.0.1:1".into();
        let node = "c1".into();
        Pin {
            version: 1,
            uid,
            endpoint,
            node,
            created: true,
            network_created: false,
            engine: None,
        }
    }

    #[test]
    fn another_cluster_at_the_pinned_place_is_refused() {
        let error = check(&pin(), "devk", Path::new("/s"), "u2", None).unwrap_err();
        assert_eq!(error.code, Code::ClusterPin);
        assert_eq!(error.evidence[1], "found:  kube-system u2");
        assert_eq!(check(&pin(), "devk", Path::new("/s"), "u1", None), Ok(()));
    }

    #[test]
    fn a_copy_of_the_pinned_cluster_at_another_endpoint_is_refused_where_the_endpoint_counts() {
        let at = |endpoint| check(&pin(), "staging", Path::new("/s"), "u1", Some(endpoint));
        assert_eq!(at("https://127.0.0.1:1"), Ok(()));
        let error = at("https://10.0.0.1:1").unwrap_err();
        assert_eq!(
            error.evidence[1],
            "found:  kube-system u1 at https://10.0.0.1:1"
        );
    }

    #[test]
    fn a_pin_is_kept_and_a_broken_one_is_not_guessed_around() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load(dir.path()), Ok(None));
        save(dir.path(), &pin()).unwrap();
        assert_eq!(load(dir.path()), Ok(Some(pin())));
        std::fs::write(file(dir.path()), "{").unwrap();
        assert_eq!(load(dir.path()).unwrap_err().code, Code::StateIo);
    }

    #[test]
    fn the_pin_that_is_to_be_removed_is_named_for_a_shell() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("it's a state");
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(file(&dir), "{").unwrap();
        let damaged = load(&dir).unwrap_err();
        let other = check(&pin(), "devk", &dir, "u2", None).unwrap_err();
        for hint in [damaged.hint.unwrap(), other.hint.unwrap()] {
            assert_eq!(Path::new(&pasted(&hint, "rm ")), file(&dir), "{hint}");
        }
    }
}
