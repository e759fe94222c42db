//! Executes a plan: every step reports how it ended, a failure stops only what depends on it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::{OnceCell, watch};
use tokio_util::sync::CancellationToken;

use crate::bridge::record::{self, Record};
use crate::bridge::service::{self, Lead};
use crate::bridge::{Bridge, Bridging, steps};
use crate::cluster::{self, Access, namespace, sleep};
use crate::config::{Project, ReleaseConfig, Source};
use crate::environment::Environment;
use crate::error::{Code, Error, Errors, Result, internal};
use crate::graph::{self, Verdict};
use crate::image;
use crate::observe::{self, Observed, Own};
use crate::paths::Paths;
use crate::plan::{Action, ClusterFact, ForwardFact, Plan, PlannedStep};
use crate::ports::{Forward, Leases, Lessee};
use crate::release::helm::Target;
use crate::release::readiness::wait_ready;
use crate::session::control::{Built, Outcome};
use crate::session::target::{Snapshot, choose};
use crate::session::{self, Session};
use crate::superseded::Superseded;
use crate::ui::event::{Reporter, Step};

/// How long a Service may have no Ready pod after its release has become ready.
const ENDPOINT_GRACE: Duration = Duration::from_secs(10);

/// A client's request to bring a project up.
#[derive(Debug, Clone)]
pub struct UpRequest {
    /// The project whose session it is.
    pub id: String,
    pub source: Source,
    pub bridging: Bridging,
    /// The client's.
    pub environment: Environment,
}

/// How often the table is made anew because somebody else was quicker: the second time no other devk can be.
const HOLD_ANEW: u32 = 3;

/// Brings the project up, or finds that it is. Nothing is touched before the plan is whole and every
/// listener is bound. Builds and loads end when they are `stale`.
///
/// # Errors
/// Everything that keeps the plan from being made. A step that fails later is part of the outcome.
pub async fn up(
    session: &mut Session,
    paths: &Paths,
    request: &UpRequest,
    stale: &CancellationToken,
) -> Result<Outcome, Errors> {
    let since = Instant::now();
    session.finished().await;
    let mut project = session
        .read(&request.source, paths, &request.environment)
        .await?;
    if project.id != request.id {
        return Err(other_project(&project, &request.id).into());
    }
    cluster::settle(&mut project.cluster, paths, &request.environment);
    let observed = observe_and_hold(session, paths, &project, request).await?;
    let unfollowed = follow(session, &project, &observed).await;
    let run = Run::new(&project, paths, &observed, session, stale);
    let mut failed = run.execute(&Plan::of(&observed.facts)).await;
    failed.splice(0..0, unfollowed);
    let outcome = run.outcome(failed, since);
    let superseded = run.superseded(&outcome);
    session.settle(outcome.clone());
    session.learn_images();
    if let Some(superseded) = superseded {
        session.finish_later(superseded.remove());
    }
    Ok(outcome)
}

/// Looks at everything, opens every listener and leases its port. Whoever takes one of the ports in
/// between, such as a second worktree that is brought up at the same moment, is seen the next time.
async fn observe_and_hold(
    session: &mut Session,
    paths: &Paths,
    project: &Project,
    UpRequest {
        environment,
        bridging,
        ..
    }: &UpRequest,
) -> Result<Observed, Errors> {
    let leases = Leases::open(&paths.state);
    let mut again = HOLD_ANEW;
    let mut opening = None;
    loop {
        let observed = observe::observe(
            project,
            paths,
            &Own(session.ports()),
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
                // Kept while it looks again: of many that come up at once each would be too late each time.
                opening = Some(alone);
            }
            held => return held.map(|()| observed),
        }
    }
}

/// Follows the working tree from now on: before anything is built, so that no change falls between. The answer is
/// the steps that failed.
async fn follow(session: &mut Session, project: &Project, observed: &Observed) -> Vec<String> {
    let reporter = session.reporter.clone();
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
        .follow(&project.id, &observed.images, &observed.releases)
        .await
    {
        tell(format!("watch/{image}"), followed);
    }
    failed
}

/// The record of the bridge. All else is done by now: one that cannot be read is a step that failed, and no more.
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

/// One execution of one plan.
struct Run<'a> {
    project: &'a Project,
    paths: &'a Paths,
    observed: &'a Observed,
    session: &'a Session,
    reporter: Reporter,
    /// Set when the cluster may be written to.
    access: OnceCell<Access>,
    pods: watch::Receiver<Snapshot>,
    /// Release -> whether it became ready.
    ready: watch::Sender<BTreeMap<String, bool>>,
    /// Step -> milliseconds of work.
    worked: watch::Sender<BTreeMap<String, u64>>,
    /// Where devk's Service leads, once it does.
    lead: watch::Sender<Option<Lead>>,
    /// Cancelled when what is built is out of date.
    stale: &'a CancellationToken,
}

impl<'a> Run<'a> {
    fn new(
        project: &'a Project,
        paths: &'a Paths,
        observed: &'a Observed,
        session: &'a mut Session,
        stale: &'a CancellationToken,
    ) -> Self {
        let pods = session.pods(&project.id);
        if let Some(access) = &observed.access {
            session.lead_to(&observed.engine.docker, access);
        }
        Self {
            project,
            paths,
            observed,
            reporter: session.reporter.clone(),
            // Else the step for the cluster sets it.
            access: OnceCell::new_with(
                observed
                    .access
                    .clone()
                    .filter(|_| observed.facts.cluster == ClusterFact::Ready),
            ),
            session,
            pods,
            ready: watch::Sender::default(),
            worked: watch::Sender::default(),
            lead: watch::Sender::default(),
            stale,
        }
    }

    /// The answer is the steps that failed, in the plan's order.
    async fn execute(&self, plan: &Plan) -> Vec<String> {
        let nodes: Vec<_> = plan
            .steps
            .iter()
            .map(|step| (step.id.clone(), step.needs.clone()))
            .collect();
        let step = |id: &str| plan.steps.iter().find(|step| step.id == id);
        let run = |id: String| async move {
            match step(&id) {
                Some(step) => self.step(step).await,
                None => false,
            }
        };
        let blocked = |id: &str, need: &str| {
            if let Some(step) = step(id) {
                self.end(&step.action, false);
            }
            self.reporter
                .skipped(id, format!("`{need}` did not end well"));
        };
        let verdicts = graph::run(&nodes, run, blocked).await;
        // What is blocked by a failure is no failure of its own.
        let ids = plan.steps.iter().map(|step| step.id.clone());
        ids.filter(|id| verdicts.get(id) == Some(&Verdict::Failed))
            .collect()
    }

    /// What it came to. `since` is when it began.
    fn outcome(&self, mut failed: Vec<String>, since: Instant) -> Outcome {
        let Self {
            project,
            paths,
            observed,
            reporter,
            ..
        } = self;
        let bridge = observed
            .bridge
            .as_ref()
            .and_then(|_| recorded(reporter, paths, &project.id, &mut failed));
        Outcome {
            ready: failed.is_empty(),
            project: project.id.clone(),
            cluster: project.cluster.name.clone(),
            images: observed.images.iter().map(built).collect(),
            forwards: rows(observed),
            left_out: observed.facts.left_out.clone(),
            bridge,
            ms: millis(since.elapsed()),
            steps_ms: self.worked.borrow().values().sum(),
            failed,
        }
    }

    async fn step(&self, planned: &PlannedStep) -> bool {
        if planned.skip {
            self.reporter.skipped(&planned.id, &planned.why);
            return true;
        }
        let since = Instant::now();
        let step = self.reporter.start(&planned.id, &planned.why);
        let result = self.act(&planned.action, &step).await;
        if !matches!(planned.action, Action::Open { .. }) {
            self.worked.send_modify(|worked| {
                worked.insert(planned.id.clone(), millis(since.elapsed()));
            });
        }
        let is_ok = result.is_ok();
        match result {
            Ok(Done::Worked(detail)) => step.done(detail),
            Ok(Done::Nothing(why)) => step.skip(why),
            Err(error) => step.failed(error),
        }
        self.end(&planned.action, is_ok);
        is_ok
    }

    /// Tells the forwards of a release what became of it.
    fn end(&self, action: &Action, is_ok: bool) {
        if let Action::Ready { release } = action {
            self.ready.send_modify(|ready| {
                ready.insert(release.clone(), is_ok);
            });
        }
    }

    async fn act(&self, action: &Action, step: &Step) -> Result<Done> {
        match action {
            Action::Cluster => self.cluster(step).await,
            Action::Build { image } => self.unless_stale(self.build(image, step)).await,
            Action::Load { reference } => self.unless_stale(self.load(reference, step)).await,
            Action::Apply { release } => self.apply(release, step).await,
            Action::Ready { release } => self.ready(release, step).await,
            Action::Open { forward } => self.open(forward).await,
            Action::BridgeDatabase => steps::database(self.bridge()?, step)
                .await
                .map(Done::Worked),
            Action::BridgeService => self.lead().await,
            Action::BridgeProbe => self.probe(step).await,
            Action::BridgeRemove => self.unbridge().await,
        }
    }

    fn bridge(&self) -> Result<&Bridge> {
        self.observed
            .bridge
            .as_ref()
            .ok_or_else(|| unplanned("bridge"))
    }

    async fn lead(&self) -> Result<Done> {
        let bridge = self.bridge()?;
        let access = self.access()?;
        let id = self.project.id.as_str();
        namespace::ensure(&access.client, id, &self.observed.owner).await?;
        let (lead, changed) =
            steps::lead(bridge, &self.observed.cluster, access, self.session, id).await?;
        record::save(&self.paths.project(id), &steps::record(bridge, lead))?;
        self.lead.send_replace(Some(lead));
        let how = if bridge.relay {
            "devk's relay"
        } else {
            "Compose's own port"
        };
        let said = format!(
            "{} → {}:{}, {how}",
            service::host(id),
            lead.address,
            lead.target
        );
        Ok(if changed {
            Done::Worked(said)
        } else {
            Done::Nothing(said)
        })
    }

    async fn probe(&self, step: &Step) -> Result<Done> {
        let lead = self
            .lead
            .borrow()
            .ok_or_else(|| unplanned("bridge.service"))?;
        steps::probe(
            self.bridge()?,
            &self.observed.engine,
            self.access()?,
            lead,
            step,
        )
        .await
        .map(Done::Worked)
    }

    async fn unbridge(&self) -> Result<Done> {
        let (id, state) = (&self.project.id, self.paths.project(&self.project.id));
        steps::remove(self.access()?, self.session, id, &state)
            .await
            .map(Done::Worked)
    }

    /// The images that this run replaced. None if it built and loaded nothing, or if something may need older ones: a
    /// release that failed, or one that devk.yaml does not name any more, which is known of a cluster that ran before.
    fn superseded(&self, outcome: &Outcome) -> Option<Superseded> {
        let is_new = self
            .worked
            .borrow()
            .keys()
            .any(|step| step.starts_with("image."));
        let access = self
            .observed
            .access
            .as_ref()
            .filter(|_| is_new && outcome.ready)?;
        self.observed
            .facts
            .left_over
            .is_empty()
            .then(|| Superseded {
                docker: self.observed.engine.docker.clone(),
                access: access.clone(),
                project: self.project.id.clone(),
                current: outcome
                    .images
                    .iter()
                    .map(|image| image.reference.clone())
                    .collect(),
            })
    }

    async fn cluster(&self, step: &Step) -> Result<Done> {
        let Observed {
            cluster,
            owner,
            engine,
            ..
        } = self.observed;
        let (turn, access) = cluster.ensure(step).await?;
        self.is_as_observed(&access)?;
        // In the same turn: from now on no `down` of another project finds the cluster empty, however long the images
        // take.
        namespace::ensure(&access.client, &self.project.id, owner).await?;
        drop(turn);
        self.session.lead_to(&engine.docker, &access);
        let nodes = access.nodes.len();
        // Nobody else sets it: the step runs once, and only where there was none.
        let _ = self.access.set(access);
        Ok(Done::Worked(format!(
            "cluster `{}` runs on {nodes} node(s)",
            self.project.cluster.name
        )))
    }

    /// What the nodes have, and so what is skipped, was seen on the cluster of that time.
    fn is_as_observed(&self, access: &Access) -> Result<()> {
        match &self.observed.access {
            Some(seen) if seen.pin.uid != access.pin.uid => {
                let text = format!(
                    "cluster `{}` was made anew while this was planned",
                    self.project.cluster.name
                );
                Err(Error::new(Code::ClusterPin, text).hint("devk up"))
            }
            _ => Ok(()),
        }
    }

    async fn unless_stale(&self, work: impl Future<Output = Result<Done>>) -> Result<Done> {
        let stale = || Error::new(Code::BuildStale, "a newer change makes it out of date");
        self.stale
            .run_until_cancelled(work)
            .await
            .unwrap_or_else(|| Err(stale()))
    }

    async fn build(&self, name: &str, step: &Step) -> Result<Done> {
        let Some(built) = self
            .observed
            .images
            .iter()
            .find(|built| built.target.name == name)
        else {
            return Err(unplanned(name));
        };
        image::build(
            &self.observed.engine,
            &self.project.id,
            &built.config,
            &built.args,
            &built.target,
            step,
        )
        .await?;
        Ok(Done::Worked(built.target.reference()))
    }

    async fn load(&self, reference: &str, step: &Step) -> Result<Done> {
        let access = self.access()?;
        let docker = &self.observed.engine.docker;
        let loader = self.session.loader(docker, &self.paths.cache).await?;
        let loads = access.nodes.iter().map(|node| async {
            if image::on_node(docker, &node.name)
                .await?
                .contains_key(&image::normalise(reference))
            {
                return Ok(None);
            }
            loader.load(&node.name, reference, step).await.map(Some)
        });
        let loaded: Vec<_> = futures::future::try_join_all(loads)
            .await?
            .into_iter()
            .flatten()
            .collect();
        Ok(match loaded.iter().max_by_key(|loaded| loaded.took) {
            None => Done::Nothing("every node has it".to_owned()),
            Some(slowest) => {
                Done::Worked(format!("verified on {} node(s); {slowest}", loaded.len()))
            }
        })
    }

    async fn apply(&self, name: &str, step: &Step) -> Result<Done> {
        let access = self.access()?;
        let (_, release) = self.release(name)?;
        namespace::ensure(&access.client, &self.project.id, &self.observed.owner).await?;
        // First, since hooks may need what sleeps, and since the numbers of the new chart must win.
        self.wake(access, step).await?;
        if self.observed.facts.cluster != ClusterFact::Ready
            && observe::standing(access, self.project, release).await?.0
        {
            return Ok(Done::Nothing(
                "chart, values and images are unchanged".to_owned(),
            ));
        }
        let kubeconfig = self.observed.cluster.kubeconfig();
        let state = self.paths.project(&self.project.id);
        let target = Target {
            client: &access.client,
            kubeconfig: &kubeconfig,
            state: &state,
        };
        let revision = self
            .observed
            .helm
            .apply(&release.prepared, &target, step)
            .await?;
        Ok(Done::Worked(format!("revision {revision}")))
    }

    async fn ready(&self, name: &str, step: &Step) -> Result<Done> {
        let access = self.access()?;
        let (config, release) = self.release(name)?;
        // A release that is unchanged was not applied.
        self.wake(access, step).await?;
        let workloads = release.rendered.workloads(&self.project.id);
        wait_ready(
            &access.client,
            &self.project.id,
            &workloads,
            config.timeout,
            step,
        )
        .await?;
        Ok(Done::Worked(format!("{} workload(s)", workloads.len())))
    }

    async fn wake(&self, access: &Access, step: &Step) -> Result<()> {
        if namespace::is_asleep(&access.client, &self.project.id).await? {
            step.progress("waking the workloads");
            sleep::wake(&access.client, &self.project.id).await?;
        }
        Ok(())
    }

    async fn open(&self, name: &str) -> Result<Done> {
        let Some(fact) = self
            .observed
            .facts
            .forwards
            .iter()
            .find(|fact| fact.forward.name == name)
        else {
            return Err(unplanned(name));
        };
        let mut pods = self.pods.clone();
        let target = session::target(fact);
        tokio::select! {
            found = pods.wait_for(|snapshot| choose(snapshot, &target, &Default::default(), |_| true).is_some()) => {
                found.map_err(|_| no_pod(fact))?;
                Ok(Done::Worked(fact.forward.url.clone()))
            }
            ready = self.given_up(&fact.release) => match ready {
                true => Err(no_pod(fact)),
                // That is told already, and this is what follows from it.
                false => Ok(Done::Nothing(format!("`release.ready/{}` did not end well; it waits for a pod", fact.release))),
            },
        }
    }

    /// Ends when waiting for a release's pods has become pointless, with whether it has become ready.
    async fn given_up(&self, release: &str) -> bool {
        let mut ready = self.ready.subscribe();
        let verdict = ready
            .wait_for(|ready| ready.contains_key(release))
            .await
            .map(|ready| ready[release]);
        let is_ready = verdict.unwrap_or(false);
        if is_ready {
            tokio::time::sleep(ENDPOINT_GRACE).await;
        }
        is_ready
    }

    fn access(&self) -> Result<&Access> {
        self.access
            .get()
            .ok_or_else(|| Error::new(Code::ClusterUnreachable, "there is no cluster to work on"))
    }

    fn release(&self, name: &str) -> Result<(&ReleaseConfig, &observe::PreparedRelease)> {
        let config = self
            .project
            .releases
            .iter()
            .find(|release| release.name == name);
        let prepared = self
            .observed
            .releases
            .iter()
            .find(|release| release.prepared.name == name);
        config.zip(prepared).ok_or_else(|| unplanned(name))
    }
}

/// A session is one project's: its lock, its ports and its namespace are.
fn other_project(now: &Project, id: &str) -> Error {
    let message = format!(
        "devk.yaml is project `{}` now, and this is the session of `{id}`",
        now.id
    );
    Error::new(Code::SessionProject, message)
        .at(&now.file, None)
        .evidence(format!("what runs of `{id}` goes on as it was"))
        .hint(format!(
            "devk up -d    # a session of its own for `{}`",
            now.id
        ))
}

fn built(image: &observe::BuiltImage) -> Built {
    Built {
        name: image.target.name.clone(),
        reference: image.target.reference(),
    }
}

/// How a step ended well.
enum Done {
    Worked(String),
    /// It turned out that there was nothing to do.
    Nothing(String),
}

fn no_pod(fact: &ForwardFact) -> Error {
    let forward = &fact.forward;
    Error::new(
        Code::ForwardNoPod,
        format!("no Ready pod stands behind Service `{}`", forward.service),
    )
    .evidence(format!(
        "{} is held; connections wait for a pod",
        forward.url
    ))
    .hint(format!("devk logs {}", forward.service))
}

fn unplanned(name: &str) -> Error {
    internal(&format!(
        "`{name}` stands in the plan and not in the project"
    ))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_record_that_cannot_be_read_is_a_failed_step_and_no_end_of_all_that_was_done() {
        let dir = tempfile::tempdir().unwrap();
        let [state, cache, data] = ["state", "cache", "data"].map(|folder| dir.path().join(folder));
        let paths = Paths { state, cache, data };
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
