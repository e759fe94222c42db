//! Minor versions of Kubernetes, by which schemas and policies differ.

use std::fmt;

use serde::Serialize;

/// Kubernetes 1.MINOR. Patches change neither schemas nor policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "String")]
pub struct KubernetesVersion {
    pub minor: u8,
}

impl KubernetesVersion {
    pub const fn new(minor: u8) -> Self {
        Self { minor }
    }

    /// `1.31`, `v1.31.2`, `1.31.2-gke.1`, `1.31+`; None for what is no version 1.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let rest = text.strip_prefix('v').unwrap_or(text).strip_prefix("1.")?;
        let end = rest.find(|c: char| !c.is_ascii_digit());
        let (digits, after) = rest.split_at(end.unwrap_or(rest.len()));
        let minor = digits.parse().ok()?;
        (after.is_empty() || after.starts_with(['.', '-', '+'])).then_some(Self { minor })
    }
}

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.minor)
    }
}

impl From<KubernetesVersion> for String {
    fn from(version: KubernetesVersion) -> Self {
        version.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_people_and_clusters_write_them() {
        for text in [
            "1.31",
            "v1.31",
            "1.31.2",
            "v1.31.2-gke.1",
            "1.31+",
            " 1.31\n",
        ] {
            assert_eq!(
                KubernetesVersion::parse(text),
                Some(KubernetesVersion::new(31)),
                "{text}"
            );
        }
        for text in ["", "1", "1.", "2.31", "1.x", "1.31beta", "1.999", "-1.31"] {
            assert_eq!(KubernetesVersion::parse(text), None, "{text}");
        }
    }
}
