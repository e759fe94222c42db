//! How traffic comes in: Ingresses and Services that others reach.

use serde_json::Value;

use super::super::rule::rules;
use super::super::seen::{Sightings, escaped};
use super::super::view::{RenderingView, list};

rules! { Security;
    "ingress.tls" Medium, Foundation 3, On, Rendering(tls):
        "what the Ingress serves crosses the network in the clear",
        "add `tls:` with the host and the Secret of its certificate",
        "Kubernetes, \"Ingress\": TLS";
    "ingress.snippet" High, Foundation 5, Off, Rendering(snippet):
        "a snippet of an Ingress is configuration of the proxy of everybody, secrets of other namespaces included",
        "take the annotation that is made for the purpose",
        "Kubernetes, CVE-2021-25742";
    "service.external-ip" High, Foundation 5, Off, Rendering(external_ips):
        "a Service with `externalIPs` takes the traffic of an address that may be another's",
        "take a LoadBalancer or an Ingress",
        "Kubernetes, CVE-2020-8554";
    "service.node-port" Low, Foundation 0, Off, Rendering(node_port):
        "a NodePort opens the port on every node, around every Ingress and its rules",
        "take ClusterIP behind an Ingress",
        "Kubernetes, \"Service\": type NodePort";
    "service.open-load-balancer" Low, Foundation 0, Off, Rendering(open_load_balancer):
        "anybody reaches a LoadBalancer without `loadBalancerSourceRanges`",
        "name the ranges, or take an internal load balancer",
        "Kubernetes, \"Service\": type LoadBalancer";
}

fn tls(view: &RenderingView<'_>, seen: &mut Sightings) {
    for ingress in view.of_kind("Ingress") {
        let covered: Vec<_> = list(&ingress.spec()["tls"])
            .iter()
            .flat_map(|tls| list(&tls["hosts"]))
            .filter_map(Value::as_str)
            .collect();
        let has_default = list(&ingress.spec()["tls"])
            .iter()
            .any(|tls| list(&tls["hosts"]).is_empty());
        let is_covered = |host: &str| {
            let parent = host
                .split_once('.')
                .map(|(_, parent)| format!("*.{parent}"));
            covered.contains(&host) || parent.is_some_and(|any| covered.contains(&&*any))
        };
        for (at, rule) in list(&ingress.spec()["rules"]).iter().enumerate() {
            let host = rule["host"].as_str().unwrap_or_default();
            if !has_default && !is_covered(host) {
                let message = match host {
                    "" => "the Ingress has no TLS".to_owned(),
                    host => format!("the host `{host}` has no TLS"),
                };
                seen.governed(ingress, &format!("/spec/rules/{at}"), &["tls"], message);
            }
        }
    }
}

fn snippet(view: &RenderingView<'_>, seen: &mut Sightings) {
    for ingress in view.of_kind("Ingress") {
        let annotations = ingress.json["metadata"]["annotations"].as_object();
        for key in annotations.into_iter().flatten().map(|(key, _)| key) {
            if key.ends_with("-snippet") {
                let path = format!("/metadata/annotations/{}", escaped(key));
                seen.object(
                    ingress,
                    &path,
                    format!("the Ingress has the annotation `{key}`"),
                );
            }
        }
    }
}

fn external_ips(view: &RenderingView<'_>, seen: &mut Sightings) {
    for service in view.of_kind("Service") {
        if !list(&service.spec()["externalIPs"]).is_empty() {
            seen.object(
                service,
                "/spec/externalIPs",
                "the Service has `externalIPs`",
            );
        }
    }
}

fn node_port(view: &RenderingView<'_>, seen: &mut Sightings) {
    for service in view.of_kind("Service") {
        if service.spec()["type"] == "NodePort" {
            let message = "the Service is of type NodePort";
            seen.governed(service, "/spec/type", &["type"], message);
        }
    }
}

fn open_load_balancer(view: &RenderingView<'_>, seen: &mut Sightings) {
    for service in view.of_kind("Service") {
        let is_open = list(&service.spec()["loadBalancerSourceRanges"]).is_empty();
        if service.spec()["type"] == "LoadBalancer" && is_open {
            let message = "the LoadBalancer takes connections from anywhere";
            seen.object(service, "/spec/type", message);
        }
    }
}
