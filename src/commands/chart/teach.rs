//! `devk chart teach`: one constraint from a sentence, with what it would find, before it is written.

use std::collections::BTreeSet;

use console::style;
use serde_json::json;

use super::constraint_file::ConstraintFile;
use super::{ChartFormat, chosen, constraints, fix, looking, optional_project, placed, write_all};
use crate::check::{
    self, ChartFinding, ChartGatherer, ChartReport, Judgement, TEACH_FORMS, understood,
};
use crate::commands::Context;
use crate::config::{CheckConfig, Project};
use crate::environment::Environment;
use crate::error::{Code, Error, Errors, Exit};
use crate::ui;

/// What the command line asks of `devk chart teach`.
#[derive(Debug, Default)]
pub struct TeachOptions {
    pub sentence: String,
    /// The charts that are looked at; none: those of devk.yaml.
    pub charts: Vec<String>,
    /// Into devk.yaml instead of the team's file.
    pub project: bool,
    pub dry_run: bool,
    pub list: bool,
}

/// What a constraint would do to a chart.
struct Taught {
    chart: String,
    new: Vec<ChartFinding>,
    /// Findings that would not count any more.
    gone: Vec<ChartFinding>,
}

/// Writes a constraint, after it has shown what it finds.
///
/// # Errors
/// A sentence that is none, or whose value is none; what keeps the charts from being looked at, or the file from being written.
pub async fn teach(
    context: &Context,
    options: &TeachOptions,
    format: ChartFormat,
) -> Result<Exit, Errors> {
    if options.list {
        return forms(format);
    }
    let constraint = understood(&options.sentence)?;
    let project = optional_project(context)?;
    if options.project && project.is_none() {
        let error = Error::new(
            Code::ConfigMissing,
            "there is no devk.yaml that could have the constraint",
        );
        return Err(error
            .hint("leave --project out: the constraint then goes to .devk/constraints.yaml")
            .into());
    }
    let mut file = ConstraintFile::open(context, project.as_ref(), options.project)?;
    if file.is_overruled(&constraint) {
        // What devk.yaml says counts alone.
        file = ConstraintFile::open(context, project.as_ref(), true)?;
    }
    file.teach(&constraint)?;
    let now = constraints(context, project.as_ref())?;
    let then = file.config()?;
    check::usable(&then)?;
    let taught = looked_at(context, project.as_ref(), &options.charts, &now, &then).await?;
    let changed = file.changed();
    let diff = changed
        .as_ref()
        .map(|change| fix::one_diff(change, &context.source.dir))
        .unwrap_or_default();
    if let (Some(change), false) = (&changed, options.dry_run) {
        write_all(context, std::slice::from_ref(change))?;
    }
    let written = changed.is_some() && !options.dry_run;
    ui::even_unread(match format {
        ChartFormat::Json => ui::json(&json!({
            "version": 1,
            "key": constraint.key,
            "written": written,
            "diff": diff,
            "charts": taught.iter().map(|taught| json!({"chart": taught.chart, "new": taught.new, "gone": taught.gone})).collect::<Vec<_>>(),
        })),
        _ => {
            let said = match (changed.is_some(), written) {
                (false, _) => "the constraint is there already\n",
                (true, true) => "the constraint is written\n",
                (true, false) => "nothing is written: --dry-run\n",
            };
            ui::out(&(text(&taught, context) + &fix::colored(&diff) + said))
        }
    })?;
    Ok(Exit::Ok)
}

/// What the constraint finds in each chart that was not found before, and the other way round.
async fn looked_at(
    context: &Context,
    project: Option<&Project>,
    charts: &[String],
    now: &CheckConfig,
    then: &CheckConfig,
) -> Result<Vec<Taught>, Errors> {
    if project.is_none() && charts.is_empty() {
        return Ok(vec![]);
    }
    let charts = chosen(context, project, charts)?;
    let environment = Environment::of_process();
    let (paths, _scratch) = looking(context, project)?;
    let gatherer = ChartGatherer::new(project, &paths, &environment).await?;
    let mut found = vec![];
    for chart in &charts {
        let facts = gatherer.facts(chart).await?;
        let judged = |config| {
            let today = jiff::Zoned::now().date();
            check::judge(&facts, Judgement::new(config, today))
        };
        let (before, after) = (judged(now), judged(then));
        found.push(Taught {
            chart: after.chart.clone(),
            new: only(&after, &before),
            gone: only(&before, &after),
        });
    }
    Ok(found)
}

/// The findings that count in one report and not in the other.
fn only(one: &ChartReport, other: &ChartReport) -> Vec<ChartFinding> {
    let counted = |report: &ChartReport| {
        let findings = report
            .findings
            .iter()
            .filter(|finding| finding.is_counted());
        findings
            .map(ChartFinding::fingerprint)
            .collect::<BTreeSet<_>>()
    };
    let known = counted(other);
    let own = one.findings.iter().filter(|finding| finding.is_counted());
    own.filter(|finding| !known.contains(&finding.fingerprint()))
        .cloned()
        .collect()
}

fn text(taught: &[Taught], context: &Context) -> String {
    if taught.is_empty() {
        return "no chart was looked at: there is no devk.yaml, and --chart names none\n"
            .to_owned();
    }
    let dir = &context.source.dir;
    let line = |mark: String, finding: &ChartFinding| {
        let (place, object) = (finding.place.as_ref(), finding.object.as_deref());
        let what = placed(place, object, &finding.message, dir);
        format!("  {mark} {} {what}\n", finding.rule.id)
    };
    let one = |taught: &Taught| {
        let counts = match (taught.new.len(), taught.gone.len()) {
            (0, 0) => "the constraint finds nothing new".to_owned(),
            (new, 0) => format!("the constraint finds {new}"),
            (0, gone) => format!("{gone} findings do not count any more"),
            (new, gone) => {
                format!("the constraint finds {new}, and {gone} findings do not count any more")
            }
        };
        let mut text = format!("{}: {counts}\n", style(&taught.chart).bold());
        text.extend(
            taught
                .new
                .iter()
                .map(|finding| line(style("✗").red().to_string(), finding)),
        );
        text.extend(
            taught
                .gone
                .iter()
                .map(|finding| line(style("✓").green().to_string(), finding)),
        );
        text
    };
    taught.iter().map(one).collect()
}

fn forms(format: ChartFormat) -> Result<Exit, Errors> {
    match format {
        ChartFormat::Json => {
            let forms = TEACH_FORMS.iter().map(
                |form| json!({"form": form.pattern, "example": form.example, "key": form.key}),
            );
            ui::json(&json!({"version": 1, "forms": forms.collect::<Vec<_>>()}))?;
        }
        _ => {
            let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
            let forms = TEACH_FORMS
                .iter()
                .map(|form| row([form.pattern, form.key, form.example]));
            let rows: Vec<_> = std::iter::once(row(["Form", "Key", "Example"]))
                .chain(forms)
                .collect();
            let layout = if format == ChartFormat::Markdown {
                ui::markdown
            } else {
                ui::table
            };
            ui::out(&layout(&rows))?;
        }
    }
    Ok(Exit::Ok)
}
