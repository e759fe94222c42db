//! `devk init --agents`: AGENTS.md tells coding agents of devk.

use serde_json::json;

use crate::commands::Context;
use crate::error::{Errors, Exit};
use crate::init::agents::AgentsEdit;
use crate::ui::{self, Format};

/// Puts devk's lines into AGENTS.md, or with `dry_run` prints them.
///
/// # Errors
/// As [`AgentsEdit::of`] and [`AgentsEdit::write`].
pub(super) fn run(context: &Context, dry_run: bool) -> Result<Exit, Errors> {
    let edit = AgentsEdit::of(&context.source.dir)?;
    let result = match (&edit.text, dry_run) {
        (None, _) => "unchanged",
        (Some(_), true) => "printed",
        (Some(_), false) => {
            edit.write()?;
            context.changes.wrote(&edit.file);
            "written"
        }
    };
    let file = edit.file.display();
    match (context.format, result) {
        (Format::Json, _) => ui::json(&json!({
            "version": 1, "result": result, "file": edit.file, "text": edit.block,
        }))?,
        (Format::Table, "printed") => ui::out(&edit.block)?,
        (Format::Table, "written") => ui::out(&format!(
            "{file} tells coding agents how to work with devk here; all else in it is as it was\n"
        ))?,
        (Format::Table, _) => ui::out(&format!("{file} has devk's lines, and stays as it is\n"))?,
    }
    Ok(Exit::Ok)
}
