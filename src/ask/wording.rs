//! A question, told back in devk's words, so that everybody sees what was understood.

use super::question::{
    AskedFor, AskedState, Condition, Fact, LackingSpec, Measured, Question, Referring,
};
use super::snapshot::ClusterSnapshot;
use crate::quantity;

impl AskedState {
    /// Behind `that are`, or as far as English has it.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::NotReady => "not ready",
            Self::Running => "running",
            Self::NotRunning => "not running",
            Self::Pending => "pending",
            Self::Failed => "failed",
            Self::Succeeded => "completed",
            Self::Crashing => "crashing",
            Self::Restarted => "restarted",
            Self::OutOfMemory => "killed for memory",
            Self::NoImage => "without their image",
            Self::Terminating => "terminating",
            Self::Suspended => "suspended",
            Self::Active => "active",
            Self::Unschedulable => "unschedulable",
            Self::Evicted => "evicted",
            Self::Bound => "bound",
            Self::Unbound => "not bound",
            Self::ScaledToZero => "scaled to zero",
            Self::WithoutEndpoints => "without ready endpoints",
            Self::Lacks(lacking) => lacking.words(),
            Self::LatestTag => "running an image with the tag latest",
            Self::HighMemory => "using at least 80 % of their memory limit",
            Self::HighCpu => "using at least 80 % of their cpu limit",
            Self::LoadBalancer => "of type LoadBalancer",
            Self::NodePort => "of type NodePort",
            Self::ClusterIp => "of type ClusterIP",
            Self::Headless => "headless",
            Self::Unused => "used by no workload",
            Self::Default => "default",
            Self::Trouble => "in trouble",
            Self::Unreachable => "unreachable",
        }
    }
}

impl LackingSpec {
    fn words(self) -> &'static str {
        match self {
            Self::Limits => "without resource limits",
            Self::MemoryLimit => "without a memory limit",
            Self::CpuLimit => "without a cpu limit",
            Self::Requests => "without resource requests",
            Self::MemoryRequest => "without a memory request",
            Self::CpuRequest => "without a cpu request",
            Self::LimitsAndRequests => "without resource limits and requests",
            Self::Probes => "without readiness and liveness probes",
            Self::ReadinessProbe => "without a readiness probe",
            Self::LivenessProbe => "without a liveness probe",
            Self::StartupProbe => "without a startup probe",
        }
    }
}

impl Condition {
    pub(super) fn words(&self, snapshot: &ClusterSnapshot) -> String {
        let span = |span: &jiff::SignedDuration| super::moment::short(*span);
        match self {
            Self::Is(state) => state.words().to_owned(),
            Self::OlderThan(age) => format!("older than {}", span(age)),
            Self::YoungerThan(age) => format!("younger than {}", span(age)),
            Self::Since(moment) => format!("made {}", moment.words(snapshot)),
            Self::Label(key, value) => format!("labelled {key}={value}"),
            Self::EndedSince(moment) => moment.words(snapshot),
            Self::WithLabel(key) => format!("with the label {key}"),
            Self::WithoutLabel(key) => format!("without the label {key}"),
            Self::OnNode(node) => format!("on node {node}"),
            Self::Image(image) => format!("running the image {image}"),
            Self::RestartsOver(count) => format!("restarted more than {count} times"),
            Self::ReplicasOver(count) => format!("with more than {count} replicas"),
            Self::MemoryOver(bytes) => {
                format!("using more than {} of memory", quantity_text(*bytes))
            }
            Self::CpuOver(cores) => format!("using more than {cores}m of cpu"),
            Self::Either(several) => {
                let words: Vec<_> = several.iter().map(|one| one.words(snapshot)).collect();
                words.join(" or ")
            }
        }
    }
}

/// Thousandths of a byte in the unit that fits.
pub(super) fn quantity_text(thousandths: f64) -> String {
    let bytes = thousandths / 1e3;
    let mut units = ["Gi", "Mi", "Ki"].into_iter().filter_map(|unit| {
        let size = quantity::thousandths(&format!("1{unit}"))? / 1e3;
        (bytes >= size).then(|| format!("{:.0}{unit}", bytes / size))
    });
    units.next().unwrap_or_else(|| format!("{bytes:.0}"))
}

impl super::moment::Moment {
    /// `since 2026-12-01 23:00:00 UTC`, `on 2026-12-01`: the very moment, so that everybody sees which one was taken.
    pub(super) fn words(&self, snapshot: &ClusterSnapshot) -> String {
        let from = self.before(snapshot.now, &snapshot.zone);
        let date = || {
            let date = from.map(|from| from.to_zoned(snapshot.zone.clone()).date());
            date.map(|date| date.to_string()).unwrap_or_default()
        };
        match self {
            Self::Ago(span) => format!("since {} ago", super::moment::short(*span)),
            Self::Whole(part) if **part == Self::Morning => format!("on the morning of {}", date()),
            Self::Whole(_) => format!("on {}", date()),
            _ => match from {
                Some(from) => format!("since {}", snapshot.local(from)),
                None => format!("since {}", self.typed()),
            },
        }
    }

    /// As it was typed.
    pub(super) fn typed(&self) -> String {
        match self {
            Self::Ago(span) => format!("{} ago", super::moment::short(*span)),
            Self::Clock(time) => time.strftime("%H:%M").to_string(),
            Self::Day(..0) => "after today".to_owned(),
            Self::Day(0) => "today".to_owned(),
            Self::Day(_) => "yesterday".to_owned(),
            Self::Date(date) => date.to_string(),
            Self::Morning => "this morning".to_owned(),
            Self::At(civil) => civil.to_string(),
            Self::Exactly(moment) => moment.to_string(),
            Self::Whole(part) => part.typed(),
        }
    }
}

impl Question {
    /// ``pods that are not ready, in namespace `shop` ``.
    pub(super) fn understood(&self, snapshot: &ClusterSnapshot) -> String {
        let kinds: Vec<_> = self.kinds.iter().map(|kind| kind.several()).collect();
        let names: Vec<_> = self
            .names
            .iter()
            .map(|name| match name.kind {
                Some(kind) => format!("{} `{}`", kind.name(), name.text),
                None => format!("`{}`", name.text),
            })
            .collect();
        let (kinds, names) = (kinds.join(" and "), names.join(" and "));
        let subject = match (kinds.is_empty(), names.is_empty()) {
            (false, false) => match self.refers {
                None => format!("{kinds} of {names}"),
                Some(Referring::To) => format!("{kinds} that refer to {names}"),
                Some(Referring::From) => format!("{kinds} to which {names} refers"),
            },
            (false, true) => kinds,
            _ => names,
        };
        let conditions: Vec<_> = self
            .conditions
            .iter()
            .map(|condition| condition.words(snapshot))
            .collect();
        let conditions = if conditions.is_empty() {
            String::new()
        } else {
            format!(", {}", conditions.join(", "))
        };
        let since = self
            .cut
            .since
            .as_ref()
            .map(|moment| format!(", {}", moment.words(snapshot)))
            .unwrap_or_default();
        let what = self.asked.title();
        let about = if subject.is_empty() {
            what
        } else {
            format!("{what}: {subject}")
        };
        let place = match self.asked {
            AskedFor::Help | AskedFor::Cluster => String::new(),
            _ => format!(", in {}", self.scope.words(snapshot)),
        };
        format!("{about}{conditions}{since}{place}")
    }
}

impl AskedFor {
    fn title(self) -> String {
        let fixed = match self {
            Self::List => "list",
            Self::Count => "count",
            Self::Check => "yes or no",
            Self::Fact(fact) => return fact.words(),
            Self::Describe => "description",
            Self::Logs => "logs",
            Self::Events => "events",
            Self::Usage(Measured::Memory) => "use, by memory",
            Self::Usage(Measured::Cpu) => "use, by cpu",
            Self::Why => "what is wrong",
            Self::Changed => "what changed",
            Self::Talks => "who talks to it",
            Self::Cluster => "the cluster",
            Self::Help => "help",
        };
        fixed.to_owned()
    }
}

impl Fact {
    /// `last exit`, `used by`: the name of the fact in words.
    pub(super) fn words(self) -> String {
        let mut words = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_uppercase() && !words.is_empty() {
                words.push(' ');
            }
            words.extend(letter.to_lowercase());
        }
        words
    }
}
