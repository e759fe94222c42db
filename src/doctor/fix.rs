//! `devk doctor --fix`: repairs that lose nothing. `--fix` removes only things of devk's own, and raises limits of the
//! kernel after asking.

use std::path::PathBuf;

use super::leftovers::is_dead;
use super::{DoctorFacts, machine};
use crate::cluster::{ManagedCluster, State};
use crate::config::ClusterConfig;
use crate::docker;
use crate::environment::Environment;
use crate::error::{Code, Error, Result};
use crate::image;
use crate::paths::Paths;
use crate::ports::{Leases, Lessee};
use crate::process::Cmd;

/// One thing that can be mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fix {
    /// Remove the socket of a session that has ended.
    Socket(PathBuf),
    /// Remove the images of a project whose folder is gone.
    Images(String),
    /// Give back the ports of folders that are gone.
    Leases(Vec<Lessee>),
    /// Forget a cluster that is gone, by the name of its folder.
    ClusterFacts(String),
    /// Raise a limit of the kernel.
    Limit {
        name: &'static str,
        is: u64,
        wanted: u64,
    },
}

/// Everything that can be mended, in the order in which that is done. Images go before the leases that
/// tell whose they are.
pub fn fixes(facts: &DoctorFacts) -> Vec<Fix> {
    let left = &facts.leftovers;
    let mut fixes: Vec<_> = left.sockets.iter().cloned().map(Fix::Socket).collect();
    fixes.extend(
        left.images
            .iter()
            .flatten()
            .map(|(project, _)| Fix::Images(project.clone())),
    );
    fixes.extend(
        left.leases
            .as_ref()
            .ok()
            .filter(|leases| !leases.is_empty())
            .map(|leases| Fix::Leases(leases.clone())),
    );
    fixes.extend(
        left.clusters
            .iter()
            .flatten()
            .cloned()
            .map(Fix::ClusterFacts),
    );
    let short = machine::short(&facts.machine.inotify);
    fixes.extend(
        short
            .into_iter()
            .map(|(name, is, wanted)| Fix::Limit { name, is, wanted }),
    );
    fixes
}

impl Fix {
    /// What it does.
    pub fn text(&self) -> String {
        match self {
            Self::Socket(socket) => format!("remove the dead socket {}", socket.display()),
            Self::Images(project) => {
                format!("remove the images of project `{project}`, whose folder is gone")
            }
            Self::Leases(_) => "give back the ports of folders that are gone".to_owned(),
            Self::ClusterFacts(name) => format!("forget cluster `{name}`, which is gone"),
            Self::Limit { name, is, wanted } => {
                format!("raise fs.inotify.{name} from {is} to {wanted} until the next boot")
            }
        }
    }

    /// How it is taken back; None where nothing is lost.
    pub fn undo(&self) -> Option<String> {
        match self {
            Self::Limit { name, is, .. } => Some(format!("sudo sysctl -w fs.inotify.{name}={is}")),
            Self::Images(_) => Some("devk up    # in a new checkout builds them again".to_owned()),
            Self::Socket(_) | Self::Leases(_) | Self::ClusterFacts(_) => None,
        }
    }

    /// It changes more than devk's own things.
    pub fn needs_consent(&self) -> bool {
        matches!(self, Self::Limit { .. })
    }

    /// Does it. What has changed since it was seen is left alone.
    ///
    /// # Errors
    /// Whatever keeps it from being done.
    pub async fn apply(&self, paths: &Paths, environment: &Environment) -> Result<()> {
        match self {
            Self::Socket(socket) => remove(socket),
            Self::Images(project) => {
                let engine = docker::connect(environment).await?;
                image::remove_project_images(&engine.docker, project)
                    .await
                    .map(drop)
            }
            Self::Leases(gone) => Leases::open(&paths.state).prune(gone),
            Self::ClusterFacts(folder) => forget(folder, paths, environment).await,
            Self::Limit { name, wanted, .. } => raise(name, *wanted, environment).await,
        }
    }
}

fn remove(socket: &PathBuf) -> Result<()> {
    if !is_dead(socket) {
        return Ok(());
    }
    std::fs::remove_file(socket).map_err(|e| {
        Error::new(
            Code::StateIo,
            format!("cannot remove `{}`: {e}", socket.display()),
        )
    })
}

async fn forget(folder: &str, paths: &Paths, environment: &Environment) -> Result<()> {
    let engine = docker::connect(environment).await?;
    let Some(config) = ClusterConfig::of_folder(folder) else {
        return Ok(());
    };
    let cluster = ManagedCluster::of(&engine, &config, paths);
    let lock = cluster.lock(|| {}).await?;
    match cluster.state().await {
        Ok(State::Absent) => cluster.forget(&lock).await,
        // By now another Engine answers, and cannot say whether it is gone.
        Err(e) if e.code != Code::ClusterPin => Err(e),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Through sudo where that is needed; it asks for a password on the terminal by itself.
async fn raise(name: &str, wanted: u64, environment: &Environment) -> Result<()> {
    let setting = format!("fs.inotify.{name}={wanted}");
    let is_root = rustix::process::geteuid().is_root();
    let cmd = if is_root {
        Cmd::new("sysctl")
    } else {
        Cmd::new("sudo").arg("sysctl")
    };
    cmd.args(["-w", &setting])
        .inherit(environment)
        .run()
        .await
        .map(drop)
}
