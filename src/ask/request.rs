//! Requests to change something, told from questions: a request begins with its verb. Nothing here writes.
//!
//! The verb has to be the first word, but for words of politeness, so that no question becomes a change. A verb of change in
//! the midst of a question makes the question unclear.

use super::kind::AskedKind;
use super::lexicon::{Meaning, meaning};
use super::pattern::{Slot, fit, number};
use super::question::NameAsked;
use super::tokens::{QuestionWord, tokens};
use super::wish::{Making, WishValues};
use crate::change::plan::{ChangeAction, Delete, ReplicaCount, Restart, RollBack, Scale, SetImage};

/// A change that somebody asks for: what is to be done, and with which objects.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeRequest {
    /// The verb as it was typed.
    pub(super) verb: String,
    /// None for a change that devk knows as one and does not plan.
    pub(super) action: Option<ChangeAction>,
    /// An object that is to be made.
    pub(super) making: Option<Making>,
    pub(super) names: Vec<NameAsked>,
    pub(super) namespace: Option<String>,
    /// Words that were not understood: then nothing of it is planned.
    pub(super) unknown: Vec<String>,
}

/// Words before a request that change nothing.
const POLITE: &[&str] = &[
    "please|kindly|now|just|then|hey|hi|hello|devk|ok|okay",
    "can|could|would|will you",
    "i want [you] to",
    "i would like [you] to",
    "i|we need [you] to",
    "let us",
    "lets",
    "go ahead and",
];

/// Where the objects are.
const PLACES: &[&str] = &[
    "in|from namespace {word}",
    "namespace {word}",
    "-n {word}",
    "in [the] {word} namespace",
];

/// Verbs of which devk makes plans.
const PLANNED: &[(&str, Planned)] = &[
    ("scale [up|down|out|in]", Planned::Scale),
    ("resize", Planned::Scale),
    ("restart|bounce|recycle", Planned::Restart),
    ("rollout restart", Planned::Restart),
    ("roll back", Planned::RollBack),
    ("rollback|revert", Planned::RollBack),
    (
        "undo [the] [last] [rollout|deployment|release] [of]",
        Planned::RollBack,
    ),
    ("rollout undo", Planned::RollBack),
    ("set|change|update [the] image [of|for]", Planned::SetImage),
    ("delete|remove|destroy|drop", Planned::Delete),
    ("set|add {label}", Planned::SetEnv),
    (
        "set|add [the] env|environment|variable|variables [variable|variables|var|vars] [of|for|in|on]",
        Planned::SetEnv,
    ),
    (
        "set|change|update|raise|lower|increase|decrease|reduce [the] memory|ram|cpu limit|limits|request|requests",
        Planned::SetResources,
    ),
    (
        "switch|point [the] [traffic] [of|from|for]",
        Planned::Select,
    ),
    ("autoscale", Planned::Autoscale),
    ("create|run|start|make [a|the] [new] pod", Planned::MakePod),
];

#[derive(Debug, Clone, Copy)]
enum Planned {
    Scale,
    Restart,
    RollBack,
    SetImage,
    Delete,
    SetEnv,
    SetResources,
    /// Which pods a Service chooses.
    Select,
    Autoscale,
    MakePod,
}

/// Verbs that change something, and of which devk makes no plan from words.
#[rustfmt::skip]
const OTHERS: &[&str] = &[
    "abort", "add", "annotate", "apply", "approve", "attach", "autoscale", "bump", "cancel", "change", "clean",
    "clear", "copy", "cordon", "create", "decrease", "deploy", "destroy", "detach", "disable", "double", "downgrade",
    "drain", "edit", "enable", "evict", "exec", "execute", "expose", "fix", "force", "grant", "grow", "halve",
    "increase", "install", "kill", "label", "make", "migrate", "move", "patch", "pause", "purge", "push", "put",
    "raise", "reboot", "recreate", "reduce", "rename", "repair", "replace", "reset", "resume", "revoke", "rollout",
    "rotate", "run", "set", "shrink", "shutdown", "start", "stop", "suspend", "switch", "taint", "terminate",
    "trigger", "turn", "uncordon", "uninstall", "unpause", "unset", "update", "upgrade", "wipe", "write",
];

/// Words after which a verb is told, not asked about: `should i restart`, `and delete`.
const BEFORE_VERBS: &[&str] = &[
    "i", "we", "you", "to", "should", "must", "please", "not", "never", "let", "and", "then", "if",
];

impl ChangeRequest {
    /// The request, if the text is one.
    pub(super) fn of(text: &str) -> Option<Self> {
        let words = tokens(text);
        let mut rest = &words[..];
        while let Some(count) = POLITE
            .iter()
            .filter_map(|polite| fit(polite, rest))
            .map(|(count, _)| count)
            .max()
            .filter(|count| *count > 0)
        {
            rest = &rest[count..];
        }
        let first = rest.first().filter(|first| !first.is_quoted)?;
        let planned = PLANNED
            .iter()
            .filter_map(|(verb, planned)| Some((fit(verb, rest)?.0, *planned)));
        let planned = planned.max_by_key(|(count, _)| *count);
        let is_other = OTHERS.contains(&first.lower.as_str());
        let count = planned.map(|(count, _)| count).or(is_other.then_some(1))?;
        // `restart count of api`, `update strategy`: the phrase asks.
        let asks = meaning(rest)
            .is_some_and(|(long, meaning, _)| long > count && meaning != Meaning::Filler);
        // Values that the verb begins with are read as all others.
        let values = match planned {
            Some((_, Planned::SetResources)) => 1,
            _ => rest[..count]
                .iter()
                .position(QuestionWord::is_label)
                .unwrap_or(count),
        };
        (!asks).then(|| {
            Self::read(
                &rest[..values],
                &rest[values..],
                planned.map(|(_, planned)| planned),
            )
        })
    }

    fn read(verb: &[QuestionWord], rest: &[QuestionWord], planned: Option<Planned>) -> Self {
        let verb: Vec<_> = verb.iter().map(|token| token.lower.clone()).collect();
        let is_down = verb.iter().any(|word| word == "down" || word == "in");
        let mut reading = Reading {
            is_down,
            ..Reading::default()
        };
        reading.read(rest, planned);
        let action = planned.and_then(|planned| reading.action(planned));
        let making = planned.and_then(|planned| reading.making(planned));
        Self {
            verb: verb.join(" "),
            action,
            making,
            names: reading.names,
            namespace: reading.namespace,
            unknown: reading.unknown,
        }
    }
}

/// A verb of change here, where it is neither a noun nor a state: `should i restart api`.
pub(super) fn is_told(words: &[QuestionWord], at: usize) -> bool {
    let word = words[at].lower.as_str();
    let is_verb = OTHERS.contains(&word)
        || PLANNED.iter().any(|(verb, _)| {
            verb.split(' ')
                .next()
                .is_some_and(|v| v.split('|').any(|v| v == word))
        });
    let before = at.checked_sub(1).map(|before| words[before].lower.as_str());
    is_verb && before.is_some_and(|before| BEFORE_VERBS.contains(&before))
}

/// The words behind the verb.
#[derive(Debug, Default)]
struct Reading {
    /// `scale down by 2`.
    is_down: bool,
    names: Vec<NameAsked>,
    namespace: Option<String>,
    count: Option<ReplicaCount>,
    image: Option<String>,
    revision: Option<u64>,
    values: WishValues,
    unknown: Vec<String>,
}

impl Reading {
    fn read(&mut self, rest: &[QuestionWord], planned: Option<Planned>) {
        let mut at = 0;
        let mut kind = None;
        while at < rest.len() {
            let here = &rest[at..];
            let word = here[0].lower.as_str();
            let next = here.get(1);
            if let Some((count, name)) = place(here) {
                self.place(name);
                at += count;
            } else if let Some((count, _)) = fit("to revision {number}", here) {
                self.back_to(&here[count - 1]);
                at += count;
            } else if let Some(count) = self.values.take(here).filter(|_| takes_values(planned)) {
                at += count;
            } else if let (true, Some(next)) = (has_value(word, planned), next) {
                self.value(word, next, planned);
                at += 2;
            } else if let Some(asked) = AskedKind::called(word).filter(|_| !here[0].is_quoted) {
                match self.names.last_mut().filter(|name| name.kind.is_none()) {
                    Some(name) => name.kind = Some(asked),
                    None => kind = Some(asked),
                }
                at += 1;
            } else if !here[0].is_quoted && is_filler(word, planned) {
                at += 1;
            } else {
                self.name(&here[0], kind.take());
                at += 1;
            }
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

    fn name(&mut self, token: &QuestionWord, kind: Option<AskedKind>) {
        let (kind, text) = match token.with_kind() {
            Some((kind, name)) => (Some(kind), name),
            None => (kind, token.text.as_str()),
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
                let sign = if self.is_down { '-' } else { '+' };
                let is_signed = text.starts_with(['+', '-', 'x']) || text.ends_with('%');
                let relative = if preposition == "by" && !is_signed {
                    format!("{sign}{text}")
                } else {
                    text
                };
                self.count = ReplicaCount::parse(&relative);
                if self.count.is_none() {
                    self.unknown.push(token.text.clone());
                }
            }
            Some(Planned::SetImage) => self.image = Some(token.text.clone()),
            Some(Planned::SetResources) if self.values.amount(&token.text) => {}
            Some(Planned::Select) if self.values.take(std::slice::from_ref(token)).is_some() => {}
            _ => self.unknown.push(token.text.clone()),
        }
    }

    fn action(&self, planned: Planned) -> Option<ChangeAction> {
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

    fn making(&self, planned: Planned) -> Option<Making> {
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

    fn names(text: &str) -> Vec<String> {
        ChangeRequest::of(text)
            .unwrap()
            .names
            .into_iter()
            .map(|name| name.text)
            .collect()
    }

    fn action(text: &str) -> Option<ChangeAction> {
        ChangeRequest::of(text).unwrap().action
    }

    #[test]
    fn a_request_begins_with_its_verb() {
        let scaled = Some(ChangeAction::Scale(Scale {
            replicas: ReplicaCount::Exactly(3),
        }));
        for text in [
            "scale web to 3",
            "please scale the web deployment to three replicas",
            "could you scale deploy/web to 3?",
            "i want to scale web to 3",
        ] {
            assert_eq!(action(text), scaled, "{text}");
            assert_eq!(names(text), ["web"], "{text}");
        }
        assert_eq!(
            action("roll back api"),
            Some(ChangeAction::RollBack(RollBack { revision: None }))
        );
        assert_eq!(
            action("rollback api to revision 2"),
            Some(ChangeAction::RollBack(RollBack { revision: Some(2) }))
        );
        let image = "acme/api:2".to_owned();
        assert_eq!(
            action("set image of api to acme/api:2"),
            Some(ChangeAction::SetImage(SetImage {
                container: None,
                image
            }))
        );
        assert_eq!(
            action("delete job migrate"),
            Some(ChangeAction::Delete(Delete {}))
        );
        assert_eq!(action("drain the node"), None);
        assert_eq!(
            ChangeRequest::of("restart deployment `jobs` in namespace shop")
                .unwrap()
                .namespace
                .as_deref(),
            Some("shop")
        );
    }

    #[test]
    fn values_are_those_of_the_verb() {
        let shown = |text: &str| {
            let request = ChangeRequest::of(text).unwrap();
            assert!(request.unknown.is_empty(), "{text}: {:?}", request.unknown);
            let action = request
                .action
                .map(|action| serde_json::to_value(action).unwrap());
            (action.unwrap_or_default(), request.names[0].text.clone())
        };
        let env = serde_json::json!({"verb": "set-env", "set": {"URL": "http://q:80", "A": "1"}});
        for text in [
            "set env of worker URL=http://q:80 A=1",
            "set URL=http://q:80 and A=1 on worker",
            "add URL=http://q:80 and A=1 to the worker deployment",
            "please add the variables URL=http://q:80, A=1 in the worker deployment",
        ] {
            assert_eq!(shown(text), (env.clone(), "worker".to_owned()), "{text}");
        }
        let resources = serde_json::json!({"verb": "set-resources",
            "limits": {"memory": "128Mi"}, "requests": {"cpu": "50m"}});
        for text in [
            "set memory limit of web to 128Mi and the cpu request to 50m",
            "reduce the cpu request 50m and the memory limit 128Mi of web",
        ] {
            assert_eq!(shown(text), (resources.clone(), "web".to_owned()), "{text}");
        }
        let selector = serde_json::json!({"verb": "patch",
            "patch": {"spec": {"selector": {"version": "green"}}}});
        for text in [
            "switch service shop to version=green",
            "point the traffic of the shop service to version=green",
        ] {
            assert_eq!(shown(text), (selector.clone(), "shop".to_owned()), "{text}");
        }
        for (text, values) in [
            ("autoscale web from 1 to 3 replicas at 50% cpu", true),
            ("autoscale web between 2 and 5 pods at 80%", true),
            ("autoscale web to 3", false),
            ("autoscale web from 1 to 3", false),
            ("create pod cache with image redis:7", true),
            (
                "run a pod called cache using image redis:7 with memory limit 64Mi and cpu limit 100m",
                true,
            ),
            ("create a pod cache", false),
            ("create pod cache with image a:1 and image b:1", false),
            ("create pod cats and dogs with image redis:7", false),
        ] {
            let request = ChangeRequest::of(text).unwrap();
            assert_eq!(
                request.making.is_some() && request.unknown.is_empty(),
                values,
                "{text}"
            );
        }
        for text in [
            "set memory limit of web to much",
            "set A=1 and A=2 on web",
            "set env of web",
            "switch web to green",
        ] {
            let request = ChangeRequest::of(text).unwrap();
            let is_whole = request.unknown.is_empty() && request.names.len() == 1;
            assert!(request.action.is_none() || !is_whole, "{text}: {request:?}");
        }
    }

    #[test]
    fn what_a_plan_would_not_have_is_told() {
        for (text, unknown) in [
            ("scale web to 3 and api to 5", "5"),
            ("set image of web to a:1 and api to b:2", "b:2"),
            (
                "restart web in namespace shop and api in namespace batch",
                "batch",
            ),
            ("roll back api to revision 2 to revision 3", "3"),
            ("roll back api to revision -1", "-1"),
        ] {
            assert_eq!(
                ChangeRequest::of(text).unwrap().unknown,
                [unknown],
                "{text}"
            );
        }
        let back = Some(ChangeAction::RollBack(RollBack { revision: Some(2) }));
        assert_eq!(action("roll back api to revision two"), back);
        assert_eq!(
            names("delete the replicas of deployment web"),
            ["replicas", "web"]
        );
    }

    #[test]
    fn a_question_is_no_request() {
        for text in [
            "restart count of api",
            "restarts of api",
            "which pods restarted",
            "update strategy of web",
            "start command of web",
            "why does api restart",
            "what happens if i delete web",
            "should i restart api",
            "how do i scale web to 3",
            "did anyone delete pods",
            "who scaled web",
            "labels of web",
            "`delete`",
        ] {
            assert_eq!(ChangeRequest::of(text), None, "{text}");
        }
    }
}
