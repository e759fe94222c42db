//! `devk up`: the client of the session.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::recorded::Recording;
use super::{Context, logs};
use crate::bridge::{Bridging, Switch};
use crate::compose;
use crate::daemon::client;
use crate::daemon::control::{Connection, Lifetime, Reply, Request};
use crate::down::refuse_anothers_session;
use crate::environment::Environment;
use crate::error::{Code, Error, Errors, Exit, Result};
use crate::limits;
use crate::log_lines::last_lines;
use crate::observe;
use crate::plan::{Plan, PlannedStep};
use crate::program::Build;
use crate::release::requirements::missing_stores;
use crate::session::outcome::Outcome;
use crate::ui::event::Event;
use crate::ui::{self, Format, View};

mod before;
mod score;
mod summary;

use score::InstalledReleases;
use summary::summary;

/// What is asked of a session.
#[derive(Debug, Clone, Copy)]
pub struct UpOptions {
    pub lifetime: Lifetime,
    pub bridge: Switch,
    /// The running session ends first.
    pub restart: bool,
    /// Every other project of this user on the cluster is to sleep first.
    pub sleep_others: bool,
}

/// Prints the plan.
///
/// # Errors
/// Whatever would keep `up` from starting.
pub async fn dry_run(context: &Context, options: UpOptions) -> Result<Exit, Errors> {
    let project = context.project()?;
    // The session's own ports are no obstacle to its next `up`.
    let session = client::status(&context.paths, &project.id)
        .await?
        .unwrap_or_default();
    let held = session.forwards.iter();
    let own = observe::Own {
        ports: held.map(|held| held.forward.local).collect(),
        images: vec![],
    };
    let environment = Environment::of_process();
    let bridging = Bridging {
        switch: options.bridge,
        once: false,
    };
    let compose = compose::of_project(&project, &environment);
    let compose = compose::as_docker_takes_it(&project, &environment, compose).await;
    let (paths, _scratch) = context.paths.for_looking(&project.id)?;
    let mut observed =
        observe::observe(&project, compose, &paths, &own, &environment, bridging).await?;
    observed.facts.sleep_others = options.sleep_others;
    if let Some(access) = &observed.access {
        for release in &observed.releases {
            let others = observe::other_renderings(&observed.releases, &release.prepared.name);
            let (prepared, rendered) = (&release.prepared, &release.rendered);
            let missing = missing_stores(&access.client, prepared, rendered, &others).await;
            missing
                .iter()
                .for_each(|error| ui::warning(error, context.format));
        }
    }
    let plan = Plan::of(&observed.facts);
    match context.format {
        Format::Json => ui::json(&plan)?,
        Format::Table => ui::out(&plan_table(&plan))?,
    }
    Ok(Exit::Ok)
}

fn plan_table(plan: &Plan) -> String {
    let rows = |step: &PlannedStep| {
        let mark = if step.skip { "skip" } else { "do" };
        let row = vec![mark.to_owned(), step.id.clone(), step.why.clone()];
        let pulls = step
            .pulls
            .iter()
            .map(|image| format!("`{image}` is pulled"));
        let more = step.changes.iter().cloned().chain(pulls);
        let more = more.map(|text| vec![String::new(), String::new(), text]);
        std::iter::once(row).chain(more.collect::<Vec<_>>())
    };
    let images = plan.images.iter().map(|image| {
        let name = image.image.iter().map(|name| format!(" (`{name}`)"));
        let from = format!("{}{}", image.from.told(), name.collect::<String>());
        vec!["image".to_owned(), image.reference.clone(), from]
    });
    ui::table(
        &plan
            .steps
            .iter()
            .flat_map(rows)
            .chain(images)
            .collect::<Vec<_>>(),
    )
}

/// How an `up` went on.
pub(super) enum UpHeard {
    Settled {
        outcome: Box<Outcome>,
        session_stays: bool,
    },
    /// Ctrl-C, or the session was ended by `devk down`.
    Stopped { by_us: bool },
    /// The session is gone without a word.
    Lost,
}

/// Asks the session for `up`, with `restart` a new session, and shows its events.
///
/// # Errors
/// Every problem because of which `up` did not start; a failed step is no error but exit code 1.
pub async fn run(
    context: &Context,
    options: UpOptions,
    recording: &Recording,
) -> Result<Exit, Errors> {
    limits::raise_files()?;
    let project = context.project()?;
    if options.restart {
        match refuse_anothers_session(&project, &context.paths).await {
            // Of an older devk, say, which is what is to be replaced.
            Err(error) if error.code == Code::SessionLost => {}
            asked => asked?,
        }
        drop(client::end(&context.paths, &project.id).await?);
    }
    let mut view = View::of(context.format);
    before::begin(context, &project, options.sleep_others, &mut view).await?;
    // Before the session starts: a session whose client goes without notice would wait for another client.
    let mut ctrl_c = signal(SignalKind::interrupt())
        .map_err(|e| Error::new(Code::Internal, format!("Ctrl-C cannot be waited for: {e}")))?;
    let mut installed = InstalledReleases::default();
    let mut show = |event: &Event| {
        installed.see(event);
        view.event(event)
    };
    let asked = ask(context, &project.id, options, &mut show, &mut ctrl_c).await?;
    let Some((mut connection, heard)) = asked else {
        return Ok(Exit::Interrupted);
    };
    let (outcome, session_stays) = match heard {
        UpHeard::Settled {
            outcome,
            session_stays,
        } => (outcome, session_stays),
        UpHeard::Stopped { by_us } => {
            if by_us {
                leave(context, &project.id, connection, &mut view, &mut ctrl_c).await?;
            }
            return Ok(Exit::Interrupted);
        }
        UpHeard::Lost => return Err(lost(context, &project.id).into()),
    };
    recording.settled(&outcome);
    let printed = summary(context.format, &outcome);
    installed.see_edits(context, &project);
    match options.lifetime {
        Lifetime::Attached if printed.is_ok() => {
            if context.format == Format::Table {
                ui::err(ctrl_c_does(session_stays));
            }
            let shown = (&mut view, installed);
            if stay(context, &project, &mut connection, shown, &mut ctrl_c).await? {
                leave(context, &project.id, connection, &mut view, &mut ctrl_c).await?;
            }
            return Ok(Exit::Ok);
        }
        Lifetime::Detached => {}
        // When `--once` returns, the ports are free. A client whose output nobody reads ends.
        Lifetime::Once | Lifetime::Attached => {
            leave(context, &project.id, connection, &mut view, &mut ctrl_c).await?;
        }
    }
    let environment = Environment::of_process();
    let stopped = ctrl_c.recv();
    installed
        .judge_in_passing(context, &project, &environment, stopped)
        .await;
    ui::even_unread(printed)?;
    Ok(if outcome.ready {
        Exit::Ok
    } else {
        Exit::Failed
    })
}

/// Asks for `up` until it has settled. A session that was just ending when it was asked is asked for
/// again, once. None: Ctrl-C, before anybody was asked.
pub(super) async fn ask(
    context: &Context,
    id: &str,
    options: UpOptions,
    show: &mut impl FnMut(&Event) -> Result<()>,
    ctrl_c: &mut Signal,
) -> Result<Option<(Connection, UpHeard)>, Errors> {
    let mut again = true;
    let waiting = || match context.format {
        Format::Table => ui::err(&format!("waiting for another devk that ends `{id}`\n")),
        Format::Json => {}
    };
    loop {
        let mut connection = tokio::select! {
            connection = client::running_or_started(&context.paths, id, waiting) => connection?,
            _ = ctrl_c.recv() => return Ok(None),
        };
        let source = context.source.clone();
        let environment = Environment::of_process();
        let request = Request::Up {
            source,
            lifetime: options.lifetime,
            bridge: options.bridge,
            sleep_others: options.sleep_others,
            environment,
            build: Build::own(),
        };
        // If the request cannot be sent, the read below sees the end of the connection.
        let _ = connection.write.send(&request).await;
        let mut answered = false;
        let even_unread = |event: &Event| ui::even_unread(show(event));
        let heard = tokio::select! {
            heard = await_outcome(&mut connection, even_unread, &mut answered) => heard?,
            _ = ctrl_c.recv() => UpHeard::Stopped { by_us: true },
        };
        let was_ending =
            !answered && matches!(heard, UpHeard::Lost | UpHeard::Stopped { by_us: false });
        if !(again && was_ending) {
            return Ok(Some((connection, heard)));
        }
        again = false;
        tokio::select! {
            ended = client::ended(&context.paths, id) => ended?,
            _ = ctrl_c.recv() => return Ok(None),
        }
    }
}

/// Shows events until the outcome. `answered` becomes true when the session has begun to work.
async fn await_outcome(
    connection: &mut Connection,
    mut show: impl FnMut(&Event) -> Result<()>,
    answered: &mut bool,
) -> Result<UpHeard, Errors> {
    loop {
        match connection.read.next().await? {
            Some(Reply::Event { event }) => {
                *answered = true;
                show(&event)?;
            }
            Some(Reply::Settled {
                outcome,
                session_stays,
            }) => {
                return Ok(UpHeard::Settled {
                    outcome: Box::new(outcome),
                    session_stays,
                });
            }
            Some(Reply::Refused { errors }) => return Err(errors),
            Some(Reply::Status { .. } | Reply::Verified { .. } | Reply::Live { .. }) => {}
            Some(Reply::Left { .. }) => return Ok(UpHeard::Stopped { by_us: false }),
            None => return Ok(UpHeard::Lost),
        }
    }
}

const fn ctrl_c_does(session_stays: bool) -> &'static str {
    if session_stays {
        "logs follow; Ctrl-C ends this view, and the session goes on until `devk down`\n"
    } else {
        "logs follow; Ctrl-C ends the session and leaves the cluster running\n"
    }
}

/// Shows logs and events until Ctrl-C or until nobody reads them (then true), or until `devk down` ends the session.
async fn stay(
    context: &Context,
    project: &crate::config::Project,
    connection: &mut Connection,
    (view, installed): (&mut View, InstalledReleases),
    ctrl_c: &mut Signal,
) -> Result<bool, Errors> {
    let mut answered = true;
    let (seen, names) = mpsc::unbounded_channel();
    let show = |event: &Event| {
        if let Some(name) = score::installed(event) {
            // Nobody judges once the view has ended.
            let _ = seen.send(name.to_owned());
        }
        view.event(event)
    };
    let ended = tokio::select! {
        ended = await_outcome(connection, show, &mut answered) => ended.and_then(|heard| match heard {
            UpHeard::Lost => Err(lost(context, &project.id).into()),
            _ => Ok(false),
        }),
        () = installed.follow(names, context, project) => Ok(false),
        error = logs::follow_all(context, project), if context.format == Format::Table => Err(error.into()),
        _ = ctrl_c.recv() => Ok(true),
    };
    match ended {
        Err(errors) if errors.is_unread() => Ok(true),
        ended => ended,
    }
}

/// Takes leave, and waits for the end of the session if it ends with this client. A second Ctrl-C
/// does not wait.
pub(super) async fn leave(
    context: &Context,
    id: &str,
    mut connection: Connection,
    view: &mut View,
    ctrl_c: &mut Signal,
) -> Result<()> {
    let bye = async {
        // A session that is gone needs no notice.
        let _ = connection.write.send(&Request::Leave).await;
        loop {
            match connection.read.next().await? {
                // Every step that was at work ends with an event.
                Some(Reply::Event { event }) => ui::even_unread(view.event(&event))?,
                Some(Reply::Left {
                    session_ends: false,
                }) => return Ok("the session goes on; `devk down` ends it\n"),
                Some(Reply::Left { session_ends: true }) | None => break,
                Some(_) => {}
            }
        }
        client::ended(&context.paths, id).await?;
        Ok("session ended; the cluster is left running, `devk down` stops it\n")
    };
    let said = tokio::select! {
        said = tokio::time::timeout(Duration::from_secs(15), bye) => said.unwrap_or(Ok("the session is slow to end\n"))?,
        _ = ctrl_c.recv() => return Ok(()),
    };
    if context.format == Format::Table {
        ui::err(said);
    }
    Ok(())
}

pub(super) fn lost(context: &Context, id: &str) -> Error {
    let log = context.paths.project(id).join("supervisor.log");
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    Error::new(Code::SessionLost, "the session ended without an answer")
        .evidence(last_lines(&text, 20))
        .hint("devk up")
}
