//! What an Ingress leads to.

use serde_json::Value;

use super::super::rule::rules;
use super::super::seen::Sightings;
use super::super::view::{ChartObject, RenderingView, list};

rules! { Functional;
    "ingress.backend" High, Foundation 8, On, Every(backend):
        "the Ingress leads to a Service, or to a port of it, that the chart does not have",
        "name the Service and its port as they are rendered",
        "Kubernetes, \"Ingress\"";
}

fn backend(view: &RenderingView<'_>, seen: &mut Sightings) {
    for ingress in view.of_kind("Ingress") {
        for (path, backend) in backends(ingress) {
            if let Some(message) = missing(view, ingress, backend) {
                seen.object(ingress, &path, message);
            }
        }
    }
}

fn missing(view: &RenderingView<'_>, ingress: &ChartObject<'_>, backend: &Value) -> Option<String> {
    let name = backend["name"].as_str()?;
    let Some(service) = view.find("Service", ingress.namespace, name) else {
        return Some(format!("the chart has no Service `{name}`"));
    };
    let wanted = &backend["port"];
    let has = list(&service.spec()["ports"]).iter().any(|port| {
        let is_named = wanted["name"].is_string() && wanted["name"] == port["name"];
        is_named || (wanted["number"].is_u64() && wanted["number"] == port["port"])
    });
    let port = wanted["name"]
        .as_str()
        .map_or_else(|| wanted["number"].to_string(), str::to_owned);
    (!has).then(|| format!("the Service `{name}` has no port `{port}`"))
}

fn backends<'a>(ingress: &ChartObject<'a>) -> Vec<(String, &'a Value)> {
    let mut found = vec![];
    let default = &ingress.spec()["defaultBackend"]["service"];
    found.push(("/spec/defaultBackend/service".to_owned(), default));
    for (at, rule) in list(&ingress.spec()["rules"]).iter().enumerate() {
        for (item, path) in list(&rule["http"]["paths"]).iter().enumerate() {
            let pointer = format!("/spec/rules/{at}/http/paths/{item}/backend/service");
            found.push((pointer, &path["backend"]["service"]));
        }
    }
    found
}
