//! Capabilities of the kernel that containers add and drop.

use super::Offence;
use super::pod::{PodContainer, PodTemplate, texts};

const ADD: &str = "/securityContext/capabilities/add";
const DROP: &str = "/securityContext/capabilities/drop";

/// What container runtimes give by default, but for NET_RAW.
const DEFAULT: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

pub(super) fn baseline(pod: &PodTemplate<'_>) -> Vec<Offence> {
    let containers = pod.containers.iter();
    containers
        .flat_map(|container| added_beyond(container, &DEFAULT))
        .collect()
}

pub(super) fn restricted(pod: &PodTemplate<'_>) -> Vec<Offence> {
    let each = pod.containers.iter().flat_map(|container| {
        let drops_all = texts(container.get(DROP)).any(|(_, name)| name == "ALL");
        let kept = (!drops_all)
            .then(|| container.offence(DROP, "the container does not drop the capabilities `ALL`"));
        let added = added_beyond(container, &["NET_BIND_SERVICE"]);
        kept.into_iter().chain(added)
    });
    each.collect()
}

/// The API server takes no capabilities for Windows.
pub(super) fn restricted_but_windows(pod: &PodTemplate<'_>) -> Vec<Offence> {
    match pod.is_windows() {
        true => vec![],
        false => restricted(pod),
    }
}

fn added_beyond(container: &PodContainer<'_>, allowed: &[&str]) -> Vec<Offence> {
    let added = texts(container.get(ADD)).filter(|(_, name)| !allowed.contains(name));
    added
        .map(|(at, name)| {
            let what = format!("the container adds the capability `{name}`");
            container.offence(&format!("{ADD}/{at}"), what)
        })
        .collect()
}
