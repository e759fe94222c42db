//! What names of Kubernetes look like (k8s.io/apimachinery, `pkg/util/validation`), and which kinds take which.

use serde_json::{Map, Value};

use super::formats::shown;
use super::packed::VersionMask;
use super::walk::{Complaint, Walk};
use crate::kubernetes_version::KubernetesVersion;

/// From this version on the name of a Service may begin with a digit (the gate `RelaxedServiceNameValidation`).
const RELAXED_SERVICES: KubernetesVersion = KubernetesVersion::new(36);

pub(crate) fn is_dns_label(text: &str) -> bool {
    text.len() <= 63 && is_label_part(text)
}

/// A label that begins with a letter (RFC 1035).
pub(super) fn is_dns_1035_label(text: &str) -> bool {
    is_dns_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase())
}

/// Parts with dots between them; only the whole has a limit.
pub(crate) fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label_part)
}

fn is_label_part(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.chars().all(fits) && !text.starts_with('-') && !text.ends_with('-')
}

/// The name of a port (RFC 6335).
pub(super) fn is_port_name(text: &str) -> bool {
    text.len() <= 15
        && is_label_part(text)
        && !text.contains("--")
        && text.contains(|c: char| c.is_ascii_lowercase())
}

/// The key of a label or annotation: `name` or `example.com/name`.
pub(crate) fn is_qualified(text: &str) -> bool {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    prefix.is_none_or(is_dns_subdomain) && !name.is_empty() && is_label_value(name)
}

/// The value of a label; it may be empty.
pub(crate) fn is_label_value(text: &str) -> bool {
    let is_end = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.len() <= 63
        && text.chars().all(fits)
        && is_end(text.chars().next())
        && is_end(text.chars().last())
}

/// A key of a ConfigMap or Secret, which becomes the name of a file.
pub(super) fn is_config_key(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !text.is_empty()
        && text.len() <= 253
        && text.chars().all(fits)
        && text != "."
        && !text.starts_with("..")
}

/// The name of an environment variable until 1.31.
pub(super) fn is_strict_variable(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let begins = !text.starts_with(|c: char| c.is_ascii_digit());
    text.chars().all(fits)
        && begins
        && is_relaxed_variable(text)
        && text != "."
        && !text.starts_with("..")
}

/// The name of an environment variable: ASCII that can be printed, but no `=`.
pub(super) fn is_relaxed_variable(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| (' '..='~').contains(&c) && c != '=')
}

/// A part of a URL's path.
fn is_path_segment(text: &str) -> bool {
    text != "." && text != ".." && !text.contains(['/', '%'])
}

/// How the name of a kind has to look.
fn rule(api_version: &str, kind: &str) -> (fn(&str) -> bool, &'static str) {
    const SUBDOMAIN: &str = "lowercase letters, digits, `-` and `.`, at most 253";
    let group = super::lifecycle::group(api_version);
    match (group, kind) {
        ("", "Namespace" | "Service") | ("apps", "StatefulSet") => (
            is_dns_label,
            "lowercase letters, digits and `-`, at most 63",
        ),
        (
            "",
            "ConfigMap"
            | "Endpoints"
            | "LimitRange"
            | "Node"
            | "PersistentVolume"
            | "PersistentVolumeClaim"
            | "Pod"
            | "PodTemplate"
            | "ReplicationController"
            | "ResourceQuota"
            | "Secret"
            | "ServiceAccount",
        )
        | ("apps", "Deployment" | "DaemonSet" | "ReplicaSet")
        | ("batch", "Job" | "CronJob")
        | ("autoscaling", "HorizontalPodAutoscaler")
        | ("networking.k8s.io", "Ingress" | "IngressClass" | "NetworkPolicy")
        | ("scheduling.k8s.io", "PriorityClass")
        | ("storage.k8s.io", "StorageClass" | "CSIDriver" | "CSINode")
        | ("node.k8s.io", "RuntimeClass")
        | ("admissionregistration.k8s.io" | "apiextensions.k8s.io" | "apiregistration.k8s.io", _) => {
            (is_dns_subdomain, SUBDOMAIN)
        }
        _ => (is_path_segment, "no `/` and no `%`"),
    }
}

impl Walk<'_> {
    /// Looks whether an object has a name, and one that its kind takes.
    pub(super) fn name(
        &mut self,
        object: &Map<String, Value>,
        (api_version, kind): (&str, &str),
        mask: VersionMask,
    ) {
        let packed = self.packed;
        let definition = packed
            .kind(api_version, kind)
            .and_then(|(at, _)| packed.definitions.get(at));
        let is_named =
            definition.is_none_or(|definition| definition.fields.contains_key("metadata"));
        // Lists, and questions that are asked of the API server, are not kept under a name.
        let is_kept = ["List", "Review", "Status"]
            .iter()
            .all(|end| !kind.ends_with(end));
        if !is_named || !is_kept {
            return;
        }
        let metadata = object.get("metadata").and_then(Value::as_object);
        let word = |key: &str| {
            metadata
                .and_then(|metadata| metadata.get(key))
                .filter(|value| !value.is_null())
        };
        let is_written = |value: &Value| value != "";
        match word("name").filter(|value| is_written(value)) {
            None if word("generateName").is_some_and(is_written) => {}
            None => self.at_name(|walk| walk.missing("name", mask)),
            Some(Value::String(name)) => {
                let (fits, expected) = rule(api_version, kind);
                let refused = match (api_version, kind) {
                    _ if !fits(name) => mask,
                    ("v1", "Service") if !is_dns_1035_label(name) => {
                        mask & packed.before(RELAXED_SERVICES)
                    }
                    _ => 0,
                };
                let what = format!("{} is no name for `{kind}`", shown(name));
                self.at_name(|walk| walk.complain(Complaint::format(what, expected), refused));
            }
            // The schema has said that it is no text.
            Some(_) => {}
        }
    }

    fn at_name(&mut self, look: impl FnOnce(&mut Self)) {
        self.within("metadata", |walk| walk.within("name", look));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(is: fn(&str) -> bool, right: &[&str], wrong: &[&str]) {
        let missed: Vec<_> = right.iter().filter(|text| !is(text)).collect();
        let taken: Vec<_> = wrong.iter().filter(|text| is(text)).collect();
        assert!(
            missed.is_empty() && taken.is_empty(),
            "refused {missed:?}, taken {taken:?}"
        );
    }

    #[test]
    fn names_are_taken_as_kubernetes_takes_them() {
        let long = "a".repeat(64);
        all(
            is_dns_label,
            &["a", "a-1", "1a"],
            &["", "A", "a.b", "-a", "a-", "a_b", "ä", &long],
        );
        all(is_dns_1035_label, &["a-1"], &["1a"]);
        all(
            is_dns_subdomain,
            &["a", "a.b-c.d", &long],
            &["", "a..b", ".a", "a.", "A.b", "a.-b"],
        );
        all(
            is_port_name,
            &["http", "a-1"],
            &["", "80", "a--b", "-a", "HTTP", "longer-than-fifteen"],
        );
        all(
            is_qualified,
            &["app", "app.kubernetes.io/name", "A_b.c"],
            &["", "/a", "a/", "a/b/c", "A.b/c", "-a", "a b"],
        );
        all(
            is_label_value,
            &["", "v1.2", "A_b"],
            &["-a", "a-", "a b", "a/b", "a:b", &long],
        );
        all(
            is_config_key,
            &["a.yaml", ".env", "A_b"],
            &["", ".", "..", "..a", "a/b", "a b"],
        );
        all(
            is_strict_variable,
            &["A_B", "a.b-c"],
            &["", "1A", "A B", "A=B", "."],
        );
        all(
            is_relaxed_variable,
            &["1A", "A B"],
            &["", "A=B", "ä", "a\n"],
        );
    }
}
