//! What each step does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Done, Run, unless};
use crate::bridge::service::{self};
use crate::bridge::{Bridge, record};
use crate::cluster::{Access, namespace, sleep};
use crate::config::ReleaseConfig;
use crate::error::{Code, Error, Result, internal};
use crate::image::{self, SameImages};
use crate::observe::{self, Observed, PreparedRelease, Standing};
use crate::plan::{ClusterFact, ForwardFact};
use crate::release::install::InstallTarget;
use crate::release::manifest::Rendered;
use crate::release::namespaces::OtherNamespaces;
use crate::release::readiness::wait_ready;
use crate::release::record::installed_manifests;
use crate::release::requirements;
use crate::session;
use crate::session::behind::{self, Behind};
use crate::session::target::choose;
use crate::ui::event::Step;
use crate::up::bridge;

/// How long a Service may lack a Ready pod that something asks for, after its release has become ready.
const ENDPOINT_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause between two looks at what is behind such a Service.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

impl Run<'_> {
    pub(super) fn bridge(&self) -> Result<&Bridge> {
        self.observed
            .bridge
            .as_ref()
            .ok_or_else(|| unplanned("bridge"))
    }

    pub(super) async fn expose_backend(&self, step: &Step) -> Result<Done> {
        let bridge = self.bridge()?;
        let access = self.access()?;
        let id = self.project.id.as_str();
        namespace::ensure(&access.client, id, &self.observed.owner, step).await?;
        let (backend, changed) =
            bridge::expose(bridge, &self.observed.cluster, access, self.session, id).await?;
        record::save(&self.paths.project(id), &bridge::record(bridge, backend))?;
        self.backend.send_replace(Some(backend));
        let how = if bridge.relay {
            "devk's relay"
        } else {
            "Compose's own port"
        };
        let mapped = bridge.mapped.iter();
        let mapped = mapped.map(|(asked, real)| format!(", `{asked}` is `{real}` there"));
        let said = format!(
            "{} → {}:{}, {how}{}",
            service::host(id),
            backend.address,
            backend.target,
            mapped.collect::<String>()
        );
        Ok(if changed {
            Done::Worked(said)
        } else {
            Done::Nothing(said)
        })
    }

    pub(super) async fn probe(&self, step: &Step) -> Result<Done> {
        let backend = self
            .backend
            .borrow()
            .ok_or_else(|| unplanned("bridge.service"))?;
        bridge::probe(
            self.bridge()?,
            &self.observed.engine,
            self.access()?,
            backend,
            step,
        )
        .await
        .map(Done::Worked)
    }

    pub(super) async fn unbridge(&self) -> Result<Done> {
        let (id, state) = (&self.project.id, self.paths.project(&self.project.id));
        bridge::remove(self.access()?, self.session, id, &state)
            .await
            .map(Done::Worked)
    }

    pub(super) async fn cluster(&self, step: &Step) -> Result<Done> {
        let Observed {
            cluster,
            owner,
            engine,
            ..
        } = self.observed;
        let (lock, access) = cluster.ensure(step).await?;
        self.is_as_observed(&access)?;
        // Under the same lock: from now on no `down` of another project finds the cluster empty, however long the
        // images take.
        namespace::ensure(&access.client, &self.project.id, owner, step).await?;
        if self.observed.facts.cluster == ClusterFact::Stopped
            && let Err(error) = self.keep_others_asleep(&access).await
        {
            step.trouble(error);
        }
        drop(lock);
        self.session.lead_to(&engine.docker, &access);
        let nodes = access.nodes.len();
        // No other code sets the access: the step runs once, and only where there was none.
        let _ = self.access.set(access);
        Ok(Done::Worked(format!(
            "cluster `{}` runs on {nodes} node(s)",
            self.project.cluster.name
        )))
    }

    /// The plan skips loads by what it saw on the nodes, so a cluster that was replaced since needs a new plan.
    fn is_as_observed(&self, access: &Access) -> Result<()> {
        match &self.observed.access {
            Some(seen) if seen.pin.uid != access.pin.uid => {
                let text = format!(
                    "cluster `{}` was replaced while devk made the plan",
                    self.project.cluster.name
                );
                Err(Error::new(Code::ClusterPin, text).hint("devk up"))
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn build(&self, name: &str, step: &Step) -> Result<Done> {
        let Some(built) = self
            .observed
            .images
            .iter()
            .find(|built| built.target.name == name)
        else {
            return Err(unplanned(name));
        };
        let (config, target) = (&built.config, &built.target);
        let Observed { engine, .. } = self.observed;
        let same = SameImages::of(&self.paths.project(&self.project.id));
        let kept = async {
            let id = image::build(engine, &self.project.id, config, &built.args, target, step);
            same.reuse(&engine.docker, target, &id.await?).await
        };
        match kept.await? {
            None => Ok(Done::Worked(target.reference())),
            Some(before) => {
                self.waits.cancel();
                Ok(Done::AsBefore(before.reference()))
            }
        }
    }

    pub(super) async fn apply(&self, name: &str, step: &Step) -> Result<Done> {
        let access = self.access()?;
        let (_, release) = self.release(name)?;
        let owner = &self.observed.owner;
        namespace::ensure(&access.client, &self.project.id, owner, step).await?;
        // First, since hooks may need workloads that sleep, and since the replicas of the new chart must win.
        self.wake(access, step).await?;
        if self.observed.facts.cluster != ClusterFact::Ready
            && let Standing {
                is_current: true,
                installed,
                ..
            } = observe::standing(access, self.project, release).await?
        {
            self.has_installed(name, installed);
            return Ok(Done::Nothing(
                "chart, values and images are unchanged".to_owned(),
            ));
        }
        self.tell_missing(access, release, step).await;
        let PreparedRelease {
            prepared, rendered, ..
        } = release;
        let kubeconfig = self.observed.cluster.kubeconfig();
        let state = self.paths.project(&self.project.id);
        let target = InstallTarget {
            client: &access.client,
            kubeconfig: &kubeconfig,
            state: &state,
        };
        let revision = self
            .observed
            .helm
            .apply(prepared, rendered, &target, step)
            .await?;
        let installed = installed_manifests(&access.client, &self.project.id, name).await?;
        self.has_installed(name, installed);
        Ok(Done::Worked(format!("revision {revision}")))
    }

    pub(super) async fn ready(&self, name: &str, step: &Step) -> Result<Done> {
        let access = self.access()?;
        let (config, release) = self.release(name)?;
        // A release that is unchanged was not applied.
        self.wake(access, step).await?;
        let installed = self.installed.borrow().get(name).cloned();
        let rendered = installed.as_deref().unwrap_or(&release.rendered);
        let workloads = rendered.workloads(&self.project.id);
        let ready = wait_ready(
            &access.client,
            &self.project.id,
            &workloads,
            config.timeout,
            step,
        );
        let said = format!("{} workload(s)", workloads.len());
        let ready = async {
            match ready.await {
                Ok(()) => Ok(Done::Worked(said)),
                Err(error) => Err(requirements::at_its_cause(
                    error,
                    &access.client,
                    &release.prepared,
                    rendered,
                    &observe::other_renderings(&self.observed.releases, name),
                )
                .await),
            }
        };
        unless(&self.waits, ready).await
    }

    /// Keeps what helm has installed: readiness goes by it, not by what the chart rendered without the cluster.
    fn has_installed(&self, release: &str, manifests: Option<Rendered>) {
        if let Some(manifests) = manifests {
            self.installed.send_modify(|installed| {
                installed.insert(release.to_owned(), Arc::new(manifests));
            });
        }
    }

    async fn wake(&self, access: &Access, step: &Step) -> Result<()> {
        if namespace::is_asleep(&access.client, &self.project.id).await? {
            step.progress("waking the workloads");
            let others = OtherNamespaces::of_project(&access.client, &self.project.id).await?;
            sleep::wake(&access.client, &self.project.id, &others.used).await?;
        }
        Ok(())
    }

    pub(super) async fn open(&self, name: &str) -> Result<Done> {
        let Some(fact) = self
            .observed
            .facts
            .forwards
            .iter()
            .find(|fact| fact.forward.name == name)
        else {
            return Err(unplanned(name));
        };
        let target = session::target(fact);
        let pods = self.pods.get(&target.namespace).cloned();
        let mut pods = pods.ok_or_else(|| unplanned(name))?;
        tokio::select! {
            found = pods.wait_for(|snapshot| choose(snapshot, &target, &Default::default(), |_| true).is_some()) => {
                found.map_err(|_| no_pod(fact, None))?;
                Ok(Done::Worked(fact.forward.url.clone()))
            }
            given_up = self.without_pod(fact) => given_up,
        }
    }

    /// Ends when waiting for a pod has become pointless: the release did not become ready, nothing asks for a pod behind
    /// the forward's Service, no pod has the port, or the pod that something asks for did not come in time.
    async fn without_pod(&self, fact: &ForwardFact) -> Result<Done> {
        if !self.becomes_ready(&fact.release).await {
            // The failed step is reported already; this one follows from it.
            return Ok(Done::Nothing(format!(
                "`release.ready/{}` did not end well; it waits for a pod",
                fact.release
            )));
        }
        let deadline = Instant::now() + ENDPOINT_TIMEOUT;
        loop {
            let behind = behind::look(&self.access()?.client, &session::target(fact)).await;
            match (&behind, behind.why()) {
                (Behind::Nothing(_) | Behind::NoPort(_), Some(why)) => {
                    return Ok(self.waits(fact, why));
                }
                (_, why) if Instant::now() >= deadline => return Err(no_pod(fact, why)),
                _ => tokio::time::sleep(LOOK_INTERVAL).await,
            }
        }
    }

    /// Whether a release becomes ready, as soon as that is known.
    async fn becomes_ready(&self, release: &str) -> bool {
        let mut ready = self.ready.subscribe();
        let verdict = ready
            .wait_for(|ready| ready.contains_key(release))
            .await
            .map(|ready| ready[release]);
        verdict.unwrap_or(false)
    }

    /// Keeps why a forward waits, for the outcome.
    fn waits(&self, fact: &ForwardFact, why: String) -> Done {
        let said = format!("{why}; {} is held and waits for one", fact.forward.url);
        self.waiting.send_modify(|waiting| {
            waiting.insert(fact.forward.name.clone(), why);
        });
        Done::Nothing(said)
    }

    pub(super) fn access(&self) -> Result<&Access> {
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

fn no_pod(fact: &ForwardFact, why: Option<String>) -> Error {
    let forward = &fact.forward;
    Error::new(
        Code::ForwardNoPod,
        format!("Service `{}` has no Ready pod", forward.service),
    )
    .evidence(why.unwrap_or_default())
    .evidence(format!(
        "{} is held; connections wait for a pod",
        forward.url
    ))
    .hint("devk status")
}

fn unplanned(name: &str) -> Error {
    internal(&format!(
        "the plan names `{name}`, and the project does not"
    ))
}
