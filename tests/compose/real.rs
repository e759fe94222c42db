//! The real `docker compose config`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::answer::Answer;
use crate::case::Case;
use crate::child::output;

/// It takes a tenth of a second, or for ever: a merge key within its own anchor sends it into a loop.
const TIME: Duration = Duration::from_secs(20);

/// What it answers, and what it says on stderr.
pub(crate) fn ask(case: &Case, parent: &Path) -> (Answer, String) {
    let mut command = Command::new("docker");
    command
        .env_clear()
        .current_dir(case.dir(parent))
        .arg("compose");
    command.args(case.args.iter().map(|arg| case.placed(arg, parent)));
    command
        .envs(environment(case, parent))
        .args(["config", "--format", "json"]);
    let output = output(&mut command, TIME);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !said.contains("unknown command") && !said.contains("is not a docker command"),
        "no docker compose: {said}"
    );
    if output.status.success() {
        (
            Answer::from_json(&String::from_utf8(output.stdout).unwrap()),
            said,
        )
    } else {
        (Answer::Refused, said)
    }
}

/// Of the process: what docker needs to find itself, and the case's own.
pub(crate) fn environment(case: &Case, parent: &Path) -> impl Iterator<Item = (String, String)> {
    let inherited = ["PATH", "HOME"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)));
    inherited.chain(
        case.env
            .iter()
            .map(move |(name, value)| (name.clone(), case.placed(value, parent))),
    )
}
