//! Formats of fields that the OpenAPI gives only as texts and integers, as the API server validates them
//! (k8s.io/kubernetes v1.36.3, `pkg/apis/*/validation`).

use std::net::IpAddr;

use serde_json::Value;

use super::SchemaProblem;
use super::formats::shown;
use super::names::{
    is_config_key, is_dns_label, is_dns_subdomain, is_label_value, is_port_name, is_qualified,
    is_relaxed_variable, is_strict_variable,
};
use super::packed::{Packed, VersionMask};
use super::walk::Complaint;
use crate::kubernetes_version::KubernetesVersion;

/// From this version on a variable may have any name that can be printed.
const RELAXED_VARIABLES: KubernetesVersion = KubernetesVersion::new(32);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldFormat {
    Port,
    /// 0 is none.
    PortOrNone,
    /// The number or the name of a port.
    PortReference,
    PortName,
    /// At least 0.
    Natural,
    /// At least 1.
    Positive,
    /// A natural number or a percentage.
    Share,
    DnsLabel,
    DnsSubdomain,
    LabelKey,
    LabelValue,
    Labels,
    AnnotationKeys,
    ConfigKeys,
    Variable,
    Cidr,
    /// A host, which may begin with `*.`.
    Host,
    /// Without spaces around it.
    Trimmed,
    Mode,
}

/// The format of a field of a definition.
pub(super) fn format(definition: &str, key: &str) -> Option<FieldFormat> {
    let found = FIELDS
        .iter()
        .find(|(owner, name, _)| *owner == definition && *name == key);
    found.map(|(_, _, format)| *format)
}

use FieldFormat as F;

const FIELDS: &[(&str, &str, FieldFormat)] = &[
    ("apps.v1.DaemonSetSpec", "minReadySeconds", F::Natural),
    ("apps.v1.DaemonSetSpec", "revisionHistoryLimit", F::Natural),
    ("apps.v1.DeploymentSpec", "minReadySeconds", F::Natural),
    ("apps.v1.DeploymentSpec", "replicas", F::Natural),
    ("apps.v1.DeploymentSpec", "revisionHistoryLimit", F::Natural),
    ("apps.v1.ReplicaSetSpec", "replicas", F::Natural),
    ("apps.v1.RollingUpdateDaemonSet", "maxSurge", F::Share),
    ("apps.v1.RollingUpdateDaemonSet", "maxUnavailable", F::Share),
    ("apps.v1.RollingUpdateDeployment", "maxSurge", F::Share),
    (
        "apps.v1.RollingUpdateDeployment",
        "maxUnavailable",
        F::Share,
    ),
    (
        "apps.v1.RollingUpdateStatefulSetStrategy",
        "maxUnavailable",
        F::Share,
    ),
    (
        "apps.v1.RollingUpdateStatefulSetStrategy",
        "partition",
        F::Natural,
    ),
    ("apps.v1.StatefulSetSpec", "replicas", F::Natural),
    (
        "autoscaling.v2.HorizontalPodAutoscalerSpec",
        "maxReplicas",
        F::Positive,
    ),
    (
        "autoscaling.v2.HorizontalPodAutoscalerSpec",
        "minReplicas",
        F::Natural,
    ),
    ("batch.v1.CronJobSpec", "failedJobsHistoryLimit", F::Natural),
    (
        "batch.v1.CronJobSpec",
        "startingDeadlineSeconds",
        F::Natural,
    ),
    (
        "batch.v1.CronJobSpec",
        "successfulJobsHistoryLimit",
        F::Natural,
    ),
    ("batch.v1.JobSpec", "activeDeadlineSeconds", F::Natural),
    ("batch.v1.JobSpec", "backoffLimit", F::Natural),
    ("batch.v1.JobSpec", "completions", F::Natural),
    ("batch.v1.JobSpec", "parallelism", F::Natural),
    ("batch.v1.JobSpec", "ttlSecondsAfterFinished", F::Natural),
    ("core.v1.ConfigMap", "binaryData", F::ConfigKeys),
    ("core.v1.ConfigMap", "data", F::ConfigKeys),
    ("core.v1.Container", "image", F::Trimmed),
    ("core.v1.Container", "name", F::DnsLabel),
    ("core.v1.ContainerPort", "containerPort", F::Port),
    ("core.v1.ContainerPort", "hostPort", F::PortOrNone),
    ("core.v1.ContainerPort", "name", F::PortName),
    ("core.v1.EnvVar", "name", F::Variable),
    ("core.v1.EphemeralContainer", "name", F::DnsLabel),
    ("core.v1.GRPCAction", "port", F::Port),
    ("core.v1.HTTPGetAction", "port", F::PortReference),
    ("core.v1.ConfigMapVolumeSource", "defaultMode", F::Mode),
    ("core.v1.DownwardAPIVolumeSource", "defaultMode", F::Mode),
    ("core.v1.KeyToPath", "mode", F::Mode),
    ("core.v1.LocalObjectReference", "name", F::Trimmed),
    ("core.v1.NodeSelectorRequirement", "key", F::LabelKey),
    ("core.v1.PodSpec", "activeDeadlineSeconds", F::Positive),
    ("core.v1.PodSpec", "hostname", F::DnsLabel),
    ("core.v1.PodSpec", "nodeSelector", F::Labels),
    ("core.v1.PodSpec", "serviceAccountName", F::DnsSubdomain),
    ("core.v1.PodSpec", "subdomain", F::DnsLabel),
    (
        "core.v1.PodSpec",
        "terminationGracePeriodSeconds",
        F::Natural,
    ),
    ("core.v1.Probe", "failureThreshold", F::Natural),
    ("core.v1.Probe", "initialDelaySeconds", F::Natural),
    ("core.v1.Probe", "periodSeconds", F::Natural),
    ("core.v1.Probe", "successThreshold", F::Natural),
    ("core.v1.Probe", "timeoutSeconds", F::Natural),
    ("core.v1.ProjectedVolumeSource", "defaultMode", F::Mode),
    ("core.v1.ReplicationControllerSpec", "selector", F::Labels),
    ("core.v1.Secret", "data", F::ConfigKeys),
    ("core.v1.Secret", "stringData", F::ConfigKeys),
    ("core.v1.SecretVolumeSource", "defaultMode", F::Mode),
    ("core.v1.ServicePort", "name", F::DnsLabel),
    ("core.v1.ServicePort", "nodePort", F::PortOrNone),
    ("core.v1.ServicePort", "port", F::Port),
    ("core.v1.ServicePort", "targetPort", F::PortReference),
    ("core.v1.ServiceSpec", "selector", F::Labels),
    ("core.v1.TCPSocketAction", "port", F::PortReference),
    ("core.v1.Toleration", "key", F::LabelKey),
    ("core.v1.Toleration", "value", F::LabelValue),
    ("core.v1.TopologySpreadConstraint", "maxSkew", F::Positive),
    (
        "core.v1.TopologySpreadConstraint",
        "topologyKey",
        F::LabelKey,
    ),
    ("core.v1.Volume", "name", F::DnsLabel),
    ("meta.v1.LabelSelector", "matchLabels", F::Labels),
    ("meta.v1.LabelSelectorRequirement", "key", F::LabelKey),
    ("meta.v1.ObjectMeta", "annotations", F::AnnotationKeys),
    ("meta.v1.ObjectMeta", "labels", F::Labels),
    ("meta.v1.ObjectMeta", "namespace", F::DnsLabel),
    ("networking.v1.IPBlock", "cidr", F::Cidr),
    ("networking.v1.IngressRule", "host", F::Host),
    ("networking.v1.IngressServiceBackend", "name", F::Trimmed),
    ("networking.v1.NetworkPolicyPort", "port", F::PortReference),
    ("networking.v1.ServiceBackendPort", "number", F::PortOrNone),
    (
        "policy.v1.PodDisruptionBudgetSpec",
        "maxUnavailable",
        F::Share,
    ),
    (
        "policy.v1.PodDisruptionBudgetSpec",
        "minAvailable",
        F::Share,
    ),
];

/// A complaint, the key below the field that it is about, and the versions.
type Placed = (Complaint, Option<String>, VersionMask);

impl FieldFormat {
    /// What is wrong with a value; nothing if its type is wrong, which the schema has told.
    pub(super) fn complaints(
        self,
        value: &Value,
        packed: &Packed,
        mask: VersionMask,
    ) -> Vec<Placed> {
        match value {
            Value::Object(map) => map
                .iter()
                .flat_map(|(key, value)| {
                    let found = self.entry(key, value).into_iter();
                    found.map(move |complaint| (complaint, Some(key.clone()), mask))
                })
                .collect(),
            Value::String(text) if self == Self::Variable => {
                variable(text, packed, mask).into_iter().collect()
            }
            Value::String(text) => self
                .text(text)
                .map(|complaint| (complaint, None, mask))
                .into_iter()
                .collect(),
            Value::Number(_) => {
                let number = value.as_f64().unwrap_or_default();
                self.number(number)
                    .map(|complaint| (complaint, None, mask))
                    .into_iter()
                    .collect()
            }
            _ => vec![],
        }
    }

    /// A key of a map with its value.
    fn entry(self, key: &str, value: &Value) -> Option<Complaint> {
        let (is_key, what) = match self {
            Self::Labels => (is_qualified(key), "no key of a label"),
            // Capital letters are taken here.
            Self::AnnotationKeys => (is_qualified(&key.to_lowercase()), "no key of an annotation"),
            Self::ConfigKeys => (is_config_key(key), "no key"),
            _ => return None,
        };
        if !is_key {
            let expected = match self {
                Self::ConfigKeys => "letters, digits, `-`, `_` and `.`",
                _ => "`name` or `example.com/name`",
            };
            return Some(Complaint::format(
                format!("{} is {what}", shown(key)),
                expected,
            ));
        }
        let value = value.as_str().filter(|_| self == Self::Labels)?;
        Self::LabelValue.text(value)
    }

    fn text(self, text: &str) -> Option<Complaint> {
        let (fits, what, expected): (bool, &str, &str) = match self {
            // An empty text is what was not written.
            _ if text.is_empty() && self != Self::PortReference && self != Self::Cidr => {
                return None;
            }
            Self::PortReference => (
                is_port_name(text),
                "no name of a port",
                "at most 15 lowercase letters, digits and `-`",
            ),
            Self::PortName => (
                is_port_name(text),
                "no name of a port",
                "at most 15 lowercase letters, digits and `-`",
            ),
            Self::Share => (
                is_percentage(text),
                "no percentage",
                "a number, or a percentage such as `25%`",
            ),
            Self::DnsLabel => (
                is_dns_label(text),
                "no name",
                "lowercase letters, digits and `-`, at most 63",
            ),
            Self::DnsSubdomain => (
                is_dns_subdomain(text),
                "no name",
                "lowercase letters, digits, `-` and `.`",
            ),
            Self::LabelKey => (
                is_qualified(text),
                "no key of a label",
                "`name` or `example.com/name`",
            ),
            Self::LabelValue => {
                let expected =
                    "letters, digits, `-`, `_` and `.`, a letter or digit at both ends, at most 63";
                (is_label_value(text), "no value of a label", expected)
            }
            Self::Cidr => (
                is_cidr(text),
                "no range of addresses",
                "such as `10.0.0.0/8`",
            ),
            Self::Host => (
                is_host(text),
                "no host",
                "a name such as `shop.example.com` or `*.example.com`",
            ),
            Self::Trimmed => (text.trim() == text, "not trimmed", "no space around it"),
            _ => return None,
        };
        (!fits).then(|| Complaint::format(format!("{} is {what}", shown(text)), expected))
    }

    fn number(self, number: f64) -> Option<Complaint> {
        let (low, high, expected) = match self {
            Self::Port | Self::PortReference => (1.0, 65535.0, "a port from 1 to 65535"),
            Self::PortOrNone => (0.0, 65535.0, "a port from 1 to 65535"),
            Self::Natural | Self::Share => (0.0, f64::MAX, "at least 0"),
            Self::Positive => (1.0, f64::MAX, "at least 1"),
            Self::Mode => (0.0, 511.0, "a file mode from 0 to 0777"),
            _ => return None,
        };
        let fits = (low..=high).contains(&number);
        (!fits).then(|| {
            Complaint::new(
                SchemaProblem::Conflict,
                format!("{number} is out of bounds"),
            )
            .expected(expected)
        })
    }
}

fn variable(text: &str, packed: &Packed, mask: VersionMask) -> Option<Placed> {
    let wrong = match (is_strict_variable(text), is_relaxed_variable(text)) {
        (true, _) => 0,
        (false, true) => mask & packed.before(RELAXED_VARIABLES),
        (false, false) => mask,
    };
    let expected = "letters, digits, `-`, `_` and `.`, no digit first";
    let complaint = || {
        Complaint::format(
            format!("{} is no name of a variable", shown(text)),
            expected,
        )
    };
    (wrong != 0 && !text.is_empty()).then(|| (complaint(), None, wrong))
}

fn is_percentage(text: &str) -> bool {
    let digits = text.strip_suffix('%').unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return false;
    };
    let most = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.parse::<u8>().is_ok_and(|bits| bits <= most)
}

fn is_host(text: &str) -> bool {
    is_dns_subdomain(text.strip_prefix("*.").unwrap_or(text)) && text.parse::<IpAddr>().is_err()
}

#[cfg(test)]
mod tests {
    use super::super::packed::packed;
    use super::*;

    #[test]
    fn every_field_with_a_format_is_in_the_schemas() {
        for (definition, key, _) in FIELDS {
            let at = packed().definition(definition);
            let found = at.and_then(|at| packed().definitions[at].fields.get(*key));
            assert!(
                found.is_some_and(|field| field.format.is_some()),
                "{definition} {key}"
            );
        }
    }

    #[test]
    fn ranges_hosts_and_percentages_are_told_from_what_is_none() {
        for (is, right, wrong) in [
            (
                is_cidr as fn(&str) -> bool,
                ["10.0.0.0/8", "::/0"],
                ["10.0.0.0", "10.0.0.0/33"],
            ),
            (
                is_host,
                ["shop.example.com", "*.example.com"],
                ["10.0.0.1", "shop_1.example.com"],
            ),
            (is_percentage, ["25%", "100%"], ["25", "%"]),
        ] {
            assert!(
                right.iter().all(|text| is(text)) && !wrong.iter().any(|text| is(text)),
                "{right:?}"
            );
        }
    }
}
