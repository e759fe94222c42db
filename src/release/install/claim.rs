//! A claim that Kubernetes does not change: it is made again, once no pod holds it.

use serde_json::Value;

use crate::error::on_cluster;
use crate::release::labels::{PodLabels, words};
use crate::release::manifest::Rendered;
use crate::release::pods::{self, Pod, list};
use crate::shell::quote;

/// How admission refuses a larger claim: `persistentvolumeclaims "data" is forbidden: …`.
const FIXED_SIZE: &str = "\" is forbidden: only dynamically provisioned pvc can be resized";

/// The claims of a message that are to grow, and that their StorageClass leaves as large as they are.
pub(super) fn of_fixed_size(line: &str) -> impl Iterator<Item = &str> {
    let before: Vec<_> = line.split(FIXED_SIZE).collect();
    let ends = before.len() - 1;
    let befores = before.into_iter().take(ends);
    befores.filter_map(|before| {
        let (kind, name) = before.rsplit_once(" \"")?;
        kind.ends_with("persistentvolumeclaims").then_some(name)
    })
}

/// The commands that remove a claim. A claim stays as long as a pod that runs uses it, so its removal is not waited for,
/// and its pods end first; what makes them anew waits for the new claim.
pub(super) fn removal(name: &str, namespace: &str, release: &str, rendered: &Rendered) -> String {
    let options = format!("--namespace {}", quote(namespace));
    let mut commands = vec![on_cluster(format!(
        "kubectl delete persistentvolumeclaim {} --wait=false {options}",
        quote(name)
    ))];
    let all = pods::pods(rendered);
    let users = all
        .iter()
        .filter(|pod| pod.manifest.namespace(release) == namespace && uses(pod, name));
    for user in users {
        let which = match labels(&user.manifest.object) {
            Some(labels) => format!("--selector {}", quote(words(&labels))),
            None => quote(user.manifest.name().unwrap_or_default()),
        };
        let command = on_cluster(format!("kubectl delete pod {which} {options}"));
        if !commands.contains(&command) {
            commands.push(command);
        }
    }
    commands.join(" && ")
}

fn uses(pod: &Pod<'_>, name: &str) -> bool {
    list(&pod.spec["volumes"]).any(|volume| volume["persistentVolumeClaim"]["claimName"] == name)
}

/// The labels by which the pods of a workload are found; None for a pod of its own.
fn labels(object: &Value) -> Option<PodLabels> {
    let spec = &object["spec"];
    let selector = &spec["selector"]["matchLabels"];
    let template = &spec["template"]["metadata"]["labels"];
    let job = &spec["jobTemplate"]["spec"]["template"]["metadata"]["labels"];
    let mut known = [selector, template, job]
        .into_iter()
        .filter_map(Value::as_object);
    let known = known.find(|labels| !labels.is_empty())?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    known
        .iter()
        .map(|(key, value)| Some((key.clone(), text(value)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_that_cannot_grow_is_read_from_what_admission_says() {
        let said = "Error: UPGRADE FAILED: server-side apply failed for object shop/data v1, Kind=PersistentVolumeClaim: \
                    persistentvolumeclaims \"data\" is forbidden: only dynamically provisioned pvc can be resized and the \
                    storageclass that provisions the pvc must support resize";
        assert_eq!(of_fixed_size(said).collect::<Vec<_>>(), ["data"]);
        let other = "pods \"x\" is forbidden: exceeded quota";
        assert_eq!(of_fixed_size(other).count(), 0);
    }

    #[test]
    fn a_claim_goes_when_the_pods_that_hold_it_have_ended() {
        let rendered = Rendered::parse(
            "apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  selector: {matchLabels: {app: api, tier: x}}
  template:
    metadata: {labels: {app: api, tier: x, other: y}}
    spec: {containers: [{name: c}], volumes: [{name: v, persistentVolumeClaim: {claimName: data}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: lone}
spec: {containers: [{name: c}], volumes: [{name: v, persistentVolumeClaim: {claimName: data}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: apart}
spec: {containers: [{name: c}], volumes: [{name: v, persistentVolumeClaim: {claimName: other}}]}
",
        )
        .unwrap();
        let on = "--namespace shop --kubeconfig \"$(devk kubeconfig)\"";
        let expected = format!(
            "kubectl delete persistentvolumeclaim data --wait=false {on} && kubectl delete pod --selector app=api,tier=x {on} \
             && kubectl delete pod lone {on}"
        );
        let found = removal("data", "shop", "shop", &rendered);
        assert_eq!(found.replace('\'', ""), expected);
        assert!(!removal("none", "shop", "shop", &rendered).contains("&&"));
    }
}
