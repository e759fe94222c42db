//! `devk verify`: compares what was synced with what is in the containers, by hash.

use serde::Serialize;

use super::{Context, no_session};
use crate::daemon::client;
use crate::daemon::control::{Reply, Request};
use crate::error::{Errors, Exit};
use crate::sync::verify::Difference;
use crate::ui::{self, Format};

/// The contract of `devk verify --format json`.
#[derive(Debug, Serialize)]
struct Verified {
    version: u32,
    /// Every synced file is in every container as it is in the working tree.
    equal: bool,
    differences: Vec<Difference>,
}

/// Prints every file that differs; exit code 1 if there is one.
///
/// # Errors
/// [`crate::error::Code::SessionNone`] if no session runs, [`crate::error::Code::ClusterUnreachable`], or as
/// [`client::running`].
pub async fn run(context: &Context) -> Result<Exit, Errors> {
    let project = context.running_project()?;
    let connection = client::running(&context.paths, &project.id).await?;
    let mut connection = connection.ok_or_else(|| no_session(&project.name))?;
    connection.write.send(&Request::Verify).await?;
    let differences = match connection.read.next::<Reply>().await? {
        Some(Reply::Verified { differences }) => differences,
        Some(Reply::Refused { errors }) => return Err(errors),
        _ => return Err(no_session(&project.name).into()),
    };
    let verified = Verified {
        version: 1,
        equal: differences.is_empty(),
        differences,
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
    if verified.equal {
        return "every synced file is in every container as it is here\n".to_owned();
    }
    let row = |difference: &Difference| {
        let path = difference
            .path
            .as_ref()
            .map(|path| path.display().to_string())
            .unwrap_or_default();
        vec![
            format!("{}/{}", difference.pod, difference.container),
            path,
            difference.why.clone(),
        ]
    };
    ui::table(&verified.differences.iter().map(row).collect::<Vec<_>>())
}
