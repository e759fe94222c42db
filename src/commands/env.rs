//! `devk env` and `devk kubeconfig`: what a shell needs to talk to the stack.

use super::Context;
use super::ports::forwards;
use crate::config::ClusterConfig;
use crate::error::{Errors, Exit, Result};
use crate::shell::quote;
use crate::ui::{self, Format};

/// Prints shell exports: `NAME_HOST`, `NAME_PORT` and `NAME_URL` of every forward, and `KUBECONFIG`.
///
/// # Errors
/// As [`forwards`].
pub async fn run(context: &Context) -> Result<Exit, Errors> {
    let project = context.project()?;
    let mut variables = vec![(
        "KUBECONFIG".to_owned(),
        kubeconfig_path(context, &project.cluster),
    )];
    for forward in forwards(context, &project).await? {
        let name = variable(&forward.name);
        variables.push((format!("{name}_HOST"), "127.0.0.1".to_owned()));
        variables.push((format!("{name}_PORT"), forward.local.to_string()));
        variables.push((format!("{name}_URL"), forward.url));
    }
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

fn variable(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect()
}
