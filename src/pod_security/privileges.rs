//! How much a container may do on its node, and as whom it runs.

use serde_json::Value;

use super::Offence;
use super::pod::PodTemplate;

const ESCALATION: &str = "/allowPrivilegeEscalation";
const NON_ROOT: &str = "/runAsNonRoot";
const USER: &str = "/runAsUser";

pub(super) fn privileged(pod: &PodTemplate<'_>) -> Vec<Offence> {
    const FIELD: &str = "/securityContext/privileged";
    let all = pod.containers.iter();
    all.filter(|container| container.get(FIELD) == Some(&Value::Bool(true)))
        .map(|container| container.offence(FIELD, "`privileged` is true"))
        .collect()
}

pub(super) fn escalation(pod: &PodTemplate<'_>) -> Vec<Offence> {
    let field = format!("/securityContext{ESCALATION}");
    let all = pod.containers.iter();
    all.filter(|container| container.get(&field) != Some(&Value::Bool(false)))
        .map(|container| container.offence(&field, "`allowPrivilegeEscalation` is not false"))
        .collect()
}

/// The API server takes no `allowPrivilegeEscalation` for Windows.
pub(super) fn escalation_but_windows(pod: &PodTemplate<'_>) -> Vec<Offence> {
    match pod.is_windows() {
        true => vec![],
        false => escalation(pod),
    }
}

/// Where a holder says `false`, that counts alone; else each container needs a `true`, its own or the pod's.
pub(super) fn non_root(pod: &PodTemplate<'_>) -> Vec<Offence> {
    let explicit: Vec<_> = pod
        .holders()
        .filter(|holder| holder.context(NON_ROOT) == Some(&Value::Bool(false)))
        .map(|holder| holder.offence(NON_ROOT, "`runAsNonRoot` is false"))
        .collect();
    let pod_has_it = pod.spec(&format!("/securityContext{NON_ROOT}")) == Some(&Value::Bool(true));
    if !explicit.is_empty() || pod_has_it {
        return explicit;
    }
    let field = format!("/securityContext{NON_ROOT}");
    let silent = pod
        .containers
        .iter()
        .filter(|container| !container.get(&field).is_some_and(Value::is_boolean));
    silent
        .map(|container| {
            container.offence(
                &field,
                "neither the container nor the pod has `runAsNonRoot: true`",
            )
        })
        .collect()
}

pub(super) fn non_root_or_own_users(pod: &PodTemplate<'_>) -> Vec<Offence> {
    match pod.has_own_users() {
        true => vec![],
        false => non_root(pod),
    }
}

pub(super) fn user(pod: &PodTemplate<'_>) -> Vec<Offence> {
    let is_root = |value: &Value| value.as_f64() == Some(0.0);
    let as_root = pod
        .holders()
        .filter(|holder| holder.context(USER).is_some_and(is_root));
    as_root
        .map(|holder| holder.offence(USER, "`runAsUser` is 0, which is root"))
        .collect()
}

pub(super) fn user_or_own_users(pod: &PodTemplate<'_>) -> Vec<Offence> {
    match pod.has_own_users() {
        true => vec![],
        false => user(pod),
    }
}
