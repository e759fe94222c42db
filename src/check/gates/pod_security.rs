//! The Pod Security Standards: what pods may ask of their node. Hooks are judged like workloads; tests, which run when
//! somebody asks for them, by the baseline alone.

use super::super::rule::rules;
use super::super::seen::Sightings;
use super::super::view::{ObjectRole, RenderingView, list};
use super::schema::targets;
use crate::kubernetes_version::KubernetesVersion;
use crate::pod_security::{PodSecurityLevel, PodSecurityViolation, pod_security_violations};

rules! { Security;
    "pod.privileged" Critical, Foundation 15, On, Rendering(privileged):
        "a privileged container has all of its node",
        "remove `privileged: true`, and add the one capability that is needed",
        "Kubernetes, \"Pod Security Standards\": Privileged Containers";
    "pod.runtime-socket" Critical, Foundation 20, On, Rendering(runtime_socket):
        "who has the socket of Docker or containerd has the node, and every pod on it",
        "build images outside of the cluster, or with a builder that needs no socket",
        "OWASP, \"Docker Security Cheat Sheet\": Rule 1";
    "pod.host-namespaces" High, Foundation 8, On, Rendering(host_namespaces):
        "the pod sees the network, the processes or the shared memory of its node",
        "remove `hostNetwork`, `hostPID` and `hostIPC`",
        "Kubernetes, \"Pod Security Standards\": Host Namespaces";
    "pod.host-path" High, Foundation 8, On, Rendering(host_path):
        "the pod reads or writes files of its node, and finds others on the next node",
        "take a claim, an emptyDir or a ConfigMap",
        "Kubernetes, \"Pod Security Standards\": HostPath Volumes";
    "pod.capabilities" High, Foundation 8, On, Rendering(capabilities):
        "the container adds a capability that the baseline does not allow",
        "remove the capability from `capabilities.add`",
        "Kubernetes, \"Pod Security Standards\": Capabilities";
    "pod.baseline" High, Foundation 5, On, Rendering(baseline):
        "the pod asks for a port of its node, a profile, a parameter of the kernel or another thing that the baseline does not allow",
        "remove the field",
        "Kubernetes, \"Pod Security Standards\": Baseline";
    "pod.non-root" Medium, Context 5, On, Rendering(non_root):
        "a program that runs as root and breaks out of its container is root on the node",
        "set `securityContext.runAsNonRoot: true`, and a `runAsUser` that is not 0 if the image has none",
        "Kubernetes, \"Pod Security Standards\": Running as Non-root";
    "pod.escalation" Medium, Context 4, On, Rendering(escalation):
        "a program in the container may get more privileges than it was started with",
        "set `securityContext.allowPrivilegeEscalation: false`",
        "Kubernetes, \"Pod Security Standards\": Privilege Escalation";
    "pod.drop-capabilities" Medium, Context 4, On, Rendering(drop_capabilities):
        "the container keeps capabilities that it does not need",
        "set `securityContext.capabilities.drop: [ALL]`, and add back what is needed",
        "Kubernetes, \"Pod Security Standards\": Capabilities (restricted)";
    "pod.seccomp" Medium, Context 2, On, Rendering(seccomp):
        "the container may make every call of the kernel, also those that no program needs",
        "set `securityContext.seccompProfile.type: RuntimeDefault`",
        "Kubernetes, \"Pod Security Standards\": Seccomp (restricted)";
    "pod.volume-types" Medium, Foundation 3, On, Rendering(volume_types):
        "the volume is of a kind that only the privileged level allows, or `/proc` is unmasked",
        "take a claim, a CSI volume, an emptyDir, a ConfigMap, a Secret or a projected volume",
        "Kubernetes, \"Pod Security Standards\": Volume Types";
    "pod.writable-root" Low, Context 0, Off, Rendering(writable_root):
        "whoever breaks into the container can change its programs",
        "set `securityContext.readOnlyRootFilesystem: true`, and mount an emptyDir where the program writes",
        "NSA/CISA, \"Kubernetes Hardening Guide\": Immutable container file systems";
}

/// The sockets of container runtimes, by the ends of their paths.
const SOCKETS: [&str; 4] = ["docker.sock", "containerd.sock", "crio.sock", "podman.sock"];

/// What stands against the pods of a rendering, each with the object's position.
pub(in crate::check) fn violations(view: &RenderingView<'_>) -> Vec<(usize, PodSecurityViolation)> {
    let version = targets(view.constraints).into_iter().max();
    let version = version.unwrap_or(KubernetesVersion::new(u8::MAX));
    let objects = view.objects.iter().enumerate();
    let pods = objects.filter_map(|(at, object)| Some((at, object.role, object.pod.as_ref()?)));
    let found = pods.flat_map(|(at, role, pod)| {
        let level = match role {
            ObjectRole::Test => PodSecurityLevel::Baseline,
            _ => PodSecurityLevel::Restricted,
        };
        let all = pod_security_violations(pod.template, version).into_iter();
        let (mut found, stricter): (Vec<_>, Vec<_>) = all
            .filter(|one| one.level <= level)
            .partition(|one| one.level == PodSecurityLevel::Baseline);
        let stricter = stricter.into_iter();
        // What the baseline forbids is told by the baseline's rule alone.
        let is_new = |one: &PodSecurityViolation| !found.iter().any(|known| known.path == one.path);
        let stricter: Vec<_> = stricter.filter(is_new).collect();
        found.extend(stricter);
        found.into_iter().map(move |one| (at, one))
    });
    found.collect()
}

fn each(
    view: &RenderingView<'_>,
    seen: &mut Sightings,
    checks: &[&str],
    is_meant: impl Fn(&str) -> bool,
) {
    let violations = view.pod_security.get_or_init(|| violations(view));
    for (at, found) in violations
        .iter()
        .filter(|(_, found)| checks.contains(&found.check))
    {
        let object = &view.objects[*at];
        let Some(pod) = &object.pod else { continue };
        let path = format!("{}{}", pod.path, found.path);
        let host_path = object
            .json
            .pointer(&path)
            .and_then(|value| value["path"].as_str());
        if is_meant(host_path.unwrap_or_default()) {
            let values = &[
                "securityContext",
                "podSecurityContext",
                "containerSecurityContext",
            ];
            seen.governed(object, &path, values, found.what.clone());
        }
    }
}

fn is_socket(path: &str) -> bool {
    SOCKETS.iter().any(|socket| path.ends_with(socket))
}

fn privileged(view: &RenderingView<'_>, seen: &mut Sightings) {
    each(view, seen, &["privileged"], |_| true);
}

fn runtime_socket(view: &RenderingView<'_>, seen: &mut Sightings) {
    for object in &view.objects {
        let Some(pod) = &object.pod else { continue };
        for (at, volume) in list(&pod.spec["volumes"]).iter().enumerate() {
            let path = volume["hostPath"]["path"].as_str().unwrap_or_default();
            if is_socket(path) {
                let message = format!("the pod mounts `{path}` of its node");
                seen.object(object, &pod.at(&format!("/volumes/{at}/hostPath")), message);
            }
        }
    }
}

fn host_namespaces(view: &RenderingView<'_>, seen: &mut Sightings) {
    each(view, seen, &["hostNamespaces"], |_| true);
}

fn host_path(view: &RenderingView<'_>, seen: &mut Sightings) {
    // Sockets have a rule of their own.
    each(view, seen, &["hostPathVolumes"], |path| !is_socket(path));
}

fn capabilities(view: &RenderingView<'_>, seen: &mut Sightings) {
    each(view, seen, &["capabilities_baseline"], |_| true);
}

fn baseline(view: &RenderingView<'_>, seen: &mut Sightings) {
    let others = [
        "appArmorProfile",
        "hostPorts",
        "hostProbesAndHostLifecycle",
        "procMount",
        "seLinuxOptions",
        "seccompProfile_baseline",
        "sysctls",
        "windowsHostProcess",
    ];
    each(view, seen, &others, |_| true);
}

fn non_root(view: &RenderingView<'_>, seen: &mut Sightings) {
    each(view, seen, &["runAsNonRoot", "runAsUser"], |_| true);
}

fn escalation(view: &RenderingView<'_>, seen: &mut Sightings) {
    each(view, seen, &["allowPrivilegeEscalation"], |_| true);
}

fn drop_capabilities(view: &RenderingView<'_>, seen: &mut Sightings) {
    each(view, seen, &["capabilities_restricted"], |_| true);
}

fn seccomp(view: &RenderingView<'_>, seen: &mut Sightings) {
    each(view, seen, &["seccompProfile_restricted"], |_| true);
}

fn volume_types(view: &RenderingView<'_>, seen: &mut Sightings) {
    let checks = ["restrictedVolumes", "procMount_restricted"];
    each(view, seen, &checks, |_| true);
}

fn writable_root(view: &RenderingView<'_>, seen: &mut Sightings) {
    for (object, pod) in view.workloads() {
        for container in &pod.containers {
            if container.json["securityContext"]["readOnlyRootFilesystem"] != true {
                let message = format!(
                    "container `{}` can write to its own file system",
                    container.name
                );
                let values = &["securityContext", "containerSecurityContext"];
                seen.container(
                    object,
                    container,
                    "/securityContext/readOnlyRootFilesystem",
                    values,
                    message,
                );
            }
        }
    }
}
