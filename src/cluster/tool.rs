//! The programs that make clusters: what devk has to know of each, and how it runs them.

use std::path::{Path, PathBuf};

use crate::config::Provider;
use crate::docker::Engine;
use crate::error::{Code, Error, Result};
use crate::process::Cmd;

/// A provider's program.
#[derive(Debug)]
pub(super) struct Tool {
    program: &'static str,
    install: &'static str,
    /// A Docker network that it makes with its first cluster and never removes.
    pub(super) network: Option<&'static str>,
}

impl Tool {
    pub(super) const KIND: Self = Self {
        program: "kind",
        install: "install kind (https://kind.sigs.k8s.io), or run scripts/onboard",
        network: Some("kind"),
    };

    /// None for a provider that has none.
    pub(super) fn of(provider: Provider) -> Option<&'static Self> {
        match provider {
            Provider::Kind => Some(&Self::KIND),
            Provider::Minikube | Provider::K3d | Provider::Existing => None,
        }
    }

    /// The path of the program.
    ///
    /// # Errors
    /// [`Code::ToolMissing`].
    pub(super) fn find(&self, engine: &Engine) -> Result<PathBuf> {
        engine.environment.find(self.program, self.install)
    }

    /// The program, sent to the Engine that devk found, and to the end of its work even if devk is killed: one
    /// that dies in the middle may leave a child of its own behind that keeps the turn for ever.
    ///
    /// These programs enter their clusters in the user's kubeconfig unless `KUBECONFIG` names another.
    ///
    /// # Errors
    /// As [`Tool::find`].
    pub(super) fn command(&self, engine: &Engine, kubeconfig: &Path) -> Result<Cmd> {
        let cmd = Cmd::new(self.find(engine)?).inherit(&engine.environment).outlives();
        Ok(cmd.envs(engine.env()).env("KUBECONFIG", kubeconfig))
    }
}

/// The program failed to make or start a cluster.
pub(super) fn not_created(error: Error) -> Error {
    match error.code {
        Code::CommandFailed => Error { code: Code::ClusterCreate, ..error },
        _ => error,
    }
}
