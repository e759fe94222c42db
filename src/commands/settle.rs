//! `devk settle`: waits until what was saved is live, or says why it will not be.

use std::time::Duration;

use console::style;
use serde::Serialize;

use super::service::selector;
use super::{Context, ask, connected, no_session, pinned};
use crate::config::Project;
use crate::daemon::control::{Reply, Request};
use crate::error::{Errors, Exit, Result};
use crate::session::settle::{How, SettleFailure, SettleScope, SettledService, Settlement};
use crate::ui::{self, Format};

/// The contract of `devk settle --format json`.
#[derive(Debug, Serialize)]
struct SettleDocument {
    version: u32,
    #[serde(flatten)]
    settlement: Settlement,
}

/// Prints how what was saved came live. The exit code is 1 if it will not be, and 124 if the time is up.
///
/// # Errors
/// [`crate::error::Code::ServiceUnknown`], or as [`connected`] and [`ask`].
pub async fn run(
    context: &Context,
    services: &[String],
    patience: Duration,
) -> Result<Exit, Errors> {
    let project = context.running_project()?;
    let scope = scope(context, &project, services).await?;
    let settlement = settlement(context, &project, scope, patience).await?;
    let exit = match &settlement {
        Settlement { settled: true, .. } => Exit::Ok,
        Settlement { failures, .. } if failures.is_empty() => Exit::TimedOut,
        _ => Exit::Failed,
    };
    ui::even_unread(match context.format {
        Format::Json => ui::json(&SettleDocument {
            version: 1,
            settlement,
        }),
        Format::Table => ui::out(&text(&settlement)),
    })?;
    Ok(exit)
}

/// Asks the session.
///
/// # Errors
/// As [`connected`] and [`ask`].
pub(super) async fn settlement(
    context: &Context,
    project: &Project,
    scope: SettleScope,
    patience: Duration,
) -> Result<Settlement, Errors> {
    let connection = connected(context, project).await?;
    let request = Request::Settle { scope, patience };
    match ask(connection, &request).await? {
        Some(Reply::Live { settlement }) => Ok(settlement),
        _ => Err(no_session(&project.name).into()),
    }
}

/// What the names mean: images of devk.yaml, and what has pods.
async fn scope(context: &Context, project: &Project, services: &[String]) -> Result<SettleScope> {
    let mut scope = SettleScope::default();
    let is_image = |name: &&String| project.images.iter().any(|image| image.name == **name);
    let (images, services): (Vec<_>, Vec<_>) = services.iter().partition(is_image);
    scope.images.extend(images.into_iter().cloned());
    if services.is_empty() {
        return Ok(scope);
    }
    let client = pinned(context, project).await?.client;
    for name in services {
        scope.pods.push(selector(&client, project, name).await?);
    }
    Ok(scope)
}

fn text(settlement: &Settlement) -> String {
    let Settlement {
        settled,
        ms,
        services,
        waiting_for,
        failures,
    } = settlement;
    let service = |SettledService {
                       name, how, pods, ..
                   }: &SettledService| {
        let how = match how {
            How::Unchanged => "unchanged",
            How::Synced => "synced",
            How::RolledOut => "rolled out",
            How::Rebuilt => "rebuilt",
        };
        vec![name.clone(), how.to_owned(), pods.join(" ")]
    };
    let rows: Vec<_> = services.iter().map(service).collect();
    let mut text = ui::table(&rows) + &failures_text(failures);
    let waiting = waiting_for.iter();
    text.extend(waiting.map(|open| format!("waits for: {open}\n")));
    let verdict = match (settled, failures.is_empty()) {
        (true, _) => "live",
        (false, false) => "not live",
        (false, true) => "not live yet",
    };
    text.push_str(&format!("{verdict} after {ms} ms\n"));
    text
}

/// Why a save is not live, with what the programs printed.
pub(super) fn failures_text(failures: &[SettleFailure]) -> String {
    let mut text = String::new();
    for failure in failures {
        text.push_str(&ui::plain::error(&failure.error));
        text.push('\n');
        let lines = failure
            .log
            .iter()
            .map(|line| ui::plain::escape_controls(line));
        text.extend(lines.map(|line| format!("    {} {line}\n", style("|").dim())));
    }
    text
}
