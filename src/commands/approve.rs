//! `devk approve`: a person allows what a program asked for: a call of an agent, or the change that a preview shows. Only on a terminal: a question that a script can answer
//! asks nobody, so there is no `--yes`.

use serde_json::json;

use super::Context;
use crate::approval::{self, Approval, WaitingApprovals};
use crate::error::{Code, Error, Errors, Exit, Result};
use crate::ui::{self, Format};

/// Shows a request and asks; without an id, lists the requests.
///
/// # Errors
/// [`Code::ApprovalUnknown`], [`Code::Usage`] without a terminal, [`Code::ApprovalDeclined`] if the answer is no.
pub fn run(context: &Context, id: Option<&str>) -> Result<Exit, Errors> {
    let Some(id) = id else {
        list(context, &approval::waiting(&context.paths))?;
        return Ok(Exit::Ok);
    };
    let approval = approval::find(&context.paths, id)?;
    if !ui::can_ask() {
        return Err(no_terminal(id).into());
    }
    ui::err(&shown(&approval));
    if !ui::agreed("Approve it", &approval.typed) {
        let error = Error::new(Code::ApprovalDeclined, format!("`{id}` is not approved"));
        return Err(error.hint("nothing was done").into());
    }
    approval::approve(&context.paths, &approval)?;
    match context.format {
        Format::Json => ui::json(&json!({"version": 1, "approved": id}))?,
        Format::Table => ui::out(&format!("approved for 10 minutes, for one call: {id}\n"))?,
    }
    Ok(Exit::Ok)
}

fn no_terminal(id: &str) -> Error {
    let error = Error::new(
        Code::Usage,
        "`devk approve` asks a person, and there is no terminal",
    );
    error.hint(format!("run `devk approve {id}` in a terminal yourself"))
}

fn list(context: &Context, found: &WaitingApprovals) -> Result<()> {
    let waiting = &found.approvals;
    for error in &found.unreadable {
        ui::warning(error, context.format);
    }
    if context.format == Format::Json {
        return ui::json(&json!({"version": 1, "waiting": waiting}));
    }
    if waiting.is_empty() {
        return ui::out("nothing waits for an approval\n");
    }
    let row = |approval: &Approval| {
        let state = approval
            .approved
            .map_or("waits", |_| "approved, not used yet");
        vec![
            approval.id.clone(),
            approval.subject.project.clone(),
            approval.subject.words(),
            state.to_owned(),
        ]
    };
    ui::out(&ui::table(&waiting.iter().map(row).collect::<Vec<_>>()))
}

fn shown(approval: &Approval) -> String {
    let who = match (approval.client.as_str(), &approval.subject.preview) {
        ("", Some(_)) => "A change".to_owned(),
        ("", None) => "An agent".to_owned(),
        (client, _) => format!("An agent (`{}`)", ui::harmless(client)),
    };
    let (command, project) = (approval.subject.words(), &approval.subject.project);
    let asked = match approval.subject.preview {
        Some(_) => format!("of objects of project `{project}`"),
        None => format!("to run `{command}`"),
    };
    let line = |line: &String| format!("  {}\n", ui::harmless(line));
    let what: String = approval.what.iter().map(line).collect();
    format!("{who} asked at {} {asked}:\n{what}", approval.requested)
}
