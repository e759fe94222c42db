//! Ingresses to Services that are not there, and policies that choose nothing.

use super::super::facts::{backend_text, backends};
use super::super::kind::AskedKind;
use super::super::object::{SeenObject, items, text};
use super::super::snapshot::ClusterSnapshot;
use super::{Finding, Weight};
use crate::error::suggest;

pub(super) fn ingress(seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Vec<Finding> {
    let mut findings = vec![];
    for (host, path, backend) in backends(seen) {
        let name = backend["name"].as_str().unwrap_or_default();
        let way = format!("{host}{path}");
        let Some(service) = snapshot.find(AskedKind::Service, seen.namespace(), name) else {
            let here = snapshot.here(AskedKind::Service, seen.namespace());
            let near = suggest(name, here.map(|one| one.name()))
                .map(|near| format!("; there is `{near}`"))
                .unwrap_or_default();
            let what = format!(
                "Ingress `{}` leads {way} to Service `{name}`, which is not there{near}",
                seen.name()
            );
            findings.push(
                Finding::new(seen, Weight::Broken, what)
                    .shown_by("spec.rules", backend_text(backend))
                    .next("devk ask services"),
            );
            continue;
        };
        let port = &backend["port"];
        let has_port = items(&service.spec()["ports"]).any(|one| {
            one["port"] == port["number"]
                || (port["name"].is_string() && one["name"] == port["name"])
        });
        if !has_port {
            let what = format!(
                "Ingress `{}` leads {way} to {}, and the Service has no such port",
                seen.name(),
                backend_text(backend)
            );
            findings.push(
                Finding::new(seen, Weight::Broken, what)
                    .shown_by("spec.rules", backend_text(backend))
                    .next(format!("devk ask \"ports of service {name}\"")),
            );
        }
    }
    for tls in items(&seen.spec()["tls"]) {
        let secret = text(&tls["secretName"]);
        if snapshot.is_read(AskedKind::Secret)
            && !secret.is_empty()
            && snapshot
                .find(AskedKind::Secret, seen.namespace(), &secret)
                .is_none()
        {
            let what = format!(
                "Ingress `{}` takes its certificate from Secret `{secret}`, which is not there",
                seen.name()
            );
            findings.push(
                Finding::new(seen, Weight::Broken, what).shown_by("spec.tls.secretName", secret),
            );
        }
    }
    findings
}

pub(super) fn network_policy(seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Vec<Finding> {
    let pods = snapshot.pods_of(seen);
    let selector = super::super::object::selector_text(&seen.spec()["podSelector"]);
    if pods.is_empty() && !selector.is_empty() {
        let what = format!(
            "NetworkPolicy `{}` chooses no pod: nothing has the labels `{selector}`",
            seen.name()
        );
        return vec![
            Finding::new(seen, Weight::Limited, what).shown_by("spec.podSelector", selector),
        ];
    }
    vec![]
}
