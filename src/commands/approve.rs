//! `devk approve`: a person allows what an agent asked for. Only on a terminal: a question that a script can answer
//! asks nobody, so there is no `--yes`.

use serde_json::json;

use super::Context;
use crate::error::{Code, Error, Errors, Exit, Result};
use crate::mcp::approval::{self, Approval};
use crate::ui::{self, Format};

/// Shows a request and asks; without an id, lists the requests.
///
/// # Errors
/// [`Code::ApprovalUnknown`], [`Code::Usage`] without a terminal, [`Code::ApprovalDeclined`] if the answer is no.
pub fn run(context: &Context, id: Option<&str>) -> Result<Exit, Errors> {
    let Some(id) = id else {
        list(context, &approval::waiting(&context.paths)?)?;
        return Ok(Exit::Ok);
    };
    let approval = approval::find(&context.paths, id)?;
    if !ui::can_ask() {
        return Err(no_terminal(id).into());
    }
    ui::err(&shown(&approval));
    if !ui::confirmed("Approve it") {
        let error = Error::new(Code::ApprovalDeclined, format!("`{id}` is not approved"));
        return Err(error.hint("nothing was done").into());
    }
    approval::approve(&context.paths, approval)?;
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

fn list(context: &Context, waiting: &[Approval]) -> Result<()> {
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
            format!("devk {}", approval.subject.command.join(" ")),
            state.to_owned(),
        ]
    };
    ui::out(&ui::table(&waiting.iter().map(row).collect::<Vec<_>>()))
}

fn shown(approval: &Approval) -> String {
    let client = match approval.client.as_str() {
        "" => "An agent".to_owned(),
        client => format!("An agent (`{client}`)"),
    };
    let command = format!("devk {}", approval.subject.command.join(" "));
    let what: String = approval
        .what
        .iter()
        .map(|line| format!("  {line}\n"))
        .collect();
    format!(
        "{client} asked at {} to run `{command}`:\n{what}",
        approval.requested
    )
}
