//! `devk down`.

use super::Context;
use crate::bridge::record::{self, Record};
use crate::cluster::ManagedCluster;
use crate::daemon::client;
use crate::docker;
use crate::down::{Down, Ending, refuse_anothers};
use crate::environment::Environment;
use crate::error::{Errors, Exit, Result};
use crate::ui::event::Reporter;
use crate::ui::{self, Format, View};

/// Ends the session and stops the stack; with `delete` removes it.
///
/// # Errors
/// Whatever could not be stopped or removed.
pub async fn run(context: &Context, delete: bool) -> Result<Exit, Errors> {
    let project = context.running_project()?;
    // A session can be ended without Docker.
    let engine = docker::connect(&Environment::of_process()).await;
    if let Ok(engine) = &engine {
        let cluster = ManagedCluster::of(engine, &project.cluster, &context.paths);
        refuse_anothers(&cluster, &project, &context.paths).await?;
    }
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
    let mut view = View::of(context.format);
    let down = Down {
        project: &project,
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
    report(
        context.format,
        &project.id,
        delete,
        &ending,
        bridge.as_ref(),
    )?;
    Ok(Exit::Ok)
}

fn report(
    format: Format,
    project: &str,
    delete: bool,
    ending: &Ending,
    bridge: Option<&Record>,
) -> Result<()> {
    if format == Format::Json {
        return ui::json(&serde_json::json!({
            "version": 1, "project": project, "ending": ending, "deleted": delete, "bridge": bridge,
        }));
    }
    let what = match ending {
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
    ui::out(&format!("`{project}` is down: {what}\n"))?;
    match bridge {
        Some(bridge) => ui::out(&format!("{}\n", bridge.stays())),
        None => Ok(()),
    }
}
