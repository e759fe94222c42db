//! `devk ports`: the offset table.

use super::Context;
use crate::bridge::Bridging;
use crate::config::Project;
use crate::error::{Errors, Exit, Result};
use crate::observe::{self, Own};
use crate::ports::Forward;
use crate::session::client;
use crate::ui::{self, Format};

/// Prints the table.
///
/// # Errors
/// As [`forwards`].
pub async fn run(context: &Context) -> Result<Exit, Errors> {
    let project = context.project()?;
    let forwards = forwards(context, &project).await?;
    match context.format {
        Format::Json => ui::json(&serde_json::json!({"version": 1, "forwards": forwards})),
        Format::Table => ui::out(&table(&forwards)),
    }
    Ok(Exit::Ok)
}

/// The running session's table, or else the one that `up` would make now.
///
/// # Errors
/// Whatever keeps the table from being made.
pub async fn forwards(context: &Context, project: &Project) -> Result<Vec<Forward>, Errors> {
    let session = client::status(&context.paths, &project.id).await?.map(|status| status.forwards);
    if let Some(held) = session.filter(|held| !held.is_empty()) {
        return Ok(held.into_iter().map(|held| held.forward).collect());
    }
    let observed = observe::observe(project, &context.paths, &Own::default(), Bridging::default()).await?;
    Ok(observed.facts.forwards.into_iter().map(|fact| fact.forward).collect())
}

fn table(forwards: &[Forward]) -> String {
    let head = ["NAME", "ADDRESS", "SERVICE", "WHY"].map(str::to_owned).to_vec();
    let rows = forwards.iter().map(|f| {
        let why = f.moved.clone().unwrap_or_else(|| "port + 10000".to_owned());
        vec![f.name.clone(), format!("127.0.0.1:{}", f.local), format!("{}:{}", f.service, f.remote), why]
    });
    ui::table(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}
