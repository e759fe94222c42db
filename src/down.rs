//! Ends a project's stack: stops it with its data kept, or removes it with all that devk made.
//!
//! Works from whatever state a crash left: what there is to end stands in Docker and in the cluster. Of
//! devk's own files it needs the pin alone: a cluster that devk never pinned is left as it is.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::cluster::{Access, Handle, State, Turn, namespace, sleep};
use crate::config::Project;
use crate::docker::Engine;
use crate::error::{Code, Errors, Result};
use crate::image;
use crate::paths::{Paths, remove_dir};
use crate::ports::{Leases, Lessee};
use crate::release::helm::{Helm, Target};
use crate::release::{installed, render};
use crate::session::socket;
use crate::ui::event::{Reporter, Step};

/// What `down` will do, said before it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Nothing runs.
    Nothing,
    /// Stop the node containers; nobody else lives there.
    StopCluster,
    /// Scale the project's workloads to zero; somebody else lives there.
    Sleep { because: String },
    /// Remove the whole cluster; devk made it and nobody else lives there.
    DeleteCluster,
    /// Uninstall the releases and remove the namespace.
    DeleteNamespace { because: String },
}

/// Decides how a stack ends.
pub fn ending(delete: bool, access: Option<&Access>, project: &str, others: &[String]) -> Ending {
    let Some(access) = access else { return Ending::Nothing };
    let because = match others.first() {
        Some(other) => Some(format!("project `{other}` lives on the cluster")),
        None if !access.pin.created => Some("devk did not create the cluster".to_owned()),
        None => None,
    };
    match (delete, because) {
        (false, None) => Ending::StopCluster,
        (false, Some(because)) => Ending::Sleep { because },
        (true, None) => Ending::DeleteCluster,
        (true, Some(because)) => Ending::DeleteNamespace { because: format!("{because}; namespace `{project}` goes") },
    }
}

/// The end of one project's stack.
#[derive(Debug)]
pub struct Down<'a> {
    pub project: &'a Project,
    pub paths: &'a Paths,
    pub engine: &'a Engine,
    pub cluster: Handle,
    pub reporter: Reporter,
}

impl Down<'_> {
    /// Stops the stack, or with `delete` removes it. The session has ended before.
    ///
    /// # Errors
    /// Whatever could not be stopped or removed; the rest is done all the same.
    pub async fn run(&self, delete: bool) -> Result<Ending, Errors> {
        let turn = self.turn(delete).await?;
        let access = self.access(delete, &turn).await?;
        let others = match &access {
            Some(access) => {
                namespace::find_own(&access.client, &self.project.id, &self.project.root).await?;
                self.others(access, delete).await?
            }
            None => vec![],
        };
        let ending = ending(delete, access.as_ref(), &self.project.id, &others);
        let mut problems = vec![];
        if let Some(access) = &access {
            problems.extend(self.end_stack(&ending, access, &turn).await.err());
        }
        if delete {
            // Those of a cluster that is gone went with it.
            let stays = matches!(ending, Ending::DeleteNamespace { .. });
            let nodes = access.iter().filter(|_| stays).flat_map(|access| &access.nodes);
            let removal = self.remove_images(nodes.map(|node| node.name.as_str()).collect());
            problems.extend(self.step("image.remove", "devk-built images", removal).await.err());
            // Kept if something is left, so that the next `down --delete` knows what it is about.
            if problems.is_empty() {
                // devk's copy of the user's credentials goes with the last project that needs them.
                if self.cluster.is_brought() && others.is_empty() {
                    problems.extend(self.cluster.forget(&turn).await.err());
                }
                problems.extend(self.forget().err());
            }
        }
        Errors::unless_empty(problems, ending)
    }

    /// From here to the end nobody else starts, adopts or ends the cluster.
    async fn turn(&self, delete: bool) -> Result<Turn> {
        let mut step = None;
        let id = if delete { "cluster.delete" } else { "cluster.stop" };
        let wait = || step = Some(self.reporter.start(id, "waiting for another devk that works on this cluster"));
        let turn = self.cluster.turn(wait).await?;
        if let Some(step) = step {
            step.done("the other devk has ended");
        }
        Ok(turn)
    }

    /// Access to the cluster if there is something to end. Removing from a stopped cluster needs it
    /// started: what else lives on it stands nowhere but in it.
    async fn access(&self, delete: bool, turn: &Turn) -> Result<Option<Access>> {
        if self.cluster.is_untouched()? {
            return Ok(None);
        }
        match self.cluster.state().await? {
            State::Running(nodes) => match self.cluster.pinned(&nodes).await {
                // It may have been started a moment ago.
                Err(e) if e.code == Code::ClusterUnreachable => self.ensure(turn).await.map(Some),
                // Its kubeconfig was lost, and with the pin it is fetched again.
                Ok(None) if self.cluster.is_pinned(&nodes)? => self.ensure(turn).await.map(Some),
                // None: never pinned, so devk has not written to it.
                found => found,
            },
            State::Stopped(nodes) if delete && self.cluster.is_pinned(&nodes)? => self.ensure(turn).await.map(Some),
            // Nothing lives on it, and it would run on.
            State::HalfMade => {
                self.step("cluster.delete", "a half-made cluster", self.cluster.delete(turn)).await.map(|()| None)
            }
            State::Absent if delete => self.cluster.forget(turn).await.map(|()| None),
            State::Stopped(_) | State::Absent => Ok(None),
        }
    }

    async fn ensure(&self, turn: &Turn) -> Result<Access> {
        let step = self.reporter.start("cluster.create", "to see what lives on it");
        match self.cluster.ensure_in(turn, &step).await {
            Ok(access) => {
                step.done("it answers");
                Ok(access)
            }
            Err(error) => {
                step.failed(error.clone());
                Err(error)
            }
        }
    }

    /// Other projects on the cluster; those that sleep count for removal only.
    async fn others(&self, access: &Access, delete: bool) -> Result<Vec<String>> {
        let projects = namespace::projects(&access.client).await?;
        let others = projects.into_iter().filter(|p| p.name != self.project.id && (delete || !p.asleep));
        Ok(others.map(|p| p.name).collect())
    }

    async fn end_stack(&self, ending: &Ending, access: &Access, turn: &Turn) -> Result<()> {
        let (client, id) = (&access.client, self.project.id.as_str());
        match ending {
            Ending::Nothing => Ok(()),
            Ending::StopCluster => self.step("cluster.stop", "its data stays", self.cluster.stop(turn)).await,
            Ending::Sleep { because } => self.step("workloads.sleep", because, sleep::sleep(client, id)).await,
            Ending::DeleteCluster => {
                self.step("cluster.delete", "cluster, volumes and network", self.cluster.delete(turn)).await
            }
            Ending::DeleteNamespace { because } => {
                if namespace::find(client, id).await?.is_none() {
                    return Ok(());
                }
                let (helm, kubeconfig) = (Helm::find(&self.engine.environment)?, self.cluster.kubeconfig());
                let target = Target { client, kubeconfig: &kubeconfig, state: &self.paths.project(id) };
                let mut uninstalled = Ok(());
                for release in self.releases(client).await? {
                    let uninstall = helm.uninstall(&release, id, &target);
                    let step = format!("release.uninstall/{release}");
                    uninstalled = uninstalled.and(self.step(&step, "with its hooks", uninstall).await);
                }
                // What a failing hook kept goes with the namespace.
                self.step("namespace.delete", because, namespace::delete(client, id)).await.and(uninstalled)
            }
        }
    }

    /// Those that devk.yaml does not name any more, then its own, the last one first.
    async fn releases(&self, client: &kube::Client) -> Result<Vec<String>> {
        let named = self.project.releases.iter().rev().map(|release| release.name.clone());
        Ok(installed::left_over(client, self.project).await?.into_iter().chain(named).collect())
    }

    /// From Docker, and from these nodes.
    async fn remove_images(&self, nodes: Vec<&str>) -> Result<()> {
        let (docker, id) = (&self.engine.docker, &self.project.id);
        let tags = image::remove_project_images(docker, id).await?;
        // Where devk never built anything the nodes need not even have `ctr`.
        for node in nodes.into_iter().filter(|_| !(tags.is_empty() && self.project.images.is_empty())) {
            image::remove_from_node(docker, node, id, &BTreeSet::new()).await?;
        }
        Ok(())
    }

    /// The lease, the generated secrets (renderings hold them, too), the supervisor's files.
    fn forget(&self) -> Result<()> {
        Leases::open(&self.paths.state).release(&Lessee::from(self.project))?;
        render::forget(&self.paths.cache, &self.project.id)?;
        // It lies elsewhere if the usual path is too long; a supervisor that was killed left it.
        socket::remove(self.paths, &self.project.id);
        remove_dir(&self.paths.project(&self.project.id))
    }

    async fn step(&self, id: &str, detail: &str, work: impl Future<Output = Result<()>>) -> Result<()> {
        let step = self.reporter.start(id, detail);
        end(step, work.await)
    }
}

fn end(step: Step, result: Result<()>) -> Result<()> {
    match &result {
        Ok(()) => step.done(""),
        Err(error) => step.failed(error.clone()),
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_runs_nothing_ends() {
        assert_eq!(ending(true, None, "shop", &[]), Ending::Nothing);
    }
}
