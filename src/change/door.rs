//! The one way to a change, for whoever asks for it and from wherever: preview, request, approval, execution. It needs no
//! terminal; who is asked, and how, is the caller's.
//!
//! Nothing but an [`ApprovedChange`] is carried out, and [`ChangeDoor::approved`] alone makes one: it makes the preview again,
//! compares it with what was approved, and uses the approval up.

use std::time::Duration;

use super::access::ChangeAccess;
use super::execute::{ChangeOutcome, execute};
use super::plan::ChangePlan;
use super::preview::{ChangePreview, preview};
use super::risk::ChangeRisk;
use super::verify::verify;
use crate::approval::{self, Approval, ApprovalRequest, ApprovalSubject};
use crate::cluster::pinned_cluster;
use crate::config::{AskRights, AskYes, Project, UserConfig};
use crate::docker;
use crate::environment::Environment;
use crate::error::{Code, Error, Errors, Result};
use crate::owner::Owner;
use crate::paths::Paths;
use crate::ui::event::Reporter;

/// What a workload of no release may take to become ready.
const READY: Duration = Duration::from_secs(180);

/// A project on its cluster, for changes.
#[derive(Debug)]
pub struct ChangeDoor {
    project: Project,
    paths: Paths,
    access: ChangeAccess,
}

/// Who agreed to a preview, by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeConsent {
    /// A person has just answered a question about it.
    Answered(String),
    /// Nobody was asked: `--yes`, up to the risk that the user leaves unasked.
    Unasked(String),
    /// An approval by that id: a person gave it with `devk approve`, or the user leaves the risk unasked and the preview was
    /// made within the last 10 minutes.
    Approval {
        id: String,
        /// Only a person's counts: an agent asks.
        by_person: bool,
    },
}

/// A change that may be carried out, once.
#[derive(Debug)]
pub struct ApprovedChange {
    preview: ChangePreview,
    approval: String,
}

/// Why nothing is done, and the preview as it is now, as far as there is one.
#[derive(Debug)]
pub struct RefusedChange {
    pub errors: Errors,
    pub preview: Option<Box<ChangePreview>>,
}

impl<E: Into<Errors>> From<E> for RefusedChange {
    fn from(errors: E) -> Self {
        Self {
            errors: errors.into(),
            preview: None,
        }
    }
}

impl ChangeConsent {
    /// The hash of the preview that was agreed to.
    fn hash(&self) -> &str {
        match self {
            Self::Answered(hash) | Self::Unasked(hash) | Self::Approval { id: hash, .. } => hash,
        }
    }
}

impl ApprovedChange {
    pub const fn preview(&self) -> &ChangePreview {
        &self.preview
    }

    /// Who approved it, and how: the words for the record.
    pub fn approval(&self) -> &str {
        &self.approval
    }
}

impl ChangeDoor {
    /// Access to the pinned cluster of a project, with the rights that the user gives it.
    ///
    /// # Errors
    /// Problems of the user's configuration; as [`ChangeAccess::new`].
    pub async fn open(
        project: &Project,
        paths: &Paths,
        environment: &Environment,
    ) -> Result<Self, Errors> {
        let user = UserConfig::load(paths, environment)?;
        let engine = docker::connect(environment).await?;
        let (cluster, access) = pinned_cluster(&engine, &project.cluster, paths).await?;
        let owner = Owner::of(&project.root, paths).await;
        let context = (!access.pin.created).then(|| project.cluster.context());
        let rights = user.ask.rights(&project.ask, context.as_deref());
        let kubeconfig = cluster.kubeconfig();
        let access = ChangeAccess::new(access, &kubeconfig, &project.id, &owner, rights).await?;
        Ok(Self {
            project: project.clone(),
            paths: paths.clone(),
            access,
        })
    }

    pub const fn access(&self) -> &ChangeAccess {
        &self.access
    }

    pub const fn project(&self) -> &Project {
        &self.project
    }

    /// What the user gives.
    pub const fn rights(&self) -> &AskRights {
        &self.access.rights
    }

    /// Shows what a plan would do, and does nothing.
    ///
    /// # Errors
    /// As [`preview`].
    pub async fn preview(&self, plan: &ChangePlan) -> Result<ChangePreview, Errors> {
        preview(&self.access, &self.project, plan).await
    }

    /// Whether a preview is within the risk that the user leaves unasked.
    pub fn is_left_unasked(&self, preview: &ChangePreview) -> bool {
        let allowed = self.rights().yes.map(|yes| match yes {
            AskYes::Reversible => ChangeRisk::Reversible,
            AskYes::Disruptive => ChangeRisk::Disruptive,
        });
        allowed.is_some_and(|allowed| preview.risk <= allowed)
    }

    /// Leaves a request for `devk approve`. Its id is the preview's hash. `client` is the name of the program that asks; empty
    /// for a person's own.
    ///
    /// # Errors
    /// [`Code::ChangeForbidden`] for what cannot be carried out, [`Code::StateIo`].
    pub fn request(&self, preview: &ChangePreview, client: &str) -> Result<Approval> {
        if let Some(problem) = self.access.shows_alone() {
            return Err(problem);
        }
        let request = ApprovalRequest {
            what: preview.lines(),
            typed: preview
                .destroyed()
                .map(|object| object.name.clone())
                .collect(),
            client: client.to_owned(),
        };
        approval::request(&self.paths, &self.subject(&preview.hash), request)
    }

    /// Takes the request of a preview back that was answered on a terminal: nothing waits any more.
    ///
    /// # Errors
    /// [`Code::StateIo`].
    pub fn withdraw(&self, preview: &ChangePreview) -> Result<()> {
        approval::withdraw(&self.paths, &self.subject(&preview.hash))
    }

    fn subject(&self, hash: &str) -> ApprovalSubject {
        ApprovalSubject::of_preview(&self.project.id, &self.project.root, hash)
    }

    /// Makes the preview once more, and uses the approval of it.
    ///
    /// # Errors
    /// [`Code::ChangeMoved`] if it is another preview now, [`Code::ChangeUnapproved`] if nobody has approved it,
    /// [`Code::ApprovalUnknown`] if the approval is over or was used, [`Code::ChangeForbidden`]; as [`Self::preview`].
    pub async fn approved(
        &self,
        plan: &ChangePlan,
        consent: &ChangeConsent,
    ) -> Result<ApprovedChange, RefusedChange> {
        let preview = self.preview(plan).await?;
        match self.agreed(&preview, consent) {
            Ok(approval) => Ok(ApprovedChange { preview, approval }),
            Err(error) => Err(RefusedChange {
                errors: error.into(),
                preview: Some(Box::new(preview)),
            }),
        }
    }

    /// The words for the record.
    fn agreed(&self, preview: &ChangePreview, consent: &ChangeConsent) -> Result<String> {
        if let Some(problem) = self.access.shows_alone() {
            return Err(problem);
        }
        if consent.hash() != preview.hash {
            return Err(moved());
        }
        let is_left_unasked = self.is_left_unasked(preview);
        match consent {
            ChangeConsent::Answered(_) => Ok("typed".to_owned()),
            ChangeConsent::Unasked(_) if is_left_unasked => {
                Ok(format!("--yes up to {}", preview.risk))
            }
            ChangeConsent::Unasked(_) => Err(self.unasked(preview)),
            ChangeConsent::Approval { id, by_person } => {
                let subject = self.subject(&preview.hash);
                match approval::take(&self.paths, &subject, id) {
                    Ok(()) => Ok(format!("devk approve {id}")),
                    Err(e) if e.code == Code::ApprovalNeeded && is_left_unasked && !by_person => {
                        approval::take_unasked(&self.paths, &subject, id)?;
                        Ok(format!("--approve {id} up to {}", preview.risk))
                    }
                    Err(e) if e.code == Code::ApprovalNeeded => Err(unapproved(&preview.hash)),
                    Err(e) => Err(e),
                }
            }
        }
    }

    /// The error of `--yes` for more than the user leaves unasked.
    pub fn unasked(&self, preview: &ChangePreview) -> Error {
        let (rights, risk) = (self.rights(), preview.risk);
        let message = match rights.yes {
            Some(yes) => format!(
                "the change is {risk}, and what is left unasked ends with `{}`",
                yes.word()
            ),
            None => format!("the change is {risk}, and nothing is left unasked"),
        };
        let error =
            Error::new(Code::ChangeUnapproved, message).evidence(rights.how_to_leave_unasked());
        let error = rights.beyond.iter().fold(error, Error::evidence);
        error.hint(format!("devk approve {}", preview.hash))
    }

    /// Carries out what was approved, and looks whether the cluster became what it was to become.
    pub async fn execute(&self, approved: &ApprovedChange, reporter: &Reporter) -> ChangeOutcome {
        let releases = self.project.releases.iter();
        let ready = releases
            .map(|release| release.timeout)
            .max()
            .unwrap_or(READY);
        let preview = &approved.preview;
        let done = execute(&self.access, preview, reporter).await;
        verify(&self.access, preview, done, ready, reporter).await
    }
}

fn moved() -> Error {
    let message = "what was approved is not what the plan would do now, so nothing was done";
    Error::new(Code::ChangeMoved, message)
        .evidence("the plan, the role, the cluster or an object of the plan is another one since")
}

/// The error of a preview that a person has to approve first.
fn unapproved(hash: &str) -> Error {
    let message = "no person has approved this preview: its hash alone approves nothing";
    Error::new(Code::ChangeUnapproved, message).hint(format!("devk approve {hash}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::cluster::fake::client;
    use crate::config::{AskConfig, AskRole, ClusterConfig, Provider, UserAsk};

    const HASH: &str = "0123456789abcdef0123456789abcdef";

    fn door(dir: &Path, yes: Option<AskYes>, context: Option<&str>) -> ChangeDoor {
        let user = UserAsk {
            yes,
            ..UserAsk::default()
        };
        let rights = user.rights(&AskConfig::default(), context);
        let pin = json!({"version": 1, "uid": "u1", "endpoint": "", "node": "n", "created": context.is_none(),
            "network_created": false, "engine": {"id": "e", "host": ""}});
        let (client, _) = client(json!({}));
        let pin = serde_json::from_value(pin).unwrap();
        let cluster = ClusterConfig::new(Provider::Kind, "devk");
        ChangeDoor {
            project: Project::without_file("shop", dir, cluster),
            paths: Paths::below(dir),
            access: ChangeAccess::of_parts(client, pin, rights),
        }
    }

    fn shown(risk: ChangeRisk) -> ChangePreview {
        ChangePreview {
            hash: HASH.to_owned(),
            role: AskRole::Operator,
            user: String::new(),
            beyond: vec![],
            only_shown: false,
            risk,
            steps: vec![],
        }
    }

    fn by_hash() -> ChangeConsent {
        ChangeConsent::Approval {
            id: HASH.to_owned(),
            by_person: false,
        }
    }

    fn code(agreed: Result<String>) -> Code {
        agreed.unwrap_err().code
    }

    #[tokio::test]
    async fn a_hash_that_nobody_approved_approves_nothing_and_an_approval_is_for_its_preview_once()
    {
        let dir = tempfile::tempdir().unwrap();
        let door = door(dir.path(), None, None);
        let preview = shown(ChangeRisk::Reversible);
        assert_eq!(
            code(door.agreed(&preview, &by_hash())),
            Code::ApprovalUnknown
        );
        door.request(&preview, "").unwrap();
        assert_eq!(
            code(door.agreed(&preview, &by_hash())),
            Code::ChangeUnapproved
        );
        let waiting = approval::find(&door.paths, HASH).unwrap();
        approval::approve(&door.paths, &waiting).unwrap();
        let mut moved = shown(ChangeRisk::Reversible);
        moved.hash = HASH.replace('0', "1");
        assert_eq!(code(door.agreed(&moved, &by_hash())), Code::ChangeMoved);
        let words = door.agreed(&preview, &by_hash()).unwrap();
        assert_eq!(words, format!("devk approve {HASH}"));
        assert_eq!(
            code(door.agreed(&preview, &by_hash())),
            Code::ApprovalUnknown
        );
    }

    #[tokio::test]
    async fn nobody_need_be_asked_up_to_the_users_risk_and_never_about_what_is_destructive() {
        let dir = tempfile::tempdir().unwrap();
        let unasked = ChangeConsent::Unasked(HASH.to_owned());
        let all = [
            ChangeRisk::Reversible,
            ChangeRisk::Disruptive,
            ChangeRisk::Destructive,
        ];
        for (yes, most) in [
            (None, 0),
            (Some(AskYes::Reversible), 1),
            (Some(AskYes::Disruptive), 2),
        ] {
            let door = door(dir.path(), yes, None);
            for (at, risk) in all.into_iter().enumerate() {
                let preview = shown(risk);
                let by_yes = door.agreed(&preview, &unasked);
                assert_eq!(by_yes.is_ok(), at < most, "{yes:?} {risk:?}");
                door.request(&preview, "").unwrap();
                let by_script = door.agreed(&preview, &by_hash());
                assert_eq!(by_script.is_ok(), at < most, "{yes:?} {risk:?}");
            }
        }
    }

    #[tokio::test]
    async fn on_a_cluster_of_somebody_else_no_consent_carries_anything_out() {
        let dir = tempfile::tempdir().unwrap();
        let door = door(dir.path(), Some(AskYes::Disruptive), Some("prod"));
        let preview = shown(ChangeRisk::Reversible);
        assert_eq!(
            door.request(&preview, "").unwrap_err().code,
            Code::ChangeForbidden
        );
        let hash = || HASH.to_owned();
        for consent in [
            ChangeConsent::Answered(hash()),
            ChangeConsent::Unasked(hash()),
            by_hash(),
        ] {
            let error = door.agreed(&preview, &consent).unwrap_err();
            assert_eq!(error.code, Code::ChangeForbidden);
            let hint = error.hint.unwrap();
            assert!(
                hint.ends_with("ask: {contexts: {\"prod\": operator}}"),
                "{hint}"
            );
        }
    }
}
