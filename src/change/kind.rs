//! The kinds of objects that a plan may name: a closed set, all of Kubernetes itself.

use kube::core::{ApiResource, GroupVersionKind};
use serde::Serialize;

use crate::error::suggest;
use crate::kubernetes_schema::is_dns_subdomain;

/// So long the API server lets a name be.
const MOST_NAME_BYTES: usize = 253;

macro_rules! kinds {
    ($($kind:ident: $group:literal $version:literal $plural:literal $scope:ident [$($short:literal),*];)+) => {
        /// A kind that a plan may name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub enum ObjectKind { $(#[doc = $plural] $kind,)+ }

        impl ObjectKind {
            /// Every kind, in the order of docs/change.md.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)+];

            const fn row(self) -> Row {
                match self {
                    $(Self::$kind => Row {
                        name: stringify!($kind),
                        group: $group,
                        version: $version,
                        plural: $plural,
                        scope: Scope::$scope,
                        short: &[$($short),*],
                    },)+
                }
            }
        }
    };
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Namespaced,
    Cluster,
}

struct Row {
    name: &'static str,
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    scope: Scope,
    short: &'static [&'static str],
}

kinds! {
    Deployment: "apps" "v1" "deployments" Namespaced ["deploy"];
    StatefulSet: "apps" "v1" "statefulsets" Namespaced ["sts"];
    DaemonSet: "apps" "v1" "daemonsets" Namespaced ["ds"];
    ReplicaSet: "apps" "v1" "replicasets" Namespaced ["rs"];
    Pod: "" "v1" "pods" Namespaced ["po"];
    Job: "batch" "v1" "jobs" Namespaced [];
    CronJob: "batch" "v1" "cronjobs" Namespaced ["cj"];
    Service: "" "v1" "services" Namespaced ["svc"];
    Ingress: "networking.k8s.io" "v1" "ingresses" Namespaced ["ing"];
    NetworkPolicy: "networking.k8s.io" "v1" "networkpolicies" Namespaced ["netpol"];
    ConfigMap: "" "v1" "configmaps" Namespaced ["cm"];
    Secret: "" "v1" "secrets" Namespaced [];
    PersistentVolumeClaim: "" "v1" "persistentvolumeclaims" Namespaced ["pvc"];
    HorizontalPodAutoscaler: "autoscaling" "v2" "horizontalpodautoscalers" Namespaced ["hpa"];
    PodDisruptionBudget: "policy" "v1" "poddisruptionbudgets" Namespaced ["pdb"];
    ServiceAccount: "" "v1" "serviceaccounts" Namespaced ["sa"];
    Role: "rbac.authorization.k8s.io" "v1" "roles" Namespaced [];
    RoleBinding: "rbac.authorization.k8s.io" "v1" "rolebindings" Namespaced [];
    ResourceQuota: "" "v1" "resourcequotas" Namespaced ["quota"];
    LimitRange: "" "v1" "limitranges" Namespaced ["limits"];
    Namespace: "" "v1" "namespaces" Cluster ["ns"];
}

impl ObjectKind {
    /// As manifests have it: `Deployment`.
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// As the API's paths and RBAC rules have it: `deployments`.
    pub const fn plural(self) -> &'static str {
        self.row().plural
    }

    /// The API group; empty for the core group.
    pub const fn group(self) -> &'static str {
        self.row().group
    }

    /// As commands have it: `deployment`.
    pub fn word(self) -> String {
        self.name().to_lowercase()
    }

    /// `apps/v1`, or `v1` for the core group.
    pub fn api_version(self) -> String {
        self.resource().api_version
    }

    pub const fn is_namespaced(self) -> bool {
        matches!(self.row().scope, Scope::Namespaced)
    }

    /// Whether an object of the kind may have this name. Roles and their bindings take every name that is one part of a path,
    /// such as `system:reader`; of those, what has no meaning in a path is taken alone.
    pub fn takes_name(self, name: &str) -> bool {
        match self {
            Self::Role | Self::RoleBinding => {
                let fits = |c: char| c.is_ascii_alphanumeric() || "-._:@+".contains(c);
                !name.is_empty()
                    && name.len() <= MOST_NAME_BYTES
                    && ![".", ".."].contains(&name)
                    && name.chars().all(fits)
            }
            _ => is_dns_subdomain(name),
        }
    }

    /// Whether its objects make pods from a template.
    pub const fn has_template(self) -> bool {
        matches!(
            self,
            Self::Deployment | Self::StatefulSet | Self::DaemonSet | Self::ReplicaSet
        )
    }

    /// Whether its objects have `spec.replicas`.
    pub const fn has_replicas(self) -> bool {
        matches!(
            self,
            Self::Deployment | Self::StatefulSet | Self::ReplicaSet
        )
    }

    /// Whether its objects keep revisions, and replace their pods when the template changes.
    pub const fn rolls_out(self) -> bool {
        matches!(self, Self::Deployment | Self::StatefulSet | Self::DaemonSet)
    }

    /// The kind of an exact name: `Deployment`.
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|kind| kind.name() == name)
    }

    /// The kind by any of the words that kubectl takes: `deploy`, `deployments`, `Deployment`.
    pub fn of_word(word: &str) -> Option<Self> {
        let word = word.to_lowercase();
        let is_it = |kind: &Self| {
            let row = kind.row();
            row.name.to_lowercase() == word
                || row.plural == word
                || row.short.contains(&word.as_str())
        };
        Self::ALL.iter().copied().find(is_it)
    }

    /// The kind that may have been meant by a name that is none.
    pub(super) fn near(name: &str) -> Option<Self> {
        let names = Self::ALL.iter().map(|kind| kind.name());
        Self::of_word(name).or_else(|| Self::named(suggest(name, names)?))
    }

    /// How the kube client finds objects of the kind.
    pub fn resource(self) -> ApiResource {
        let row = self.row();
        let kind = GroupVersionKind::gvk(row.group, row.version, row.name);
        ApiResource::from_gvk_with_plural(&kind, row.plural)
    }
}

impl std::fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_by_every_word_that_kubectl_takes() {
        for word in ["deploy", "deployments", "Deployment", "DEPLOYMENT"] {
            assert_eq!(ObjectKind::of_word(word), Some(ObjectKind::Deployment));
        }
        assert_eq!(ObjectKind::of_word("node"), None);
        assert_eq!(ObjectKind::named("deployment"), None);
        assert_eq!(ObjectKind::near("Deploymnet"), Some(ObjectKind::Deployment));
        assert_eq!(ObjectKind::near("netpol"), Some(ObjectKind::NetworkPolicy));
    }

    #[test]
    fn a_role_takes_names_that_other_kinds_do_not_and_none_takes_more_than_a_part_of_a_path() {
        for name in ["system:reader", "Reader", "team.shop:read_all"] {
            assert!(ObjectKind::Role.takes_name(name), "{name}");
            assert!(ObjectKind::RoleBinding.takes_name(name), "{name}");
            assert!(!ObjectKind::Deployment.takes_name(name), "{name}");
        }
        for kind in ObjectKind::ALL {
            assert!(kind.takes_name("web-1.a"), "{kind}");
            for name in [
                "", ".", "..", "a/b", "a%2fb", "../a", "a b", "a?b", "a#b", "a\\b", "ä", "a\n",
            ] {
                assert!(!kind.takes_name(name), "{kind} {name:?}");
            }
            assert!(!kind.takes_name(&"a".repeat(254)), "{kind}");
        }
    }

    #[test]
    fn no_two_kinds_share_a_word() {
        for kind in ObjectKind::ALL {
            for word in kind.row().short.iter().chain([&kind.row().plural]) {
                assert_eq!(ObjectKind::of_word(word), Some(*kind), "{word}");
            }
        }
    }
}
