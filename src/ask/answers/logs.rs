//! Logs: which containers are meant, and their lines.

use super::super::answer::AskAnswer;
use super::super::kind::AskedKind;
use super::super::object::{SeenObject, text};
use super::super::question::Question;
use super::super::snapshot::{ClusterSnapshot, LogOf};
use super::super::unclear::Unclear;
use super::{fitting, select};
use crate::log_lines::timed;
use crate::shell::quote;

/// So many lines of each container, unless the question says.
pub(in super::super) const LINES: u8 = 20;
/// At most so many pods.
pub(in super::super) const MOST_PODS: usize = 12;
/// What a line of an error has.
const ERROR_WORDS: &[&str] = &[
    "error",
    "fatal",
    "panic",
    "exception",
    "fail",
    "critical",
    "traceback",
    "refused",
    "denied",
    "warn",
];

/// The pods whose logs are asked for.
fn pods<'a>(
    question: &Question,
    snapshot: &'a ClusterSnapshot,
) -> Result<Vec<SeenObject<'a>>, Unclear> {
    if question.names.is_empty() {
        return select(question, AskedKind::Pod, snapshot);
    }
    let mut pods = vec![];
    for meant in question.meant(snapshot)? {
        let found = meant.pods(snapshot);
        if found.is_empty() {
            let what = meant.first().map_or_else(String::new, |seen| seen.title());
            return Err(Unclear::lacking(
                &format!("{what} has no pods, so there are no logs"),
                &format!("why is {} not ready", meant.name),
            ));
        }
        pods.extend(found);
    }
    fitting(question, AskedKind::Pod, &mut pods, snapshot)?;
    Ok(pods)
}

/// The logs that have to be read for the answer.
pub(in super::super) fn wanted(
    question: &Question,
    snapshot: &ClusterSnapshot,
) -> Result<Vec<LogOf>, Unclear> {
    let pods = pods(question, snapshot)?;
    let mut wanted = vec![];
    for pod in pods.iter().take(MOST_PODS) {
        for status in pod.container_statuses() {
            let name = text(&status["name"]);
            if question
                .cut
                .container
                .as_ref()
                .is_some_and(|only| *only != name)
            {
                continue;
            }
            let state = &status["state"];
            let has_run = state["running"].is_object() || state["terminated"].is_object();
            let has_ended = status["lastState"]["terminated"].is_object();
            if (has_run && !question.cut.previous) || has_ended {
                let previous = question.cut.previous || !has_run;
                wanted.push(LogOf::of(*pod, name, previous));
            }
        }
    }
    if let (true, Some(only)) = (wanted.is_empty(), &question.cut.container) {
        let known: Vec<_> = pods
            .iter()
            .flat_map(SeenObject::containers)
            .map(|one| text(&one["name"]))
            .collect();
        if !known.contains(only) {
            return Err(Unclear::no_such(
                "container",
                only,
                "these pods",
                crate::error::suggest(only, known.iter().map(String::as_str)),
            ));
        }
    }
    Ok(wanted)
}

pub(in super::super) fn logs(
    question: &Question,
    snapshot: &ClusterSnapshot,
) -> Result<AskAnswer, Unclear> {
    let wanted = wanted(question, snapshot)?;
    let mut answer = AskAnswer::new(question, snapshot);
    let mut rows = vec![];
    for of in &wanted {
        let Some(log) = snapshot.logs.get(of) else {
            answer.notes.push(format!(
                "the log of container {} of pod {} could not be read",
                of.container, of.pod
            ));
            continue;
        };
        rows.extend(
            lines(question, log, snapshot)
                .into_iter()
                .map(|line| vec![of.pod.clone(), of.container.clone(), line]),
        );
        let previous = if of.previous { " --previous" } else { "" };
        answer.kubectl(format!(
            "logs {} --container {}{previous} --namespace {}",
            quote(&of.pod),
            quote(&of.container),
            quote(&of.namespace)
        ));
    }
    let what = if question.cut.errors {
        "lines that report errors"
    } else {
        "lines"
    };
    answer.text = match (wanted.len(), rows.len()) {
        (0, _) if question.cut.previous => {
            "No container was restarted, so there is no earlier log.".to_owned()
        }
        (0, _) => "No container has run yet, so there is no log.".to_owned(),
        (_, 0) => format!("There are no {what}."),
        (logs, count) => format!(
            "{count} {what} of {logs} {}.",
            if logs == 1 { "container" } else { "containers" }
        ),
    };
    answer.count = Some(rows.len());
    answer.table(&["POD", "CONTAINER", "LINE"], rows);
    Ok(answer)
}

fn lines(question: &Question, log: &str, snapshot: &ClusterSnapshot) -> Vec<String> {
    let since = question
        .cut
        .since
        .as_ref()
        .and_then(|moment| moment.before(snapshot.now, &snapshot.zone));
    let is_in_time = |time: jiff::Timestamp| since.is_none_or(|since| time >= since);
    let is_error = |line: &str| {
        let lower = line.to_lowercase();
        !question.cut.errors || ERROR_WORDS.iter().any(|word| lower.contains(word))
    };
    let lines = log.lines().filter_map(|line| match timed(line) {
        Some((time, text)) => is_in_time(time).then_some(text),
        None => Some(line),
    });
    let found: Vec<_> = lines
        .filter(|line| is_error(line))
        .map(str::to_owned)
        .collect();
    let asked = question
        .cut
        .lines
        .and_then(|lines| usize::try_from(lines).ok())
        .or(question.cut.first);
    let most = asked.unwrap_or(LINES.into());
    found[found.len().saturating_sub(most)..].to_vec()
}
