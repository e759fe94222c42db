//! Requests to change something, told from questions: a request begins with its verb. Nothing here writes.
//!
//! The verb has to be the first word, but for words of politeness, so that no question becomes a change. A verb of change in
//! the midst of a question makes the question unclear.

use super::direction::AskedDirection;
use super::lexicon::{Meaning, meaning};
use super::pattern::fit;
use super::question::NameAsked;
use super::reading::RequestReading;
use super::tokens::{QuestionWord, tokens};
use super::wish::Making;
use crate::change::plan::ChangeAction;

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
    /// Whether the words say that something becomes more or less.
    pub(super) direction: Option<AskedDirection>,
    /// Words that were not understood: then nothing of it is planned.
    pub(super) unknown: Vec<String>,
}

/// Words before a request that change nothing.
const POLITE: &[&str] = &[
    "please|pls|plz|kindly|now|just|then|hey|hi|hello|devk|ok|okay",
    "can|could|would|will you",
    "i want [you] to",
    "i would like [you] to",
    "i|we need [you] to",
    "let us",
    "lets",
    "go ahead and",
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

/// What kind of plan a verb leads to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Planned {
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
    "abort", "add", "annotate", "apply", "approve", "attach", "bump", "cancel", "change", "clean",
    "clear", "copy", "cordon", "create", "decrease", "deploy", "detach", "disable", "double", "downgrade",
    "drain", "edit", "enable", "evict", "exec", "execute", "expose", "fix", "force", "grant", "grow", "halve",
    "increase", "install", "kill", "label", "make", "migrate", "move", "patch", "pause", "purge", "push", "put",
    "raise", "reboot", "recreate", "reduce", "rename", "repair", "replace", "reset", "resume", "revoke", "rollout",
    "rotate", "run", "set", "shrink", "shutdown", "start", "stop", "suspend", "switch", "taint", "terminate",
    "trigger", "turn", "uncordon", "uninstall", "unpause", "unset", "update", "upgrade", "wipe", "write",
];

/// Words of a verb that say that variables are meant.
const OF_VARIABLES: &[&str] = &["env", "environment", "variable", "variables", "var", "vars"];

/// Words after which a verb is told, not asked about: `should i restart`, `and delete`.
const BEFORE_VERBS: &[&str] = &[
    "i", "we", "you", "to", "should", "must", "please", "pls", "plz", "not", "never", "let", "and",
    "then", "if",
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
        // Values that the verb begins with are read as all others, and so is the place in `scale in namespace shop`.
        let is_place = |count: usize| {
            let ends = rest[..count].last().map(|word| word.lower.as_str());
            let next = rest.get(count).map(|word| word.lower.as_str());
            ends == Some("in") && next == Some("namespace")
        };
        let values = match planned {
            Some((_, Planned::SetResources)) => 1,
            _ if is_place(count) => count - 1,
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
        let mut reading = RequestReading::default();
        reading.direction = verb.iter().find_map(|word| AskedDirection::called(word));
        reading.read(rest, planned);
        // `set replicas=3 on web` means no variable.
        let is_variable = verb
            .iter()
            .any(|word| OF_VARIABLES.contains(&word.as_str()));
        if matches!(planned, Some(Planned::SetEnv)) && !is_variable {
            reading.unknown.extend(reading.values.small_keys());
        }
        let action = planned.and_then(|planned| reading.action(planned));
        let making = planned.and_then(|planned| reading.making(planned));
        Self {
            verb: verb.join(" "),
            action,
            making,
            names: reading.names,
            namespace: reading.namespace,
            direction: reading.direction,
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

#[cfg(test)]
mod tests {
    use super::super::kind::AskedKind;
    use super::*;
    use crate::change::plan::{Delete, ReplicaCount, RollBack, Scale, SetImage};

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
    fn what_a_plan_would_leave_out_or_turn_round_is_refused() {
        for text in [
            "delete the pods of deployment web",
            "delete the service of deployment web",
            "remove the claims of statefulset vault",
            "delete deploy/web pods",
            "delete web deployment and service",
            "increase the memory limit of web by 128Mi",
            "scale up web by 50%",
            "scale down web by x2",
            "scale web to -1",
            "set A=1 on web and B=2 on api",
            "set memory limit of web to 1Gi and cpu limit of api to 1",
            "point service a to app=x and service b to tier=y",
            "set replicas=3 on web",
            "set image=redis:8 on web",
            "add team=a to web",
        ] {
            let request = ChangeRequest::of(text).unwrap();
            let is_refused = !request.unknown.is_empty() || request.action.is_none();
            assert!(is_refused, "{text}: {request:?}");
        }
        // Words that are no names are found out when objects are looked for.
        assert_eq!(names("set LOG=debug on web in shop"), ["web", "in", "shop"]);
        let both = "set the memory limit and the memory request of web to 128Mi";
        assert_eq!(names(both), ["memory", "request", "web"]);
    }

    #[test]
    fn a_kind_is_for_the_names_behind_it_and_its_plural_for_those_before_it() {
        use AskedKind::{Deployment, Namespace, Service};
        for (text, expected) in [
            (
                "delete deployments web and api",
                vec![Deployment, Deployment],
            ),
            (
                "delete web and api deployments",
                vec![Deployment, Deployment],
            ),
            (
                "delete deployment web and api service",
                vec![Deployment, Service],
            ),
            (
                "delete deployment web and service api",
                vec![Deployment, Service],
            ),
            ("delete svc/web and deploy/api", vec![Service, Deployment]),
            ("delete namespace staging", vec![Namespace]),
        ] {
            let request = ChangeRequest::of(text).unwrap();
            assert!(request.unknown.is_empty(), "{text}: {:?}", request.unknown);
            let kinds: Vec<_> = request.names.iter().filter_map(|name| name.kind).collect();
            assert_eq!(kinds, expected, "{text}");
        }
        let placed = ChangeRequest::of("scale in namespace batch web by 2").unwrap();
        assert_eq!(placed.namespace.as_deref(), Some("batch"));
        let more = ReplicaCount::More(2);
        assert_eq!(
            placed.action,
            Some(ChangeAction::Scale(Scale { replicas: more }))
        );
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
