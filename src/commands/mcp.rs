//! `devk mcp`: serves a coding agent, or prints and writes the configuration by which one starts the server.

use std::io::IsTerminal;

use serde_json::json;

use super::Context;
use crate::error::{Errors, Exit, Result};
use crate::mcp;
use crate::mcp::clients::{ClientChange, McpClient};
use crate::ui::{self, Format};

/// Serves one client on stdin and stdout until it closes stdin.
///
/// # Errors
/// As [`mcp::serve`].
pub async fn serve(context: Context) -> Result<Exit, Errors> {
    if std::io::stdin().is_terminal() {
        ui::err(
            "devk mcp speaks JSON-RPC with a coding agent on stdin and stdout; `devk mcp --print claude` prints how an \
             agent starts it; Ctrl-D ends it\n",
        );
    }
    mcp::serve(context.source, context.paths).await?;
    Ok(Exit::Ok)
}

/// Prints the configuration of a client, or puts it into the client's file of this folder.
///
/// # Errors
/// As [`McpClient::write`].
pub fn configure(context: &Context, client: McpClient, write: bool) -> Result<Exit, Errors> {
    let mut args = vec!["mcp".to_owned()];
    args.extend(options(context));
    if !write {
        let text = client.text(&args)?;
        match context.format {
            Format::Json => ui::json(&json!({"version": 1, "file": client.file(), "text": text}))?,
            Format::Table => ui::out(&text)?,
        }
        return Ok(Exit::Ok);
    }
    let (file, change) = client.write(&context.source.dir, &args)?;
    if change == ClientChange::Written {
        context.changes.wrote(&file);
    }
    match context.format {
        Format::Json => {
            ui::json(
                &json!({"version": 1, "file": file, "written": change == ClientChange::Written}),
            )?;
        }
        Format::Table => {
            let done = match change {
                ClientChange::Written => "the server `devk` is in",
                ClientChange::WasThere => "unchanged, as it has a server `devk`:",
            };
            ui::out(&format!("{done} {}\n", file.display()))?;
        }
    }
    Ok(Exit::Ok)
}

/// The options by which the server finds the same project; a path as it is from the folder.
fn options(context: &Context) -> Vec<String> {
    let source = &context.source;
    let file = source.file.iter().flat_map(|file| {
        let file = file.strip_prefix(&source.dir).unwrap_or(file);
        ["--file".to_owned(), file.display().to_string()]
    });
    let profile = source.profile.iter();
    let profile = profile.flat_map(|profile| ["--profile".to_owned(), profile.clone()]);
    file.chain(profile).collect()
}
