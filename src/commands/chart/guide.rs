//! `devk chart guide`: asks what a chart leaves open, and writes the answers as constraints and as remedies of the chart.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::constraint_file::ConstraintFile;
use super::{ChartFormat, chosen, constraints, fix, looking, optional_project, write_all};
use crate::check::{
    self, AnswerForm, ChangedText, ChartFixer, ChartGatherer, CheckedChart, FixFigures,
    GuideEffect, GuideQuestion, Judgement, QuestionKind, answered, open_questions, understood,
};
use crate::commands::Context;
use crate::environment::Environment;
use crate::error::{Code, Error, Errors, Exit, Result};
use crate::ui;

/// What the command line asks of `devk chart guide`.
#[derive(Debug, Default)]
pub struct GuideOptions {
    /// A release or a folder; none: the first chart of devk.yaml.
    pub chart: Option<String>,
    /// From the folder in which devk was started.
    pub answers: Option<PathBuf>,
    pub dry_run: bool,
    pub allow_dirty: bool,
}

/// The answers, by question.
type Answers = BTreeMap<String, String>;

/// Asks, shows what the answers change, and writes it.
///
/// # Errors
/// [`Code::Usage`] without a terminal and without answers, and for answers that do not fit; what keeps the chart from being
/// looked at or written.
pub async fn guide(
    context: &Context,
    options: &GuideOptions,
    format: ChartFormat,
) -> Result<Exit, Errors> {
    let project = optional_project(context)?;
    let config = constraints(context, project.as_ref())?;
    check::usable(&config)?;
    let named: Vec<_> = options.chart.iter().cloned().collect();
    if project.is_none() && named.is_empty() {
        let error = Error::new(
            Code::ConfigMissing,
            "there is no devk.yaml in this folder or above it",
        );
        return Err(error
            .hint("name the folder of the chart: devk chart guide ./chart")
            .into());
    }
    let charts = chosen(context, project.as_ref(), &named)?;
    let Some(chart) = charts.first() else {
        return Err(Error::new(Code::ChartMissing, "devk.yaml names no charts").into());
    };
    let environment = Environment::of_process();
    let (paths, _scratch) = looking(context, project.as_ref())?;
    let gatherer = ChartGatherer::new(project.as_ref(), &paths, &environment).await?;
    let today = jiff::Zoned::now().date();
    let facts = gatherer.facts(chart).await?;
    let report = check::judge(&facts, Judgement::new(&config, today));
    let open = open_questions(&facts, &report, &config);
    let answers = match &options.answers {
        Some(file) => given(&context.source.dir.join(file))?,
        None if ui::can_ask() => asked(&open),
        None => return refused(&open),
    };
    let mut file = ConstraintFile::open(context, project.as_ref(), false)?;
    let effects = Effects::of(&open, &answers, &mut file)?;
    let then = file.config()?;
    check::usable(&then)?;
    let mut changes: Vec<_> = file.changed().into_iter().collect();
    let mut score = None;
    if !effects.rules.is_empty() {
        if !options.dry_run && !options.allow_dirty {
            fix::all_committed([chart].into_iter()).await?;
        }
        let charts = std::slice::from_ref(chart);
        let fixer = ChartFixer {
            gatherer: &gatherer,
            charts,
            others: &fix::others(project.as_ref(), charts),
            judgement: Judgement::new(&then, today),
            figures: &effects.figures,
            only: Some(&effects.rules),
            frozen: &fix::frozen(charts, options.allow_dirty).await?,
        };
        let fixed = fixer.run().await?;
        let scores = fixed.charts.first();
        score = scores.map(|fixed| (fixed.before.score, fixed.after.score));
        changes.extend(fixed.files);
    }
    write(
        context,
        options,
        format,
        Written {
            chart,
            open: &open,
            skipped: &effects.skipped,
            changes: &changes,
            score,
        },
    )
}

/// Without a terminal the questions are what is printed.
fn refused(open: &[GuideQuestion]) -> Result<Exit, Errors> {
    ui::even_unread(ui::json(&json!({"version": 1, "questions": open})))?;
    let error = Error::new(
        Code::Usage,
        "nobody is here who could answer: stdin or stderr is no terminal",
    );
    Err(error.hint("devk chart guide --answers FILE, with a line `ID: ANSWER` for each question that is to be answered").into())
}

/// The answers of a file: a mapping of questions.
fn given(file: &Path) -> Result<Answers, Errors> {
    let unusable = |why: String| {
        Error::new(Code::Usage, format!("the answers cannot be used: {why}"))
            .at(file, None)
            .hint("write a line `ID: ANSWER` for each question")
    };
    let text = std::fs::read_to_string(file).map_err(|e| unusable(e.to_string()))?;
    let parsed = crate::release::yaml::parse(&text).map_err(|(why, _)| unusable(why))?;
    let entries = match &parsed {
        Value::Null => return Ok(Answers::new()),
        Value::Object(entries) => entries,
        _ => return Err(unusable("they are no mapping".to_owned()).into()),
    };
    let word = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let answer = |value: &Value| match value {
        Value::Array(items) => items.iter().map(word).collect::<Vec<_>>().join(" and "),
        other => word(other),
    };
    Ok(entries
        .iter()
        .map(|(id, value)| (id.clone(), answer(value)))
        .collect())
}

/// Asks on the terminal, each question until its answer fits; an empty line takes nothing.
fn asked(open: &[GuideQuestion]) -> Answers {
    let mut answers = Answers::new();
    let mut kind: Option<QuestionKind> = None;
    for question in open {
        if kind != Some(question.kind) {
            kind = Some(question.kind);
            ui::err(&format!("\n{}\n", title(question.kind)));
        }
        loop {
            let hint = match (&question.suggestion, question.form) {
                (Some(suggestion), _) => format!(" (the chart: {suggestion})"),
                (None, AnswerForm::YesNo) => " (yes or no)".to_owned(),
                (None, _) => String::new(),
            };
            ui::err(&format!("  {}{hint} ", question.question));
            let mut line = String::new();
            // The end of the input leaves the rest open.
            if !std::io::stdin()
                .read_line(&mut line)
                .is_ok_and(|bytes| bytes > 0)
            {
                return answers;
            }
            match answered(question.id, &line) {
                Ok(_) => {
                    answers.insert(question.id.to_owned(), line.trim().to_owned());
                    break;
                }
                Err(error) => ui::err(&ui::plain::error(&error)),
            }
        }
    }
    answers
}

const fn title(kind: QuestionKind) -> &'static str {
    match kind {
        QuestionKind::Infrastructure => "The infrastructure",
        QuestionKind::Team => "The team",
        QuestionKind::Operations => "Operations",
        QuestionKind::Security => "Security",
    }
}

/// What the answers do.
#[derive(Debug, Default)]
struct Effects {
    figures: FixFigures,
    /// The rules that have a figure now.
    rules: Vec<&'static str>,
    /// Answers to questions that the chart answers itself.
    skipped: Vec<String>,
}

impl Effects {
    /// All answers that do not fit are told together.
    fn of(
        open: &[GuideQuestion],
        answers: &Answers,
        file: &mut ConstraintFile,
    ) -> Result<Self, Errors> {
        let mut effects = Self::default();
        let mut errors = vec![];
        for (id, answer) in answers {
            let is_open = open.iter().any(|question| question.id == id);
            match answered(id, answer) {
                Err(error) => errors.push(error),
                Ok(_) if !is_open => effects.skipped.push(id.clone()),
                Ok(GuideEffect::Nothing) => {}
                Ok(GuideEffect::Figure(figure, rules)) => {
                    figure.put(&mut effects.figures);
                    effects.rules.extend(rules);
                }
                Ok(GuideEffect::Teach(sentences)) => {
                    for sentence in &sentences {
                        let taught = understood(sentence)
                            .map_err(Errors::from)
                            .and_then(|taught| file.teach(&taught));
                        errors.extend(taught.err().into_iter().flat_map(|errors| errors.0));
                    }
                }
            }
        }
        Errors::unless_empty(errors, effects)
    }
}

/// What is shown, and written.
struct Written<'a> {
    chart: &'a CheckedChart<'a>,
    open: &'a [GuideQuestion],
    skipped: &'a [String],
    changes: &'a [ChangedText],
    /// Before and after.
    score: Option<(u8, u8)>,
}

fn write(
    context: &Context,
    options: &GuideOptions,
    format: ChartFormat,
    shown: Written<'_>,
) -> Result<Exit, Errors> {
    let dir = &context.source.dir;
    let diff: String = shown
        .changes
        .iter()
        .map(|change| fix::one_diff(change, dir))
        .collect();
    let is_json = format == ChartFormat::Json;
    if !is_json {
        ui::even_unread(ui::out(&fix::colored(&diff)))?;
    }
    let is_asked = options.answers.is_none();
    let is_written =
        !shown.changes.is_empty() && !options.dry_run && (!is_asked || ui::confirmed("write this"));
    if is_written {
        write_all(context, shown.changes)?;
    }
    let mut said = String::new();
    for id in shown.skipped {
        said += &format!(
            "`{id}` was not asked: the chart or its constraints answer it, or have nothing that it is about\n"
        );
    }
    if let Some((before, after)) = shown.score {
        said += &format!(
            "{}: {before} → {after} of 100\n",
            super::history::name(shown.chart)
        );
    }
    said += match (is_written, shown.changes.is_empty()) {
        (true, _) => "written; devk chart check shows what is left\n",
        (false, true) => "the answers change nothing\n",
        (false, false) => "nothing is written\n",
    };
    ui::even_unread(match is_json {
        true => ui::json(&json!({
            "version": 1,
            "written": is_written,
            "diff": diff,
            "questions": shown.open,
            "skipped": shown.skipped,
            "before": shown.score.map(|(before, _)| before),
            "after": shown.score.map(|(_, after)| after),
        })),
        false => ui::out(&said),
    })?;
    Ok(Exit::Ok)
}
