//! `devk env` and `devk kubeconfig`: what a shell needs to talk to the stack.

use super::Context;
use super::ports::forwards;
use crate::config::{ClusterConfig, Project};
use crate::error::{Errors, Exit, Result};
use crate::ports::{Forward, addresses};
use crate::shell::quote;
use crate::ui::{self, Format};

/// Prints shell exports: `NAME_HOST`, `NAME_PORT` and `NAME_URL` of every forward, and `KUBECONFIG`.
///
/// # Errors
/// As [`forwards`].
pub async fn run(context: &Context) -> Result<Exit, Errors> {
    let project = context.project()?;
    let variables = variables(context, &project, &forwards(context, &project).await?);
    match context.format {
        Format::Json => {
            let map: serde_json::Map<_, _> =
                variables.into_iter().map(|(k, v)| (k, v.into())).collect();
            ui::json(&serde_json::json!({"version": 1, "env": map}))?;
        }
        Format::Table => {
            let lines = variables
                .iter()
                .map(|(k, v)| format!("export {k}={}\n", quote(v)));
            ui::out(&lines.collect::<String>())?;
        }
    }
    Ok(Exit::Ok)
}

/// What `devk env` exports.
pub(super) fn variables(
    context: &Context,
    project: &Project,
    forwards: &[Forward],
) -> Vec<(String, String)> {
    let kubeconfig = kubeconfig_path(context, &project.cluster);
    let kubeconfig = ("KUBECONFIG".to_owned(), kubeconfig);
    std::iter::once(kubeconfig)
        .chain(addresses(forwards))
        .collect()
}

/// Prints the path of the private kubeconfig.
///
/// # Errors
/// Those of the configuration.
pub fn kubeconfig(context: &Context) -> Result<Exit, Errors> {
    let project = context.project()?;
    let path = kubeconfig_path(context, &project.cluster);
    match context.format {
        Format::Json => ui::json(&serde_json::json!({"version": 1, "kubeconfig": path}))?,
        Format::Table => ui::out(&format!("{path}\n"))?,
    }
    Ok(Exit::Ok)
}

fn kubeconfig_path(context: &Context, cluster: &ClusterConfig) -> String {
    context
        .paths
        .cluster(&cluster.folder())
        .join("kubeconfig")
        .display()
        .to_string()
}
