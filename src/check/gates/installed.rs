//! The rendering against what helm has installed: fields that the API server does not let anybody change. Such an upgrade
//! fails, and is found here before it is made.

use serde_json::Value;

use super::super::rule::rules;
use super::super::seen::{Sightings, escaped};
use super::super::view::{ChartObject, ChartView, list};

rules! { Operational;
    "upgrade.immutable-selector" Critical, Foundation 20, On, Chart(selector):
        "the selector of an installed workload cannot change: this upgrade fails",
        "keep the selector, or remove the workload first and accept that its pods end",
        "Kubernetes, \"Deployments\": Label selector updates";
    "upgrade.immutable-field" Critical, Foundation 20, On, Chart(field):
        "a field of an installed object cannot change: this upgrade fails",
        "keep the field, give the object another name, or remove it first if nothing is lost with it",
        "Kubernetes API: validation of updates";
    "upgrade.job-template" Critical, Foundation 20, On, Chart(job):
        "the pods of an installed Job cannot change: this upgrade fails",
        "put `{{ .Release.Revision }}` into the name, make it a hook, or set `replaceJobs: true` in devk.yaml",
        "Kubernetes, \"Jobs\"";
}

/// What stands for the address of a forward in what is looked at.
const STAND_IN: &str = "127.0.0.1:1";

/// An object that is installed and rendered: where it is rendered, and as it was.
struct Pair<'v, 'a> {
    place: &'v ChartObject<'a>,
    now: ChartObject<'v>,
    before: ChartObject<'v>,
}

fn pairs<'v, 'a>(view: &'v ChartView<'a>) -> Vec<Pair<'v, 'a>> {
    let namespace = &view.facts.namespace;
    let Some(rendering) = view.judged().next() else {
        return vec![];
    };
    let has_revisions = view
        .facts
        .own_templates()
        .any(|(_, text)| text.contains("Release.Revision"));
    let pairs = view.facts.installed.iter().filter_map(|pair| {
        let now = ChartObject::of(&pair.now, namespace);
        // What is looked at is rendered as the first revision; an upgrade makes another object.
        let is_of_revision = now.name.split(['-', '.']).any(|part| part == "1");
        if has_revisions && is_of_revision {
            return None;
        }
        let place = rendering.find(now.kind, now.namespace, now.name)?;
        let before = ChartObject::of(&pair.before, namespace);
        Some(Pair { place, now, before })
    });
    pairs.collect()
}

/// Whether a value is another than it was, but for tags and addresses for which there are stand-ins.
fn differs(now: &Value, before: &Value) -> bool {
    match (now, before) {
        (Value::String(now), Value::String(before)) => {
            let name = |text: &str| {
                let is_built = crate::image::is_built(text);
                let name = text.rsplit_once(':').map(|(name, _)| name.to_owned());
                name.filter(|_| is_built)
            };
            let is_same_image = name(now).is_some() && name(now) == name(before);
            now != before && !is_same_image && !is_stand_in(now)
        }
        (Value::Array(now), Value::Array(before)) => {
            now.len() != before.len()
                || now
                    .iter()
                    .zip(before)
                    .any(|(now, before)| differs(now, before))
        }
        (Value::Object(now), Value::Object(before)) => {
            let keys = now.keys().chain(before.keys());
            keys.into_iter().any(|key| {
                let value = |map: &serde_json::Map<String, Value>| {
                    map.get(key).cloned().unwrap_or_default()
                };
                differs(&value(now), &value(before))
            })
        }
        (now, before) => now != before,
    }
}

/// Whether a text has the address that stands for that of a forward, or only its port.
fn is_stand_in(text: &str) -> bool {
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_digit());
    text == "1"
        || text
            .match_indices(STAND_IN)
            .any(|(at, _)| ends(&text[at + STAND_IN.len()..]))
}

fn selector(view: &ChartView<'_>, seen: &mut Sightings) {
    let selecting = ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"];
    for Pair { place, now, before } in pairs(view) {
        let (new, old) = (&now.spec()["selector"], &before.spec()["selector"]);
        if selecting.contains(&now.kind) && differs(new, old) {
            let message = format!("the selector was {}", short(old));
            seen.object(place, "/spec/selector", message);
        }
    }
}

/// The fields that cannot change, by kind.
fn immutable(kind: &str) -> &'static [&'static str] {
    match kind {
        "StatefulSet" => &[
            "/spec/volumeClaimTemplates",
            "/spec/serviceName",
            "/spec/podManagementPolicy",
        ],
        "PersistentVolumeClaim" => &[
            "/spec/storageClassName",
            "/spec/accessModes",
            "/spec/volumeName",
            "/spec/volumeMode",
        ],
        "StorageClass" => &[
            "/provisioner",
            "/parameters",
            "/reclaimPolicy",
            "/volumeBindingMode",
        ],
        "RoleBinding" | "ClusterRoleBinding" => &["/roleRef"],
        "Secret" => &["/type"],
        "PriorityClass" => &["/value"],
        _ => &[],
    }
}

fn field(view: &ChartView<'_>, seen: &mut Sightings) {
    for Pair { place, now, before } in pairs(view) {
        for path in immutable(now.kind) {
            let old = before.json.pointer(path).unwrap_or(&Value::Null);
            let new = now.json.pointer(path).unwrap_or(&Value::Null);
            if differs(
                &defaulted(now.kind, path, new),
                &defaulted(now.kind, path, old),
            ) {
                let name = path.rsplit('/').next().unwrap_or_default();
                let message = format!("`{name}` of `{}` changes", now.label());
                seen.object(place, path, message);
            }
        }
        cluster_ip(place, &now, &before, seen);
        sealed(place, &now, &before, seen);
    }
}

/// What a field that is not there means.
fn defaulted(kind: &str, path: &str, value: &Value) -> Value {
    let default = match (kind, path) {
        ("Secret", "/type") => "Opaque",
        ("StatefulSet", "/spec/podManagementPolicy") => "OrderedReady",
        ("PersistentVolumeClaim", "/spec/volumeMode") => "Filesystem",
        ("StorageClass", "/reclaimPolicy") => "Delete",
        ("StorageClass", "/volumeBindingMode") => "Immediate",
        ("StatefulSet", "/spec/volumeClaimTemplates") => return claims(value),
        _ => return value.clone(),
    };
    match value {
        Value::Null => Value::from(default),
        value => value.clone(),
    }
}

/// Claim templates without what the API server adds by itself.
fn claims(value: &Value) -> Value {
    let claims = list(value).iter().map(|claim| {
        let mut spec = claim["spec"].clone();
        if spec["volumeMode"] == "Filesystem"
            && let Some(spec) = spec.as_object_mut()
        {
            spec.remove("volumeMode");
        }
        let labels = &claim["metadata"]["labels"];
        serde_json::json!({"name": claim["metadata"]["name"], "labels": labels, "spec": spec})
    });
    claims.collect()
}

/// A Service becomes headless, or ceases to be.
fn cluster_ip(
    place: &ChartObject<'_>,
    now: &ChartObject<'_>,
    before: &ChartObject<'_>,
    seen: &mut Sightings,
) {
    let is_headless = |object: &ChartObject<'_>| object.spec()["clusterIP"] == "None";
    let is_service = now.kind == "Service" && now.spec()["type"] != "ExternalName";
    if is_service && is_headless(now) != is_headless(before) {
        let message = format!("`clusterIP` of `{}` changes", now.label());
        seen.object(place, "/spec/clusterIP", message);
    }
}

/// A ConfigMap or Secret that was marked as immutable.
fn sealed(
    place: &ChartObject<'_>,
    now: &ChartObject<'_>,
    before: &ChartObject<'_>,
    seen: &mut Sightings,
) {
    if before.json["immutable"] != true {
        return;
    }
    let keys = ["data", "binaryData", "stringData"];
    if keys
        .iter()
        .any(|key| differs(&now.json[*key], &before.json[*key]))
    {
        let path = format!("/{}", escaped("data"));
        let message = format!("`{}` is immutable, and its data changes", now.label());
        seen.object(place, &path, message);
    }
}

fn job(view: &ChartView<'_>, seen: &mut Sightings) {
    for Pair { place, now, before } in pairs(view) {
        let (new, old) = (&now.spec()["template"], &before.spec()["template"]);
        if now.kind == "Job" && !view.facts.replaces_jobs && differs(new, old) {
            seen.object(place, "/spec/template", "the pods of the Job change");
        }
    }
}

/// A selector in one line.
fn short(selector: &Value) -> String {
    format!("`{selector}`")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::super::facts::{ChartFacts, CheckRendering, InstalledObject, RenderingUse};
    use super::*;
    use crate::config::CheckConfig;
    use crate::release::manifest::Rendered;
    use jiff::civil::Date;

    fn found(before: &str, now: &str) -> Vec<String> {
        let mut facts = ChartFacts::new("shop", "shop", Path::new("/c"), vec![]);
        let parse = |text: &str| Rendered::parse(text).unwrap();
        facts.installed = InstalledObject::of(&parse(now), &parse(before), "shop");
        let rendering = CheckRendering::new("d", RenderingUse::Judged, now, Value::Null).unwrap();
        facts.renderings.push(rendering);
        let config = CheckConfig::default();
        let view = ChartView::new(&facts, &config, Date::ZERO);
        let mut seen = Sightings::default();
        selector(&view, &mut seen);
        field(&view, &mut seen);
        job(&view, &mut seen);
        seen.0
            .into_iter()
            .map(|sighting| sighting.message)
            .collect()
    }

    const SET: &str = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec:\n  selector: {matchLabels: {app: db}}\n  template: {metadata: {labels: {app: db}}, spec: {containers: []}}\n  volumeClaimTemplates:\n  - metadata: {name: data}\n    spec: {resources: {requests: {storage: 1Gi}}}\n";

    #[test]
    fn a_changed_selector_and_claim_template_are_found_and_an_unchanged_one_is_not() {
        assert_eq!(found(SET, SET), [""; 0]);
        let larger = SET.replace("1Gi", "2Gi");
        assert_eq!(
            found(SET, &larger),
            ["`volumeClaimTemplates` of `StatefulSet/db` changes"]
        );
        let other = SET.replace("app: db", "app: data");
        assert_eq!(
            found(SET, &other),
            ["the selector was `{\"matchLabels\":{\"app\":\"db\"}}`"]
        );
        let defaulted = SET.replace(
            "spec: {resources",
            "spec: {volumeMode: Filesystem, resources",
        );
        assert_eq!(found(SET, &defaulted), [""; 0]);
    }

    #[test]
    fn a_job_changes_with_its_pods_but_not_with_the_tag_of_an_image_that_devk_builds() {
        let job = |image: &str| {
            format!(
                "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: seed}}\nspec: {{template: {{spec: {{containers: [{{name: a, image: \"{image}\"}}]}}}}}}\n"
            )
        };
        assert_eq!(
            found(&job("a:1"), &job("a:2")),
            ["the pods of the Job change"]
        );
        assert_eq!(
            found(&job("devk.local/s/a:1f"), &job("devk.local/s/a:00")),
            [""; 0]
        );
    }

    #[test]
    fn a_service_that_becomes_headless_and_sealed_data_are_found() {
        let service =
            "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 1}]}\n";
        let headless = service.replace("ports:", "clusterIP: None, ports:");
        assert_eq!(
            found(service, &headless),
            ["`clusterIP` of `Service/a` changes"]
        );
        let map =
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nimmutable: true\ndata: {a: b}\n";
        let changed = map.replace("a: b", "a: c");
        assert_eq!(
            found(map, &changed),
            ["`ConfigMap/a` is immutable, and its data changes"]
        );
    }
}
