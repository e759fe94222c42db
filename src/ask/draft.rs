//! The phrases of a question in their order, put into slots. Nothing is decided here: a word that no phrase takes is a name,
//! and whether there is such an object shows the cluster.

use super::joined::{Joining, joins};
use super::kind::AskedKind;
use super::lexicon::{Detail, Meaning, Verb, meaning};
use super::moment::Moment;
use super::pattern::Slot;
use super::question::{AskedScope, AskedState, Condition, Cut, Fact, NameAsked};
use super::request;
use super::tokens::{QuestionWord, tokens};
use super::unclear::Unclear;

/// What the words of a question say.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct QuestionDraft {
    pub(super) verbs: Vec<Verb>,
    pub(super) facts: Vec<Fact>,
    pub(super) kinds: Vec<AskedKind>,
    /// Kinds that follow another one without an `and`, and before no name.
    pub(super) unjoined: Vec<AskedKind>,
    is_joined: bool,
    /// It has words that say nothing by themselves.
    pub(super) is_weak: bool,
    pub(super) names: Vec<NameAsked>,
    /// `in X`: a namespace, or a name.
    pub(super) places: Vec<String>,
    pub(super) scope: Option<AskedScope>,
    /// The scope was given as `namespace X`, which may mean the Namespace itself.
    pub(super) is_of_namespace: bool,
    /// How many names stood before the verb by which kinds and names refer to each other.
    pub(super) refers_behind: Option<usize>,
    pub(super) conditions: Vec<Condition>,
    /// A name before the verb: that object talks.
    pub(super) is_talker_named: bool,
    /// `used by`: what stands before it does not refer, but is referred to.
    pub(super) is_passive: bool,
    joining: Joining,
    pub(super) cut: Cut,
    pub(super) any: bool,
    pub(super) wants_yes: bool,
}

/// The last word, as far as the next one depends on it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Before {
    Nothing,
    /// One object of this kind: the name may follow.
    Kind(AskedKind),
    /// A name without a kind: the kind may follow.
    Name,
}

impl QuestionDraft {
    /// # Errors
    /// A change in the midst of a question, or an empty one.
    pub(super) fn of(text: &str) -> Result<Self, Unclear> {
        let words = tokens(text);
        if words.is_empty() {
            return Err(Unclear::empty());
        }
        let mut draft = Self::default();
        let mut before = Before::Nothing;
        let mut at = 0;
        while at < words.len() {
            let rest = &words[at..];
            if rest[0].lower == "or" && !rest[0].is_quoted && draft.joining.or(&rest[0]) {
                at += 1;
                continue;
            }
            match meaning(rest).filter(|_| !rest[0].is_quoted) {
                Some((count, meaning, slots)) => {
                    if count == 1 && request::is_told(&words, at) {
                        return Err(Unclear::change_within(&rest[0].text));
                    }
                    let is_first = at == 0;
                    before = draft.take(meaning, slots, &rest[..count], before, is_first)?;
                    at += count;
                }
                None => {
                    before = draft.name(&rest[0], before);
                    at += 1;
                }
            }
        }
        // An `or` that joins nothing is not understood.
        if let Some(or) = draft.joining.left() {
            draft.name(&or, Before::Nothing);
        }
        match draft.joining.is_split() && draft.kinds.len() > 1 {
            true => Err(Unclear::several(&draft.kinds_in_words())),
            false => Ok(draft),
        }
    }

    pub(super) fn kinds_in_words(&self) -> Vec<String> {
        let words = self.kinds.iter().map(|kind| kind.several().to_owned());
        words.collect()
    }

    fn name(&mut self, token: &QuestionWord, before: Before) -> Before {
        let (kind, text) = match (token.with_kind(), before) {
            (Some((kind, name)), _) => (Some(kind), name),
            (None, Before::Kind(kind)) => {
                // The word stood for the kind of this object, not for what is asked.
                self.kinds.retain(|one| *one != kind);
                self.unjoined.retain(|one| *one != kind);
                (Some(kind), token.text.as_str())
            }
            _ => (None, token.text.as_str()),
        };
        self.names.push(NameAsked {
            kind,
            text: text.to_owned(),
        });
        if kind.is_some() {
            Before::Nothing
        } else {
            Before::Name
        }
    }

    fn take(
        &mut self,
        meaning: Meaning,
        slots: Vec<Slot>,
        words: &[QuestionWord],
        before: Before,
        is_first: bool,
    ) -> Result<Before, Unclear> {
        match meaning {
            Meaning::Filler => {
                if words[0].lower == "and" {
                    self.is_joined = true;
                    self.joining.and();
                }
                // `a service called redis`, `the api's pod`.
                let stays = matches!(words[0].lower.as_str(), "called" | "named" | "name");
                return Ok(if stays { before } else { Before::Nothing });
            }
            Meaning::Weak => self.is_weak = true,
            Meaning::Refers => {
                self.is_weak = true;
                self.is_passive |= words.iter().any(|word| word.lower == "by");
                self.refers();
            }
            Meaning::Asks(verb @ (Verb::Fine | Verb::Problems)) => {
                self.verbs.push(Verb::Why);
                self.wants_yes = true;
                self.any = verb == Verb::Problems;
            }
            Meaning::Asks(verb) => {
                let is_who =
                    |word: &QuestionWord| matches!(word.lower.as_str(), "who" | "what" | "which");
                if verb == Verb::Talks {
                    self.refers();
                    // `what does api talk to`: it is api that talks.
                    self.is_talker_named = !is_who(&words[0]) && !self.names.is_empty();
                }
                self.verbs.push(verb);
            }
            Meaning::Fact(fact) => {
                if fact == Fact::UsedBy {
                    self.is_passive |= words.iter().any(|word| word.lower == "by");
                    self.refers();
                }
                self.facts.push(fact);
            }
            Meaning::Is(state) => {
                let is_not = words.iter().any(|word| word.lower == "not");
                self.condition(Condition::Is(state), is_not)?;
            }
            Meaning::Any => {
                self.any = true;
                self.wants_yes |= is_first;
            }
            Meaning::YesNo => self.wants_yes |= is_first,
            Meaning::Kinds(kinds) => return Ok(self.kind(kinds, words, before)),
            Meaning::With(detail) => self.detail(detail, slots, words)?,
        }
        Ok(Before::Nothing)
    }

    /// The verb between kinds and names by which they refer to each other.
    fn refers(&mut self) {
        if !self.kinds.is_empty() && self.refers_behind.is_none() {
            self.refers_behind = Some(self.names.len());
        }
    }

    fn condition(&mut self, condition: Condition, is_not: bool) -> Result<(), Unclear> {
        let is_alternative = match self.joining.take(is_not) {
            Some(joined) => joins(&self.conditions, joined, &condition)?,
            None => false,
        };
        match self.conditions.last_mut().filter(|_| is_alternative) {
            Some(last) => last.or(condition),
            None => self.conditions.push(condition),
        }
        Ok(())
    }

    fn kind(&mut self, kinds: &[AskedKind], words: &[QuestionWord], before: Before) -> Before {
        let last = words.last().map_or("", |word| word.lower.as_str());
        let is_one = kinds.len() == 1 && !is_plural(last);
        // `the web deployment`, but not `the web pods`.
        if let (true, Before::Name, Some(name)) = (is_one, before, self.names.last_mut()) {
            name.kind = Some(kinds[0]);
            return Before::Nothing;
        }
        self.joining.kind();
        let new = kinds
            .iter()
            .filter(|kind| !self.kinds.contains(kind))
            .copied()
            .collect::<Vec<_>>();
        if !self.kinds.is_empty() && !self.is_joined {
            self.unjoined.extend(&new);
        }
        self.is_joined = false;
        self.kinds.extend(new);
        if is_one {
            Before::Kind(kinds[0])
        } else {
            Before::Nothing
        }
    }

    fn detail(
        &mut self,
        detail: Detail,
        slots: Vec<Slot>,
        words: &[QuestionWord],
    ) -> Result<(), Unclear> {
        let mut slots = slots.into_iter();
        let condition = match (detail, slots.next()) {
            (Detail::Everywhere, _) => return self.scope(AskedScope::Everywhere),
            (Detail::Here, _) => return self.scope(AskedScope::Project),
            (Detail::InNamespace, Some(Slot::Word(name))) => {
                self.is_of_namespace |= !matches!(words[0].lower.as_str(), "in" | "from" | "-n");
                return self.scope(AskedScope::Namespace(name));
            }
            (Detail::In, Some(Slot::Word(name))) => {
                self.places.push(name);
                return Ok(());
            }
            (Detail::MadeSince, Some(Slot::Time(moment))) => Condition::Since(moment),
            (Detail::MadeAt, Some(Slot::Time(moment))) => Condition::Since(moment.whole()),
            (Detail::MadeAfter, Some(Slot::Time(moment))) => Condition::Since(moment.after()),
            (Detail::MadeLast, Some(Slot::Span(span))) => Condition::Since(Moment::Ago(span)),
            (Detail::WithLabel, Some(Slot::Word(key))) => Condition::WithLabel(key),
            (Detail::OlderThan, Some(Slot::Span(span))) => Condition::OlderThan(span),
            (Detail::YoungerThan, Some(Slot::Span(span))) => Condition::YoungerThan(span),
            (Detail::OnNode, Some(Slot::Word(node))) => Condition::OnNode(node),
            (Detail::Image, Some(Slot::Word(image))) => Condition::Image(image),
            (Detail::Label, Some(Slot::Label(key, value))) => Condition::Label(key, value),
            (Detail::WithoutLabel, Some(Slot::Word(key))) => Condition::WithoutLabel(key),
            (Detail::RestartsOver, Some(Slot::Number(count))) => Condition::RestartsOver(count),
            (Detail::RestartsFrom, Some(Slot::Number(count))) => Condition::RestartsOver(count - 1),
            (Detail::ReplicasOver, Some(Slot::Number(count))) => Condition::ReplicasOver(count),
            (Detail::MemoryOver, Some(Slot::Quantity(bytes))) => Condition::MemoryOver(bytes),
            (Detail::CpuOver, Some(Slot::Quantity(cores))) => Condition::CpuOver(cores),
            (other, slot) => return self.cut(other, slot),
        };
        self.condition(condition, false)
    }

    pub(super) fn scope(&mut self, scope: AskedScope) -> Result<(), Unclear> {
        match &self.scope {
            Some(other) if *other != scope => Err(Unclear::twice("namespaces")),
            _ => {
                self.scope = Some(scope);
                Ok(())
            }
        }
    }

    fn cut(&mut self, detail: Detail, slot: Option<Slot>) -> Result<(), Unclear> {
        let since = match (detail, slot) {
            (Detail::Since, Some(Slot::Time(moment))) => moment,
            (Detail::At, Some(Slot::Time(moment))) => moment.whole(),
            (Detail::After, Some(Slot::Time(moment))) => moment.after(),
            (Detail::Last, Some(Slot::Span(span))) => Moment::Ago(span),
            (Detail::Lines, Some(Slot::Number(lines))) => {
                self.cut.lines = Some(lines);
                return Ok(());
            }
            (Detail::First, Some(Slot::Number(count))) => {
                self.cut.first = usize::try_from(count).ok();
                return Ok(());
            }
            (Detail::Oldest | Detail::Newest, _) => {
                self.cut.newest = Some(detail == Detail::Newest);
                return Ok(());
            }
            (Detail::OldestOf | Detail::NewestOf, Some(Slot::Number(count))) => {
                self.cut.newest = Some(detail == Detail::NewestOf);
                self.cut.first = usize::try_from(count).ok();
                return Ok(());
            }
            (Detail::Container, Some(Slot::Word(name))) => {
                self.cut.container = Some(name);
                return Ok(());
            }
            (Detail::Previous, _) => {
                self.cut.previous = true;
                return Ok(());
            }
            (Detail::Errors, _) => {
                self.cut.errors = true;
                return Ok(());
            }
            // A phrase of the table takes the value that its detail needs: a test goes through all.
            _ => return Err(Unclear::empty()),
        };
        match self.cut.since.replace(since.clone()) {
            Some(earlier) if earlier != since => Err(Unclear::twice("times")),
            _ => Ok(()),
        }
    }

    /// Whether the namespaces of the cluster have to be known.
    pub(super) fn names_a_place(&self) -> bool {
        !self.places.is_empty() || matches!(self.scope, Some(AskedScope::Namespace(_)))
    }

    pub(super) fn states(&self) -> impl Iterator<Item = AskedState> {
        self.conditions.iter().flat_map(Condition::states)
    }

    /// Takes a state away, if it is there.
    pub(super) fn drop_states(&mut self, states: &[AskedState]) -> bool {
        let before = self.conditions.len();
        self.conditions.retain(
            |condition| !matches!(condition, Condition::Is(state) if states.contains(state)),
        );
        self.conditions.len() < before
    }
}

fn is_plural(word: &str) -> bool {
    word.ends_with('s') && !["ingress", "ds", "rs", "sts", "ns"].contains(&word)
}
