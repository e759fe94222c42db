//! The kinds of objects that a question can be about: what they are called, and where the API server lists them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A kind of Kubernetes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AskedKind {
    Deployment,
    StatefulSet,
    DaemonSet,
    CronJob,
    Job,
    ReplicaSet,
    Pod,
    Service,
    EndpointSlice,
    Ingress,
    Claim,
    ConfigMap,
    Secret,
    Autoscaler,
    DisruptionBudget,
    NetworkPolicy,
    Quota,
    LimitRange,
    ServiceAccount,
    Role,
    RoleBinding,
    Namespace,
    Node,
    Volume,
    StorageClass,
    ValidatingWebhook,
    MutatingWebhook,
    Event,
}

use AskedKind::{
    Autoscaler, Claim, ConfigMap, CronJob, DaemonSet, Deployment, DisruptionBudget, EndpointSlice,
    Event, Ingress, Job, LimitRange, MutatingWebhook, Namespace, NetworkPolicy, Node, Pod, Quota,
    ReplicaSet, Role, RoleBinding, Secret, Service, ServiceAccount, StatefulSet, StorageClass,
    ValidatingWebhook, Volume,
};

/// What makes pods.
pub(super) const WORKLOADS: &[AskedKind] = &[Deployment, StatefulSet, DaemonSet];

/// What uses other objects: what makes pods, and pods, in this order.
pub(super) const USERS: &[AskedKind] = &[Deployment, StatefulSet, DaemonSet, CronJob, Job, Pod];

/// One row of [`KINDS`].
#[derive(Debug)]
pub(super) struct KindRow {
    kind: AskedKind,
    /// As Kubernetes spells it.
    name: &'static str,
    /// The path of its group and version.
    api: &'static str,
    plural: &'static str,
    is_namespaced: bool,
    /// As sentences have it: one, and several.
    nouns: [&'static str; 2],
    /// What people call it, as patterns of [`super::pattern`].
    pub(super) words: &'static [&'static str],
}

impl KindRow {
    pub(super) fn kind(&self) -> AskedKind {
        self.kind
    }

    pub(super) fn as_kinds(&'static self) -> &'static [AskedKind] {
        std::slice::from_ref(&self.kind)
    }
}

const fn row(
    kind: AskedKind,
    name: &'static str,
    (api, plural, is_namespaced): (&'static str, &'static str, bool),
    nouns: [&'static str; 2],
    words: &'static [&'static str],
) -> KindRow {
    KindRow {
        kind,
        name,
        api,
        plural,
        is_namespaced,
        nouns,
        words,
    }
}

const CORE: &str = "/api/v1";
const APPS: &str = "/apis/apps/v1";
const BATCH: &str = "/apis/batch/v1";
const NETWORKING: &str = "/apis/networking.k8s.io/v1";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const ADMISSION: &str = "/apis/admissionregistration.k8s.io/v1";

/// Every kind. The order is the one in which objects of one name are shown: what runs first.
#[rustfmt::skip]
pub(super) const KINDS: &[KindRow] = &[
    row(Deployment, "Deployment", (APPS, "deployments", true), ["Deployment", "Deployments"],
        &["deployment|deployments|deploy|deploys"]),
    row(StatefulSet, "StatefulSet", (APPS, "statefulsets", true), ["StatefulSet", "StatefulSets"],
        &["statefulset|statefulsets|sts", "stateful set|sets"]),
    row(DaemonSet, "DaemonSet", (APPS, "daemonsets", true), ["DaemonSet", "DaemonSets"],
        &["daemonset|daemonsets|ds", "daemon set|sets"]),
    row(CronJob, "CronJob", (BATCH, "cronjobs", true), ["CronJob", "CronJobs"],
        &["cronjob|cronjobs|cj|crons", "cron job|jobs", "scheduled job|jobs"]),
    row(Job, "Job", (BATCH, "jobs", true), ["Job", "Jobs"], &["job|jobs", "batch job|jobs"]),
    row(ReplicaSet, "ReplicaSet", (APPS, "replicasets", true), ["ReplicaSet", "ReplicaSets"],
        &["replicaset|replicasets|rs", "replica set|sets"]),
    row(Pod, "Pod", (CORE, "pods", true), ["pod", "pods"], &["pod|pods|po"]),
    row(Service, "Service", (CORE, "services", true), ["Service", "Services"], &["service|services|svc|svcs"]),
    row(EndpointSlice, "EndpointSlice", ("/apis/discovery.k8s.io/v1", "endpointslices", true),
        ["EndpointSlice", "EndpointSlices"], &["endpointslice|endpointslices", "endpoint slice|slices"]),
    row(Ingress, "Ingress", (NETWORKING, "ingresses", true), ["Ingress", "Ingresses"],
        &["ingress|ingresses|ing", "ingress resource|resources|route|routes"]),
    row(Claim, "PersistentVolumeClaim", (CORE, "persistentvolumeclaims", true), ["claim", "claims"],
        &["pvc|pvcs|claim|claims|persistentvolumeclaim|persistentvolumeclaims",
          "persistent volume claim|claims", "volume claim|claims"]),
    row(ConfigMap, "ConfigMap", (CORE, "configmaps", true), ["ConfigMap", "ConfigMaps"],
        &["configmap|configmaps|cm|cms", "config map|maps"]),
    row(Secret, "Secret", (CORE, "secrets", true), ["Secret", "Secrets"], &["secret|secrets"]),
    row(Autoscaler, "HorizontalPodAutoscaler", ("/apis/autoscaling/v2", "horizontalpodautoscalers", true),
        ["HPA", "HPAs"],
        &["hpa|hpas|autoscaler|autoscalers|horizontalpodautoscaler|horizontalpodautoscalers",
          "horizontal pod autoscaler|autoscalers"]),
    row(DisruptionBudget, "PodDisruptionBudget", ("/apis/policy/v1", "poddisruptionbudgets", true),
        ["PDB", "PDBs"],
        &["pdb|pdbs|poddisruptionbudget|poddisruptionbudgets", "[pod] disruption budget|budgets"]),
    row(NetworkPolicy, "NetworkPolicy", (NETWORKING, "networkpolicies", true),
        ["NetworkPolicy", "NetworkPolicies"],
        &["netpol|netpols|networkpolicy|networkpolicies", "network policy|policies",
            "policy|policies"]),
    row(Quota, "ResourceQuota", (CORE, "resourcequotas", true), ["ResourceQuota", "ResourceQuotas"],
        &["quota|quotas|resourcequota|resourcequotas", "resource quota|quotas"]),
    row(LimitRange, "LimitRange", (CORE, "limitranges", true), ["LimitRange", "LimitRanges"],
        &["limitrange|limitranges", "limit range|ranges"]),
    row(ServiceAccount, "ServiceAccount", (CORE, "serviceaccounts", true),
        ["ServiceAccount", "ServiceAccounts"],
        &["serviceaccount|serviceaccounts|sa", "service account|accounts"]),
    row(Role, "Role", (RBAC, "roles", true), ["Role", "Roles"], &["role|roles"]),
    row(RoleBinding, "RoleBinding", (RBAC, "rolebindings", true), ["RoleBinding", "RoleBindings"],
        &["rolebinding|rolebindings", "role binding|bindings"]),
    row(Namespace, "Namespace", (CORE, "namespaces", false), ["namespace", "namespaces"],
        &["namespace|namespaces|ns"]),
    row(Node, "Node", (CORE, "nodes", false), ["node", "nodes"], &["node|nodes", "cluster node|nodes"]),
    row(Volume, "PersistentVolume", (CORE, "persistentvolumes", false),
        ["PersistentVolume", "PersistentVolumes"],
        &["pv|pvs|persistentvolume|persistentvolumes", "persistent volume|volumes"]),
    row(StorageClass, "StorageClass", ("/apis/storage.k8s.io/v1", "storageclasses", false),
        ["StorageClass", "StorageClasses"], &["storageclass|storageclasses|sc", "storage class|classes"]),
    row(ValidatingWebhook, "ValidatingWebhookConfiguration", (ADMISSION, "validatingwebhookconfigurations", false),
        ["validating webhook", "validating webhooks"], &["validating webhook|webhooks"]),
    row(MutatingWebhook, "MutatingWebhookConfiguration", (ADMISSION, "mutatingwebhookconfigurations", false),
        ["mutating webhook", "mutating webhooks"], &["mutating webhook|webhooks"]),
    row(Event, "Event", (CORE, "events", true), ["event", "events"], &[]),
];

/// The kinds by the single words that name them: of two kinds with one word the first has it. A pattern of several words is
/// no such name: `cron job|jobs` does not make `jobs` mean CronJobs.
static NAMES: LazyLock<BTreeMap<&'static str, AskedKind>> = LazyLock::new(|| {
    let mut names = BTreeMap::new();
    for row in KINDS {
        let single = row.words.iter().filter(|words| !words.contains(' '));
        let words = single.flat_map(|words| words.split('|'));
        for word in words.chain([row.plural]) {
            names.entry(word).or_insert(row.kind);
        }
    }
    names
});

impl AskedKind {
    fn row(self) -> &'static KindRow {
        // The table has every kind in the order of the enumeration; a test holds that.
        &KINDS[self as usize]
    }

    /// `Deployment`, as in manifests.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// `deployments`, as kubectl takes it.
    pub fn plural(self) -> &'static str {
        self.row().plural
    }

    pub(super) fn is_namespaced(self) -> bool {
        self.row().is_namespaced
    }

    /// Where the API server lists its objects.
    pub(super) fn path(self, namespace: Option<&str>) -> String {
        let row = self.row();
        match namespace.filter(|_| row.is_namespaced) {
            Some(namespace) => format!("{}/namespaces/{namespace}/{}", row.api, row.plural),
            None => format!("{}/{}", row.api, row.plural),
        }
    }

    /// The path of its group and version: `/apis/apps/v1`.
    pub(super) fn group_path(self) -> &'static str {
        self.row().api
    }

    /// `1 pod`, `no pods`.
    pub(super) fn counted(self, count: usize) -> String {
        match count {
            0 => format!("no {}", self.several()),
            1 => format!("1 {}", self.row().nouns[0]),
            count => format!("{count} {}", self.several()),
        }
    }

    pub(super) fn several(self) -> &'static str {
        self.row().nouns[1]
    }

    /// The kind that a word before a slash names, as in `deploy/web`.
    pub(super) fn called(word: &str) -> Option<Self> {
        NAMES.get(word).copied()
    }

    /// Every kind, what runs first before the others.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        KINDS.iter().map(KindRow::kind)
    }

    /// The kind that manifests call so.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::all().find(|kind| kind.name() == name)
    }

    /// The kinds whose objects people call by their names.
    pub(super) fn nameable() -> impl Iterator<Item = Self> {
        Self::all().filter(|kind| !matches!(kind, Event | EndpointSlice))
    }

    /// It says how many pods there should be, and how many of them are ready.
    pub(super) fn is_replicated(self) -> bool {
        matches!(self, Deployment | StatefulSet | DaemonSet | ReplicaSet)
    }

    /// It has a pod template, or is a pod.
    pub(super) fn has_pods(self) -> bool {
        matches!(
            self,
            Deployment | StatefulSet | DaemonSet | ReplicaSet | Job | CronJob | Pod
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_kind_in_its_place() {
        for row in KINDS {
            assert_eq!(row.kind.row().name, row.name);
        }
        assert_eq!(KINDS.len(), Event as usize + 1);
    }

    #[test]
    fn a_kind_is_found_by_its_short_name_and_knows_its_path() {
        assert_eq!(AskedKind::called("deploy"), Some(Deployment));
        assert_eq!(
            AskedKind::called("horizontalpodautoscalers"),
            Some(Autoscaler)
        );
        assert_eq!(AskedKind::called("web"), None);
        // A word of a pattern of several words is none.
        assert_eq!(AskedKind::called("jobs"), Some(Job));
        assert_eq!(AskedKind::called("resources"), None);
        assert_eq!(Pod.path(Some("shop")), "/api/v1/namespaces/shop/pods");
        assert_eq!(Node.path(Some("shop")), "/api/v1/nodes");
    }
}
