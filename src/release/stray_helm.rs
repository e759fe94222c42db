//! A stray helm: a helm process that a killed devk left running, and that continues its installation.

use std::path::Path;
use std::time::Duration;

use super::layout::values_dir;
use crate::process;

/// How long devk waits for a stray helm.
const HELM_TIMEOUT: Duration = Duration::from_secs(60);

/// Waits until no stray helm upgrades this release; false if that takes too long. `state` is the project's
/// state folder, `waiting` is called again and again.
pub(super) async fn ended(state: &Path, release: &str, waiting: impl Fn()) -> bool {
    let deadline = tokio::time::Instant::now() + HELM_TIMEOUT;
    while runs(state, release).await {
        if tokio::time::Instant::now() > deadline {
            return false;
        }
        waiting();
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    true
}

/// Whether a helm runs with values of this release, recognised by their folder.
async fn runs(state: &Path, release: &str) -> bool {
    let values = values_dir(state, release).join("");
    let Some(values) = values.to_str() else {
        return false;
    };
    process::command_lines()
        .await
        .iter()
        .any(|line| line.contains(" upgrade ") && line.contains(values))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program with the command line of a helm that works with values of release `shop`.
    fn helm(state: &Path, verb: &str, seconds: &str) -> tokio::process::Child {
        let values = values_dir(state, "shop").join("0/devk.yaml");
        let mut command = tokio::process::Command::new("sh");
        command
            .args(["-c", &format!("sleep {seconds}; true"), verb, "shop", "-f"])
            .arg(values)
            .kill_on_drop(true);
        command.spawn().unwrap()
    }

    #[tokio::test]
    async fn the_helm_of_a_killed_devk_is_waited_for_and_no_other_program_is() {
        let state = tempfile::tempdir().unwrap();
        let _renders = helm(state.path(), "template", "60");
        let _other = helm(&state.path().join("other"), "upgrade", "60");
        assert!(ended(state.path(), "shop", || panic!("waits for another program")).await);

        let mut upgrades = helm(state.path(), "upgrade", "1");
        while !runs(state.path(), "shop").await {}
        let waited = std::cell::Cell::new(false);
        assert!(ended(state.path(), "shop", || waited.set(true)).await && waited.get());
        assert!(upgrades.wait().await.unwrap().success());
    }
}
