//! `devk doctor`.

use super::Context;
use crate::doctor::{self, Check, Status};
use crate::error::{Code, Errors, Exit, Result};
use crate::ui::{self, Format};

/// Prints every check. Outside a project the machine alone is examined.
///
/// # Errors
/// Those of the configuration, except that there is none.
pub async fn run(context: &Context, strict: bool) -> Result<Exit, Errors> {
    let project = match context.project() {
        Ok(project) => Some(project),
        Err(errors) if errors.0.iter().all(|e| e.code == Code::ConfigMissing) => None,
        Err(errors) => return Err(errors),
    };
    let checks = doctor::examine(project.as_ref(), &context.paths).await;
    match context.format {
        Format::Json => ui::json(&serde_json::json!({"version": 1, "checks": checks})),
        Format::Table => ui::out(&checks.iter().map(text).collect::<String>()),
    }
    Ok(exit(&checks, strict))
}

fn exit(checks: &[Check], strict: bool) -> Exit {
    let bad = |status: Status| status == Status::Error || (strict && status == Status::Warning);
    if checks.iter().any(|check| bad(check.status)) { Exit::Found } else { Exit::Ok }
}

fn text(check: &Check) -> String {
    let mark = match check.status {
        Status::Ok => "✓",
        Status::Warning => "!",
        Status::Error => "✗",
        Status::Skipped => "-",
    };
    let evidence = check.evidence.iter().map(|e| format!("    | {}\n", e.text));
    let hint = check.hint.iter().map(|hint| format!("    hint: {hint}\n"));
    format!("{mark} {:<18} {}\n", check.id, check.summary) + &evidence.chain(hint).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_counts_only_when_strict() {
        let checks = [Check::new("machine.disk", Status::Warning, "")];
        assert_eq!(exit(&checks, false), Exit::Ok);
        assert_eq!(exit(&checks, true), Exit::Found);
    }
}
