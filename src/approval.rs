//! Approvals: what a program asks for and only a person may decide. The call that would destroy something, and the preview
//! of a change, leave a request in the project's state folder; `devk approve ID` on a terminal approves it; then the same
//! call with the id works once, within ten minutes, for that project alone. The id of a preview is its hash, so that it
//! stands for the plan and for every version that was shown.
//!
//! This keeps an agent from a mistake. It is no wall: a program that may run any command as this user could run
//! `devk down --delete` itself.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result, internal, suggest};
use crate::paths::{Paths, refused, remove_file, write_atomic};
use crate::shell::quote;

/// So long an approval can be used.
const VALID: SignedDuration = SignedDuration::from_mins(10);
/// So long a request waits for a person.
const WAITS: SignedDuration = SignedDuration::from_hours(1);
/// Letters and digits of an id that nobody takes for one another.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const ID_LETTERS: usize = 8;

/// What is to be done, on which project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalSubject {
    /// The project's id.
    pub project: String,
    pub folder: PathBuf,
    /// The words after `devk`.
    pub command: Vec<String>,
    /// The hash of a change's preview.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<String>,
}

impl ApprovalSubject {
    /// A preview of a change, whatever asked for it.
    pub fn of_preview(project: &str, folder: &Path, hash: &str) -> Self {
        Self {
            project: project.to_owned(),
            folder: folder.to_owned(),
            command: vec!["change".to_owned()],
            preview: Some(hash.to_owned()),
        }
    }

    /// As a person reads it.
    pub fn words(&self) -> String {
        format!("devk {}", self.command.join(" "))
    }
}

/// A request, and whether a person has approved it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    version: u32,
    pub id: String,
    pub subject: ApprovalSubject,
    /// What it would do, as lines for a person.
    pub what: Vec<String>,
    /// Names that the person types; empty where a yes is enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub typed: Vec<String>,
    /// The name that the client gives itself.
    pub client: String,
    pub requested: Timestamp,
    pub approved: Option<Timestamp>,
}

/// What a request says.
#[derive(Debug, Clone, Default)]
pub struct ApprovalRequest {
    /// What it would do, as lines for a person.
    pub what: Vec<String>,
    /// Names that the person types.
    pub typed: Vec<String>,
    /// The name that the client gives itself.
    pub client: String,
}

/// Leaves a request. What a person has approved of the same preview stays approved.
///
/// # Errors
/// [`Code::StateIo`].
pub fn request(
    paths: &Paths,
    subject: &ApprovalSubject,
    request: ApprovalRequest,
) -> Result<Approval> {
    let approval = Approval {
        version: 1,
        id: match &subject.preview {
            Some(hash) => hash.clone(),
            None => new_id()?,
        },
        subject: subject.clone(),
        what: request.what,
        typed: request.typed,
        client: request.client,
        requested: Timestamp::now(),
        approved: None,
    };
    // One that cannot be read is none: it is written anew.
    if subject.preview.is_some()
        && let Ok(Some(found)) = read(&file(paths, &approval))
        && found.subject == *subject
        && found.approved.is_some()
    {
        return Ok(found);
    }
    save(paths, &approval)?;
    Ok(approval)
}

/// Takes a request of a preview back, approved or not: whoever was to decide about it has decided elsewhere.
///
/// # Errors
/// [`Code::StateIo`].
pub fn withdraw(paths: &Paths, subject: &ApprovalSubject) -> Result<()> {
    let Some(hash) = &subject.preview else {
        return Ok(());
    };
    remove_file(&file_of(paths, &subject.project, hash))
}

/// Uses an approval: it is gone then, whoever else asks for it at the same time.
///
/// # Errors
/// [`Code::ApprovalUnknown`] if there is none for exactly this, [`Code::ApprovalNeeded`] if nobody has approved it yet.
pub fn take(paths: &Paths, subject: &ApprovalSubject, id: &str) -> Result<()> {
    let approval = find_for(paths, subject, id)?;
    if approval.approved.is_none() {
        return Err(needed(&approval));
    }
    used(paths, &approval)
}

/// Uses a request that nobody need be asked about: as [`take`], but within ten minutes of the request.
///
/// # Errors
/// [`Code::ApprovalUnknown`].
pub(crate) fn take_unasked(paths: &Paths, subject: &ApprovalSubject, id: &str) -> Result<()> {
    let approval = find_for(paths, subject, id)?;
    let since = approval.approved.unwrap_or(approval.requested);
    if Timestamp::now().duration_since(since) > VALID {
        remove_file(&file(paths, &approval))?;
        let why = format!("`{id}` was shown more than 10 minutes ago");
        return Err(unknown(subject, why));
    }
    used(paths, &approval)
}

/// The request with this id, if it is for exactly this.
fn find_for(paths: &Paths, subject: &ApprovalSubject, id: &str) -> Result<Approval> {
    let found = waiting(paths)
        .approvals
        .into_iter()
        .find(|approval| approval.id == id);
    let approval = found.ok_or_else(|| {
        unknown(
            subject,
            format!("there is no approval `{id}`, or not any more"),
        )
    })?;
    if approval.subject != *subject {
        let why = format!("approval `{id}` is for another call or another project");
        return Err(unknown(subject, why));
    }
    Ok(approval)
}

/// Of two calls at the same time one finds nothing to remove.
fn used(paths: &Paths, approval: &Approval) -> Result<()> {
    let file = file(paths, approval);
    match std::fs::remove_file(&file) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(unknown(
            &approval.subject,
            format!("approval `{}` has been used", approval.id),
        )),
        Err(e) => Err(refused("remove", &file, &e)),
    }
}

fn unknown(subject: &ApprovalSubject, why: String) -> Error {
    let error = Error::new(Code::ApprovalUnknown, why);
    error.hint(match subject.preview {
        Some(_) => "preview it again: an approval is for one preview, once, for 10 minutes",
        None => "call the tool without `approval`: it tells a new id",
    })
}

/// The error of a call that waits for a person.
pub fn needed(approval: &Approval) -> Error {
    let command = approval.subject.words();
    let error = Error::new(
        Code::ApprovalNeeded,
        format!("a person decides about `{command}`"),
    );
    let error = approval.what.iter().fold(error, Error::evidence);
    error.hint(format!(
        "ask the person to run `devk approve {}` in a terminal; then call this again with `approval: \"{}\"` within 10 \
         minutes",
        approval.id, approval.id
    ))
}

/// What waits, of all projects.
#[derive(Debug, Default)]
pub struct WaitingApprovals {
    /// Those that are not over, the oldest first.
    pub approvals: Vec<Approval>,
    /// [`Code::StateIo`] for each file that cannot be read or removed, or holds no approval: it approves nothing, and keeps
    /// nobody from the others.
    pub unreadable: Vec<Error>,
}

/// The requests and approvals of all projects.
pub fn waiting(paths: &Paths) -> WaitingApprovals {
    let projects = std::fs::read_dir(paths.state.join("projects"));
    let projects = projects.into_iter().flatten().flatten();
    let mut found = WaitingApprovals::default();
    for project in projects {
        let files = std::fs::read_dir(project.path().join("approvals"));
        for file in files.into_iter().flatten().flatten() {
            match read(&file.path()) {
                Ok(approval) => found.approvals.extend(approval),
                Err(error) => found.unreadable.push(error),
            }
        }
    }
    found
        .approvals
        .sort_by_key(|approval: &Approval| approval.requested);
    found
}

/// Finds a request by its id.
///
/// # Errors
/// [`Code::ApprovalUnknown`], with the files that cannot be read.
pub fn find(paths: &Paths, id: &str) -> Result<Approval> {
    let WaitingApprovals {
        approvals: all,
        unreadable,
    } = waiting(paths);
    let near = suggest(id, all.iter().map(|approval| approval.id.as_str())).map(str::to_owned);
    let found = all.into_iter().find(|approval| approval.id == id);
    found.ok_or_else(|| {
        let error = Error::new(
            Code::ApprovalUnknown,
            format!("nothing waits for the approval `{id}`"),
        );
        let error = unreadable
            .iter()
            .fold(error, |error, file| error.evidence(file.to_string()));
        error.hint(match near {
            Some(near) => format!("did you mean `devk approve {near}`?"),
            None => "devk approve    # lists what waits".to_owned(),
        })
    })
}

/// Approves a request that was shown, from now on.
///
/// # Errors
/// As [`find`] if it was used, withdrawn or replaced since it was shown, and [`Code::StateIo`].
pub fn approve(paths: &Paths, shown: &Approval) -> Result<()> {
    let approval = find(paths, &shown.id)?;
    if approval != *shown {
        let message = format!("`{}` is another request than the one shown", shown.id);
        let error = Error::new(Code::ApprovalUnknown, message);
        return Err(error.hint(format!("devk approve {}", shown.id)));
    }
    let approved = Some(Timestamp::now());
    save(
        paths,
        &Approval {
            approved,
            ..approval
        },
    )
}

/// The approval in a file. One that is over is removed; one that is removed meanwhile is none.
fn read(file: &Path) -> Result<Option<Approval>> {
    let text = match std::fs::read(file) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(refused("read", file, &e)),
    };
    // A file by another hand approves nothing.
    let approval = serde_json::from_slice::<Approval>(&text).map_err(|e| {
        let message = format!("`{}` holds no approval", file.display());
        let error = Error::new(Code::StateIo, message).evidence(e.to_string());
        error.hint(format!("rm {}    # it approves nothing", quote(file)))
    })?;
    let now = Timestamp::now();
    let age = |since: Timestamp| now.duration_since(since);
    let is_over = match approval.approved {
        Some(approved) => age(approved) > VALID,
        None => age(approval.requested) > WAITS,
    };
    if is_over {
        remove_file(file)?;
        return Ok(None);
    }
    Ok(Some(approval))
}

fn save(paths: &Paths, approval: &Approval) -> Result<()> {
    let text = serde_json::to_vec_pretty(approval).map_err(|e| internal(&e))?;
    write_atomic(&file(paths, approval), &text, 0o600)
}

fn file(paths: &Paths, approval: &Approval) -> PathBuf {
    file_of(paths, &approval.subject.project, &approval.id)
}

fn file_of(paths: &Paths, project: &str, id: &str) -> PathBuf {
    let folder = paths.project(project).join("approvals");
    folder.join(format!("{id}.json"))
}

fn new_id() -> Result<String> {
    let mut bytes = [0; ID_LETTERS];
    getrandom::fill(&mut bytes).map_err(|e| internal(&e))?;
    Ok(bytes
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(dir: &Path) -> Paths {
        Paths::below(dir)
    }

    fn subject(project: &str) -> ApprovalSubject {
        ApprovalSubject {
            project: project.to_owned(),
            folder: "/p".into(),
            command: ["down", "--delete"].map(str::to_owned).to_vec(),
            preview: None,
        }
    }

    fn asked_for(paths: &Paths, project: &str) -> Approval {
        request(paths, &subject(project), ApprovalRequest::default()).unwrap()
    }

    fn code(taken: Result<()>) -> Code {
        taken.unwrap_err().code
    }

    #[test]
    fn an_approval_works_once_for_exactly_what_was_asked() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        let asked = asked_for(&paths, "shop");
        let hint = needed(&asked).hint.unwrap();
        assert!(
            hint.contains(&format!("devk approve {}", asked.id)),
            "{hint}"
        );
        assert_eq!(
            code(take(&paths, &subject("shop"), &asked.id)),
            Code::ApprovalNeeded
        );
        approve(&paths, &find(&paths, &asked.id).unwrap()).unwrap();
        assert_eq!(
            code(take(&paths, &subject("other"), &asked.id)),
            Code::ApprovalUnknown
        );
        let mut elsewhere = subject("shop");
        elsewhere.folder = "/q".into();
        assert_eq!(
            code(take(&paths, &elsewhere, &asked.id)),
            Code::ApprovalUnknown
        );
        take(&paths, &subject("shop"), &asked.id).unwrap();
        assert_eq!(
            code(take(&paths, &subject("shop"), &asked.id)),
            Code::ApprovalUnknown
        );
    }

    #[test]
    fn what_was_used_while_the_question_stood_is_not_approved_again() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        let asked = asked_for(&paths, "shop");
        let shown = find(&paths, &asked.id).unwrap();
        approve(&paths, &shown).unwrap();
        // Another terminal shows it as it was.
        assert_eq!(code(approve(&paths, &shown)), Code::ApprovalUnknown);
        take(&paths, &subject("shop"), &asked.id).unwrap();
        assert_eq!(code(approve(&paths, &shown)), Code::ApprovalUnknown);
        assert_eq!(
            code(take(&paths, &subject("shop"), &asked.id)),
            Code::ApprovalUnknown
        );
    }

    #[test]
    fn of_many_calls_at_the_same_time_one_gets_the_approval() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        let asked = asked_for(&paths, "shop");
        approve(&paths, &asked).unwrap();
        let got = std::thread::scope(|scope| {
            let calls: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| take(&paths, &subject("shop"), &asked.id).is_ok()))
                .collect();
            calls
                .into_iter()
                .map(|call| call.join().unwrap())
                .filter(|got| *got)
                .count()
        });
        assert_eq!(got, 1);
    }

    #[test]
    fn an_approval_is_over_after_ten_minutes_and_a_request_after_an_hour() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        let mut asked = asked_for(&paths, "shop");
        asked.approved = Some(Timestamp::now() - SignedDuration::from_mins(11));
        save(&paths, &asked).unwrap();
        assert_eq!(
            code(take(&paths, &subject("shop"), &asked.id)),
            Code::ApprovalUnknown
        );
        assert!(!file(&paths, &asked).exists());
        asked.approved = None;
        asked.requested = Timestamp::now() - SignedDuration::from_mins(61);
        save(&paths, &asked).unwrap();
        assert_eq!(waiting(&paths).approvals, []);
    }

    #[test]
    fn a_file_that_holds_no_approval_is_named_and_keeps_nobody_from_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        let asked = asked_for(&paths, "shop");
        let folder = file(&paths, &asked).parent().unwrap().to_owned();
        std::fs::write(folder.join("broken.json"), "{").unwrap();
        std::fs::create_dir(folder.join("folder.json")).unwrap();
        let found = waiting(&paths);
        assert_eq!(found.approvals, std::slice::from_ref(&asked));
        let named: Vec<_> = found.unreadable.iter().map(Error::to_string).collect();
        assert_eq!(named.len(), 2, "{named:?}");
        for name in ["broken.json", "folder.json"] {
            assert!(named.iter().any(|said| said.contains(name)), "{named:?}");
        }
        approve(&paths, &find(&paths, &asked.id).unwrap()).unwrap();
        take(&paths, &subject("shop"), &asked.id).unwrap();
        let missing = find(&paths, &asked.id).unwrap_err();
        assert_eq!(missing.evidence.len(), 2, "{missing:?}");
    }

    #[test]
    fn a_request_that_was_answered_elsewhere_waits_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        let (answered, other) = (preview_of("/p"), asked_for(&paths, "other"));
        shown(&paths);
        withdraw(&paths, &answered).unwrap();
        assert_eq!(waiting(&paths).approvals, [other]);
        withdraw(&paths, &answered).unwrap();
    }

    const HASH: &str = "0123456789abcdef0123456789abcdef";

    fn preview_of(folder: &str) -> ApprovalSubject {
        ApprovalSubject::of_preview("shop", Path::new(folder), HASH)
    }

    fn shown(paths: &Paths) -> Approval {
        request(paths, &preview_of("/p"), ApprovalRequest::default()).unwrap()
    }

    #[test]
    fn a_preview_is_approved_by_its_hash_once_and_stays_so_when_it_is_shown_again() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        let (here, elsewhere) = (preview_of("/p"), preview_of("/q"));
        assert_eq!(code(take(&paths, &here, HASH)), Code::ApprovalUnknown);
        assert_eq!(shown(&paths).id, HASH);
        assert_eq!(code(take(&paths, &here, HASH)), Code::ApprovalNeeded);
        approve(&paths, &find(&paths, HASH).unwrap()).unwrap();
        assert!(shown(&paths).approved.is_some());
        assert_eq!(code(take(&paths, &elsewhere, HASH)), Code::ApprovalUnknown);
        take(&paths, &here, HASH).unwrap();
        assert_eq!(code(take(&paths, &here, HASH)), Code::ApprovalUnknown);
    }

    #[test]
    fn what_nobody_need_be_asked_about_is_done_once_and_within_ten_minutes_of_its_preview() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        let here = preview_of("/p");
        assert_eq!(
            code(take_unasked(&paths, &here, HASH)),
            Code::ApprovalUnknown
        );
        shown(&paths);
        take_unasked(&paths, &here, HASH).unwrap();
        assert_eq!(
            code(take_unasked(&paths, &here, HASH)),
            Code::ApprovalUnknown
        );
        let mut old = shown(&paths);
        old.requested = Timestamp::now() - SignedDuration::from_mins(11);
        save(&paths, &old).unwrap();
        assert_eq!(
            code(take_unasked(&paths, &here, HASH)),
            Code::ApprovalUnknown
        );
        assert!(!file(&paths, &old).exists());
    }

    #[cfg(unix)]
    #[test]
    fn only_the_user_can_read_or_write_a_request() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        let asked = asked_for(&paths, "shop");
        let mode = std::fs::metadata(file(&paths, &asked))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut wrong = asked.id.clone().into_bytes();
        wrong.swap(0, 1);
        let hint = find(&paths, &String::from_utf8(wrong).unwrap());
        assert!(hint.is_ok() || hint.unwrap_err().hint.unwrap().contains(&asked.id));
    }
}
