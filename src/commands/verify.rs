//! `devk verify`: compares what was synced with what is in the containers, by hash, permission bits and owner.

use serde::Serialize;

use super::{Context, ask, connected, no_session};
use crate::daemon::control::{Reply, Request};
use crate::error::{Errors, Exit};
use crate::sync::verify::{Comparison, Difference, NotCompared, Uncompared};
use crate::ui::{self, Format};

/// The contract of `devk verify --format json`.
#[derive(Debug, Serialize)]
struct Verified {
    version: u32,
    /// At least one file was compared, every compared file is the same in every container and in the working tree, and
    /// nothing is left that could not be compared.
    equal: bool,
    #[serde(flatten)]
    comparison: Comparison,
}

/// Prints every file that differs; exit code 1 if there is one, or if something could not be compared.
///
/// # Errors
/// [`crate::error::Code::ClusterUnreachable`], or as [`connected`] and [`ask`].
pub async fn run(context: &Context) -> Result<Exit, Errors> {
    let project = context.running_project()?;
    let connection = connected(context, &project).await?;
    let Some(Reply::Verified { comparison }) = ask(connection, &Request::Verify).await? else {
        return Err(no_session(&project.name).into());
    };
    let verified = Verified {
        version: 1,
        equal: comparison.is_equal(),
        comparison,
    };
    ui::even_unread(match context.format {
        Format::Json => ui::json(&verified),
        Format::Table => ui::out(&text(&verified)),
    })?;
    Ok(if verified.equal {
        Exit::Ok
    } else {
        Exit::Failed
    })
}

fn text(verified: &Verified) -> String {
    let Comparison {
        containers,
        files,
        differences,
        left_out: left,
        uncompared,
    } = &verified.comparison;
    let difference = |difference: &Difference| {
        let path = difference
            .path
            .as_ref()
            .map(|path| path.display().to_string());
        vec![
            format!("{}/{}", difference.pod, difference.container),
            path.unwrap_or_default(),
            difference.why.clone(),
        ]
    };
    let left_out = |left: &NotCompared| {
        vec![
            format!("{}/{}", left.pod, left.container),
            left.covered.to_string(),
        ]
    };
    let rows: Vec<_> = differences.iter().map(difference).collect();
    let outside: Vec<_> = left.iter().map(left_out).collect();
    let missing = |Uncompared { what, why }: &Uncompared| vec![what.clone(), why.clone()];
    let missing: Vec<_> = uncompared.iter().map(missing).collect();
    let summary = match containers {
        0 => "nothing was compared: no running container answered\n".to_owned(),
        _ if *files == 0 && differences.is_empty() => {
            format!(
                "nothing was compared: {containers} container(s) have no file of a build context as it is there\n"
            )
        }
        _ if differences.is_empty() && !missing.is_empty() => format!(
            "not all could be compared; {files} file(s) in {containers} container(s) are the same as in the working tree\n"
        ),
        _ if differences.is_empty() => {
            format!(
                "equal: {files} file(s) in {containers} container(s) are the same as in the working tree\n"
            )
        }
        _ => format!(
            "{} difference(s) in {files} file(s) of {containers} container(s)\n",
            differences.len()
        ),
    };
    let tables = [rows, outside, missing].map(|rows| ui::table(&rows));
    format!("{}{summary}", tables.concat())
}
