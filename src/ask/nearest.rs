//! The questions that come nearest to one that was not understood, and the words that devk knows.

use std::collections::BTreeSet;

use super::lexicon::phrases;
use super::tokens::tokens;

/// Questions of every sort, for help and for what comes nearest.
pub(super) const EXAMPLES: &[&str] = &[
    "what is wrong",
    "why is api not ready",
    "which pods are not ready",
    "list pods with restarts",
    "pods older than 2 days",
    "pods with high memory",
    "how many pods are pending",
    "is web running",
    "describe api",
    "logs of api",
    "last 20 lines of the previous logs of worker",
    "errors in the logs of api since 10:00",
    "events of web",
    "warnings in the last hour",
    "what changed since 10:00",
    "what image does api run",
    "which ports does redis expose",
    "environment of api",
    "resource limits of web",
    "volumes of redis",
    "on which node is web running",
    "who talks to redis",
    "services without endpoints",
    "which pods are behind service web",
    "which ingress leads to web",
    "failed jobs",
    "when does cleanup run",
    "which cronjobs are suspended",
    "claims that are not bound",
    "quota usage in batch",
    "top pods by memory",
    "who uses configmap settings",
    "labels of web",
    "rollout history of web",
    "what does hpa web scale",
    "network policies of redis",
    "nodes",
    "which cluster is this",
];

/// How many of them are shown.
const SHOWN: usize = 3;

/// Those that share the most words with a text.
pub(super) fn questions(text: &str) -> Vec<String> {
    let words = |text: &str| -> BTreeSet<String> {
        tokens(text).into_iter().map(|token| token.lower).collect()
    };
    let asked = words(text);
    let mut ranked: Vec<_> = EXAMPLES
        .iter()
        .map(|example| (words(example).intersection(&asked).count(), *example))
        .collect();
    ranked.sort_by_key(|(shared, _)| std::cmp::Reverse(*shared));
    ranked
        .into_iter()
        .filter(|(shared, _)| *shared > 0)
        .take(SHOWN)
        .map(|(_, example)| example.to_owned())
        .collect()
}

/// The words of all phrases that are long enough to be mistyped.
pub(super) fn words() -> impl Iterator<Item = &'static str> {
    let parts = phrases().flat_map(|(pattern, _)| pattern.split([' ', '|', '[', ']']));
    parts.filter(|word| word.len() > 3 && !word.starts_with(['{', '-']))
}
