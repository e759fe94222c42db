//! Labels of pods, and whether pods have them.

use std::collections::BTreeMap;

/// Labels by their keys.
pub type PodLabels = BTreeMap<String, String>;

/// Whether a pod has all the labels that are asked for.
pub fn has_all(pod: &PodLabels, wanted: &PodLabels) -> bool {
    wanted
        .iter()
        .all(|(key, value)| pod.get(key) == Some(value))
}

/// `app=web,track=canary`, as kubectl takes it.
pub fn words(labels: &PodLabels) -> String {
    let words: Vec<_> = labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    words.join(",")
}
