//! Removes the images that an `up` replaced: the project's older images, in Docker and in the nodes. Every save that
//! causes a build leaves one behind, and nothing else removes them.

use std::collections::BTreeSet;
use std::time::Duration;

use bollard::Docker;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};

use crate::cluster::Access;
use crate::error::{Code, Error, Result};
use crate::image;
use crate::ui;

/// The next `up` waits for it.
const GC_TIMEOUT: Duration = Duration::from_secs(30);

/// The images of a project, and where they are.
#[derive(Debug)]
pub(crate) struct Superseded {
    pub docker: Docker,
    pub access: Access,
    pub project: String,
    /// The references of the `up` that has just settled.
    pub current: BTreeSet<String>,
}

impl Superseded {
    /// Removes the replaced images, except those that a pod runs and the previous one of each image, for a roll-back.
    /// What cannot be removed stays until the next time; the log says why.
    pub(crate) async fn remove(self) {
        let late = || {
            Err(Error::new(
                Code::DockerRequest,
                format!("not done within {} s", GC_TIMEOUT.as_secs()),
            ))
        };
        let removed = tokio::time::timeout(GC_TIMEOUT, self.try_remove()).await;
        if let Err(error) = removed.unwrap_or_else(|_| late()) {
            ui::log(format_args!("removing superseded images: {error}"));
        }
    }

    async fn try_remove(&self) -> Result<()> {
        let built = image::built(&self.docker, &self.project).await?;
        let staying = image::staying(&built, &self.current);
        if built.iter().all(|image| staying.contains(&image.tag)) {
            return Ok(());
        }
        let needed: BTreeSet<_> = self
            .current
            .union(&self.running().await?)
            .cloned()
            .collect();
        let staying = image::staying(&built, &needed);
        for node in &self.access.nodes {
            image::remove_from_node(&self.docker, &node.name, &self.project, &staying).await?;
        }
        let superseded = built
            .into_iter()
            .map(|image| image.tag)
            .filter(|tag| !staying.contains(tag));
        image::remove_tags(&self.docker, superseded.collect())
            .await
            .map(drop)
    }

    /// The images of all pods: a chart may put some into other namespaces.
    async fn running(&self) -> Result<BTreeSet<String>> {
        let pods = Api::<Pod>::all(self.access.client.clone())
            .list(&ListParams::default())
            .await
            .map_err(|e| {
                Error::new(
                    Code::ClusterUnreachable,
                    format!("cannot list the pods: {e}"),
                )
                .hint("devk doctor")
            })?;
        let specs = pods.items.into_iter().filter_map(|pod| pod.spec);
        let containers = specs.flat_map(|spec| {
            spec.containers
                .into_iter()
                .chain(spec.init_containers.into_iter().flatten())
        });
        Ok(containers.filter_map(|container| container.image).collect())
    }
}
