//! What a pod shares with its node: namespaces, ports, the addresses that the kubelet is sent to, kernel settings, and
//! host processes of Windows.

use serde_json::Value;

use super::Offence;
use super::pod::{PodContainer, PodTemplate};

/// Kernel settings that concern the pod alone, with the version from which the policy allows them.
const SAFE_SYSCTLS: [(&str, u8); 12] = [
    ("kernel.shm_rmid_forced", 0),
    ("net.ipv4.ip_local_port_range", 0),
    ("net.ipv4.tcp_syncookies", 0),
    ("net.ipv4.ping_group_range", 0),
    ("net.ipv4.ip_unprivileged_port_start", 0),
    ("net.ipv4.ip_local_reserved_ports", 27),
    ("net.ipv4.tcp_keepalive_time", 29),
    ("net.ipv4.tcp_fin_timeout", 29),
    ("net.ipv4.tcp_keepalive_intvl", 29),
    ("net.ipv4.tcp_keepalive_probes", 29),
    ("net.ipv4.tcp_rmem", 32),
    ("net.ipv4.tcp_wmem", 32),
];

/// Where a container has the kubelet connect to something.
const HANDLERS: [&str; 5] = [
    "/livenessProbe",
    "/readinessProbe",
    "/startupProbe",
    "/lifecycle/postStart",
    "/lifecycle/preStop",
];

pub(super) fn namespaces(pod: &PodTemplate<'_>) -> Vec<Offence> {
    let fields = ["hostNetwork", "hostPID", "hostIPC"];
    let shared = fields
        .into_iter()
        .filter(|field| pod.spec(&format!("/{field}")) == Some(&Value::Bool(true)));
    shared
        .map(|field| PodTemplate::offence(format!("/spec/{field}"), format!("`{field}` is true")))
        .collect()
}

pub(super) fn ports(pod: &PodTemplate<'_>) -> Vec<Offence> {
    pod.containers.iter().flat_map(ports_of).collect()
}

fn ports_of(container: &PodContainer<'_>) -> Vec<Offence> {
    let ports = container.get("/ports").and_then(Value::as_array);
    let taken = ports
        .into_iter()
        .flatten()
        .enumerate()
        .filter_map(|(at, port)| {
            let port = port["hostPort"].as_i64().filter(|port| *port != 0)?;
            let what = format!("the container takes port {port} of its node");
            Some(container.offence(&format!("/ports/{at}/hostPort"), what))
        });
    taken.collect()
}

pub(super) fn probes(pod: &PodTemplate<'_>) -> Vec<Offence> {
    let each = pod.containers.iter().flat_map(|container| {
        let handlers = HANDLERS.into_iter();
        let places = handlers.flat_map(|handler| {
            ["httpGet", "tcpSocket"].map(|action| format!("{handler}/{action}/host"))
        });
        places.filter_map(|place| {
            let host = container
                .get(&place)?
                .as_str()
                .filter(|host| !host.is_empty())?;
            let what = format!("the kubelet is sent to `{host}` instead of the pod");
            Some(container.offence(&place, what))
        })
    });
    each.collect()
}

pub(super) fn sysctls<const SINCE: u8>(pod: &PodTemplate<'_>) -> Vec<Offence> {
    let list = pod
        .spec("/securityContext/sysctls")
        .and_then(Value::as_array);
    let set = list.into_iter().flatten().enumerate();
    let is_safe = |name: &str| {
        SAFE_SYSCTLS
            .iter()
            .any(|(safe, since)| *safe == name && *since <= SINCE)
    };
    set.map(|(at, sysctl)| (at, sysctl["name"].as_str().unwrap_or_default()))
        .filter(|(_, name)| !is_safe(name))
        .map(|(at, name)| {
            let path = format!("/spec/securityContext/sysctls/{at}/name");
            PodTemplate::offence(
                path,
                format!("the kernel setting `{name}` is not safe for other pods"),
            )
        })
        .collect()
}

pub(super) fn windows_processes(pod: &PodTemplate<'_>) -> Vec<Offence> {
    const FIELD: &str = "/windowsOptions/hostProcess";
    let on_host = pod
        .holders()
        .filter(|holder| holder.context(FIELD) == Some(&Value::Bool(true)));
    on_host
        .map(|holder| holder.offence(FIELD, "`hostProcess` is true: it runs on the node itself"))
        .collect()
}
