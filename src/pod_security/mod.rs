//! The Pod Security Standards: what a pod may ask of its node, in three levels, as the admission of Kubernetes judges it
//! (k8s.io/pod-security-admission, `policy/`, v0.36.3). Pure; the checks differ by version.
//!
//! A check looks at the pod or pod template as it is written: `null` is nothing, and a value of a wrong type counts as
//! not written, since the schema finds it and no API server takes it. Every check is in [`CHECKS`] with its level and
//! versions; the files beside hold what the checks look at.

mod capabilities;
mod host;
mod pod;
mod privileges;
mod profiles;
mod table;
mod volumes;

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use crate::kubernetes_version::KubernetesVersion;
use pod::PodTemplate;
pub use table::CHECKS;

/// A level of the standards, the widest first: each allows what the next one allows, and more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PodSecurityLevel {
    /// Everything is allowed.
    Privileged,
    /// No known way to more privileges; most pods without special settings are fine.
    Baseline,
    /// The best practice of hardening; a pod has to ask for it.
    Restricted,
}

/// What a check forbids in a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PodSecurityViolation {
    /// The check's id in Kubernetes, such as `hostNamespaces`.
    pub check: &'static str,
    /// The level whose check it is: the pod is below it.
    pub level: PodSecurityLevel,
    /// The container that it is about; None for the pod.
    pub container: Option<String>,
    /// JSON pointer from the pod or pod template to the field; the field may be missing.
    pub path: String,
    /// What is wrong, a lowercase fragment with backticked names.
    pub what: String,
}

/// One check of the standards.
#[derive(Debug)]
pub struct PodSecurityCheck {
    /// As Kubernetes names it.
    pub id: &'static str,
    pub level: PodSecurityLevel,
    /// Checks of the baseline that need not be asked where this one is, since it is stricter.
    replaces: &'static [&'static str],
    /// The forms of the check, the oldest first.
    forms: &'static [Form],
}

/// A check as it is from one version on.
#[derive(Debug)]
struct Form {
    since: u8,
    look: fn(&PodTemplate<'_>) -> Vec<Offence>,
}

/// What a check has found.
#[derive(Debug)]
struct Offence {
    container: Option<String>,
    path: String,
    what: String,
}

impl PodSecurityCheck {
    /// The version that first had the check.
    pub fn since(&self) -> KubernetesVersion {
        KubernetesVersion::new(self.forms.first().map_or(0, |form| form.since))
    }

    fn form(&self, version: KubernetesVersion) -> Option<&Form> {
        self.forms
            .iter()
            .rev()
            .find(|form| form.since <= version.minor)
    }

    fn violations(
        &self,
        pod: &PodTemplate<'_>,
        version: KubernetesVersion,
    ) -> Vec<PodSecurityViolation> {
        let found = self.form(version).map(|form| (form.look)(pod));
        let violation = |offence: Offence| PodSecurityViolation {
            check: self.id,
            level: self.level,
            container: offence.container,
            path: offence.path,
            what: offence.what,
        };
        found.into_iter().flatten().map(violation).collect()
    }
}

/// What all checks of a version forbid in a pod or pod template (`metadata` and `spec`), those of the baseline first. A
/// version that is newer than devk knows is judged as the newest known one, as Kubernetes does it.
pub fn pod_security_violations(
    template: &Value,
    version: KubernetesVersion,
) -> Vec<PodSecurityViolation> {
    let pod = PodTemplate::of(template);
    let each = CHECKS
        .iter()
        .flat_map(|check| check.violations(&pod, version));
    each.collect()
}

/// What stands against a pod or pod template at a level, as the API server would refuse it in a namespace that enforces
/// the level: the checks of the level and of those below it, but for checks that a stricter one replaces.
pub fn pod_security_violations_at(
    level: PodSecurityLevel,
    template: &Value,
    version: KubernetesVersion,
) -> Vec<PodSecurityViolation> {
    let asked = CHECKS.iter().filter(|check| check.level <= level);
    let replaced: BTreeSet<_> = asked
        .filter(|check| check.form(version).is_some())
        .flat_map(|check| check.replaces)
        .collect();
    let all = pod_security_violations(template, version).into_iter();
    all.filter(|found| found.level <= level && !replaced.contains(&found.check))
        .collect()
}

/// The strictest level at which a pod or pod template is admitted.
pub fn pod_security_level(template: &Value, version: KubernetesVersion) -> PodSecurityLevel {
    let strict_first = [PodSecurityLevel::Restricted, PodSecurityLevel::Baseline];
    let admitted = strict_first
        .into_iter()
        .find(|level| pod_security_violations_at(*level, template, version).is_empty());
    admitted.unwrap_or(PodSecurityLevel::Privileged)
}

#[cfg(test)]
mod tests;
