//! What is wrong with objects: one file a kind of object. What devk knows of failing pods, of Services without pods and of
//! CronJobs is used as it is there (`src/release/crash.rs`, `src/session/behind.rs`, `src/release/cron_jobs.rs`).

mod claims;
mod cluster;
mod jobs;
mod network;
mod pods;
mod scaling;
mod services;
mod workloads;

use super::answer::AnswerEvidence;
use super::kind::AskedKind::{
    self, Autoscaler, Claim, ConfigMap, CronJob, DaemonSet, Deployment, DisruptionBudget, Ingress,
    Job, MutatingWebhook, NetworkPolicy, Node, Pod, Quota, ReplicaSet, Secret, Service,
    ServiceAccount, StatefulSet, ValidatingWebhook,
};
use super::object::SeenObject;
use super::question::Question;
use super::relation::related;
use super::resolve::Meant;
use super::snapshot::{ClusterSnapshot, LogOf};

/// The kinds that are looked at when somebody asks what is wrong at all, the causes before what follows from them.
pub(super) const JUDGED: &[AskedKind] = &[
    Node,
    Pod,
    Deployment,
    StatefulSet,
    DaemonSet,
    Job,
    CronJob,
    Claim,
    Quota,
    Service,
    Ingress,
    NetworkPolicy,
    Autoscaler,
    DisruptionBudget,
    ValidatingWebhook,
    MutatingWebhook,
];

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// Something does not work.
    Broken,
    /// Something works less than it should, or only seems to.
    Limited,
    /// It follows from what is told of something else.
    Follows,
    /// It is so on purpose, and may be what is asked about.
    Told,
}

/// What is wrong with an object, and what shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// `Pod shop/api-1`.
    pub(super) object: String,
    pub(super) weight: Weight,
    pub(super) what: String,
    /// The field that shows it, and what stands there.
    pub(super) field: String,
    pub(super) value: String,
    /// Log lines and events.
    pub(super) lines: Vec<String>,
    pub(super) kubectl: Vec<String>,
    pub(super) next: Vec<String>,
}

impl Finding {
    fn new(seen: SeenObject<'_>, weight: Weight, what: impl Into<String>) -> Self {
        let place = super::answer::place(seen);
        let name = crate::shell::quote(seen.name());
        let describe = format!("describe {} {name}{place}", seen.kind.name().to_lowercase());
        Self {
            object: seen.title(),
            weight,
            what: what.into(),
            field: "status".to_owned(),
            value: String::new(),
            lines: vec![],
            kubectl: vec![describe],
            next: vec![],
        }
    }

    fn shown_by(mut self, field: impl Into<String>, value: impl Into<String>) -> Self {
        self.field = field.into();
        self.value = value.into();
        self
    }

    fn next(mut self, command: impl Into<String>) -> Self {
        self.next.push(command.into());
        self
    }

    pub(super) fn as_evidence(&self) -> AnswerEvidence {
        let text = if self.value.is_empty() {
            self.what.clone()
        } else {
            self.value.clone()
        };
        AnswerEvidence {
            object: self.object.clone(),
            field: self.field.clone(),
            text,
        }
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = AnswerEvidence> {
        self.lines.iter().map(|line| {
            let (field, text) = match line.strip_prefix("| ") {
                Some(text) => ("log", text),
                None => ("event", line.strip_prefix("event ").unwrap_or(line)),
            };
            AnswerEvidence {
                object: self.object.clone(),
                field: field.to_owned(),
                text: text.to_owned(),
            }
        })
    }
}

fn judge(seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> Vec<Finding> {
    match seen.kind {
        Pod => pods::judge(seen, snapshot),
        Deployment | StatefulSet | DaemonSet | ReplicaSet => workloads::judge(seen, snapshot),
        Job => jobs::job(seen, snapshot),
        CronJob => jobs::cron_job(seen, snapshot),
        Service => services::judge(seen, snapshot),
        Ingress => network::ingress(seen, snapshot),
        NetworkPolicy => network::network_policy(seen, snapshot),
        Claim => claims::judge(seen, snapshot),
        Autoscaler => scaling::autoscaler(seen, snapshot),
        DisruptionBudget => scaling::budget(seen, snapshot),
        Quota => scaling::quota(seen),
        ValidatingWebhook | MutatingWebhook => cluster::webhooks(seen, snapshot),
        Node => cluster::node(seen),
        _ => vec![],
    }
}

/// Whether anything is known of what can be wrong with such an object.
pub(super) fn can_judge(kind: AskedKind) -> bool {
    JUDGED.contains(&kind) || kind == ReplicaSet
}

/// Whether the object itself does not work.
pub(super) fn has_trouble(seen: SeenObject<'_>, snapshot: &ClusterSnapshot) -> bool {
    of_objects(&[seen], snapshot)
        .iter()
        .any(|finding| finding.weight == Weight::Broken)
}

/// What is wrong with objects, with what they are made of, and with what they need. The cause comes first.
pub(super) fn of_objects(objects: &[SeenObject<'_>], snapshot: &ClusterSnapshot) -> Vec<Finding> {
    let mut looked: Vec<SeenObject<'_>> = vec![];
    for seen in objects {
        looked.extend(around(*seen, snapshot));
    }
    looked.sort_by_key(|seen| {
        JUDGED
            .iter()
            .position(|kind| *kind == seen.kind)
            .unwrap_or(JUDGED.len())
    });
    let mut findings: Vec<Finding> = vec![];
    let mut judged: Vec<SeenObject<'_>> = vec![];
    for seen in looked {
        if !judged.iter().any(|one| one.same(&seen)) {
            findings.extend(judge(seen, snapshot));
            judged.push(seen);
        }
    }
    let asked: Vec<_> = objects.iter().map(SeenObject::title).collect();
    let is_wide = objects.len() > WIDE;
    // Where everything is asked about, what is so on purpose is left out, and so is what follows from a cause that is told.
    let is_told = |finding: &Finding| match finding.weight {
        Weight::Told => !is_wide && asked.contains(&finding.object),
        Weight::Follows => !is_wide,
        Weight::Broken | Weight::Limited => true,
    };
    findings.retain(is_told);
    findings.sort_by_key(|finding| finding.weight);
    findings
}

/// So many logs explain failures.
const MOST_LOGS: usize = 16;

impl Question {
    /// The logs that explain what fails, those of the pods that are named first, and how many there are in all.
    pub(super) fn logs_that_explain(&self, snapshot: &ClusterSnapshot) -> (Vec<LogOf>, usize) {
        let meant = self.meant(snapshot).unwrap_or_default();
        let mut pods: Vec<_> = meant
            .iter()
            .flat_map(|meant| meant.pods(snapshot))
            .collect();
        for pod in self.of_kind(Pod, snapshot) {
            if !pods.iter().any(|one| one.same(&pod)) {
                pods.push(pod);
            }
        }
        let mut logs: Vec<_> = pods.into_iter().flat_map(pods::logs_of).collect();
        let all = logs.len();
        logs.truncate(MOST_LOGS);
        (logs, all)
    }
}

/// From so many objects on a question is about everything.
const WIDE: usize = 12;

/// The object with what its state depends on.
fn around<'a>(seen: SeenObject<'a>, snapshot: &'a ClusterSnapshot) -> Vec<SeenObject<'a>> {
    let meant = Meant {
        name: seen.name().to_owned(),
        objects: vec![seen],
    };
    let more: &[AskedKind] = match seen.kind {
        Deployment | StatefulSet | DaemonSet | ReplicaSet | Job => &[Pod, Claim],
        CronJob => &[Job, Pod],
        Pod => &[Claim],
        Service => &[Pod, Deployment, StatefulSet, NetworkPolicy],
        Ingress => &[Service],
        Claim | ConfigMap | Secret | ServiceAccount => &[Pod],
        Autoscaler => &[Deployment, StatefulSet],
        _ => &[],
    };
    let related = more
        .iter()
        .filter_map(|kind| related(*kind, &meant, snapshot))
        .flatten();
    std::iter::once(seen).chain(related).collect()
}
