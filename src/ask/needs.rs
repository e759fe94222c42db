//! Whether everything that a question says has a place in what it asks, and what has to be read for its answer.

use super::kind::AskedKind::{self, CronJob, Event, Namespace, Node, Pod, Service};
use super::kind::WORKLOADS;
use super::question::{AskedFor, AskedScope, AskedState, Condition, Fact, Question};
use super::unclear::Unclear;

impl Question {
    /// Whether all that was said has a place in what is asked.
    pub(super) fn check(&self) -> Result<(), Unclear> {
        let (asked, cut) = (self.asked, &self.cut);
        let name = asked.words();
        let takes = |fits: bool, is_said: bool, what: &str| {
            if is_said && !fits {
                Err(Unclear::unfitting(what, name))
            } else {
                Ok(())
            }
        };
        let is_logs = asked == AskedFor::Logs;
        takes(is_logs, cut.lines.is_some(), "a number of lines")?;
        takes(is_logs, cut.previous, "the run before")?;
        takes(is_logs, cut.container.is_some(), "a container")?;
        takes(
            is_logs || matches!(asked, AskedFor::Events | AskedFor::Why),
            cut.errors,
            "errors alone",
        )?;
        let is_ordered = matches!(
            asked,
            AskedFor::Logs | AskedFor::Events | AskedFor::Usage(_)
        ) || cut.newest.is_some();
        takes(is_ordered, cut.first.is_some(), "a number of rows")?;
        takes(
            asked == AskedFor::List,
            cut.newest.is_some(),
            "newest or oldest",
        )?;
        takes(
            matches!(asked, AskedFor::Logs | AskedFor::Events | AskedFor::Changed),
            cut.since.is_some(),
            "a time",
        )?;
        let selects = matches!(
            asked,
            AskedFor::List
                | AskedFor::Count
                | AskedFor::Check
                | AskedFor::Fact(_)
                | AskedFor::Logs
                | AskedFor::Why
                | AskedFor::Usage(_)
        );
        takes(selects, !self.conditions.is_empty(), "a condition")?;
        takes(selects, self.refers.is_some(), "who refers to whom")?;
        let is_named = !self.names.is_empty() || !self.kinds.is_empty();
        match asked {
            AskedFor::Logs if !is_named && self.conditions.is_empty() => Err(Unclear::lacking(
                "the question does not say whose logs",
                "logs of api",
            )),
            AskedFor::Talks if self.names.is_empty() => Err(Unclear::lacking(
                "the question does not say to whom",
                "who talks to redis",
            )),
            AskedFor::Describe
                if self.names.is_empty()
                    && !matches!(self.scope, AskedScope::Namespace(_) | AskedScope::Project) =>
            {
                Err(Unclear::lacking(
                    "the question does not name an object",
                    "describe api",
                ))
            }
            AskedFor::Count if self.kinds.is_empty() => Err(Unclear::lacking(
                "the question does not say what to count",
                "how many pods are ready",
            )),
            AskedFor::Cluster | AskedFor::Help if !self.names.is_empty() => Err(
                Unclear::unfitting(&format!("`{}`", self.names[0].text), name),
            ),
            AskedFor::Usage(_)
                if self.kinds.iter().any(|kind| {
                    !matches!(kind, Pod | Node | Namespace) && !WORKLOADS.contains(kind)
                }) =>
            {
                Err(Unclear::unfitting(
                    &format!("use of {}", self.kinds[0].several()),
                    name,
                ))
            }
            _ => Ok(()),
        }
    }

    /// What has to be read for the answer; None: everything, since the question names something without its kind.
    pub(super) fn needs(&self) -> Option<Vec<AskedKind>> {
        use AskedKind::{
            DaemonSet, Deployment, DisruptionBudget, EndpointSlice, Job, NetworkPolicy, ReplicaSet,
            StatefulSet,
        };
        let is_wide = self.names.iter().any(|name| name.kind.is_none())
            || matches!(
                self.asked,
                AskedFor::Why | AskedFor::Changed | AskedFor::Talks | AskedFor::Describe
            );
        let is_related = !self.names.is_empty() && !self.kinds.is_empty();
        let mut states = self.conditions.iter().flat_map(Condition::states);
        let judges = states.any(|state| matches!(state, AskedState::Trouble | AskedState::Unused));
        // A pod is called by its workload.
        let is_pod = self.names.iter().any(|name| name.kind == Some(Pod));
        let is_of_users = matches!(self.asked, AskedFor::Fact(Fact::UsedBy | Fact::Exposed));
        if is_wide || is_related || judges || is_of_users || is_pod {
            return None;
        }
        let mut kinds = self.kinds.clone();
        kinds.extend(self.names.iter().filter_map(|name| name.kind));
        for kind in kinds.clone() {
            kinds.extend(match kind {
                Pod => vec![ReplicaSet, Job],
                Deployment | StatefulSet | DaemonSet | Job => vec![Pod, ReplicaSet],
                CronJob => vec![Pod, Job],
                Service => vec![Pod, EndpointSlice],
                ReplicaSet | DisruptionBudget | NetworkPolicy | Node | Namespace => vec![Pod],
                _ => vec![],
            });
        }
        if matches!(self.asked, AskedFor::Logs | AskedFor::Usage(_)) {
            kinds.extend([Pod, ReplicaSet, Job]);
        }
        if self.asked == AskedFor::Events {
            kinds.push(Event);
        }
        if matches!(self.asked, AskedFor::Cluster | AskedFor::Usage(_)) {
            kinds.extend([Node, Namespace]);
        }
        kinds.sort();
        kinds.dedup();
        Some(kinds)
    }

    /// Whether events tell something of the answer.
    pub(super) fn tells_events(&self) -> bool {
        let asks = matches!(self.asked, AskedFor::Events | AskedFor::Changed);
        let is_event = self.names.iter().any(|name| name.kind == Some(Event));
        asks || is_event || self.kinds.contains(&Event) || self.is_analysed()
    }

    /// Whether the analysers look at the objects.
    pub(super) fn is_analysed(&self) -> bool {
        let mut states = self.conditions.iter().flat_map(Condition::states);
        matches!(self.asked, AskedFor::Why | AskedFor::Describe)
            || states.any(|state| state == AskedState::Trouble)
    }

    /// Whether the kubelets have to be asked.
    pub(super) fn needs_usage(&self) -> bool {
        matches!(self.asked, AskedFor::Usage(_))
            || self.conditions.iter().any(Condition::needs_usage)
    }
}

impl AskedFor {
    /// As a sentence has it.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::List => "a list",
            Self::Count => "a count",
            Self::Check => "a question for yes or no",
            Self::Fact(_) => "a question for a fact",
            Self::Describe => "a description",
            Self::Logs => "logs",
            Self::Events => "events",
            Self::Usage(_) => "the use of memory and cpu",
            Self::Why => "the question what is wrong",
            Self::Changed => "the question what changed",
            Self::Talks => "the question who talks to whom",
            Self::Cluster => "a question about the cluster",
            Self::Help => "help",
        }
    }
}
