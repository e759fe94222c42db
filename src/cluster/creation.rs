//! The mark of a running creation, and which nodes belong to it. An interrupted creation leaves its mark. A cluster
//! that the user has created since under the same name is not devk's to remove.

use std::path::{Path, PathBuf};

use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::InspectContainerOptions;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::nodes::Node;
use crate::config::Provider;
use crate::docker::{Engine, Identity, is_not_found, request_failed};
use crate::error::{Result, internal};
use crate::paths::{remove_file, write_atomic};
use crate::relay::handover;

/// How long after its beginning an attempt may still bring its first node: as long as a node's image takes to come.
const FIRST_NODE_TIMEOUT: SignedDuration = SignedDuration::from_mins(15);

/// The record of a creation while it runs. Fields that an older devk did not write are None.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Creation {
    pub(super) network_created: bool,
    #[serde(default)]
    pub(super) engine: Option<Identity>,
    /// When the attempt began, by the Engine's clock.
    #[serde(default)]
    pub(super) since: Option<Timestamp>,
}

fn file(cluster: &Path) -> PathBuf {
    cluster.join("creating")
}

/// The folder that devk shares with the node of a kind cluster.
pub(super) fn shared(cluster: &Path) -> PathBuf {
    cluster.join("shared")
}

/// The mark in a cluster's state folder. A mark that cannot be read proves nothing.
pub(super) fn load(cluster: &Path) -> Option<Creation> {
    serde_json::from_slice(&std::fs::read(file(cluster)).ok()?).ok()
}

/// Takes the mark away, if there is one.
///
/// # Errors
/// [`Code::StateIo`](crate::error::Code::StateIo).
pub(super) fn forget(cluster: &Path) -> Result<()> {
    remove_file(&file(cluster))
}

impl Creation {
    /// Marks a cluster.
    ///
    /// # Errors
    /// [`Code::StateIo`](crate::error::Code::StateIo).
    pub(super) fn save(&self, cluster: &Path) -> Result<()> {
        write_atomic(
            &file(cluster),
            &serde_json::to_vec(self).map_err(|e| internal(&e))?,
            0o600,
        )
    }

    /// Whether this attempt has created these nodes.
    ///
    /// # Errors
    /// [`Code::DockerRequest`](crate::error::Code::DockerRequest).
    pub(super) async fn made(
        &self,
        nodes: &[Node],
        engine: &Engine,
        cluster: &Path,
    ) -> Result<bool> {
        let Some(node) = nodes.first() else {
            return Ok(false);
        };
        let found = match engine
            .docker
            .inspect_container(&node.id, None::<InspectContainerOptions>)
            .await
        {
            Ok(found) => found,
            Err(e) if is_not_found(&e) => return Ok(false),
            Err(e) => {
                let what = format!("cannot look at node `{}`", node.name);
                return Err(request_failed(&what, &e));
            }
        };
        // Only such an Engine has the folder (src/cluster/kind.rs).
        let shares = node.provider == Provider::Kind && engine.host.starts_with("unix://");
        Ok(if shares {
            sees(&found, &shared(cluster))
        } else {
            self.is_of_its_time(&found)
        })
    }

    /// The proof by time, where there is no other: the nodes of another creation are older, or come long after the
    /// attempt.
    fn is_of_its_time(&self, node: &ContainerInspectResponse) -> bool {
        let made = node
            .created
            .and_then(|made| Timestamp::from_nanosecond(made.unix_timestamp_nanos()).ok());
        let age = self
            .since
            .zip(made)
            .map(|(since, made)| made.duration_since(since));
        age.is_some_and(|age| (SignedDuration::ZERO..FIRST_NODE_TIMEOUT).contains(&age))
    }
}

/// The folder is mounted where devk mounts it. A desktop packaging shows another source than it was asked for.
fn sees(node: &ContainerInspectResponse, folder: &Path) -> bool {
    let mounts = node.mounts.iter().flatten();
    let here = mounts.filter(|mount| mount.destination.as_deref() == Some(handover::FOLDER));
    let mut sources = here.filter_map(|mount| mount.source.as_deref());
    let asked = format!("{}:{}", folder.display(), handover::FOLDER);
    let is_asked = |bind: &String| {
        bind.strip_prefix(&asked)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    };
    let mut binds = node
        .host_config
        .iter()
        .flat_map(|config| config.binds.iter().flatten());
    sources.any(|source| Path::new(source) == folder) || binds.any(is_asked)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::fake::Program;
    use super::*;

    const SINCE: &str = "2026-01-31T09:30:00Z";

    /// Whether the attempt's mark claims this container; on an Engine of this machine, or elsewhere.
    async fn claims(provider: Provider, is_local: bool, container: &Value) -> bool {
        let program = Program::new("kind", &[], "exit 1");
        let container = container.clone();
        let mut engine = program.engine_that(move |_, _| container.clone()).await;
        if is_local {
            engine.host = "unix:///var/run/docker.sock".to_owned();
        }
        let mark = Creation {
            since: Some(SINCE.parse().unwrap()),
            ..Creation::default()
        };
        let node = Node {
            name: "x-control-plane".into(),
            id: "1".into(),
            running: true,
            control_plane: true,
            provider,
        };
        mark.made(&[node], &engine, Path::new("/state/clusters/x"))
            .await
            .unwrap()
    }

    fn mounted(source: &str) -> Value {
        json!({"Created": "2026-01-31T09:31:00Z", "Mounts": [{"Source": source, "Destination": handover::FOLDER}]})
    }

    #[tokio::test]
    async fn a_node_of_kinds_is_this_attempts_by_the_folder_it_sees() {
        let on_this_machine =
            async |container: Value| claims(Provider::Kind, true, &container).await;
        assert!(on_this_machine(mounted("/state/clusters/x/shared")).await);
        assert!(!on_this_machine(mounted("/bob/clusters/x/shared")).await);
        assert!(
            !on_this_machine(json!({"Created": "2026-01-31T09:31:00Z"})).await,
            "made by hand a minute later"
        );
        let mut desktop = mounted("/host_mnt/state/clusters/x/shared");
        desktop["HostConfig"] =
            json!({"Binds": [format!("/state/clusters/x/shared:{}:rw", handover::FOLDER)]});
        assert!(on_this_machine(desktop).await);
    }

    #[tokio::test]
    async fn where_there_is_no_such_folder_a_node_is_this_attempts_by_the_time_of_its_making() {
        let made = async |at: &str| claims(Provider::Minikube, true, &json!({"Created": at})).await;
        assert!(made("2026-01-31T09:30:20Z").await);
        assert!(!made("2026-01-31T09:29:59Z").await, "it was there before");
        assert!(!made("2026-01-31T11:00:00Z").await, "the attempt was over");
        assert!(
            claims(
                Provider::Kind,
                false,
                &json!({"Created": "2026-01-31T09:30:20Z"})
            )
            .await
        );
    }

    #[test]
    fn the_mark_of_an_older_devk_is_read_and_says_only_what_that_one_kept() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(file(dir.path()), r#"{"network_created":true}"#).unwrap();
        assert_eq!(
            load(dir.path()),
            Some(Creation {
                network_created: true,
                ..Creation::default()
            })
        );
        forget(dir.path()).unwrap();
        forget(dir.path()).unwrap();
        assert_eq!(load(dir.path()), None);
    }
}
