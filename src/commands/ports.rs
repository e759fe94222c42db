//! `devk ports`: the offset table.

use super::Context;
use crate::config::Project;
use crate::error::{Errors, Exit, Result};
use crate::observe::{self, Own};
use crate::ports::Forward;
use crate::session::client;
use crate::session::control::{Reply, Request};
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
    let session = session_table(context, &project.id).await?;
    if !session.is_empty() {
        return Ok(session);
    }
    let observed = observe::observe(project, &context.paths, &Own::default()).await?;
    Ok(observed.facts.forwards.into_iter().map(|fact| fact.forward).collect())
}

async fn session_table(context: &Context, id: &str) -> Result<Vec<Forward>, Errors> {
    let Some(mut connection) = client::running(&context.paths, id).await else { return Ok(vec![]) };
    connection.write.send(&Request::Status).await?;
    match connection.read.next().await? {
        Some(Reply::Status { status }) => Ok(status.forwards.into_iter().map(|f| f.forward).collect()),
        _ => Ok(vec![]),
    }
}

fn table(forwards: &[Forward]) -> String {
    let head = ["NAME", "ADDRESS", "SERVICE", "WHY"].map(str::to_owned).to_vec();
    let rows = forwards.iter().map(|f| {
        let why = f.moved.clone().unwrap_or_else(|| "port + 10000".to_owned());
        vec![f.name.clone(), format!("127.0.0.1:{}", f.local), format!("{}:{}", f.service, f.remote), why]
    });
    ui::table(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}
