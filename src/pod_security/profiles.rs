//! The security modules of the kernel that confine a container: AppArmor, seccomp, SELinux.

use serde_json::Value;

use super::Offence;
use super::pod::{Holder, PodContainer, PodTemplate, escaped};

const APP_ARMOR: &str = "/appArmorProfile";
const APP_ARMOR_ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";
const SECCOMP: &str = "/seccompProfile";
const SECCOMP_OF_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_OF_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
const SELINUX: &str = "/seLinuxOptions";

pub(super) fn app_armor(pod: &PodTemplate<'_>) -> Vec<Offence> {
    let profiles = pod
        .holders()
        .filter_map(|holder| bad_profile(holder, APP_ARMOR));
    let annotations = pod.annotations().filter(|(key, value)| {
        let is_allowed = ["", "runtime/default"].contains(value) || value.starts_with("localhost/");
        key.starts_with(APP_ARMOR_ANNOTATION) && !is_allowed
    });
    let annotations = annotations.map(|(key, value)| bad_annotation(key, value));
    profiles.chain(annotations).collect()
}

/// Until 1.18 profiles are annotations.
pub(super) fn seccomp_annotations(pod: &PodTemplate<'_>) -> Vec<Offence> {
    let of_containers = pod.containers.iter();
    let keys = of_containers.map(|container| format!("{SECCOMP_OF_CONTAINER}{}", container.name));
    let keys = std::iter::once(SECCOMP_OF_POD.to_owned()).chain(keys);
    let bad = keys.filter_map(|key| {
        let value = pod.annotation(&key)?;
        let is_allowed = ["runtime/default", "docker/default"].contains(&value)
            || value.starts_with("localhost/");
        (!is_allowed).then(|| bad_annotation(&key, value))
    });
    bad.collect()
}

pub(super) fn seccomp(pod: &PodTemplate<'_>) -> Vec<Offence> {
    pod.holders()
        .filter_map(|holder| bad_profile(holder, SECCOMP))
        .collect()
}

/// A bad profile counts alone; else each container needs one, its own or the pod's.
pub(super) fn seccomp_required(pod: &PodTemplate<'_>) -> Vec<Offence> {
    let bad = seccomp(pod);
    let has_one = |holder: Holder<'_, '_>| holder.context(SECCOMP).is_some();
    if !bad.is_empty() || has_one(Holder::PodTemplate(pod)) {
        return bad;
    }
    let silent = pod
        .containers
        .iter()
        .filter(|container| !has_one(Holder::PodContainer(container)));
    silent.map(without_seccomp).collect()
}

fn without_seccomp(container: &PodContainer<'_>) -> Offence {
    let what = "neither the container nor the pod has a `seccompProfile`";
    container.offence(&format!("/securityContext{SECCOMP}/type"), what)
}

/// The API server takes no `seccompProfile` for Windows.
pub(super) fn seccomp_required_but_windows(pod: &PodTemplate<'_>) -> Vec<Offence> {
    match pod.is_windows() {
        true => vec![],
        false => seccomp_required(pod),
    }
}

pub(super) fn selinux(pod: &PodTemplate<'_>) -> Vec<Offence> {
    selinux_but(
        pod,
        &["", "container_t", "container_init_t", "container_kvm_t"],
    )
}

pub(super) fn selinux_with_engine(pod: &PodTemplate<'_>) -> Vec<Offence> {
    let types = [
        "",
        "container_t",
        "container_init_t",
        "container_kvm_t",
        "container_engine_t",
    ];
    selinux_but(pod, &types)
}

fn selinux_but(pod: &PodTemplate<'_>, types: &[&str]) -> Vec<Offence> {
    let each = pod.holders().flat_map(|holder| {
        let set = |field: &str| {
            let pointer = format!("{SELINUX}/{field}");
            let value = holder.context(&pointer)?.as_str()?;
            Some((pointer, value)).filter(|(_, value)| !value.is_empty())
        };
        let kind = set("type").filter(|(_, value)| !types.contains(value));
        let kind = kind.map(|(at, value)| {
            holder.offence(&at, format!("the SELinux type `{value}` is not allowed"))
        });
        let own = ["user", "role"].into_iter().filter_map(move |field| {
            let (at, value) = set(field)?;
            Some(holder.offence(&at, format!("the SELinux {field} `{value}` is set")))
        });
        kind.into_iter().chain(own).collect::<Vec<_>>()
    });
    each.collect()
}

/// A profile of neither the runtime nor a file of the node.
fn bad_profile(holder: Holder<'_, '_>, field: &str) -> Option<Offence> {
    let profile = holder
        .context(field)
        .filter(|profile| profile.is_object())?;
    let kind = profile
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let at = format!("{field}/type");
    match kind {
        "RuntimeDefault" | "Localhost" => None,
        "" => Some(holder.offence(&at, format!("`{}` has no `type`", &field[1..]))),
        _ => {
            let what = format!(
                "`{}` is `{kind}`, not `RuntimeDefault` or `Localhost`",
                &field[1..]
            );
            Some(holder.offence(&at, what))
        }
    }
}

fn bad_annotation(key: &str, value: &str) -> Offence {
    let what = format!("the annotation `{key}` asks for `{value}`");
    PodTemplate::offence(format!("/metadata/annotations/{}", escaped(key)), what)
}
