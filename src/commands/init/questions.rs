//! What `devk init` asks on a terminal: only what nothing in the repository answers, at most [`MAX_QUESTIONS`] times.

use std::fmt::Write;
use std::path::PathBuf;

use super::{NEW_CHART, compose_services};
use crate::init::{ChartCandidate, Survey};
use crate::ui;

/// An answer that names no chart is asked for again.
const MAX_QUESTIONS: usize = 3;

/// The charts to go on with, as `--chart` names them; None if there is no question, or no answer.
pub(super) fn asked(survey: &Survey) -> Option<Vec<PathBuf>> {
    match survey {
        Survey::Chosen(_) => None,
        Survey::Candidates { why, charts } => {
            ui::err(&listed(why, charts));
            let answers = std::iter::from_fn(|| {
                ui::answered("Which of them? Their numbers; nothing to leave it: ")
            });
            of_answers(charts, answers)
        }
        Survey::Nothing { found } => {
            let services = compose_services(found)?;
            let question =
                format!("There is no chart. {services}. Write a chart of them to {NEW_CHART}/");
            ui::confirmed(&question).then(|| vec![NEW_CHART.into()])
        }
    }
}

fn listed(why: &str, charts: &[ChartCandidate]) -> String {
    let mut text = format!("{why}, and nothing says which of them make up the stack:\n");
    for (at, chart) in charts.iter().enumerate() {
        let description = chart.description.as_deref().unwrap_or_default();
        let line = format!("{}  {description}", chart.chart);
        // A String takes whatever is written.
        let _ = writeln!(
            text,
            "  {}  {}",
            at + 1,
            ui::plain::escape_controls(line.trim_end())
        );
    }
    text
}

/// The charts of the first answer that names some and nothing else; an empty one is a no.
fn of_answers(
    charts: &[ChartCandidate],
    answers: impl Iterator<Item = String>,
) -> Option<Vec<PathBuf>> {
    for answer in answers.take(MAX_QUESTIONS) {
        let words: Vec<_> = answer
            .split(|c: char| c.is_whitespace() || c == ',')
            .filter(|word| !word.is_empty())
            .collect();
        if words.is_empty() {
            return None;
        }
        let named = |word: &&str| {
            let number = word.parse::<usize>().ok()?.checked_sub(1)?;
            charts.get(number).map(|chart| PathBuf::from(&chart.chart))
        };
        match words.iter().map(named).collect() {
            Some(named) => return Some(named),
            None => ui::err(&format!(
                "`{}` is not a list of numbers from 1 to {}\n",
                ui::plain::escape_controls(answer.trim()),
                charts.len()
            )),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(answers: &[&str]) -> Option<Vec<PathBuf>> {
        let chart = |name: &str| ChartCandidate {
            name: name.to_owned(),
            chart: format!("./charts/{name}"),
            at: String::new(),
            description: None,
        };
        let charts = ["api", "web", "old"].map(chart);
        of_answers(&charts, answers.iter().map(|answer| (*answer).to_owned()))
    }

    #[test]
    fn charts_are_named_by_their_numbers_and_by_nothing_else() {
        let both = Some(vec!["./charts/web".into(), "./charts/api".into()]);
        assert_eq!(named(&["2, 1\n"]), both);
        assert_eq!(named(&["all\n", "0\n", "2 1\n"]), both);
        assert_eq!(named(&["4\n", "1 x\n", "-1\n", "1\n"]), None);
        assert_eq!(named(&["\n", "1\n"]), None);
        assert_eq!(named(&[]), None);
    }
}
