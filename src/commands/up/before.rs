//! Before a session is asked for an `up`: says whether memory is short, and ends the sessions of the projects that are to
//! sleep. What of the latter runs in the cluster the session itself puts to sleep, once the cluster runs.

use crate::commands::Context;
use crate::config::Project;
use crate::daemon::client;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::inventory::{
    self, Neighbour, PATIENCE, PlacedProject, ProjectLook, Workloads, look_at, placed,
};
use crate::memory;
use crate::ports::Lessee;
use crate::ui::View;
use crate::ui::event::Reporter;

/// With more than this free nobody is asked what the others use.
const PLENTY: u64 = 8 << 30;

/// # Errors
/// Those of the output; no problem here keeps an `up` from starting.
pub(super) async fn begin(
    context: &Context,
    project: &Project,
    sleep_others: bool,
    view: &mut View,
) -> Result<()> {
    let reporter = Reporter::default();
    let events = reporter.subscribe();
    let work = async {
        match sleep_others {
            true => end_other_sessions(context, project, &reporter).await,
            false => tell_of_memory(context, project, &reporter).await,
        }
        // It closes the stream of events.
        drop(reporter);
    };
    view.during(events, work).await.1
}

async fn tell_of_memory(context: &Context, project: &Project, reporter: &Reporter) {
    let short = memory::available().filter(|available| *available < PLENTY);
    let Some(available) = short else { return };
    if let Some(error) = shortage(context, project, available).await {
        let step = reporter.start("machine.memory", "one more stack");
        step.trouble(error);
        step.skip("`up` goes on all the same");
    }
}

/// What a project that is awake uses, it has already.
async fn shortage(context: &Context, project: &Project, available: u64) -> Option<Error> {
    if let Ok(Some(_)) = client::status(&context.paths, &project.id).await {
        return None;
    }
    let environment = Environment::of_process();
    let own = Lessee::from(project);
    let on_cluster = others(context, project, &environment);
    let mut projects: Vec<_> = on_cluster.into_iter().map(|(other, _)| other).collect();
    let siblings: Vec<_> = projects
        .iter()
        .map(|other| is_sibling(other, project))
        .collect();
    projects.push(PlacedProject {
        lessee: own,
        ports: vec![],
        project: Some(project.clone()),
    });
    // Others count where this project is to run.
    let cluster = std::iter::once(project.cluster.clone());
    let clusters = look_at(cluster, &context.paths, &environment, PATIENCE).await;
    let mut looks = ProjectLook::of_all(&projects, &clusters, &context.paths, PATIENCE).await;
    if looks.pop()?.workloads == Workloads::Awake {
        return None;
    }
    let neighbours = projects.into_iter().zip(siblings).zip(looks);
    let neighbours = neighbours.filter_map(|((other, is_sibling), look)| {
        let awake = look.pods.filter(|_| look.workloads == Workloads::Awake)?;
        Some(Neighbour {
            id: other.lessee.project,
            root: other.lessee.root,
            is_sibling,
            memory_bytes: awake.memory_bytes?,
        })
    });
    inventory::shortage(available, neighbours.collect())
}

/// Worktrees of one repository have one name in devk.yaml.
fn is_sibling(other: &PlacedProject, project: &Project) -> bool {
    let other = other.project.as_ref();
    other.is_some_and(|other| other.name == project.name)
}

/// The other projects of this user on the same cluster, and whether devk.yaml says that they are there. Where it says
/// nothing they may be there.
fn others(
    context: &Context,
    project: &Project,
    environment: &Environment,
) -> Vec<(PlacedProject, bool)> {
    let all = placed(&context.paths, environment).unwrap_or_default();
    let folder = project.cluster.folder();
    let place = |other: PlacedProject| match other.cluster().map(|cluster| cluster.folder()) {
        Some(named) if named != folder => None,
        named => Some((other, named.is_some())),
    };
    let others = all
        .into_iter()
        .filter(|other| other.lessee.project != project.id);
    others.filter_map(place).collect()
}

/// A session would wake its project with the next save that has to be built.
async fn end_other_sessions(context: &Context, project: &Project, reporter: &Reporter) {
    for (other, is_here) in others(context, project, &Environment::of_process()) {
        let id = other.lessee.project.as_str();
        let Ok(Some(session)) = client::status(&context.paths, id).await else {
            continue;
        };
        let outcome = session.outcome.as_ref();
        let was_here = outcome.is_some_and(|outcome| outcome.cluster == project.cluster.name);
        if !(is_here || was_here) {
            continue;
        }
        let why = format!("`{id}` is to sleep; `devk up` there wakes it");
        let step = reporter.start(format!("session.end/{id}"), why);
        match client::end(&context.paths, id).await {
            Ok(_locked_out) => step.done(""),
            Err(error) => step.failed(error),
        }
    }
}
