//! The programs that make clusters: what devk has to know of each, and how it runs them.

use std::path::{Path, PathBuf};

use super::pin;
use crate::config::{ClusterConfig, Provider};
use crate::docker::Engine;
use crate::environment::Environment;
use crate::error::{Code, Error, Result};
use crate::paths::Paths;
use crate::process::Cmd;
use crate::shell::quote;

/// A provider's program.
#[derive(Debug)]
pub(super) struct Tool {
    program: &'static str,
    install: &'static str,
    /// The arguments that remove a cluster, before its name.
    remove: &'static str,
    /// The prefix of the variables by which users configure the program.
    settings: Option<&'static str>,
    /// A Docker network that the program creates with its first cluster and never removes.
    pub(super) network: Option<&'static str>,
}

impl Tool {
    pub(super) const KIND: Self = Self {
        program: "kind",
        install: "install kind (https://kind.sigs.k8s.io), or run scripts/onboard",
        remove: "delete cluster --name ",
        settings: None,
        network: Some("kind"),
    };

    pub(super) const MINIKUBE: Self = Self {
        program: "minikube",
        install: "install minikube (https://minikube.sigs.k8s.io)",
        remove: "delete --profile ",
        settings: Some("MINIKUBE_"),
        network: None,
    };

    pub(super) const K3D: Self = Self {
        program: "k3d",
        install: "install k3d (https://k3d.io)",
        remove: "cluster delete ",
        settings: Some("K3D_"),
        network: None,
    };

    /// None for a provider that has none.
    pub(super) fn of(provider: Provider) -> Option<&'static Self> {
        match provider {
            Provider::Kind => Some(&Self::KIND),
            Provider::Minikube => Some(&Self::MINIKUBE),
            Provider::K3d => Some(&Self::K3D),
            Provider::Existing => None,
        }
    }

    /// The command by which people remove a cluster.
    pub(super) fn removal(&self, name: &str) -> String {
        format!("{} {}{}", self.program, self.remove, quote(name))
    }

    /// The path of the program.
    ///
    /// # Errors
    /// [`Code::ToolMissing`].
    pub(super) fn find(&self, engine: &Engine) -> Result<PathBuf> {
        engine.environment.find(self.program, self.install)
    }

    /// The command, for the Engine that devk found. The program runs to its end even if devk is killed: if it died
    /// midway, a child process of its own might hold the lock for ever.
    ///
    /// These programs enter their clusters in the user's kubeconfig unless `KUBECONFIG` names another.
    ///
    /// # Errors
    /// As [`Tool::find`].
    pub(super) fn command(&self, engine: &Engine, kubeconfig: &Path) -> Result<Cmd> {
        let cmd = Cmd::new(self.find(engine)?)
            .inherit(&engine.environment)
            .outlives();
        let is_setting = |name: &str| self.settings.is_some_and(|prefix| name.starts_with(prefix));
        let settings = engine
            .environment
            .variables()
            .iter()
            .filter(|(name, _)| is_setting(name));
        Ok(cmd
            .envs(settings)
            .envs(engine.env())
            .env("KUBECONFIG", kubeconfig))
    }
}

/// Resolves `provider: auto` to the provider whose cluster of this name devk has pinned, else to the first provider
/// whose program is installed. If no program is installed, the first provider stays, and its absence is the error.
pub fn resolve_provider(config: &mut ClusterConfig, paths: &Paths, environment: &Environment) {
    if !config.auto {
        return;
    }
    let of = |provider| ClusterConfig {
        provider,
        ..config.clone()
    };
    let all = [Provider::Kind, Provider::Minikube, Provider::K3d];
    let is_pinned =
        |provider: &Provider| pin::file(&paths.cluster(&of(*provider).folder())).exists();
    let is_there = |provider: &Provider| {
        Tool::of(*provider).is_some_and(|tool| environment.find(tool.program, tool.install).is_ok())
    };
    let found = all
        .into_iter()
        .find(is_pinned)
        .or_else(|| config.prefer.filter(is_there))
        .or_else(|| all.into_iter().find(is_there));
    config.provider = found.unwrap_or(config.provider);
}

/// The program failed to make or start a cluster.
pub(super) fn not_created(error: Error) -> Error {
    match error.code {
        Code::CommandFailed => Error {
            code: Code::ClusterCreate,
            ..error
        },
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Program;
    use super::*;

    #[test]
    fn auto_is_what_devk_has_pinned_else_what_is_installed() {
        let program = Program::new("k3d", &[], "");
        let paths = Paths::all_at(&program.state());
        let preferring = |prefer| {
            let mut config = ClusterConfig {
                auto: true,
                prefer,
                ..ClusterConfig::new(Provider::Kind, "devk")
            };
            resolve_provider(&mut config, &paths, &program.environment());
            config.provider
        };
        let settled = || preferring(None);
        assert_eq!(settled(), Provider::K3d);
        assert_eq!(
            preferring(Some(Provider::Minikube)),
            Provider::K3d,
            "what is preferred is not installed"
        );
        let bin = program.environment().variables()["PATH"].clone();
        std::fs::copy(format!("{bin}/k3d"), format!("{bin}/minikube")).unwrap();
        assert_eq!(settled(), Provider::Minikube);
        assert_eq!(preferring(Some(Provider::K3d)), Provider::K3d);
        let folder = paths.cluster("minikube.devk");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(pin::file(&folder), "{}").unwrap();
        assert_eq!(
            settled(),
            Provider::Minikube,
            "another program that is installed later changes nothing"
        );
    }

    #[test]
    fn what_is_not_auto_is_as_it_was_asked_for() {
        let program = Program::new("k3d", &[], "");
        let paths = Paths::all_at(&program.state());
        let mut config = ClusterConfig::new(Provider::Kind, "devk");
        resolve_provider(&mut config, &paths, &program.environment());
        assert_eq!(config.provider, Provider::Kind);
    }
}
