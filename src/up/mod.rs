//! Executes a plan: every step reports how it ended, a failure stops only what depends on it.

pub mod bridge;
pub mod graph;
mod image_gc;
mod run;

use std::collections::BTreeSet;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::bridge::Bridging;
use crate::bridge::record::{self, Record};
use crate::cluster::{self};
use crate::compose::Stack;
use crate::config::{Project, Source};
use crate::environment::Environment;
use crate::error::{Code, Error, Errors, Result};
use crate::observe::{self, Observed};
use crate::paths::Paths;
use crate::plan::Plan;
use crate::ports::{Forward, Leases, Lessee};
use crate::session::Session;
use crate::session::change::Change;
use crate::session::outcome::Outcome;
use crate::ui::event::Reporter;
use run::Run;

/// A client's request to bring a project up.
#[derive(Debug, Clone)]
pub struct UpRequest {
    /// The project whose session it is.
    pub id: String,
    pub source: Source,
    pub bridging: Bridging,
    /// Every other project of this user on the cluster is to sleep first.
    pub sleep_others: bool,
    /// The client's environment.
    pub environment: Environment,
}

/// How often the port table is made again because another process took a port first. From the second time on, no other
/// devk can take one.
const MAX_HOLD_RETRIES: u32 = 3;

/// The parts of an `up` that a newer change or request ends. A write to the cluster that has begun is completed, and no
/// further write begins.
#[derive(Debug, Default)]
pub struct Overtaken {
    /// Builds and loads.
    pub builds: CancellationToken,
    /// Waiting for what the cluster makes of a release.
    pub waits: CancellationToken,
}

impl Overtaken {
    /// Ends all of these parts.
    pub fn all(&self) {
        self.builds.cancel();
        self.waits.cancel();
    }
}

/// Brings the project up, or finds that it is up. devk changes nothing before the plan is complete and every listener
/// is bound. With `changes`, only the images that they concern are looked at: every other image keeps its reference,
/// and so its containers with all synced files. None: every image is looked at.
///
/// # Errors
/// Everything that prevents the plan. A step that fails later is part of the outcome.
pub async fn up(
    session: &mut Session,
    paths: &Paths,
    request: &UpRequest,
    changes: Option<&BTreeSet<Change>>,
    overtaken: &Overtaken,
) -> Result<Outcome, Errors> {
    let since = Instant::now();
    session.look_anew(changes);
    session.finished().await;
    let (mut project, compose) = session
        .read(&request.source, paths, &request.environment)
        .await?;
    if project.id != request.id {
        return Err(other_project(&project, &request.id).into());
    }
    cluster::resolve_provider(&mut project.cluster, paths, &request.environment);
    loop {
        let mut observed =
            observe_and_hold(session, paths, (&project, compose.clone()), request).await?;
        // A save later on puts nobody to sleep.
        observed.facts.sleep_others = request.sleep_others && changes.is_none();
        let unfollowed = follow(session, &project, &observed).await;
        let run = Run::new(&project, paths, &observed, session, overtaken);
        let mut unmet = run.execute(&Plan::of(&observed.facts)).await;
        if run.is_to_be_planned_anew() {
            continue;
        }
        unmet.failed.splice(0..0, unfollowed);
        let outcome = run.outcome(unmet, since);
        let superseded = run.superseded(&outcome);
        if outcome.ready || !overtaken.waits.is_cancelled() {
            session.record_outcome(outcome.clone());
        }
        session.warm_layer_cache();
        if let Some(superseded) = superseded {
            session.finish_later(superseded.remove());
        }
        return Ok(outcome);
    }
}

/// Observes everything, opens every listener and leases its port. If another process takes one of the ports in between,
/// such as a second worktree that comes up at the same moment, the next attempt sees that process.
async fn observe_and_hold(
    session: &mut Session,
    paths: &Paths,
    (project, compose): (&Project, Stack),
    UpRequest {
        environment,
        bridging,
        ..
    }: &UpRequest,
) -> Result<Observed, Errors> {
    let leases = Leases::open(&paths.state);
    let mut again = MAX_HOLD_RETRIES;
    let mut opening = None;
    loop {
        let observed = observe::observe(
            project,
            compose.clone(),
            paths,
            &session.own(),
            environment,
            *bridging,
        )
        .await?;
        let alone = match opening.take() {
            Some(alone) => alone,
            None => leases.opening().await?,
        };
        match hold(session, &leases, project, &observed).await {
            Err(errors)
                if again > 0 && errors.0.iter().all(|error| error.code == Code::PortHeld) =>
            {
                again -= 1;
                // Hold the lock while observing again: otherwise concurrent `up`s lose the race every time.
                opening = Some(alone);
            }
            held => return held.map(|()| observed),
        }
    }
}

/// Starts to watch the working tree, before anything is built, so that no change is missed. Returns the steps that
/// failed.
async fn follow(session: &mut Session, project: &Project, observed: &Observed) -> Vec<String> {
    let reporter = session.reporter.clone();
    session.images = observed.images.clone();
    let mut failed = vec![];
    let mut tell = |id: String, followed: Result<()>| {
        if let Err(error) = followed {
            reporter.start(&id, "").failed(error);
            failed.push(id);
        }
    };
    tell(
        "watch/inputs".to_owned(),
        session
            .follow_inputs(project, observed.compose.as_ref())
            .await,
    );
    for (image, followed) in session
        .syncing
        .follow(
            &observed.engine.docker,
            &project.id,
            &observed.images,
            &observed.releases,
        )
        .await
    {
        tell(format!("watch/{image}"), followed);
    }
    failed
}

/// The record of the bridge. A record that cannot be read is a failed step and stops nothing, since all other steps
/// have ended.
fn recorded(
    reporter: &Reporter,
    paths: &Paths,
    id: &str,
    failed: &mut Vec<String>,
) -> Option<Record> {
    record::load(&paths.project(id)).unwrap_or_else(|error| {
        let step = reporter.start("bridge.record", "");
        failed.push(step.id().to_owned());
        step.failed(error);
        None
    })
}

async fn hold(
    session: &mut Session,
    leases: &Leases,
    project: &Project,
    observed: &Observed,
) -> Result<(), Errors> {
    session.hold(&observed.facts.forwards).await?;
    session.show_root(&project.root);
    Ok(leases.save(&Lessee::from(project), &rows(observed))?)
}

fn rows(observed: &Observed) -> Vec<Forward> {
    observed
        .facts
        .forwards
        .iter()
        .map(|fact| fact.forward.clone())
        .collect()
}

/// A session belongs to one project, as do its lock, its ports and its namespace.
fn other_project(now: &Project, id: &str) -> Error {
    let message = format!(
        "devk.yaml names project `{}` now, and this session is that of `{id}`",
        now.id
    );
    Error::new(Code::SessionProject, message)
        .at(&now.file, None)
        .evidence(format!("the stack of `{id}` keeps running unchanged"))
        .hint(format!(
            "devk up -d    # a session of its own for `{}`",
            now.id
        ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_record_that_cannot_be_read_is_a_failed_step_and_no_end_of_all_that_was_done() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::below(dir.path());
        let reporter = Reporter::default();
        let mut failed = vec![];
        let mut events = reporter.subscribe();
        assert_eq!(recorded(&reporter, &paths, "shop", &mut failed), None);
        assert!(failed.is_empty(), "there is none");
        std::fs::create_dir_all(paths.project("shop").join("bridge.json")).unwrap();
        assert_eq!(recorded(&reporter, &paths, "shop", &mut failed), None);
        assert_eq!(failed, ["bridge.record"]);
        let ended = events.recv().await.and(events.recv().await).unwrap();
        assert_eq!(ended.error.unwrap().code, Code::StateIo);
    }
}
