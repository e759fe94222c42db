//! One run of a plan: its steps and their results.

mod actions;
mod loading;
mod missing;
mod others;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OnceCell, watch};
use tokio_util::sync::CancellationToken;

use super::Overtaken;
use super::graph::{self, StepVerdict};
use super::image_gc::Superseded;
use super::{bridge, recorded, rows};
use crate::bridge::service::Backend;
use crate::cluster::Access;
use crate::config::Project;
use crate::error::Result;
use crate::observe::{self, Observed};
use crate::paths::Paths;
use crate::plan::{Action, ClusterFact, Plan, PlannedStep};
use crate::release::manifest::Rendered;
use crate::session::Session;
use crate::session::outcome::{Built, Outcome, Waiting};
use crate::session::target::Snapshot;
use crate::ui::event::{Reporter, Step};

/// The steps of a plan that did not end well, in the plan's order.
pub(super) struct UnmetSteps {
    pub(super) failed: Vec<String>,
    /// A step that a failure blocks is no failure of its own.
    blocked: Vec<String>,
}

/// One execution of one plan.
pub(super) struct Run<'a> {
    project: &'a Project,
    paths: &'a Paths,
    observed: &'a Observed,
    session: &'a Session,
    reporter: Reporter,
    /// Set when the cluster may be written to.
    access: OnceCell<Access>,
    /// The Ready pods of each namespace that a forward leads to.
    pods: BTreeMap<String, watch::Receiver<Snapshot>>,
    /// Release -> whether it became ready.
    ready: watch::Sender<BTreeMap<String, bool>>,
    /// Forward -> why nothing asks for a pod behind it.
    waiting: watch::Sender<BTreeMap<String, String>>,
    /// Release -> what helm has installed of it in this run.
    installed: watch::Sender<BTreeMap<String, Arc<Rendered>>>,
    /// Step -> milliseconds of work.
    worked: watch::Sender<BTreeMap<String, u64>>,
    /// The backend of devk's Service, once the Service has one.
    backend: watch::Sender<Option<Backend>>,
    overtaken: &'a Overtaken,
    /// Ends what waits for the cluster: this run is overtaken, or the plan is to be made again.
    waits: CancellationToken,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        project: &'a Project,
        paths: &'a Paths,
        observed: &'a Observed,
        session: &'a mut Session,
        overtaken: &'a Overtaken,
    ) -> Self {
        let forwards = observed.facts.forwards.iter();
        let namespaces = forwards.map(|fact| fact.forward.namespace.clone());
        let pods = namespaces
            .map(|namespace| (namespace.clone(), session.pods(&namespace)))
            .collect();
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
            waiting: watch::Sender::default(),
            installed: watch::Sender::default(),
            worked: watch::Sender::default(),
            backend: watch::Sender::default(),
            overtaken,
            waits: overtaken.waits.child_token(),
        }
    }

    /// Returns the steps that did not end well.
    pub(super) async fn execute(&self, plan: &Plan) -> UnmetSteps {
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
                self.end_of_build(&step.action);
            }
            let why = match self.waits.is_cancelled() {
                // The step is part of the next plan.
                true if self.is_to_be_planned_anew() => return,
                true => self.why_ended().to_owned(),
                false => format!("`{need}` did not end well"),
            };
            self.reporter.skipped(id, why);
        };
        let verdicts = graph::run(&nodes, run, blocked).await;
        let ended = |verdict: StepVerdict| {
            let steps = plan.steps.iter().filter(|step| !step.skip);
            let ids = steps.map(|step| step.id.clone());
            ids.filter(|id| verdicts.get(id) == Some(&verdict))
                .collect()
        };
        UnmetSteps {
            failed: ended(StepVerdict::Failed),
            blocked: ended(StepVerdict::Blocked),
        }
    }

    /// The outcome of the run, which began at `since`.
    pub(super) fn outcome(&self, unmet: UnmetSteps, since: Instant) -> Outcome {
        let UnmetSteps {
            mut failed,
            blocked,
        } = unmet;
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
            waiting: self.waiting(),
            bridge,
            ms: millis(since.elapsed()),
            steps_ms: self.worked.borrow().values().sum(),
            failed,
            blocked,
        }
    }

    fn waiting(&self) -> Vec<Waiting> {
        let waiting = self.waiting.borrow();
        let row = |(name, why): (&String, &String)| Waiting {
            name: name.clone(),
            why: why.clone(),
        };
        waiting.iter().map(row).collect()
    }

    async fn step(&self, planned: &PlannedStep) -> bool {
        if planned.skip {
            self.reporter.skipped(&planned.id, &planned.why);
            self.end_of_build(&planned.action);
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
        let is_ok = matches!(result, Ok(Done::Worked(_) | Done::Nothing(_)));
        // A tag that was removed is no image to look at.
        let is_as_before = matches!(result, Ok(Done::AsBefore(_)));
        match result {
            Ok(Done::Worked(detail)) => step.done(detail),
            Ok(Done::Nothing(why)) => step.skip(why),
            Ok(Done::AsBefore(reference)) => {
                step.done(format!("it is the same image as `{reference}`"))
            }
            Ok(Done::Ended) => step.skip(self.why_ended()),
            Err(error) => step.failed(error),
        }
        self.end(&planned.action, is_ok);
        if !is_as_before {
            self.end_of_build(&planned.action);
        }
        is_ok
    }

    /// The image of a build is looked at now: no other build of this plan makes it.
    fn end_of_build(&self, action: &Action) {
        let Action::Build { image } = action else {
            return;
        };
        let images = self.observed.images.iter();
        images
            .filter(|built| built.target.name == *image)
            .for_each(|built| self.session.syncing.built(&built.target.reference()));
    }

    /// Tells the forwards of a release whether the release became ready.
    fn end(&self, action: &Action, is_ok: bool) {
        if let Action::Ready { release } = action {
            self.ready.send_modify(|ready| {
                ready.insert(release.clone(), is_ok);
            });
        }
    }

    async fn act(&self, action: &Action, step: &Step) -> Result<Done> {
        match action {
            Action::Told => Ok(Done::Nothing(String::new())),
            Action::Cluster => self.cluster(step).await,
            Action::Build { image } => {
                unless(&self.overtaken.builds, self.build(image, step)).await
            }
            Action::Load { reference } => {
                unless(&self.overtaken.builds, self.load(reference, step)).await
            }
            // A write that helm has begun is completed.
            Action::Apply { .. } if self.waits.is_cancelled() => Ok(Done::Ended),
            Action::Apply { release } => self.apply(release, step).await,
            Action::Ready { release } => self.ready(release, step).await,
            Action::Open { forward } => unless(&self.waits, self.open(forward)).await,
            Action::BridgeDatabase => bridge::database(self.bridge()?, step)
                .await
                .map(Done::Worked),
            Action::BridgeService => self.expose_backend(step).await,
            Action::BridgeProbe => unless(&self.waits, self.probe(step)).await,
            Action::BridgeRemove => self.unbridge().await,
            Action::SleepOthers => self.sleep_others(step).await,
        }
    }

    /// The images that this run replaced. None if it built and loaded nothing, or if something may need older ones: a
    /// release that failed, or one that devk.yaml does not name any more, which is known of a cluster that ran before.
    pub(super) fn superseded(&self, outcome: &Outcome) -> Option<Superseded> {
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
            .orphaned_releases
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

    /// Whether a build gave an image that existed before: then the plan is made again with the reference of that image.
    pub(super) fn is_to_be_planned_anew(&self) -> bool {
        self.waits.is_cancelled() && !self.overtaken.waits.is_cancelled()
    }

    fn why_ended(&self) -> &'static str {
        match self.is_to_be_planned_anew() {
            true => "an image is the same as before: devk plans again",
            false => "newer changes came meanwhile",
        }
    }
}

async fn unless(
    ended: &CancellationToken,
    work: impl Future<Output = Result<Done>>,
) -> Result<Done> {
    ended
        .run_until_cancelled(work)
        .await
        .unwrap_or(Ok(Done::Ended))
}

fn built(image: &observe::BuiltImage) -> Built {
    Built {
        name: image.target.name.clone(),
        reference: image.target.reference(),
    }
}

/// How a step ended without an error.
pub(super) enum Done {
    Worked(String),
    /// There was nothing to do.
    Nothing(String),
    /// The build gave the image of this earlier reference; the new reference is not used.
    AsBefore(String),
    /// The step was given up, and so are the steps that need it.
    Ended,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
