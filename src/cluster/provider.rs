//! The [`Cluster`] of each provider of devk.yaml.

use std::path::PathBuf;
use std::sync::Arc;

use super::Cluster;
use super::existing::Existing;
use super::k3d::K3d;
use super::kind::KindCluster;
use super::minikube::Minikube;
use crate::config::{ClusterConfig, Provider};
use crate::docker::Engine;

pub(super) fn of_provider(engine: Engine, config: ClusterConfig, dir: PathBuf) -> Arc<dyn Cluster> {
    let ClusterConfig {
        provider,
        name,
        image,
        remote,
        ..
    } = config;
    match provider {
        Provider::Kind => Arc::new(KindCluster {
            engine,
            name,
            dir,
            image,
        }),
        Provider::Minikube => Arc::new(Minikube {
            engine,
            profile: name,
            dir,
            image,
        }),
        Provider::K3d => Arc::new(K3d {
            engine,
            name,
            dir,
            image,
        }),
        Provider::Existing => Arc::new(Existing {
            engine,
            context: name,
            dir,
            remote,
        }),
    }
}
