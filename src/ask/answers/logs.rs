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
const LINES: usize = 20;
/// So many of the last lines are searched where only some count, and no more are shown.
const SEARCHED_LINES: usize = 2000;
/// At most so many pods.
const MOST_PODS: usize = 12;
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
    if question.is_of_kinds() {
        return pods_of_kinds(question, snapshot);
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

/// The last lines of each log that have to be read: one more than is looked at shows that there are earlier ones.
pub(in super::super) fn lines_to_read(question: &Question) -> usize {
    searched(question) + 1
}

/// So many of the last lines are looked at.
fn searched(question: &Question) -> usize {
    match question.cut.errors || question.cut.since.is_some() {
        true => SEARCHED_LINES,
        false => shown(question),
    }
}

/// So many lines of each log are shown at most.
fn shown(question: &Question) -> usize {
    let lines = question.cut.lines.map(|lines| lines.max(0));
    let lines = lines.and_then(|lines| usize::try_from(lines).ok());
    lines
        .or(question.cut.first)
        .unwrap_or(LINES)
        .min(SEARCHED_LINES)
}

/// The logs that have to be read for the answer.
pub(in super::super) fn wanted(
    question: &Question,
    snapshot: &ClusterSnapshot,
) -> Result<Vec<LogOf>, Unclear> {
    let pods = pods(question, snapshot)?;
    wanted_of(question, &pods)
}

fn wanted_of(question: &Question, pods: &[SeenObject<'_>]) -> Result<Vec<LogOf>, Unclear> {
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
    let pods = pods(question, snapshot)?;
    let wanted = wanted_of(question, &pods)?;
    let mut answer = AskAnswer::new(question, snapshot);
    let mut rows = vec![];
    let mut left_out = LeftOut::default();
    for of in &wanted {
        let Some(log) = snapshot.logs.get(of) else {
            answer.notes.push(format!(
                "the log of container {} of pod {} could not be read",
                of.container, of.pod
            ));
            continue;
        };
        let (lines, more) = lines(question, log, snapshot);
        left_out.add(more);
        rows.extend(
            lines
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
    answer.text += &left_out.words(question, pods.len());
    answer.count = Some(rows.len());
    answer.table(&["POD", "CONTAINER", "LINE"], rows);
    Ok(answer)
}

/// What of a log is not in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum More {
    Nothing,
    /// Lines that fit, before those that are shown.
    Unshown(usize),
    /// Lines before those that were searched.
    Unsearched,
}

/// What of all logs is not in the answer.
#[derive(Debug, Default)]
struct LeftOut {
    unshown: usize,
    is_unsearched: bool,
}

impl LeftOut {
    fn add(&mut self, more: More) {
        match more {
            More::Nothing => {}
            More::Unshown(lines) => self.unshown += lines,
            More::Unsearched => self.is_unsearched = true,
        }
    }

    /// What is said of it behind the answer.
    fn words(&self, question: &Question, pods: usize) -> String {
        let mut words = String::new();
        if pods > MOST_PODS {
            words += &format!(" Read were the logs of {MOST_PODS} of {pods} pods.");
        }
        let (shown, searched) = (shown(question), searched(question));
        match (self.unshown, searched > shown) {
            (0, _) => {}
            // How many there are before them was not read.
            (_, false) => words += &format!(" Shown are the last {shown} of each; there are more."),
            (lines, true) => {
                words += &format!(" Shown are the last {shown} of each; there are {lines} more.");
            }
        }
        if self.is_unsearched {
            words += &format!(" Searched were the last {searched} lines of each log.");
        }
        match words.is_empty() {
            true => words,
            false => words + " kubectl shows a whole log.",
        }
    }
}

/// The lines that are shown, and what is left out before them.
fn lines(question: &Question, log: &str, snapshot: &ClusterSnapshot) -> (Vec<String>, More) {
    let window = question
        .cut
        .since
        .as_ref()
        .and_then(|moment| moment.window(snapshot.now, &snapshot.zone));
    let is_error = |line: &str| {
        let lower = line.to_lowercase();
        !question.cut.errors || ERROR_WORDS.iter().any(|word| lower.contains(word))
    };
    let all: Vec<_> = log.lines().collect();
    let unread = all.len().saturating_sub(searched(question));
    let times = all.iter().map(|line| timed(line).map(|(time, _)| time));
    // What lies before the time that is asked for is not missed.
    let misses = unread > 0
        && window.is_none_or(|window| {
            let first = times.skip(unread).flatten().next();
            first.is_none_or(|first| first >= window.from)
        });
    let in_time = all
        .into_iter()
        .skip(unread)
        .filter_map(|line| match (timed(line), window) {
            (Some((time, text)), Some(window)) => window.has(time).then_some(text),
            (Some((_, text)), None) => Some(text),
            (None, _) => Some(line),
        });
    let found: Vec<_> = in_time
        .filter(|line| is_error(line))
        .map(str::to_owned)
        .collect();
    let unshown = found.len().saturating_sub(shown(question));
    let more = match (misses, unshown) {
        (true, _) if searched(question) == shown(question) => More::Unshown(unread),
        (true, _) => More::Unsearched,
        (false, 0) => More::Nothing,
        (false, unshown) => More::Unshown(unshown),
    };
    (found[unshown..].to_vec(), more)
}

/// The pods of the objects of the kinds: `logs of the jobs` are those of the pods of Jobs.
pub(super) fn pods_of_kinds<'a>(
    question: &Question,
    snapshot: &'a ClusterSnapshot,
) -> Result<Vec<SeenObject<'a>>, Unclear> {
    let kinds = match &question.kinds[..] {
        [] => &[AskedKind::Pod],
        kinds => kinds,
    };
    let mut pods: Vec<SeenObject<'a>> = vec![];
    for kind in kinds {
        let has_logs = kind.has_pods()
            || matches!(
                kind,
                AskedKind::Service | AskedKind::Node | AskedKind::Namespace
            );
        if !has_logs {
            return Err(Unclear::unfitting(question.asked.words(), kind.several()));
        }
        let of_kind = |question: &Question| -> Result<Vec<SeenObject<'a>>, Unclear> {
            let objects = select(question, *kind, snapshot)?.into_iter();
            Ok(objects.flat_map(|seen| snapshot.pods_of(seen)).collect())
        };
        // `logs of crashing jobs`: a condition that says nothing about Jobs is one of their pods.
        let found = of_kind(question).or_else(|unfit| {
            let all = Question {
                conditions: vec![],
                ..question.clone()
            };
            let mut pods = of_kind(&all)?;
            let fits = fitting(question, AskedKind::Pod, &mut pods, snapshot);
            fits.map(|()| pods).map_err(|_| unfit)
        })?;
        for pod in found {
            if !pods.iter().any(|one| one.same(&pod)) {
                pods.push(pod);
            }
        }
    }
    Ok(pods)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::super::super::moment::Moment;
    use super::super::super::question::{AskedFor, AskedScope, Cut};
    use super::super::super::snapshot::AskedProject;
    use super::*;

    fn of(log: usize, cut: Cut) -> (usize, More) {
        let now: jiff::Timestamp = "2026-03-04T12:00:00Z".parse().unwrap();
        let project = AskedProject::default();
        let snapshot = ClusterSnapshot::new(project, now, jiff::tz::TimeZone::UTC);
        // A line a minute.
        let line = |at: usize| {
            let ago = SignedDuration::from_mins(i64::try_from(log - at).unwrap());
            format!("{} error {at}\n", now - ago)
        };
        let text: String = (0..log).map(line).collect();
        let question = Question {
            text: String::new(),
            asked: AskedFor::Logs,
            kinds: vec![],
            names: vec![],
            scope: AskedScope::Project,
            refers: None,
            conditions: vec![],
            cut,
            any: false,
            wants_yes: false,
        };
        let (shown, more) = lines(&question, &text, &snapshot);
        (shown.len(), more)
    }

    #[test]
    fn what_is_left_out_of_a_log_is_known() {
        let cut = Cut::default;
        assert_eq!(of(20, cut()), (20, More::Nothing));
        assert_eq!(of(21, cut()), (20, More::Unshown(1)));
        let fifty = |first, lines| Cut {
            first,
            lines,
            ..cut()
        };
        assert_eq!(of(50, fifty(Some(50), None)), (50, More::Nothing));
        assert_eq!(of(51, fifty(None, Some(50))), (50, More::Unshown(1)));
        let most = fifty(None, Some(9000));
        assert_eq!(of(2001, most), (2000, More::Unshown(1)));
        let errors = || Cut {
            errors: true,
            lines: Some(9000),
            ..cut()
        };
        assert_eq!(of(2000, errors()), (2000, More::Nothing));
        let few = || Cut {
            lines: None,
            ..errors()
        };
        assert_eq!(of(25, few()), (20, More::Unshown(5)));
        assert_eq!(of(2001, few()), (20, More::Unsearched));
        let since = |minutes| Cut {
            since: Some(Moment::Ago(SignedDuration::from_mins(minutes))),
            ..cut()
        };
        assert_eq!(of(2001, since(10)), (10, More::Nothing));
        assert_eq!(of(2001, since(5000)), (20, More::Unsearched));
    }
}
