//! Conditions that a question joins: `pending or failing pods` are pods of which one of the two is true, and so are `pending and
//! failing pods`, for nobody is both. `failing pods without limits` are both, and so are `running and not ready pods`.

use super::question::{AskedState, Condition};
use super::tokens::QuestionWord;
use super::unclear::Unclear;

/// What stands between the last condition and the next one.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Joining {
    /// There is a condition already; true: it denies something.
    last: Option<bool>,
    with: Option<Joint>,
    /// A kind stands between.
    is_apart: bool,
    is_split: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Joint {
    And,
    Or(QuestionWord),
}

/// How a condition is joined to the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Joined {
    And,
    Or,
    /// `not ready or running`: what is denied?
    OrBehindNot,
}

impl Joining {
    /// An `or`; false if no condition stands before it.
    pub(super) fn or(&mut self, word: &QuestionWord) -> bool {
        let is_first = self.last.is_some() && self.left().is_none();
        if is_first {
            self.with = Some(Joint::Or(word.clone()));
        }
        is_first
    }

    pub(super) fn and(&mut self) {
        if self.last.is_some() && self.with.is_none() {
            self.with = Some(Joint::And);
        }
    }

    pub(super) fn kind(&mut self) {
        self.is_apart = self.last.is_some();
    }

    /// A condition follows.
    pub(super) fn take(&mut self, is_not: bool) -> Option<Joined> {
        let behind_not = self.last.replace(is_not) == Some(true);
        let joined = match self.with.take()? {
            Joint::And => Joined::And,
            Joint::Or(_) if behind_not && !is_not => Joined::OrBehindNot,
            Joint::Or(_) => Joined::Or,
        };
        self.is_split |= std::mem::take(&mut self.is_apart);
        Some(joined)
    }

    /// An `or` behind which no condition came.
    pub(super) fn left(&self) -> Option<QuestionWord> {
        match &self.with {
            Some(Joint::Or(word)) => Some(word.clone()),
            _ => None,
        }
    }

    /// Joined conditions stand on both sides of a kind: of two kinds, each has its own.
    pub(super) fn is_split(&self) -> bool {
        self.is_split
    }
}

/// Whether a condition is an alternative to the last one before it.
///
/// # Errors
/// An `or` of which it is not clear what it denies, or how far it reaches.
pub(super) fn joins(
    before: &[Condition],
    joined: Joined,
    next: &Condition,
) -> Result<bool, Unclear> {
    let [others @ .., last] = before else {
        return Ok(false);
    };
    let (last, next) = (last.states(), next.states());
    let are_states = !last.is_empty() && !next.is_empty();
    match joined {
        Joined::And => {
            let exclude = |a: &AskedState| next.iter().all(|b| excludes(*a, *b));
            Ok(are_states && last.iter().all(exclude))
        }
        Joined::OrBehindNot if next.iter().copied().any(is_good) => Err(Unclear::or_behind_not()),
        // `failing pods older than 2 days or restarted`: is one of three enough, or one of two?
        _ if !others.is_empty() && !are_states => Err(Unclear::or_of_many()),
        _ => Ok(true),
    }
}

impl Condition {
    /// Adds an alternative.
    pub(super) fn or(&mut self, other: Self) {
        match self {
            Self::Either(several) => several.push(other),
            one => *one = Self::Either(vec![one.clone(), other]),
        }
    }
}

/// What a state is about; two states of one subject are not those of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Life,
    Readiness,
    Suspension,
    Binding,
    ServiceType,
}

fn subject(state: AskedState) -> Option<Subject> {
    use AskedState::{
        Active, Bound, ClusterIp, Crashing, Evicted, Failed, Headless, LoadBalancer, NoImage,
        NodePort, NotReady, NotRunning, OutOfMemory, Pending, Ready, Running, Succeeded, Suspended,
        Terminating, Trouble, Unbound, Unschedulable,
    };
    Some(match state {
        Running | NotRunning | Pending | Failed | Succeeded | Crashing | OutOfMemory | NoImage
        | Terminating | Unschedulable | Evicted | Trouble => Subject::Life,
        Ready | NotReady => Subject::Readiness,
        Suspended | Active => Subject::Suspension,
        Bound | Unbound => Subject::Binding,
        LoadBalancer | NodePort | ClusterIp | Headless => Subject::ServiceType,
        _ => return None,
    })
}

fn is_good(state: AskedState) -> bool {
    use AskedState::{Active, Bound, Ready, Running, Succeeded};
    matches!(state, Active | Bound | Ready | Running | Succeeded)
}

/// Whether `a and b` lists two sorts of objects: one subject, or two ways of not being well.
fn excludes(a: AskedState, b: AskedState) -> bool {
    let life = |state| matches!(subject(state), Some(Subject::Life | Subject::Readiness));
    let is_bad = |state| life(state) && !is_good(state);
    (subject(a).is_some() && subject(a) == subject(b)) || (is_bad(a) && is_bad(b))
}

#[cfg(test)]
mod tests {
    use super::super::draft::QuestionDraft;
    use super::super::question::LackingSpec;
    use super::*;
    use AskedState::{Crashing, Failed, Lacks, NotReady, Pending, Ready, Running, Trouble};

    fn conditions(text: &str) -> Vec<Condition> {
        QuestionDraft::of(text).unwrap().conditions
    }

    fn either(states: &[AskedState]) -> Condition {
        Condition::Either(states.iter().copied().map(Condition::Is).collect())
    }

    #[test]
    fn a_list_of_states_is_one_of_alternatives() {
        for text in [
            "pods that are pending or failed",
            "pending and failed pods",
            "pods that are either pending, or failed",
            "pending pods and failed pods",
            "which pods are pending and which are failed",
        ] {
            assert_eq!(conditions(text), [either(&[Pending, Failed])], "{text}");
        }
        assert_eq!(
            conditions("pending, failed and crashing pods"),
            [either(&[Pending, Failed, Crashing])]
        );
        assert_eq!(
            conditions("pods that are not ready and pending"),
            [either(&[NotReady, Pending])]
        );
        assert_eq!(
            conditions("running or ready pods"),
            [either(&[Running, Ready])]
        );
    }

    #[test]
    fn what_can_be_true_of_one_object_is_true_of_it() {
        let both = |a: AskedState, b: AskedState| [Condition::Is(a), Condition::Is(b)];
        for (text, a, b) in [
            ("running and not ready pods", Running, NotReady),
            ("running pods that are not ready", Running, NotReady),
            (
                "failing pods without limits",
                Trouble,
                Lacks(LackingSpec::Limits),
            ),
            ("pending pods that are failing", Pending, Trouble),
            (
                "pods without memory limits and without a readiness probe",
                Lacks(LackingSpec::MemoryLimit),
                Lacks(LackingSpec::ReadinessProbe),
            ),
        ] {
            assert_eq!(conditions(text), both(a, b), "{text}");
        }
    }

    #[test]
    fn what_an_or_denies_is_not_guessed_and_each_kind_has_its_own_state() {
        let refused = |text: &str| QuestionDraft::of(text).unwrap_err().to_string();
        assert!(refused("pods that are not ready or running").contains("`or`"));
        assert!(refused("failed pods and pending jobs").contains("Jobs"));
        assert!(refused("failing pods older than 2 days or restarted").contains("`or`"));
        let unknown = QuestionDraft::of("pending pods or services").unwrap();
        assert_eq!(unknown.names[0].text, "or");
    }
}
