//! Sessions whose folder is gone, renamed or deleted: such a session goes on with what it has, and holds its ports, until
//! it is ended or the project is brought up from its new folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::timeout;

use super::{Check, DoctorFacts, Id, findings};
use crate::config::Project;
use crate::daemon::{client, socket};
use crate::paths::{Paths, is_gone};
use crate::ports::Lessee;
use crate::session::status::{ForwardStatus, SessionStatus};

/// How long a session may take to tell its status.
const PATIENCE: Duration = Duration::from_secs(2);

/// A session that runs, and whose folder is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrandedSession {
    /// The project, and the folder that is gone.
    pub lessee: Lessee,
    pub pid: u32,
    /// What it listens on: forward and port.
    pub ports: Vec<(String, u16)>,
    /// Where the project is now, if that is the folder that is looked at.
    pub now: Option<PathBuf>,
}

/// Asks every session of this user. One that does not answer in time is left out.
pub(super) async fn inspect(paths: &Paths, project: Option<&Project>) -> Vec<StrandedSession> {
    let asked = socket::projects(paths).map(|id| async move {
        let status = timeout(PATIENCE, client::status(paths, &id)).await;
        stranded(id, status.ok()?.ok()??, project)
    });
    join_all(asked).await.into_iter().flatten().collect()
}

fn stranded(
    id: String,
    status: SessionStatus,
    project: Option<&Project>,
) -> Option<StrandedSession> {
    let root = status.root.filter(|root| is_gone(root))?;
    let now = project.filter(|project| project.id == id);
    let port = |held: ForwardStatus| (held.forward.name, held.forward.local);
    Some(StrandedSession {
        lessee: Lessee { project: id, root },
        pid: status.pid,
        ports: status.forwards.into_iter().map(port).collect(),
        now: now.map(|project| project.root.clone()),
    })
}

pub(super) fn checks(facts: &DoctorFacts) -> Vec<Check> {
    findings(
        Id::LeftoversFolders,
        facts.leftovers.stranded.iter().map(finding).collect(),
        "every session has its folder",
    )
}

fn finding(session: &StrandedSession) -> Check {
    let StrandedSession {
        lessee, pid, ports, ..
    } = session;
    let message = format!(
        "the session of `{}` (pid {pid}) goes on, and its folder is gone",
        lessee.project
    );
    let check = Check::warning(Id::LeftoversFolders, message).evidence(shown(&lessee.root));
    let held = ports
        .iter()
        .map(|(name, port)| format!("it holds port {port} for forward `{name}`"));
    held.fold(check, Check::evidence).hint(match session.now {
        Some(_) => "devk up -d    # the session goes on from this folder".to_owned(),
        None => format!(
            "kill {pid}    # ends it and frees its ports; if the folder was renamed, `devk up -d` there keeps both"
        ),
    })
}

fn shown(root: &Path) -> String {
    root.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Forward;
    use crate::session::stats::ForwardStats;

    fn session(root: Option<&Path>) -> SessionStatus {
        let forward = Forward {
            name: "api".into(),
            namespace: "shop".into(),
            service: "api".into(),
            remote: 5000,
            local: 15000,
            url: String::new(),
            moved: None,
        };
        let stats = ForwardStats::default();
        SessionStatus {
            pid: 42,
            root: root.map(Path::to_owned),
            forwards: vec![ForwardStatus { forward, stats }],
            ..SessionStatus::default()
        }
    }

    #[test]
    fn a_session_is_stranded_if_the_folder_that_it_went_by_is_gone_and_is_told_with_its_ports() {
        let dir = tempfile::tempdir().unwrap();
        let of = |status| stranded("shop".into(), status, None);
        assert_eq!(of(session(None)), None);
        assert_eq!(of(session(Some(dir.path()))), None);
        let gone = dir.path().join("gone");
        let found = of(session(Some(&gone))).unwrap();
        let check = finding(&found);
        let evidence: Vec<_> = check.evidence.iter().map(|one| one.text.clone()).collect();
        assert_eq!(
            evidence,
            [
                gone.display().to_string(),
                "it holds port 15000 for forward `api`".to_owned()
            ]
        );
        assert!(check.hint.unwrap().starts_with("kill 42    # "));
        let found = StrandedSession {
            now: Some(dir.path().to_owned()),
            ..found
        };
        assert!(
            finding(&found)
                .hint
                .unwrap()
                .starts_with("devk up -d    # ")
        );
    }
}
