//! From the slots of a draft to one question: which of the things that can be asked is asked, and whether everything that was
//! said has a place in it. What has none makes the question unclear, for it would be left out of the answer silently.

use super::draft::Draft;
use super::kind::AskedKind::{
    self, Claim, ConfigMap, CronJob, Node, Pod, Secret, Service, StorageClass,
};
use super::kind::WORKLOADS;
use super::lexicon::Verb;
use super::question::{Asked, Condition, Fact, Measured, NameAsked, Question, Scope, State};
use super::unclear::Unclear;

impl Draft {
    /// The question; `namespaces` are those of the cluster, by which `in X` is told from `of X`.
    ///
    /// # Errors
    /// What does not fit together.
    pub(super) fn settle(mut self, text: &str, namespaces: &[String]) -> Result<Question, Unclear> {
        self.places(namespaces)?;
        let verb = self.verb()?;
        if self.kinds.len() > 1 && !self.unjoined.is_empty() {
            let kinds = self
                .kinds
                .iter()
                .map(|kind| kind.several().to_owned())
                .collect::<Vec<_>>();
            return Err(Unclear::several(&kinds));
        }
        self.rewrite(verb);
        let asked = self.asked(verb)?;
        self.default_kinds(asked);
        self.place_time(asked)?;
        let question = Question {
            text: text.to_owned(),
            asked,
            kinds: self.kinds,
            names: self.names,
            scope: self.scope.unwrap_or(Scope::Project),
            conditions: self.conditions,
            cut: self.cut,
            any: self.any,
            wants_yes: self.wants_yes,
        };
        question.check()?;
        Ok(question)
    }

    /// `in shop` is a namespace if the cluster has one of that name, and a name otherwise.
    fn places(&mut self, namespaces: &[String]) -> Result<(), Unclear> {
        for place in std::mem::take(&mut self.places) {
            if !namespaces.contains(&place) {
                self.names.push(NameAsked {
                    kind: None,
                    text: place,
                });
                continue;
            }
            let scope = Scope::Namespace(place);
            match &self.scope {
                Some(other) if *other != scope => return Err(Unclear::twice("namespaces")),
                _ => self.scope = Some(scope),
            }
        }
        Ok(())
    }

    /// The one verb that counts.
    fn verb(&mut self) -> Result<Option<Verb>, Unclear> {
        let mut verbs = std::mem::take(&mut self.verbs);
        verbs.dedup();
        // `tell me about the events`, `top pods by cpu`.
        if verbs.len() > 1 {
            verbs.retain(|verb| *verb != Verb::Describe);
        }
        let usage = verbs
            .iter()
            .rposition(|verb| matches!(verb, Verb::Usage(_)));
        if let Some(last) = usage {
            let last = verbs[last];
            verbs.retain(|verb| !matches!(verb, Verb::Usage(_)));
            verbs.push(last);
        }
        verbs.dedup();
        match &verbs[..] {
            [] => Ok(None),
            [one] => Ok(Some(*one)),
            several => Err(Unclear::several(
                &several
                    .iter()
                    .map(|verb| verb.words().to_owned())
                    .collect::<Vec<_>>(),
            )),
        }
    }

    /// Says in one way what people say in several.
    fn rewrite(&mut self, verb: Option<Verb>) {
        self.facts.sort();
        self.facts.dedup();
        let has = |facts: &[Fact], fact: Fact| facts.contains(&fact);
        let drop = |facts: &mut Vec<Fact>, fact: Fact| facts.retain(|one| *one != fact);
        // `which pods does service api select`: the pods are asked for.
        if self.kinds == [Pod] && !self.names.is_empty() {
            for fact in [Fact::Selector, Fact::Endpoints, Fact::UsedBy] {
                drop(&mut self.facts, fact);
            }
        }
        if has(&self.facts, Fact::Node) && self.names.is_empty() && self.kinds.is_empty() {
            drop(&mut self.facts, Fact::Node);
            self.kinds.push(Node);
        }
        if has(&self.facts, Fact::Restarts) {
            self.drop_states(&[State::Restarted]);
        }
        // `which deployment owns pod x`, `pods owned by web`: what belongs together is asked for.
        if has(&self.facts, Fact::Owner) && !self.names.is_empty() && !self.kinds.is_empty() {
            drop(&mut self.facts, Fact::Owner);
        }
        // `when was api last restarted`
        if [Fact::LastExit, Fact::LastRun, Fact::Schedule]
            .iter()
            .any(|fact| has(&self.facts, *fact))
        {
            drop(&mut self.facts, Fact::Age);
        }
        if has(&self.facts, Fact::Age)
            && self.drop_states(&[
                State::Restarted,
                State::Crashing,
                State::OutOfMemory,
                State::NotRunning,
            ])
        {
            self.facts = vec![Fact::LastExit];
        }
        if has(&self.facts, Fact::Age) && self.drop_states(&[State::Succeeded, State::Failed]) {
            self.facts = vec![Fact::LastRun];
        }
        // `how long has it been running`
        if has(&self.facts, Fact::Age) {
            self.drop_states(&[State::Running, State::Ready]);
        }
        // `which kubernetes version is running here`
        if verb == Some(Verb::Cluster) {
            self.drop_states(&[State::Running, State::Ready]);
        }
        if verb == Some(Verb::Why) {
            self.facts.retain(|fact| {
                !matches!(
                    fact,
                    Fact::Endpoints
                        | Fact::Selector
                        | Fact::Status
                        | Fact::Images
                        | Fact::Exposed
                        | Fact::Restarts
                        | Fact::LastExit
                        | Fact::LastRun
                        | Fact::Probes
                )
            });
        }
        if has(&self.facts, Fact::Status) {
            drop(&mut self.facts, Fact::Status);
            if self.facts.is_empty() && self.kinds.is_empty() && self.names.is_empty() {
                self.kinds.push(Pod);
            }
        }
        // `errors in api`: its log.
        if self.cut.errors && verb.is_none() && !self.names.is_empty() {
            self.verbs.push(Verb::Logs);
        }
    }

    fn asked(&mut self, verb: Option<Verb>) -> Result<Asked, Unclear> {
        let verb = verb.or_else(|| self.verbs.pop());
        let fact = match &self.facts[..] {
            [] => None,
            [one] => Some(*one),
            several => {
                return Err(Unclear::several(
                    &several
                        .iter()
                        .map(|fact| format!("{fact:?}").to_lowercase())
                        .collect::<Vec<_>>(),
                ));
            }
        };
        if let (Some(verb), Some(fact)) = (verb, fact)
            && verb != Verb::Describe
        {
            return Err(Unclear::several(&[
                verb.words().to_owned(),
                format!("{fact:?}").to_lowercase(),
            ]));
        }
        if let Some(fact) = fact {
            return Ok(Asked::Fact(fact));
        }
        Ok(match verb {
            Some(Verb::Count) => Asked::Count,
            Some(Verb::Describe) if self.names.is_empty() && !self.kinds.is_empty() => Asked::List,
            Some(Verb::Describe) => Asked::Describe,
            Some(Verb::Logs) => Asked::Logs,
            Some(Verb::Events) => Asked::Events,
            Some(Verb::Warnings) => {
                self.cut.errors = true;
                Asked::Events
            }
            Some(Verb::Usage(measured)) => Asked::Usage(measured),
            Some(Verb::Why | Verb::Fine | Verb::Problems) => Asked::Why,
            Some(Verb::Changed) => Asked::Changed,
            Some(Verb::Talks) => Asked::Talks,
            Some(Verb::Cluster) => Asked::Cluster,
            Some(Verb::Help) => Asked::Help,
            None => self.without_verb()?,
        })
    }

    fn without_verb(&mut self) -> Result<Asked, Unclear> {
        let has_conditions = !self.conditions.is_empty();
        if self.kinds.is_empty()
            && self.names.is_empty()
            && self.states().any(|state| state == State::Trouble)
        {
            self.drop_states(&[State::Trouble]);
            return Ok(Asked::Why);
        }
        Ok(match (self.kinds.is_empty(), self.names.is_empty()) {
            (true, true) if has_conditions && self.wants_yes => Asked::Check,
            (true, true) if has_conditions => Asked::List,
            (true, true) if self.scope.is_some() && self.cut.since.is_none() => Asked::Describe,
            (true, true) => {
                return Err(Unclear::lacking(
                    "the question does not say what it asks for",
                    "what is wrong",
                ));
            }
            (true, false) if has_conditions || (self.any && self.wants_yes) => Asked::Check,
            (true, false) if self.is_weak => {
                let message = format!(
                    "the question does not say what it asks about `{}`",
                    self.names[0].text
                );
                return Err(Unclear::lacking(&message, "who talks to redis"));
            }
            (true, false) => Asked::Describe,
            _ if self.wants_yes && (has_conditions || self.any || self.cut.since.is_some()) => {
                Asked::Check
            }
            (false, true) if self.wants_yes => {
                return Err(Unclear::lacking(
                    "the question asks for a yes or no, and not of what",
                    "are all pods ready",
                ));
            }
            (false, false) if self.wants_yes => Asked::Check,
            _ => Asked::List,
        })
    }

    /// What a question without a kind is about, by its conditions.
    fn default_kinds(&mut self, asked: Asked) {
        if !self.kinds.is_empty() || !self.names.is_empty() {
            return;
        }
        let by_state = self.states().find_map(|state| match state {
            State::Suspended | State::Active => Some(vec![CronJob]),
            State::Bound | State::Unbound => Some(vec![Claim]),
            State::WithoutEndpoints
            | State::LoadBalancer
            | State::NodePort
            | State::ClusterIp
            | State::Headless
            | State::Unreachable => Some(vec![Service]),
            State::Default => Some(vec![StorageClass]),
            State::Unused => Some(vec![ConfigMap, Secret, Claim]),
            State::ScaledToZero => Some(WORKLOADS.to_vec()),
            _ => None,
        });
        self.kinds = match asked {
            Asked::List | Asked::Count | Asked::Check => by_state.unwrap_or_else(|| {
                if self.conditions.is_empty() {
                    vec![]
                } else {
                    vec![Pod]
                }
            }),
            Asked::Fact(fact) => super::facts::FactRow::of(fact)
                .map(|row| default_of(row.kinds))
                .unwrap_or_default(),
            _ => vec![],
        };
    }

    /// A time is a cut of logs, events and changes. Of objects it is when they were made, unless their state is an end: then
    /// it is when that was. Since when another state lasts is not known.
    fn place_time(&mut self, asked: Asked) -> Result<(), Unclear> {
        use State::{Crashing, Failed, OutOfMemory, Restarted, Succeeded};
        if !matches!(asked, Asked::List | Asked::Count | Asked::Check) {
            return Ok(());
        }
        let Some(since) = self.cut.since.take() else {
            return Ok(());
        };
        let states: Vec<_> = self.states().collect();
        let is_end = |state: &State| {
            matches!(
                state,
                Crashing | Failed | OutOfMemory | Restarted | Succeeded
            )
        };
        self.conditions
            .push(match states.iter().find(|state| !is_end(state)) {
                Some(state) => {
                    return Err(Unclear::unfitting(
                        "since when",
                        &format!("\"{}\"", state.words()),
                    ));
                }
                None if states.is_empty() => Condition::Since(since),
                None => Condition::EndedSince(since),
            });
        Ok(())
    }
}

/// Of what has a fact, that which a question without a name is about.
fn default_of(kinds: &[AskedKind]) -> Vec<AskedKind> {
    let workloads: Vec<_> = WORKLOADS
        .iter()
        .filter(|kind| kinds.contains(kind))
        .copied()
        .collect();
    match kinds.first() {
        Some(_) if workloads.len() == WORKLOADS.len() => workloads,
        Some(first) => vec![*first],
        None => vec![],
    }
}

impl Verb {
    fn words(self) -> &'static str {
        match self {
            Self::Count => "a count",
            Self::Describe => "a description",
            Self::Logs => "logs",
            Self::Events => "events",
            Self::Warnings => "warnings",
            Self::Usage(Measured::Memory) => "the use of memory",
            Self::Usage(Measured::Cpu) => "the use of cpu",
            Self::Why | Self::Fine | Self::Problems => "what is wrong",
            Self::Changed => "what changed",
            Self::Talks => "who talks to something",
            Self::Cluster => "the cluster",
            Self::Help => "help",
        }
    }
}
