//! Where a pod's volumes come from, and how it sees `/proc`.

use super::Offence;
use super::pod::{PodTemplate, escaped, present};

/// Volumes that give a pod nothing of its node's.
const HARMLESS: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

pub(super) fn host_paths(pod: &PodTemplate<'_>) -> Vec<Offence> {
    let from_host = pod.volumes().filter_map(|(at, volume)| {
        let host = present(volume, "/hostPath")?;
        let name = volume["name"].as_str().unwrap_or_default();
        let folder = host["path"].as_str().unwrap_or("a folder");
        let what = format!("the volume `{name}` is `{folder}` of the node");
        Some(PodTemplate::offence(
            format!("/spec/volumes/{at}/hostPath"),
            what,
        ))
    });
    from_host.collect()
}

pub(super) fn restricted(pod: &PodTemplate<'_>) -> Vec<Offence> {
    let is_harmless = |kind: &str, volume| present(volume, &format!("/{kind}")).is_some();
    let others = pod
        .volumes()
        .filter(|(_, volume)| !HARMLESS.iter().any(|kind| is_harmless(kind, volume)));
    let refused = others.filter_map(|(at, volume)| {
        let keys = volume.as_object()?.iter();
        // A volume of no kind becomes an `emptyDir` before admission (k8s.io/kubernetes, `SetDefaults_Volume`).
        let mut kinds = keys.filter(|(key, value)| *key != "name" && !value.is_null());
        let (kind, _) = kinds.next()?;
        let name = volume["name"].as_str().unwrap_or_default();
        let path = format!("/spec/volumes/{at}/{}", escaped(kind));
        Some(PodTemplate::offence(
            path,
            format!("the volume `{name}` is of the kind `{kind}`"),
        ))
    });
    refused.collect()
}

pub(super) fn proc_mount(pod: &PodTemplate<'_>) -> Vec<Offence> {
    let unmasked = pod.containers.iter().filter_map(|container| {
        const FIELD: &str = "/securityContext/procMount";
        let kind = container
            .get(FIELD)?
            .as_str()
            .filter(|kind| *kind != "Default")?;
        Some(container.offence(FIELD, format!("`procMount` is `{kind}`, not `Default`")))
    });
    unmasked.collect()
}

/// With users of its own the pod may see all of `/proc`.
pub(super) fn proc_mount_or_own_users(pod: &PodTemplate<'_>) -> Vec<Offence> {
    match pod.has_own_users() {
        true => vec![],
        false => proc_mount(pod),
    }
}
