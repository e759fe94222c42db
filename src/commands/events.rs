//! `devk events`: the running session's events, one JSON document or one line each.

use super::{Context, connected};
use crate::daemon::control::{Connection, Reply, Request};
use crate::error::{Errors, Exit, Result};
use crate::ui::View;

/// Follows the events of the session until it ends or Ctrl-C.
///
/// # Errors
/// As [`connected`].
pub async fn run(context: &Context) -> Result<Exit, Errors> {
    let project = context.running_project()?;
    let mut connection = connected(context, &project).await?;
    connection.write.send(&Request::Events).await?;
    let mut view = View::of(context.format);
    tokio::select! {
        shown = show(&mut connection, &mut view) => shown?,
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(Exit::Ok)
}

async fn show(connection: &mut Connection, view: &mut View) -> Result<()> {
    while let Some(reply) = connection.read.next::<Reply>().await? {
        if let Reply::Event { event } = reply {
            view.event(&event)?;
        }
    }
    Ok(())
}
