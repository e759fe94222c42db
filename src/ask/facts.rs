//! What people ask of an object by one word: its images, ports, node, restarts and so on. One row a fact.

mod network;
mod pod;
mod storage;
mod timing;

use super::kind::AskedKind::{self, *};
use super::kind::WORKLOADS;
use super::object::SeenObject;
use super::question::Fact;
use super::snapshot::ClusterSnapshot;

pub(super) use network::{backend_text, backends, policy};
pub(super) use pod::asks as probe_text;
pub(super) use storage::{users as users_of, uses};

/// The rows of a table for one object, without its name.
type RowsOf = for<'a> fn(SeenObject<'a>, &'a ClusterSnapshot) -> Vec<Vec<String>>;

/// A fact: how it is asked for, what has it, and how it is shown.
#[derive(Debug)]
pub(super) struct FactRow {
    pub(super) fact: Fact,
    pub(super) words: &'static [&'static str],
    /// The kinds that have it; of one without a name the first that has a [`Self::default_kind`].
    pub(super) kinds: &'static [AskedKind],
    pub(super) columns: &'static [&'static str],
    pub(super) rows: RowsOf,
}

/// What has a pod template, the workload before its pods.
const TEMPLATES: &[AskedKind] = &[
    Deployment,
    StatefulSet,
    DaemonSet,
    CronJob,
    Job,
    Pod,
    ReplicaSet,
];
const PODS: &[AskedKind] = &[Pod];
#[rustfmt::skip]
const EVERYTHING: &[AskedKind] = &[
    Deployment, StatefulSet, DaemonSet, CronJob, Job, Pod, Service, Ingress, Claim, ConfigMap, Secret, Autoscaler,
    DisruptionBudget, NetworkPolicy, Quota, LimitRange, ServiceAccount, Role, RoleBinding, Namespace, Node, Volume,
    StorageClass, ReplicaSet,
];

/// Every fact. One word for several facts is told apart by the kinds that the question names: the first that fits counts.
#[rustfmt::skip]
pub(super) const FACTS: &[FactRow] = &[
    row(Fact::Images, &["[container|docker] image|images [of|for|does|do|is|are]", "image tag|tags|version|versions", "tag|tags of"],
        TEMPLATES, &["CONTAINER", "IMAGE"], pod::images),
    row(Fact::Ports, &["[exposed|open|container|target|service] port|ports [of|does|do|is|are]", "listen|listens|listening [on]", "expose|exposes|exposing"],
        &[Service, Deployment, StatefulSet, DaemonSet, CronJob, Job, Pod], &["PORT", "LEADS TO"], network::ports),
    row(Fact::Node, &["[on] which|what node|host|machine [is|are|does|do]", "where [is|are|does|do]"],
        PODS, &["NODE", "POD IP"], pod::node),
    row(Fact::Restarts, &["restarts [of|does|do|has|have]", "[number|count] [of] restarts", "restart count|counts", "how often [has|have|did|does|do|was|were]",
        "how many restarts [of|does|do|has|have|did]", "how many times [has|have|did|does|do|was|were]"], PODS, &["CONTAINER", "RESTARTS", "LAST END"], pod::restarts),
    row(Fact::Environment, &["[environment|env] variable|variables|vars|var|environment|env [of|does|do|are|is]", "environment|env"],
        TEMPLATES, &["CONTAINER", "VARIABLE", "FROM"], pod::environment),
    row(Fact::Labels, &["label|labels [of|does|do|are]"], EVERYTHING, &["LABEL", "VALUE"], pod::labels),
    row(Fact::Annotations, &["annotation|annotations [of|does|do|are]"], EVERYTHING, &["ANNOTATION"], pod::annotations),
    row(Fact::Volumes, &["[mounted] volume|volumes|mounts|mount [of|does|do|are|is]", "what is|does mounted|mount [in|into|by|at]", "mounted|mounts"],
        TEMPLATES, &["CONTAINER", "PATH", "VOLUME"], storage::mounts),
    row(Fact::Resources, &["resources of|for", "how much memory|cpu may|can", "[resource|memory|cpu] request|requests [and|or] [limit|limits] [of|does|do|are|is]",
        "[resource|memory|cpu] limit|limits [and|or] [request|requests] [of|does|do|are|is]"],
        TEMPLATES, &["CONTAINER", "CPU REQUEST", "CPU LIMIT", "MEMORY REQUEST", "MEMORY LIMIT"], pod::resources),
    row(Fact::Replicas, &["replica|replicas [count|counts] [of|does|do|are|is]", "[how] [many] replicas|replica|instances|copies [of|does|do|are|is|has|have]", "number of replicas|instances|copies [of]", "[how] [many] ready|available|wanted|desired replicas [does|do|has|have|of|are|is]"],
        &[Deployment, StatefulSet, DaemonSet, ReplicaSet, Autoscaler], &["WANTED", "READY", "CURRENT"], pod::replicas),
    row(Fact::Status, &["status|state|phase [of]", "condition|conditions [of]"], EVERYTHING, &["STATUS"], timing::status),
    row(Fact::Age, &["age|ages|uptime [of]", "how old [is|are]", "how long [has|have|is|are]", "when was|were|did|is", "creation time|date [of]"],
        EVERYTHING, &["AGE", "CREATED"], timing::ages),
    row(Fact::Address, &["[pod|cluster] ip|ips|address|addresses [of|does|do]", "dns [name|names] [of]"], &[Service, Pod, Node, Ingress], &["ADDRESS", "DNS NAME"], network::address),
    row(Fact::Owner, &["owner|owners [of]", "what|who|which owns|manages|controls|created|made", "owns|manages|controls", "[is] controlled|owned|managed|made by", "parent of"],
        &[Pod, ReplicaSet, Job, Deployment, StatefulSet, DaemonSet], &["OWNER"], timing::owner),
    row(Fact::Selector, &["selector|selectors [of|does|do]", "select|selects|match|matches"], &[Service, Deployment, StatefulSet, DaemonSet, NetworkPolicy, DisruptionBudget, Job], &["SELECTOR", "PODS"], network::selector),
    row(Fact::Endpoints, &["[ready] endpoint|endpoints|backend|backends [of|for|behind|does|do|are|has|have]", "behind", "targets of"],
        &[Service], &["READY ENDPOINTS", "PODS"], network::endpoints),
    row(Fact::Probes, &["[readiness|liveness|startup|health] probe|probes [of|does|do|are|has|have]", "health check|checks [of]", "healthcheck|healthchecks [of]"],
        TEMPLATES, &["CONTAINER", "PROBE", "ASKS"], pod::probes),
    row(Fact::Command, &["command|commands|entrypoint|args|arguments [of|does|do|is]", "start command [of]"], TEMPLATES, &["CONTAINER", "COMMAND"], pod::command),
    row(Fact::Strategy, &["[update|rollout|deployment] strategy|strategies [of|does|do|is]"], &[Deployment, StatefulSet, DaemonSet], &["STRATEGY"], pod::strategy),
    row(Fact::Schedule, &["schedule|schedules [of]", "cron expression|schedule [of]", "when does|do|will", "next run [of]", "run|runs next", "how often does"], &[CronJob], &["SCHEDULE", "SUSPENDED", "LAST RUN"], timing::schedule),
    row(Fact::LastRun, &["last run|runs|execution|success [of]", "duration [of]", "how long did", "how did", "when did|was {word} last run|ran|succeed|scheduled"], &[CronJob, Job], &["RESULT", "STARTED", "ENDED", "TOOK"], timing::runs),
    row(Fact::Routes, &["[ingress] host|hosts|hostname|hostnames|route|routes|path|paths [of|does|do|are|is]", "[ingress] rules"], &[Ingress], &["HOST", "PATH", "SERVICE"], network::routes),
    row(Fact::Rules, &["rule|rules [of]", "allow|allows", "permission|permissions [of]", "verbs [of]"], &[NetworkPolicy, Role, Ingress], &["RULE"], network::rules),
    row(Fact::Keys, &["key|keys [of|in|does|do|are]", "content|contents|data|entries|entry [of|in]"], &[ConfigMap, Secret], &["KEY"], storage::keys),
    row(Fact::Capacity, &["capacity|allocatable [of]", "how much memory|cpu [and] [cpu|memory] do|does [the] nodes|node have|has"], &[Node, Claim, Volume], &["CAPACITY"], storage::capacity),
    row(Fact::Storage, &["size|sizes|storage [of]", "how big|large [is|are]", "access mode|modes [of]", "disk size|space [of]"], &[Claim, Volume], &["SIZE", "CLASS", "ACCESS", "BOUND TO"], storage::claims),
    row(Fact::Containers, &["container|containers [of|in|does|do|are]", "how many containers [does|do|are|has|have]", "sidecar|sidecars [of]", "[init] container|containers [of]"], &[Pod, Deployment, StatefulSet, DaemonSet, CronJob, Job], &["CONTAINER", "IMAGE", "STATE"], pod::containers),
    row(Fact::Revisions, &["revision|revisions|history [of]", "rollout history [of]", "rollout|rollouts [of]"], &[Deployment, StatefulSet, DaemonSet], &["REVISION", "REPLICAS", "IMAGES", "AGE"], timing::revisions),
    row(Fact::LastExit, &["[last] exit code|codes|status [of]", "last termination|state [of]", "termination reason [of]", "exit reason [of]", "last restarted|restart|crashed|crash"], PODS, &["CONTAINER", "REASON", "EXIT CODE", "ENDED"], timing::last_exit),
    row(Fact::UsedBy, &["[is|are] used|mounted|referenced by", "who|what|which|anyone|somebody [is|are] uses|using|mounts|references", "users of"], &[ConfigMap, Secret, Claim, ServiceAccount], &["USED BY", "HOW"], storage::used_by),
    row(Fact::Used, &["quota usage|use|status", "how much quota [is] [used|left]", "how full is|are", "how much of"], &[Quota], &["RESOURCE", "USED", "HARD"], storage::quota),
    row(Fact::Version, &["version|versions [of|is|are|does|do]", "kubelet version|versions [of]"], &[Node, Deployment, StatefulSet, DaemonSet], &["VERSION"], timing::version),
    row(Fact::Taints, &["taint|taints [of]"], &[Node], &["TAINT"], timing::taints),
    row(Fact::Type, &["type|types [of]"], &[Service], &["TYPE"], network::service_type),
    row(Fact::Target, &["target|targets|metric|metrics [of]", "min|max|minimum|maximum [and] [max|maximum] [replicas] [of]", "scale|scales"], &[Autoscaler], &["SCALES", "MIN", "MAX", "CURRENT", "METRIC"], storage::autoscaler),
    row(Fact::Exposed, &["url|urls [of]", "how can|do|to [i|we] reach|access|open|call", "how is|are exposed", "[is|are] exposed", "reach|access|open"], &[Service], &["ADDRESS IN THE CLUSTER", "INGRESS"], network::exposed),
];

const fn row(
    fact: Fact,
    words: &'static [&'static str],
    kinds: &'static [AskedKind],
    columns: &'static [&'static str],
    rows: RowsOf,
) -> FactRow {
    FactRow {
        fact,
        words,
        kinds,
        columns,
        rows,
    }
}

/// A cell of a table is not empty.
pub(super) fn or_none(text: String) -> String {
    if text.is_empty() {
        "none".to_owned()
    } else {
        text
    }
}

impl FactRow {
    pub(super) fn of(fact: Fact) -> Option<&'static Self> {
        FACTS.iter().find(|row| row.fact == fact)
    }

    /// Whether objects of a kind have the fact.
    pub(super) fn is_of(fact: Fact, kind: AskedKind) -> bool {
        Self::of(fact).is_some_and(|row| row.kinds.contains(&kind))
    }

    /// Of what has the fact, that which a question without a name is about.
    pub(super) fn default_kinds(&self) -> Vec<AskedKind> {
        let has = |kind: &&AskedKind| self.kinds.contains(kind);
        match self.kinds.first() {
            Some(_) if WORKLOADS.iter().all(|kind| has(&kind)) => WORKLOADS.to_vec(),
            Some(first) => vec![*first],
            None => vec![],
        }
    }
}
