//! The words behind the verb of a request: which objects, where, and what is to become of them. What would be left out of a plan
//! is unknown, and then there is no plan.

use super::direction::AskedDirection;
use super::kind::AskedKind;
use super::pattern::{Slot, fit, number};
use super::question::NameAsked;
use super::request::Planned;
use super::tokens::QuestionWord;
use super::wish::{Making, WishValues};
use crate::change::plan::{ChangeAction, Delete, ReplicaCount, Restart, RollBack, Scale, SetImage};

/// Where the objects are.
const PLACES: &[&str] = &[
    "in|from namespace {word}",
    "namespace {word}",
    "-n {word}",
    "in [the] {word} namespace",
];

/// The words behind the verb.
#[derive(Debug, Default)]
pub(super) struct RequestReading {
    /// `scale down by 2`.
    pub(super) direction: Option<AskedDirection>,
    pub(super) names: Vec<NameAsked>,
    pub(super) namespace: Option<String>,
    count: Option<ReplicaCount>,
    image: Option<String>,
    revision: Option<u64>,
    pub(super) values: WishValues,
    /// How many names stood before each value.
    named_before: Vec<usize>,
    pub(super) unknown: Vec<String>,
}

/// A kind that was said before names.
#[derive(Debug, Clone)]
struct SaidKind {
    kind: AskedKind,
    word: String,
    /// A name has it.
    is_used: bool,
}

impl RequestReading {
    pub(super) fn read(&mut self, rest: &[QuestionWord], planned: Option<Planned>) {
        let mut at = 0;
        let mut said: Option<SaidKind> = None;
        // The word before is a name: a kind behind it is that name's.
        let mut is_behind_name = false;
        while at < rest.len() {
            let here = &rest[at..];
            let word = here[0].lower.as_str();
            let next = here.get(1);
            // `delete namespace staging`: that is what goes, and no place.
            let is_object =
                at == 0 && word == "namespace" && matches!(planned, Some(Planned::Delete));
            if let Some((count, name)) = place(here).filter(|_| !is_object) {
                self.place(name);
                at += count;
            } else if let Some((count, _)) = fit("to revision {number}", here) {
                self.back_to(&here[count - 1]);
                at += count;
            } else if takes_values(planned)
                && let Some(count) = self.values.take(here)
            {
                self.named_before.push(self.names.len());
                at += count;
            } else if let (true, Some(next)) = (has_value(word, planned), next) {
                self.value(word, next, planned);
                at += 2;
            } else if let Some(said) = AskedDirection::behind(&here[0]).filter(|_| {
                // `scale web down to 1`: no object is meant.
                matches!(planned, Some(Planned::Scale)) && !self.names.is_empty()
            }) {
                let is_other = self.direction.is_some_and(|direction| direction != said);
                if is_other || self.count.is_some() {
                    self.unknown.push(word.to_owned());
                }
                self.direction = Some(said);
                at += 1;
            } else if !here[0].is_quoted
                && is_filler(word, planned)
                // `on web in shop`: that is no further object.
                && (word != "in" || self.names.is_empty())
            {
                at += 1;
            } else if let Some(asked) = AskedKind::called(word).filter(|_| !here[0].is_quoted) {
                let is_given = is_behind_name && self.of_names(asked, word, said.as_ref());
                if !is_given {
                    // `delete the pods of deployment web` is not about the Deployment alone.
                    self.unused(said.as_ref());
                    said = Some(SaidKind {
                        kind: asked,
                        word: word.to_owned(),
                        is_used: false,
                    });
                }
                at += 1;
            } else {
                self.name(&here[0], said.as_mut());
                at += 1;
                is_behind_name = true;
                continue;
            }
            is_behind_name = false;
        }
        self.unused(said.as_ref());
        self.scattered();
    }

    /// Gives a kind to the names before it, as in `web deployment` and `web and api deployments`; false if there is none that
    /// lacks one.
    fn of_names(&mut self, kind: AskedKind, word: &str, said: Option<&SaidKind>) -> bool {
        // A name has a kind of its own, or that which was said before it.
        let is_own = |name: &NameAsked| {
            name.kind.is_some()
                && name.kind != said.filter(|said| said.is_used).map(|said| said.kind)
        };
        let lacking = self.names.iter_mut().rev().take_while(|name| !is_own(name));
        let count = if kind.plural() == word { usize::MAX } else { 1 };
        let mut given = false;
        for name in lacking.take(count) {
            name.kind = Some(kind);
            given = true;
        }
        given
    }

    /// A kind that no name has says something that nothing was made of.
    fn unused(&mut self, said: Option<&SaidKind>) {
        let unused = said.filter(|said| !said.is_used);
        self.unknown.extend(unused.map(|said| said.word.clone()));
    }

    /// One value is for all names: `set A=1 on web and B=2 on api` are two requests.
    fn scattered(&mut self) {
        let is_split = self.named_before.windows(2).any(|pair| pair[0] != pair[1]);
        if is_split && self.names.len() > 1 {
            let last = self.names.last().map(|name| name.text.clone());
            self.unknown.extend(last);
        }
    }

    /// One namespace is for all names.
    fn place(&mut self, name: String) {
        match &self.namespace {
            Some(other) if *other != name => self.unknown.push(name),
            _ => self.namespace = Some(name),
        }
    }

    fn back_to(&mut self, token: &QuestionWord) {
        let revision = number(&token.lower).and_then(|number| u64::try_from(number).ok());
        match revision.filter(|_| self.revision.is_none()) {
            Some(revision) => self.revision = Some(revision),
            None => self.unknown.push(token.text.clone()),
        }
    }

    fn name(&mut self, token: &QuestionWord, said: Option<&mut SaidKind>) {
        let (kind, text) = match (token.with_kind(), said) {
            (Some((kind, name)), _) => (Some(kind), name),
            // One kind is for all names behind it.
            (None, Some(said)) => {
                said.is_used = true;
                (Some(said.kind), token.text.as_str())
            }
            (None, None) => (None, token.text.as_str()),
        };
        self.names.push(NameAsked {
            kind,
            text: text.to_owned(),
        });
    }

    fn value(&mut self, preposition: &str, token: &QuestionWord, planned: Option<Planned>) {
        let digits = number(&token.lower).map(|number| number.to_string());
        let text = digits.unwrap_or_else(|| token.text.clone());
        match planned {
            // One value is for all names: `scale web to 3 and api to 5` are two requests.
            _ if self.count.is_some() || self.image.is_some() => {
                self.unknown.push(token.text.clone());
            }
            Some(Planned::Scale) => {
                let is_less = self.direction == Some(AskedDirection::Less);
                let sign = if is_less { '-' } else { '+' };
                let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
                let relative = match preposition {
                    "by" if is_plain => format!("{sign}{text}"),
                    // `by 50%` may be half of it or half more, and `to -1` is no count.
                    "by" if !text.starts_with(['+', '-']) => String::new(),
                    "to" if text.starts_with(['+', '-']) => String::new(),
                    _ => text,
                };
                self.count = ReplicaCount::parse(&relative);
                if self.count.is_none() {
                    self.unknown.push(token.text.clone());
                }
            }
            Some(Planned::SetImage) => self.image = Some(image(&token.text)),
            // What an amount is more or less than is not known here.
            Some(Planned::SetResources)
                if preposition != "by" && self.values.amount(&token.text) => {}
            Some(Planned::Select) if self.values.take(std::slice::from_ref(token)).is_some() => {
                self.named_before.push(self.names.len());
            }
            _ => self.unknown.push(token.text.clone()),
        }
    }

    pub(super) fn action(&self, planned: Planned) -> Option<ChangeAction> {
        match planned {
            Planned::Scale => self
                .count
                .map(|replicas| ChangeAction::Scale(Scale { replicas })),
            Planned::Restart => Some(ChangeAction::Restart(Restart {})),
            Planned::RollBack => Some(ChangeAction::RollBack(RollBack {
                revision: self.revision,
            })),
            Planned::SetImage => self.image.clone().map(|image| {
                ChangeAction::SetImage(SetImage {
                    container: None,
                    image,
                })
            }),
            Planned::Delete => Some(ChangeAction::Delete(Delete {})),
            Planned::SetEnv => self.values.env(),
            Planned::SetResources => self.values.resources(),
            Planned::Select => self.values.selector(),
            Planned::Autoscale | Planned::MakePod => None,
        }
    }

    pub(super) fn making(&self, planned: Planned) -> Option<Making> {
        match (planned, &self.names[..]) {
            (Planned::Autoscale, _) => self.values.autoscaler(),
            (Planned::MakePod, [name]) => self.values.pod(&name.text),
            _ => None,
        }
    }
}

/// Whether a value follows: `to 3`, but not `add A=1 to api`.
fn has_value(word: &str, planned: Option<Planned>) -> bool {
    matches!(word, "to" | "by" | "=") && !matches!(planned, Some(Planned::SetEnv))
}

/// Whether the verb has values of other forms than `to 3`.
fn takes_values(planned: Option<Planned>) -> bool {
    use Planned::{Autoscale, MakePod, Select, SetEnv, SetResources};
    matches!(
        planned,
        Some(Autoscale | MakePod | Select | SetEnv | SetResources)
    )
}

/// How many of the first words name a namespace, and its name.
fn place(words: &[QuestionWord]) -> Option<(usize, String)> {
    let (count, slots) = PLACES.iter().find_map(|pattern| fit(pattern, words))?;
    match slots.into_iter().next() {
        Some(Slot::Word(name)) => Some((count, name)),
        _ => None,
    }
}

/// A bare version is another tag of the image that there is: `1.5`, `v2`, `17-alpine`.
fn image(text: &str) -> String {
    let number = text.strip_prefix('v').unwrap_or(text);
    let number = number.split('-').next().unwrap_or_default();
    let is_version = number.starts_with(|c: char| c.is_ascii_digit())
        && number
            .bytes()
            .all(|byte| byte == b'.' || byte.is_ascii_digit());
    match is_version {
        true => format!(":{text}"),
        false => text.to_owned(),
    }
}

/// Words that say nothing of what is changed, or to what.
fn is_filler(word: &str, planned: Option<Planned>) -> bool {
    let of_verb: &[&str] = match planned {
        Some(Planned::Scale) => &["replicas", "replica", "instances", "pods"],
        Some(Planned::SetImage) => &["version"],
        Some(Planned::SetEnv) => &["in", "on", "to"],
        Some(Planned::SetResources) => &["in", "on"],
        Some(Planned::Select) => &["traffic"],
        Some(Planned::MakePod) => &["with", "using", "from", "a", "new"],
        Some(Planned::Autoscale) => &["with"],
        _ => &[],
    };
    let fillers = [
        "the", "of", "for", "and", "please", "called", "named", "my", "our", "its",
    ];
    fillers.contains(&word) || of_verb.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_version_is_a_tag_and_everything_else_an_image() {
        for tag in ["2", "1.5", "v2", "v1.2.3", "17-alpine"] {
            assert_eq!(image(tag), format!(":{tag}"));
        }
        for name in [
            "redis",
            "redis:7",
            "acme/api:2",
            "3proxy",
            "valkey",
            ":1.5",
            "10.0.0.1/a:1",
        ] {
            assert_eq!(image(name), name);
        }
    }
}
