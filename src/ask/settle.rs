//! From the slots of a draft to one question: which of the things that can be asked is asked, and whether everything that was
//! said has a place in it. What has none makes the question unclear, for it would be left out of the answer silently.

use super::draft::QuestionDraft;
use super::facts::FactRow;
use super::kind::AskedKind::{Claim, ConfigMap, CronJob, Node, Pod, Secret, Service, StorageClass};
use super::kind::WORKLOADS;
use super::lexicon::Verb;
use super::question::{
    AskedFor, AskedScope, AskedState, Condition, Fact, Measured, NameAsked, Question, Referring,
};
use super::unclear::Unclear;

impl QuestionDraft {
    /// The question; `namespaces` are those of the cluster, by which `in X` is told from `of X`.
    ///
    /// # Errors
    /// What does not fit together.
    pub(super) fn settle(mut self, text: &str, namespaces: &[String]) -> Result<Question, Unclear> {
        self.places(namespaces)?;
        let verb = self.verb()?;
        let verb = self.uses(verb)?;
        let refers = self.referring();
        // `which deployments talk to redis` asks for Deployments.
        let verb = verb.filter(|verb| *verb != Verb::Talks || refers.is_none());
        if refers.is_some() {
            self.facts.retain(|fact| *fact != Fact::UsedBy);
        }
        if self.kinds.len() > 1 && !self.unjoined.is_empty() {
            return Err(Unclear::several(&self.kinds_in_words()));
        }
        self.rewrite(verb);
        let asked = self.asked(verb)?;
        self.namespace_itself(asked);
        self.default_kinds(asked);
        self.place_time(asked)?;
        let is_of_nodes = matches!(asked, AskedFor::Usage(_)) && self.kinds == [Node];
        if is_of_nodes && self.names.is_empty() && self.scope.is_none() {
            // Of a node all pods use something.
            self.scope = Some(AskedScope::Everywhere);
        }
        let question = Question {
            text: text.to_owned(),
            asked,
            kinds: self.kinds,
            names: self.names,
            scope: self.scope.unwrap_or(AskedScope::Project),
            refers,
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
            self.scope(AskedScope::Namespace(place))?;
        }
        Ok(())
    }

    /// `what does api talk to`, `dependencies of api`: the Services that it names are asked for.
    fn uses(&mut self, verb: Option<Verb>) -> Result<Option<Verb>, Unclear> {
        let is_of_first = verb == Some(Verb::Talks) && self.is_talker_named;
        if (verb != Some(Verb::Uses) && !is_of_first) || !self.kinds.is_empty() {
            return Ok(verb);
        }
        if is_of_first && self.names.len() > 1 {
            return Err(Unclear::lacking(
                "devk does not know who talks to whom between two objects",
                &format!("which services does {} use", self.names[0].text),
            ));
        }
        if self.names.is_empty() {
            return Err(Unclear::lacking(
                "the question does not say of what",
                "dependencies of api",
            ));
        }
        self.kinds.push(Service);
        self.refers_behind = Some(1);
        Ok(None)
    }

    /// Whether the kinds refer to the names, or the other way round: which of the two stands before the verb.
    fn referring(&self) -> Option<Referring> {
        let names_before = self.refers_behind?;
        match (names_before, self.names.len()) {
            (_, 0) => None,
            (0, _) if !self.is_passive => Some(Referring::To),
            _ => Some(Referring::From),
        }
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

    fn asked(&mut self, verb: Option<Verb>) -> Result<AskedFor, Unclear> {
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
            return Ok(AskedFor::Fact(fact));
        }
        Ok(match verb {
            Some(Verb::Count) => AskedFor::Count,
            Some(Verb::Describe)
                if !self.kinds.is_empty()
                    && (self.names.is_empty() || self.refers_behind.is_some()) =>
            {
                AskedFor::List
            }
            Some(Verb::Describe) => AskedFor::Describe,
            Some(Verb::Logs) => AskedFor::Logs,
            Some(Verb::Events) => AskedFor::Events,
            Some(Verb::Warnings) => {
                self.cut.errors = true;
                AskedFor::Events
            }
            Some(Verb::Usage(measured)) => AskedFor::Usage(measured),
            Some(Verb::Why | Verb::Fine | Verb::Problems) => AskedFor::Why,
            Some(Verb::Changed) => AskedFor::Changed,
            Some(Verb::Talks | Verb::Uses) => AskedFor::Talks,
            Some(Verb::Cluster) => AskedFor::Cluster,
            Some(Verb::Help) => AskedFor::Help,
            None => self.without_verb()?,
        })
    }

    fn without_verb(&mut self) -> Result<AskedFor, Unclear> {
        let has_conditions = !self.conditions.is_empty();
        if self.kinds.is_empty()
            && self.names.is_empty()
            && self.states().any(|state| state == AskedState::Trouble)
        {
            self.drop_states(&[AskedState::Trouble]);
            return Ok(AskedFor::Why);
        }
        Ok(match (self.kinds.is_empty(), self.names.is_empty()) {
            (true, true) if has_conditions && self.wants_yes => AskedFor::Check,
            (true, true) if has_conditions => AskedFor::List,
            (true, true) if self.scope.is_some() && self.cut.since.is_none() => AskedFor::Describe,
            (true, true) => {
                return Err(Unclear::lacking(
                    "the question does not say what it asks for",
                    "what is wrong",
                ));
            }
            (true, false) if has_conditions || (self.any && self.wants_yes) => AskedFor::Check,
            (true, false) if self.is_weak => {
                let message = format!(
                    "the question does not say what it asks about `{}`",
                    self.names[0].text
                );
                return Err(Unclear::lacking(&message, "who talks to redis"));
            }
            (true, false) => AskedFor::Describe,
            _ if self.wants_yes && (has_conditions || self.any || self.cut.since.is_some()) => {
                AskedFor::Check
            }
            (false, true) if self.wants_yes => {
                return Err(Unclear::lacking(
                    "the question asks for a yes or no, and not of what",
                    "are all pods ready",
                ));
            }
            (false, false) if self.wants_yes => AskedFor::Check,
            _ => AskedFor::List,
        })
    }

    /// What a question without a kind is about, by its conditions.
    fn default_kinds(&mut self, asked: AskedFor) {
        if !self.kinds.is_empty() || !self.names.is_empty() {
            return;
        }
        let by_state = self.states().find_map(|state| match state {
            AskedState::Suspended | AskedState::Active => Some(vec![CronJob]),
            AskedState::Bound | AskedState::Unbound => Some(vec![Claim]),
            AskedState::WithoutEndpoints
            | AskedState::LoadBalancer
            | AskedState::NodePort
            | AskedState::ClusterIp
            | AskedState::Headless
            | AskedState::Unreachable => Some(vec![Service]),
            AskedState::Default => Some(vec![StorageClass]),
            AskedState::Unused => Some(vec![ConfigMap, Secret, Claim]),
            AskedState::ScaledToZero => Some(WORKLOADS.to_vec()),
            _ => None,
        });
        self.kinds = match asked {
            AskedFor::List | AskedFor::Count | AskedFor::Check => by_state.unwrap_or_else(|| {
                if self.conditions.is_empty() {
                    vec![]
                } else {
                    vec![Pod]
                }
            }),
            AskedFor::Fact(fact) => FactRow::of(fact)
                .map(FactRow::default_kinds)
                .unwrap_or_default(),
            _ => vec![],
        };
    }

    /// A time is a cut of logs, events and changes. Of objects it is when they were made, unless their state is an end: then
    /// it is when that was. Since when another state lasts is not known.
    fn place_time(&mut self, asked: AskedFor) -> Result<(), Unclear> {
        use AskedState::{Crashing, Failed, OutOfMemory, Restarted, Succeeded};
        if !matches!(asked, AskedFor::List | AskedFor::Count | AskedFor::Check) {
            return Ok(());
        }
        let Some(since) = self.cut.since.take() else {
            return Ok(());
        };
        use Condition::{CpuOver, MemoryOver, OnNode, ReplicasOver, RestartsOver};
        let is_of_now = |condition: &Condition| {
            matches!(
                condition,
                CpuOver(_) | MemoryOver(_) | OnNode(_) | ReplicasOver(_) | RestartsOver(_)
            )
        };
        if self.conditions.iter().any(is_of_now) {
            return Err(Unclear::unfitting("a time", "figures and places of now"));
        }
        let states: Vec<_> = self.states().collect();
        let is_end = |state: &AskedState| {
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
            Self::Uses => "what something talks to",
            Self::Cluster => "the cluster",
            Self::Help => "help",
        }
    }
}
