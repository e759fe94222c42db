//! `devk doctor`.

use std::path::Path;

use console::style;

use super::Context;
use crate::doctor::fix::{self, Fix};
use crate::doctor::{self, Check, CheckStatus, DoctorFacts, Evidence};
use crate::environment::Environment;
use crate::error::{Errors, Exit, Result};
use crate::ui::{self, Format};

/// What the command line asks for.
#[derive(Debug, Clone, Copy)]
pub struct DoctorOptions {
    /// Warnings count as errors.
    pub strict: bool,
    pub fix: bool,
    /// No questions.
    pub yes: bool,
}

/// Prints every check. Outside a project the machine is examined, and the Compose stack of the folder.
///
/// # Errors
/// Only errors of printing: everything broken is a finding.
pub async fn run(context: &Context, options: DoctorOptions) -> Result<Exit, Errors> {
    let environment = Environment::of_process();
    let gather = || {
        let (folder, paths) = (&context.source.dir, &context.paths);
        DoctorFacts::gather(folder, context.project(), paths, &environment)
    };
    let mut facts = gather().await;
    if options.fix {
        mend(&facts, context, &environment, options.yes).await;
        facts = gather().await;
    }
    let mut checks = doctor::check(&facts);
    seen_from(&context.source.dir, &mut checks);
    ui::even_unread(match context.format {
        Format::Json => ui::json(&serde_json::json!({"version": 1, "checks": checks})),
        Format::Table => ui::out(&text(&checks)),
    })?;
    Ok(exit(&checks, options.strict))
}

/// Paths of files below the folder are shown relative to the folder.
fn seen_from(dir: &Path, checks: &mut [Check]) {
    for evidence in checks.iter_mut().flat_map(|check| &mut check.evidence) {
        if let Some(Ok(below)) = evidence.file.as_ref().map(|file| file.strip_prefix(dir)) {
            evidence.file = Some(below.to_owned());
        }
    }
}

fn exit(checks: &[Check], strict: bool) -> Exit {
    let bad = |status: CheckStatus| {
        status == CheckStatus::Error || (strict && status == CheckStatus::Warning)
    };
    if checks.iter().any(|check| bad(check.status)) {
        Exit::Found
    } else {
        Exit::Ok
    }
}

/// Applies the fixes and reports them on stderr.
async fn mend(facts: &DoctorFacts, context: &Context, environment: &Environment, yes: bool) {
    let fixes = fix::fixes(facts);
    if fixes.is_empty() {
        ui::err("nothing that devk could fix\n");
    }
    for fix in fixes {
        if fix.needs_consent() && !yes && !consent(&fix) {
            ui::err(&format!(
                "left: {}; `--yes` does it without asking\n",
                fix.text()
            ));
            continue;
        }
        match fix.apply(&context.paths, environment).await {
            Ok(()) => {
                context.changes.add(format!("done: {}", fix.text()));
                ui::err(&format!("done: {}\n", fix.text()));
                fix.undo()
                    .into_iter()
                    .for_each(|undo| ui::err(&format!("      undo: {undo}\n")));
            }
            Err(error) => {
                context
                    .changes
                    .add(format!("failed: {}: {}", fix.text(), error.message));
                ui::err(&format!(
                    "failed: {}\n{}",
                    fix.text(),
                    ui::plain::error(&error)
                ));
            }
        }
    }
    ui::err("\n");
}

/// Asks on a terminal; a script gets no question.
fn consent(fix: &Fix) -> bool {
    if !ui::can_ask() {
        return false;
    }
    ui::confirmed(&fix.text())
}

/// Prints the findings first, each with its evidence and hint; then the families without findings, one line each; then
/// the skipped checks; then the count.
fn text(checks: &[Check]) -> String {
    let of = |status: CheckStatus| checks.iter().filter(move |check| check.status == status);
    let problems: String = of(CheckStatus::Error)
        .chain(of(CheckStatus::Warning))
        .map(problem)
        .collect();
    let fine: String = of(CheckStatus::Ok)
        .map(|check| line(style("✓").green(), check))
        .collect();
    let skipped = skipped(of(CheckStatus::Skipped));
    let parts = [problems, fine, skipped]
        .into_iter()
        .filter(|part| !part.is_empty());
    let parts: String = parts.map(|part| part + "\n").collect();
    parts + &count(checks) + "\n"
}

fn line(mark: console::StyledObject<&str>, check: &Check) -> String {
    format!("{mark} {:<20} {}\n", check.id, check.summary)
}

/// One line for each reason.
fn skipped<'a>(checks: impl Iterator<Item = &'a Check>) -> String {
    let mut reasons: Vec<(&str, Vec<&str>)> = vec![];
    for check in checks {
        match reasons.iter_mut().find(|(why, _)| *why == check.summary) {
            Some((_, ids)) => ids.push(check.id.as_str()),
            None => reasons.push((&check.summary, vec![check.id.as_str()])),
        }
    }
    reasons
        .iter()
        .map(|(why, ids)| format!("{} {why}: no {}\n", style("-").dim(), ids.join(", ")))
        .collect()
}

fn problem(check: &Check) -> String {
    let mark = match check.status {
        CheckStatus::Error => style("✗").red().bold(),
        _ => style("!").yellow().bold(),
    };
    let evidence = check
        .evidence
        .iter()
        .map(|evidence| format!("    {}\n", style(place(evidence)).dim()));
    let hint = check
        .hint
        .iter()
        .map(|hint| format!("    {} {hint}\n", style("→").cyan()));
    line(mark, check) + &evidence.chain(hint).collect::<String>()
}

/// `compose.yaml:12: text`.
fn place(evidence: &Evidence) -> String {
    let Some(file) = evidence.file.as_ref().map(|file| file.display()) else {
        return evidence.text.clone();
    };
    let line = evidence
        .line
        .map(|line| format!(":{line}"))
        .unwrap_or_default();
    let text = if evidence.text.is_empty() {
        String::new()
    } else {
        format!(": {}", evidence.text)
    };
    format!("{file}{line}{text}")
}

fn count(checks: &[Check]) -> String {
    let of = |status: CheckStatus| checks.iter().filter(|check| check.status == status).count();
    let many =
        |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let errors = many(of(CheckStatus::Error), "error");
    let warnings = many(of(CheckStatus::Warning), "warning");
    let skipped = match of(CheckStatus::Skipped) {
        0 => String::new(),
        count => format!(", {count} skipped"),
    };
    format!(
        "{}: {errors}, {warnings}, {} fine{skipped}",
        many(checks.len(), "check"),
        of(CheckStatus::Ok)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Id;

    #[test]
    fn a_warning_counts_only_when_strict() {
        let checks = [Check::warning(Id::MachineDisk, "")];
        assert_eq!(exit(&checks, false), Exit::Ok);
        assert_eq!(exit(&checks, true), Exit::Found);
    }

    #[test]
    fn files_below_the_folder_are_told_relative_to_it() {
        let at = |file: &str| Check::error(Id::ComposePorts, "").at(file, 3, "");
        let mut checks = [
            at("/p/sub/compose.yaml"),
            at("/q/compose.yaml"),
            Check::ok(Id::ToolsKind, "").evidence("x"),
        ];
        seen_from(Path::new("/p"), &mut checks);
        let files = checks.map(|check| {
            check.evidence[0]
                .file
                .as_ref()
                .map(|file| file.display().to_string())
        });
        assert_eq!(
            files,
            [
                Some("sub/compose.yaml".to_owned()),
                Some("/q/compose.yaml".to_owned()),
                None
            ]
        );
    }

    #[test]
    fn problems_come_first_with_evidence_and_hint_and_all_is_counted_last() {
        let checks = [
            Check::ok(Id::ToolsKind, "kind v1"),
            Check::skipped(Id::ToolsKubectl, "not there"),
            Check::error(Id::ComposePorts, "twice")
                .at("compose.yaml", 3, "service `a`")
                .hint("move it"),
        ];
        let text = console::strip_ansi_codes(&text(&checks)).into_owned();
        let expected = "✗ compose.ports        twice\n    compose.yaml:3: service `a`\n    → move it\n\n\
                        ✓ tools.kind           kind v1\n\n- not there: no tools.kubectl\n\n\
                        3 checks: 1 error, 0 warnings, 1 fine, 1 skipped\n";
        assert_eq!(text, expected);
    }
}
