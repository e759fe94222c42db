//! `devk open`: a service in the browser.

use std::collections::BTreeSet;

use serde_json::json;

use super::service::near;
use super::{Context, no_session};
use crate::daemon::client;
use crate::environment::Environment;
use crate::error::{Code, Error, Errors, Exit, Result};
use crate::process::Cmd;
use crate::ui::{self, Format};

/// The program that opens an address in the user's browser.
const OPENER: &str = if cfg!(target_os = "macos") {
    "open"
} else {
    "xdg-open"
};

/// The variables by which such a program finds the desktop and the browser.
const DESKTOP: [&str; 8] = [
    "BROWSER",
    "DBUS_SESSION_BUS_ADDRESS",
    "DESKTOP_SESSION",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_CURRENT_DESKTOP",
    "XDG_RUNTIME_DIR",
];

/// Opens the address of a forward; without a name that of the only one.
///
/// # Errors
/// [`Code::SessionNone`], [`Code::ServiceUnknown`]; [`Code::ToolMissing`] with the address in the hint.
pub async fn run(context: &Context, service: Option<&str>) -> Result<Exit, Errors> {
    let project = context.running_project()?;
    let session = client::status(&context.paths, &project.id).await?;
    let session = session.ok_or_else(|| no_session(&project.name))?;
    let forwards: Vec<_> = session.forwards.iter().map(|held| &held.forward).collect();
    let names: BTreeSet<_> = forwards
        .iter()
        .map(|forward| forward.name.as_str())
        .collect();
    let found = match service {
        Some(name) => forwards.iter().find(|forward| forward.name == name),
        None => forwards.first().filter(|_| forwards.len() == 1),
    };
    let Some(forward) = found else {
        let message = match service {
            Some(name) => format!("`{}` has no forward `{name}`", project.name),
            None => format!(
                "`{}` has {} forwards: name one",
                project.name,
                forwards.len()
            ),
        };
        let error = Error::new(Code::ServiceUnknown, message);
        return Err(error.hint(near(service.unwrap_or_default(), &names)).into());
    };
    let environment = Environment::of_process();
    let opener = environment.find(OPENER, &format!("open it yourself: {}", forward.url))?;
    let desktop = DESKTOP
        .iter()
        .filter_map(|name| Some((*name, environment.get(name)?)));
    Cmd::new(opener)
        .inherit(&environment)
        .envs(desktop)
        .arg(&forward.url)
        .outlives()
        .run()
        .await?;
    match context.format {
        Format::Json => ui::json(&json!({"version": 1, "opened": forward.url}))?,
        Format::Table => ui::out(&format!("{}\n", forward.url))?,
    }
    Ok(Exit::Ok)
}
