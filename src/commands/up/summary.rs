//! What `devk up` prints when it has settled.

use crate::error::Result;
use crate::ports::Forward;
use crate::session::outcome::Outcome;
use crate::ui::{self, Format};

pub(super) fn summary(format: Format, outcome: &Outcome) -> Result<()> {
    match format {
        Format::Json => ui::json(&serde_json::json!({"version": 1, "settled": outcome})),
        Format::Table => ui::out(&summary_text(outcome)),
    }
}

/// Why a forward waits for a pod, and why it has not its usual port.
fn noted(outcome: &Outcome, forward: &Forward) -> String {
    let waiting = outcome.waiting.iter().find(|w| w.name == forward.name);
    let waiting = waiting.map(|waiting| format!("waits: {}", waiting.why));
    let notes: Vec<_> = waiting.into_iter().chain(forward.moved.clone()).collect();
    notes.join("; ")
}

fn summary_text(outcome: &Outcome) -> String {
    let seconds = |ms: u64| format!("{:.1} s", ms as f64 / 1000.0);
    let state = if outcome.ready {
        format!(
            "`{}` is up on cluster `{}`",
            outcome.project, outcome.cluster
        )
    } else {
        format!(
            "`{}` is not up: {} failed",
            outcome.project,
            outcome.failed.join(", ")
        )
    };
    let mut rows: Vec<_> = outcome
        .forwards
        .iter()
        .map(|f| {
            vec![
                format!("  {}", f.name),
                f.url.clone(),
                format!("{}:{}", f.service, f.remote),
                noted(outcome, f),
            ]
        })
        .collect();
    rows.extend(outcome.left_out.iter().map(|l| {
        vec![
            format!("  {}", l.name),
            "not open".to_owned(),
            l.why.clone(),
        ]
    }));
    rows.extend(
        outcome
            .bridge
            .iter()
            .map(|bridge| vec!["  bridge".to_owned(), bridge.upstream(), bridge.what()]),
    );
    let times = format!(
        "{} of work in {}",
        seconds(outcome.steps_ms),
        seconds(outcome.ms)
    );
    format!("\n{state} ({times})\n{}", ui::table(&rows))
}
