//! Claims and volumes of pods.

use serde_json::Value;

use super::super::rule::rules;
use super::super::seen::Sightings;
use super::super::view::{ChartObject, PodView, RenderingView, list};
use super::scaling::least_replicas;

rules! { Performance;
    "storage.shared-claim" Medium, Foundation 4, Off, Rendering(shared_claim):
        "several replicas cannot mount a ReadWriteOnce claim on several nodes: some stay Pending",
        "make it a StatefulSet with claim templates, or a claim with ReadWriteMany",
        "Kubernetes, \"Persistent Volumes\": Access Modes";
    "storage.rolling-claim" Medium, Foundation 3, Off, Rendering(rolling_claim):
        "an upgrade starts the new pod before the old one ends, and on another node it waits for the claim for ever",
        "`strategy: {type: Recreate}`, or a StatefulSet",
        "Kubernetes, \"Deployments\": Recreate Deployment";
    "storage.size-limit" Low, Foundation 0, Off, Rendering(size_limit):
        "an emptyDir without `sizeLimit` may fill the disk of the node",
        "set `sizeLimit`",
        "Kubernetes, \"Volumes\": emptyDir";
    "storage.keep" Low, Upkeep 1, Off, Rendering(keep):
        "`helm uninstall` removes the claim, and the data with it",
        "annotate it with `helm.sh/resource-policy: keep`, or use a claim template",
        "helm, \"Chart Development Tips and Tricks\": Tell Helm Not To Uninstall a Resource";
}

/// The claims of a pod that only one node may write: the pointer of the volume, and the claim's name.
fn single_claims<'a>(
    view: &RenderingView<'a>,
    object: &ChartObject<'_>,
    pod: &PodView<'a>,
) -> Vec<(String, &'a str)> {
    let volumes = list(&pod.spec["volumes"]).iter().enumerate();
    let claims = volumes.filter_map(|(at, volume)| {
        let name = volume["persistentVolumeClaim"]["claimName"].as_str()?;
        let claim = view.find("PersistentVolumeClaim", object.namespace, name)?;
        let modes = list(&claim.spec()["accessModes"]);
        let is_single = !modes.is_empty()
            && modes
                .iter()
                .filter_map(Value::as_str)
                .all(|mode| matches!(mode, "ReadWriteOnce" | "ReadWriteOncePod"));
        is_single.then(|| (pod.at(&format!("/volumes/{at}")), name))
    });
    claims.collect()
}

fn shared_claim(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, pod) in view.services() {
        let is_several = least_replicas(view, object).is_some_and(|count| count > 1);
        for (path, name) in single_claims(view, object, pod) {
            if is_several {
                let message = format!("several replicas have the ReadWriteOnce claim `{name}`");
                seen.object(object, &path, message);
            }
        }
    }
}

fn rolling_claim(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, pod) in view.services().filter(|(o, _)| o.kind == "Deployment") {
        let is_rolling = object.spec()["strategy"]["type"] != "Recreate";
        let claims = single_claims(view, object, pod);
        if let Some((_, name)) = claims.first().filter(|_| is_rolling) {
            let message = format!("a rolling upgrade waits for the ReadWriteOnce claim `{name}`");
            seen.governed(object, "/spec/strategy", &["strategy"], message);
        }
    }
}

fn size_limit(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, pod) in view.workloads() {
        for (at, volume) in list(&pod.spec["volumes"]).iter().enumerate() {
            let has_none =
                volume["emptyDir"].is_object() && volume["emptyDir"]["sizeLimit"].is_null();
            if has_none {
                let name = volume["name"].as_str().unwrap_or_default();
                let message = format!("the emptyDir `{name}` has no `sizeLimit`");
                seen.object(object, &pod.at(&format!("/volumes/{at}/emptyDir")), message);
            }
        }
    }
}

fn keep(view: &RenderingView<'_>, seen: &mut Sightings) {
    for claim in view.of_kind("PersistentVolumeClaim") {
        if claim.annotation("helm.sh/resource-policy") != Some("keep") {
            seen.object(claim, "/metadata", "the claim goes with the release");
        }
    }
}
