//! `devk down`.

use serde::Serialize;

use super::Context;
use crate::bridge::record::{self, Record};
use crate::cluster::ManagedCluster;
use crate::config::Project;
use crate::daemon::client;
use crate::docker;
use crate::down::{Down, Ending, refuse_anothers};
use crate::environment::Environment;
use crate::error::{Errors, Exit, Result};
use crate::ui::event::Reporter;
use crate::ui::{self, Format, View};

/// How the stack of one project ended.
#[derive(Debug, Serialize)]
pub(super) struct EndedStack {
    project: String,
    ending: Ending,
    deleted: bool,
    /// Compose's database that it used, which stays.
    bridge: Option<Record>,
}

/// The contract of `devk down --format json`.
#[derive(Serialize)]
struct DownDocument<'a> {
    version: u32,
    #[serde(flatten)]
    ended: &'a EndedStack,
}

/// Ends the session and stops the stack; with `delete` removes it.
///
/// # Errors
/// Whatever could not be stopped or removed.
pub async fn run(context: &Context, delete: bool) -> Result<Exit, Errors> {
    let project = context.running_project()?;
    let mut view = View::of(context.format);
    let ended = end(context, &project, delete, &mut view).await?;
    match context.format {
        Format::Json => {
            let ended = &ended;
            ui::json(&DownDocument { version: 1, ended })?;
        }
        Format::Table => ui::out(&ended.text())?,
    }
    Ok(Exit::Ok)
}

/// Ends the session of a project and stops its stack; with `delete` removes it. Without the Engine the session ends all
/// the same.
///
/// # Errors
/// Whatever could not be stopped or removed.
pub(super) async fn end(
    context: &Context,
    project: &Project,
    delete: bool,
    view: &mut View,
) -> Result<EndedStack, Errors> {
    // A session can be ended without Docker.
    let engine = docker::connect(&Environment::of_process()).await;
    let engines = engine.as_ref().ok();
    let cluster =
        engines.map(|engine| ManagedCluster::of(engine, &project.cluster, &context.paths));
    refuse_anothers(cluster.as_ref(), project, &context.paths).await?;
    // No other session may start until everything has ended: nothing would clean up its state and listeners.
    let _locked_out = client::end(&context.paths, &project.id).await?;
    let engine = engine?;
    let cluster = ManagedCluster::of(&engine, &project.cluster, &context.paths);
    if delete && context.format == Format::Table {
        ui::err(&format!(
            "removing `{}`: releases, volumes, namespace, secrets, lease, images; ",
            project.id
        ));
        ui::err(&format!(
            "the cluster `{}` too if devk made it and nobody else lives there\n",
            project.cluster.name
        ));
    }
    // `--delete` removes it with the rest of the project's state.
    let bridge = record::load(&context.paths.project(&project.id))?;
    let reporter = Reporter::default();
    let events = reporter.subscribe();
    let down = Down {
        project,
        paths: &context.paths,
        engine: &engine,
        cluster,
        reporter,
    };
    let work = async {
        let ending = down.run(delete).await;
        // Its reporter closes the stream of events.
        drop(down);
        ending
    };
    let (ending, shown) = view.during(events, work).await;
    let ending = ending?;
    shown?;
    Ok(EndedStack {
        project: project.id.clone(),
        ending,
        deleted: delete,
        bridge,
    })
}

impl EndedStack {
    /// The same for people.
    pub(super) fn text(&self) -> String {
        let what = match &self.ending {
            Ending::Nothing => "nothing of it was running".to_owned(),
            Ending::StopCluster => "its cluster is stopped; the data stays".to_owned(),
            Ending::Sleep { because } => {
                format!("its workloads are scaled to zero, as {because}; the data stays")
            }
            Ending::DeleteCluster => "it and its cluster are removed".to_owned(),
            Ending::DeleteNamespace { because } => {
                format!("it is removed and the cluster left, as {because}")
            }
        };
        let bridge = self.bridge.as_ref();
        let stays = bridge.map(|bridge| format!("{}\n", bridge.stays()));
        format!(
            "`{}` is down: {what}\n{}",
            self.project,
            stays.unwrap_or_default()
        )
    }
}
