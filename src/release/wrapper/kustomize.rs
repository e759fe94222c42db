//! The program that renders a kustomization: the `kustomize` in kubectl, else `kustomize` itself.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::config::Origin;
use crate::environment::Environment;
use crate::error::{Code, Error, Result};
use crate::process::Cmd;

const INSTALL: &str =
    "install kubectl, which has kustomize built in: https://kubernetes.io/docs/tasks/tools";

/// A program that can render.
#[derive(Debug)]
pub(super) struct Kustomize {
    program: PathBuf,
    /// What stands before the folder.
    verb: &'static str,
    environment: Environment,
}

impl Kustomize {
    /// # Errors
    /// [`Code::ToolMissing`] if neither kubectl nor kustomize is on PATH.
    pub(super) fn find(environment: &Environment) -> Result<Self> {
        let of = |program: &str| environment.find(program, INSTALL);
        let (program, verb) = match (of("kubectl"), of("kustomize")) {
            (Ok(program), _) => (program, "kustomize"),
            (_, Ok(program)) => (program, "build"),
            (Err(error), _) => {
                let message = "neither `kubectl` nor `kustomize` is on PATH, and the release is a kustomization";
                return Err(Error {
                    message: message.to_owned(),
                    ..error
                });
            }
        };
        Ok(Self {
            program,
            verb,
            environment: environment.clone(),
        })
    }

    /// Tells one program from another without running it: path, size and time of change.
    pub(super) fn identity(&self) -> String {
        let meta = std::fs::metadata(&self.program).ok();
        let size = meta.as_ref().map(std::fs::Metadata::len);
        let changed = meta.and_then(|meta| meta.modified().ok());
        let changed = changed.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        format!("{} {size:?} {changed:?}", self.program.display())
    }

    /// The rendered text.
    ///
    /// # Errors
    /// [`Code::KustomizeBuild`] with what the program said.
    pub(super) async fn render(&self, folder: &Path, origin: &Origin) -> Result<String> {
        let cmd = Cmd::new(&self.program)
            .inherit(&self.environment)
            .arg(self.verb)
            .arg(folder);
        match cmd.run().await {
            Ok(output) => Ok(output.stdout),
            Err(error) if error.code == Code::CommandFailed => Err(failed(error, folder, origin)),
            Err(error) => Err(error),
        }
    }
}

/// kustomize names the file in its last words; the kustomization is where people look first.
fn failed(error: Error, folder: &Path, origin: &Origin) -> Error {
    let said = |text: &str| error.evidence.iter().any(|line| line.contains(text));
    let hint = if said("LoadRestrictionsNone") || said("is not in or below") {
        "kustomize reads files in and below the folder of a kustomization alone: move the file there, or name its folder in `resources`"
    } else if said("git fetch")
        || said("git clone")
        || said("dial tcp")
        || said("Could not resolve host")
    {
        "kustomize fetches remote resources from the network: check the address, or copy them into the repository"
    } else if said("--enable-helm") {
        "kubectl renders no charts in a kustomization: make the chart a release of its own, `chart: FOLDER`"
    } else {
        "correct the kustomization; the command above shows the same error"
    };
    let cause = error.evidence.iter().rev().find_map(|line| {
        let line = line.trim();
        line.strip_prefix("error: ")
            .or(line.strip_prefix("Error: "))
    });
    let message = format!(
        "the kustomization does not render: {}",
        cause.unwrap_or(&error.message)
    );
    let names = crate::config::KUSTOMIZATION_FILES.map(|name| folder.join(name));
    let file = names.into_iter().find(|file| file.is_file());
    let (file, line) = match file {
        Some(file) => (file, None),
        None => (origin.file.clone(), Some(origin.line)),
    };
    Error {
        code: Code::KustomizeBuild,
        message,
        ..error
    }
    .hint(hint)
    .at(file, line)
}
