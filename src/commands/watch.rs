//! `devk status --watch`: the status, printed again whenever the session changes.

use console::Term;
use tokio::sync::watch;

use super::{Context, no_session, status};
use crate::config::Project;
use crate::daemon::client::{self, Following};
use crate::error::{Errors, Exit, Result};
use crate::ui::{self, Format};

/// Prints what runs now and whenever the session changes, until the session ends or Ctrl-C.
///
/// # Errors
/// [`crate::error::Code::SessionNone`] if none runs, or as [`status::run`].
pub async fn run(context: &Context) -> Result<Exit, Errors> {
    let project = context.running_project()?;
    let following = client::follow(&context.paths, &project.id).await?;
    let following = following.ok_or_else(|| no_session(&project.name))?;
    tokio::select! {
        shown = show(context, &project, following) => shown?,
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(Exit::Ok)
}

async fn show(
    context: &Context,
    project: &Project,
    mut following: Following,
) -> Result<(), Errors> {
    let (sender, mut newest) = watch::channel(None);
    // Reading the cluster takes time; only the newest status of the session counts then.
    let hear = async move {
        while let Some(session) = following.next().await? {
            sender.send_replace(Some(session));
        }
        Ok::<_, Errors>(())
    };
    let print = async {
        let mut is_first = true;
        while newest.changed().await.is_ok() {
            let session = newest.borrow_and_update().clone();
            let told = std::future::ready(Ok(session));
            let status = status::status(context, project, told).await?;
            part(context.format, std::mem::take(&mut is_first))?;
            status.print(context.format)?;
        }
        // The session has ended.
        let status = status::now(context, project).await?;
        part(context.format, is_first)?;
        status.print(context.format)?;
        Ok::<_, Errors>(())
    };
    tokio::try_join!(hear, print).map(drop)
}

/// Parts a status from the one before it; on a terminal it takes the place of that one.
fn part(format: Format, is_first: bool) -> Result<()> {
    match format {
        Format::Json => Ok(()),
        // That a terminal cannot be cleared costs only looks.
        Format::Table if console::user_attended() => {
            drop(Term::stdout().clear_screen());
            Ok(())
        }
        Format::Table if is_first => Ok(()),
        Format::Table => ui::out("\n"),
    }
}
