//! What people say in several ways, in one way: before a question is [settled](super::settle).

use super::draft::QuestionDraft;
use super::kind::AskedKind::{Node, Pod};
use super::lexicon::Verb;
use super::question::{AskedState, Fact};

impl QuestionDraft {
    /// Says in one way what people say in several.
    pub(super) fn rewrite(&mut self, verb: Option<Verb>) {
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
            self.drop_states(&[AskedState::Restarted]);
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
                AskedState::Restarted,
                AskedState::Crashing,
                AskedState::OutOfMemory,
                AskedState::NotRunning,
            ])
        {
            self.facts = vec![Fact::LastExit];
        }
        if has(&self.facts, Fact::Age)
            && self.drop_states(&[AskedState::Succeeded, AskedState::Failed])
        {
            self.facts = vec![Fact::LastRun];
        }
        // `how long has it been running`
        if has(&self.facts, Fact::Age) {
            self.drop_states(&[AskedState::Running, AskedState::Ready]);
        }
        // `which kubernetes version is running here`
        if verb == Some(Verb::Cluster) {
            self.drop_states(&[AskedState::Running, AskedState::Ready]);
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
}
