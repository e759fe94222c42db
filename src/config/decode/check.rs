//! `check:` as [`CheckConfig`], of devk.yaml or of the team's file.

use super::{text, texts};
use crate::config::yaml::ConfigNode;
use crate::config::{CheckConfig, IgnoreConfig, Origin};

/// What a node with the keys of `check:` says.
pub(in crate::config) fn check(node: &ConfigNode) -> CheckConfig {
    let text = |key| text(node, key).map(str::to_owned);
    let texts = |key| texts(node, key).collect();
    let is_set = |key| node.get(key).and_then(ConfigNode::text) == Some("true");
    let place = |key| node.get(key).map(|node| Origin::from(&node.place));
    CheckConfig {
        kubernetes: text("kubernetes"),
        registries: texts("registries"),
        storage_classes: texts("storageClasses"),
        ingress_classes: texts("ingressClasses"),
        labels: texts("labels"),
        annotations: texts("annotations"),
        max_cpu: text("maxCpu"),
        max_memory: text("maxMemory"),
        network_policy: is_set("networkPolicy"),
        monitoring: is_set("monitoring"),
        backup: is_set("backup"),
        enable: texts("enable"),
        enabled_at: place("enable"),
        ignore: node
            .get("ignore")
            .map_or(&[][..], ConfigNode::items)
            .iter()
            .map(ignore)
            .collect(),
    }
}

fn ignore(node: &ConfigNode) -> IgnoreConfig {
    let text = |key| text(node, key).map(str::to_owned);
    IgnoreConfig {
        rule: text("rule").unwrap_or_default(),
        object: text("object"),
        chart: text("chart"),
        reason: text("reason").unwrap_or_default(),
        until: text("until").and_then(|day| day.parse().ok()),
        origin: Origin::from(&node.place),
    }
}
