//! Whether a stack is that of another folder: two clones of one repository are one project by its name.

use std::path::Path;

use crate::cluster::{ManagedCluster, State, namespace};
use crate::config::Project;
use crate::daemon::client;
use crate::error::{Code, Error, Result};
use crate::owner::Owner;
use crate::paths::Paths;
use crate::session::status::SessionStatus;
use crate::shell::quote;

/// Refuses to end what another folder's project of the same name has, before its session ends. A cluster that does not
/// answer is looked at again by [`super::Down::run`]; its session is asked itself.
///
/// # Errors
/// [`Code::NamespaceForeign`], and those of [`refuse_anothers_session`].
pub async fn refuse_anothers(
    cluster: Option<&ManagedCluster>,
    project: &Project,
    paths: &Paths,
) -> Result<()> {
    let has_namespace = match cluster {
        Some(cluster) => has_namespace(cluster, project, paths).await?,
        None => false,
    };
    match refuse_anothers_session(project, paths).await {
        // An older devk's, say: what it has on the cluster is this project's.
        Err(error) if has_namespace && error.code == Code::SessionLost => Ok(()),
        asked => asked,
    }
}

/// Whether the cluster says that it has the namespace of this folder's project.
async fn has_namespace(cluster: &ManagedCluster, project: &Project, paths: &Paths) -> Result<bool> {
    let Ok(State::Running(nodes)) = cluster.state().await else {
        return Ok(false);
    };
    let Ok(Some(access)) = cluster.pinned(&nodes).await else {
        return Ok(false);
    };
    let owner = Owner::of(&project.root, paths).await;
    match namespace::find_own(&access.client, &project.id, &owner).await {
        Err(error) if error.code == Code::NamespaceForeign => Err(error),
        found => Ok(matches!(found, Ok(Some(_)))),
    }
}

/// Refuses to end a session of another folder's project of the same name, and one that does not say whose it is.
///
/// # Errors
/// [`Code::SessionProject`], [`Code::SessionLost`].
pub async fn refuse_anothers_session(project: &Project, paths: &Paths) -> Result<()> {
    match client::status(paths, &project.id).await {
        Ok(status) => is_not_anothers(&project.id, &project.root, status.as_ref()),
        Err(cause) => Err(unknown(&project.id, cause)),
    }
}

fn is_not_anothers(id: &str, root: &Path, status: Option<&SessionStatus>) -> Result<()> {
    // It is None while nothing was done yet.
    let Some(other) = status.and_then(|status| status.root.as_deref()) else {
        return Ok(());
    };
    // A folder that was renamed since is this one.
    let is_gone = matches!(other.try_exists(), Ok(false));
    if other == root || is_gone {
        return Ok(());
    }
    let message = format!(
        "the session of `{id}` is that of the project in `{}`, and was not ended",
        other.display()
    );
    let there = format!(
        "give this project another `name` in devk.yaml, or: cd {} && devk down",
        quote(other)
    );
    Err(Error::new(Code::SessionProject, message).hint(there))
}

fn unknown(id: &str, cause: Error) -> Error {
    let message = format!(
        "the session of `{id}` does not say to which folder's project it belongs, and was not ended: {}",
        cause.message
    );
    Error {
        message,
        ..Error::new(Code::SessionLost, "")
            .evidence(cause.evidence.join("\n"))
            .hint("devk up --restart    # if it is the session of this folder: replaces it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(root: Option<&Path>) -> SessionStatus {
        SessionStatus {
            root: root.map(Path::to_owned),
            ..SessionStatus::default()
        }
    }

    #[test]
    fn a_session_of_another_clone_is_not_ended_whether_or_not_the_cluster_answers() {
        let (own, clone) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let judged = |root: Option<&Path>| is_not_anothers("shop", own.path(), Some(&status(root)));
        let error = judged(Some(clone.path())).unwrap_err();
        assert_eq!(error.code, Code::SessionProject);
        let there = format!("cd {} && devk down", quote(clone.path()));
        assert!(error.hint.unwrap().ends_with(&there));
        assert_eq!(judged(Some(own.path())), Ok(()));
        assert_eq!(judged(None), Ok(()), "it has done nothing yet");
        let renamed = clone.path().join("gone");
        assert_eq!(judged(Some(&renamed)), Ok(()));
        assert_eq!(is_not_anothers("shop", own.path(), None), Ok(()));
    }

    #[test]
    fn a_session_that_does_not_answer_is_left_and_that_is_said() {
        let error = unknown("shop", Error::new(Code::SessionLost, "it speaks otherwise"));
        assert_eq!(error.code, Code::SessionLost);
        assert!(error.message.contains("was not ended: it speaks otherwise"));
        assert!(error.hint.is_some());
    }
}
