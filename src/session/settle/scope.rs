//! What a caller waits for.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::release::project_pods::PodSelector;
use crate::sync::engine::SyncEngine;
use crate::sync::pods::{PodState, Pods};
use crate::sync::readiness::Engines;

/// What is waited for: images by their names in devk.yaml, and pods. All of the project if both are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettleScope {
    pub images: BTreeSet<String>,
    pub pods: Vec<PodSelector>,
}

impl SettleScope {
    pub(super) fn is_all(&self) -> bool {
        self.images.is_empty() && self.pods.is_empty()
    }

    pub(super) fn covers(&self, pod: &PodState, engines: &Engines) -> bool {
        let is_selected = |selector: &PodSelector| {
            selector.namespace == pod.namespace && pod.has_labels(&selector.labels)
        };
        let runs = |engine: &Arc<SyncEngine>| {
            let settings = engine.settings();
            self.images.contains(&settings.image) && pod.runs(&settings.reference)
        };
        self.is_all() || self.pods.iter().any(is_selected) || engines.iter().any(runs)
    }

    /// Whether what happens to an image is waited for.
    pub(super) fn covers_image(&self, engine: &SyncEngine, pods: &Pods) -> bool {
        let settings = engine.settings();
        let runs = |pod: &&PodState| pod.runs(&settings.reference);
        let is_selected = |pod: &PodState| self.covers(pod, &Engines::new());
        self.is_all()
            || self.images.contains(&settings.image)
            || pods.iter().filter(runs).any(is_selected)
    }
}
