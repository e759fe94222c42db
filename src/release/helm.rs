//! The `helm` program: v3.8 or newer, or v4.

use std::path::{Path, PathBuf};

use super::manifest::Rendered;
use crate::environment::Environment;
use crate::error::{Code, Error, Result};
use crate::process::Cmd;

/// A helm binary.
#[derive(Debug, Clone)]
pub struct Helm {
    program: PathBuf,
    environment: Environment,
}

/// Major and minor version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

impl Version {
    const OLDEST: Self = Self(3, 8);
    pub(super) const LABELS: Self = Self(3, 13);
    pub(super) const SERVER_SIDE: Self = Self(4, 0);
    pub(super) const PLUGIN_POST_RENDERERS: Self = Self(4, 0);
}

impl Helm {
    /// helm from the PATH of `environment`, in which it will run.
    ///
    /// # Errors
    /// [`Code::ToolMissing`].
    pub fn find(environment: &Environment) -> Result<Self> {
        let program = environment.find(
            "helm",
            "install helm 3.13 or newer: https://helm.sh/docs/intro/install",
        )?;
        Ok(Self {
            program,
            environment: environment.clone(),
        })
    }

    #[cfg(test)]
    pub(super) fn at(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            environment: Environment::of_process(),
        }
    }

    /// Running it is an error.
    #[cfg(test)]
    pub(super) fn in_environment(environment: Environment) -> Self {
        Self {
            program: "/nonexistent/helm".into(),
            environment,
        }
    }

    /// The environment in which helm runs.
    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Tells one helm from another without running it: path, size and time of change.
    ///
    /// # Errors
    /// [`Code::ToolMissing`] if the program is gone.
    pub fn identity(&self) -> Result<String> {
        let gone = |e| {
            Error::new(
                Code::ToolMissing,
                format!("cannot read `{}`: {e}", self.program.display()),
            )
        };
        let meta = std::fs::metadata(&self.program).map_err(gone)?;
        Ok(format!(
            "{} {} {:?}",
            self.program.display(),
            meta.len(),
            meta.modified().map_err(gone)?
        ))
    }

    /// # Errors
    /// [`Code::ToolMissing`] if it is older than 3.8 or says something unknown.
    pub async fn version(&self) -> Result<Version> {
        let output = self
            .cmd("version")
            .args(["--template", "{{.Version}}"])
            .run()
            .await?;
        let found = parse_version(&output.stdout).filter(|version| *version >= Version::OLDEST);
        found.ok_or_else(|| {
            Error::new(
                Code::ToolMissing,
                format!("helm `{}` is too old", output.stdout.trim()),
            )
            .hint("install helm 3.13 or newer: https://helm.sh/docs/intro/install")
        })
    }

    pub(super) fn cmd(&self, verb: &str) -> Cmd {
        Cmd::new(&self.program).inherit(&self.environment).arg(verb)
    }

    /// The CustomResourceDefinitions in the `crds` folders of a chart and its dependencies, which helm installs before
    /// all else on the first install.
    pub(super) async fn crds(&self, chart: &Path) -> Result<Rendered> {
        let output = self.cmd("show").arg("crds").arg(chart).run().await?;
        Rendered::parse(&output.stdout)
    }

    /// Fetches what a chart declares; Chart.lock decides the versions if there is one.
    pub(super) async fn dependency_build(&self, chart: &Path) -> Result<()> {
        self.cmd("dependency")
            .arg("build")
            .arg(chart)
            .run()
            .await
            .map(drop)
    }
}

/// `v3.13.2` or `v4.3.1+g0123`.
fn parse_version(text: &str) -> Option<Version> {
    let mut numbers = text
        .trim()
        .trim_start_matches('v')
        .split('.')
        .map(str::parse);
    Some(Version(numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_with_and_without_build_metadata() {
        assert_eq!(parse_version("v4.3.1+g0123\n"), Some(Version(4, 3)));
        assert_eq!(parse_version("v3.8.0"), Some(Version(3, 8)));
        assert_eq!(parse_version("helm?"), None);
    }
}
