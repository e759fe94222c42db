//! Demands of Services, Ingresses and NetworkPolicies.

use serde_json::Value;

use super::super::SchemaProblem;
use super::super::walk::Complaint;
use super::{Object, Placed, conflict, is_set, missing, one_of, word};

/// `ValidateService`.
pub(super) fn service(map: &Object) -> Vec<Placed> {
    let kind = word(map, "type");
    if kind == "ExternalName" {
        let is_named = is_set(map, "externalName");
        return (!is_named)
            .then(|| missing("externalName", "for `ExternalName`"))
            .into_iter()
            .collect();
    }
    let is_headless = word(map, "clusterIP") == "None";
    if is_headless && ["NodePort", "LoadBalancer"].contains(&kind) {
        return vec![conflict(
            Some("clusterIP"),
            format!("`clusterIP: None` excludes `type: {kind}`"),
        )];
    }
    let ports = map
        .get("ports")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    if ports.is_empty() {
        return (!is_headless)
            .then(|| missing("ports", ""))
            .into_iter()
            .collect();
    }
    let named: Vec<_> = ports
        .iter()
        .map(|port| port["name"].as_str().unwrap_or_default())
        .collect();
    if named.len() > 1 && named.contains(&"") {
        return vec![conflict(
            Some("ports"),
            "of several ports each needs a name",
        )];
    }
    let twice = named
        .iter()
        .enumerate()
        .find(|(at, name)| !name.is_empty() && named[..*at].contains(name));
    twice
        .map(|(_, name)| conflict(Some("ports"), format!("two ports have the name `{name}`")))
        .into_iter()
        .collect()
}

/// `validateHTTPIngressPath`.
pub(super) fn ingress_path(map: &Object) -> Vec<Placed> {
    let path = word(map, "path");
    if !["Exact", "Prefix"].contains(&word(map, "pathType")) || path.starts_with('/') {
        return vec![];
    }
    let complaint = Complaint::format("`path` does not begin with `/`", "such as `/` or `/api`");
    vec![(complaint, Some("path".to_owned()))]
}

/// `ValidateIngressSpec`.
pub(super) fn ingress(map: &Object) -> Vec<Placed> {
    match is_set(map, "rules") || is_set(map, "defaultBackend") {
        true => vec![],
        false => vec![(
            Complaint::new(
                SchemaProblem::Missing,
                "neither `rules` nor `defaultBackend` is given",
            ),
            Some("rules".to_owned()),
        )],
    }
}

/// `ValidateNetworkPolicyPeer`.
pub(super) fn peer(map: &Object) -> Vec<Placed> {
    let selectors = ["namespaceSelector", "podSelector"];
    let selector = selectors.iter().find(|key| is_set(map, key));
    match (is_set(map, "ipBlock"), selector) {
        (true, Some(selector)) => vec![conflict(
            Some(selector),
            format!("`{selector}` excludes `ipBlock`"),
        )],
        (false, None) => one_of(map, &["ipBlock", "namespaceSelector", "podSelector"]),
        _ => vec![],
    }
}
