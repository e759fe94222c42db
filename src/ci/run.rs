//! Runs one command of `test:`, on this machine or in a pod, behind a guard that leaves nothing of it.

use std::path::PathBuf;
use std::time::Instant;

use super::last_lines::LastLines;
use super::{TestReport, TestStatus};
use crate::config::{Source, TestCommand, TestPlace};
use crate::error::{Result, internal};
use crate::process::Cmd;

/// What `timeout(1)` answers when the time was up.
const TIMED_OUT: u8 = 124;
/// So much of the end of a test's output goes into reports.
const MAX_REPORTED_BYTES: usize = 64 << 10;

/// What all tests of a run share.
#[derive(Debug)]
pub struct CiSetting {
    /// The folder of devk.yaml.
    pub root: PathBuf,
    pub file: PathBuf,
    /// The options of devk that name the project.
    pub options: Vec<String>,
    /// The addresses of the stack and the private kubeconfig.
    pub variables: Vec<(String, String)>,
}

/// Runs a test to its end or to the end of its time, and hands every line that it prints to `line`.
///
/// # Errors
/// Only if devk cannot start its own program; a command that is not there is a test that failed.
pub async fn run_test(
    test: &TestCommand,
    setting: &CiSetting,
    mut line: impl FnMut(&str),
) -> Result<TestReport> {
    let since = Instant::now();
    let mut tail = LastLines::new(MAX_REPORTED_BYTES);
    let command = command(test, setting)?;
    let ended = command
        .run_guarded(test.timeout, |text| {
            tail.push(text);
            line(text);
        })
        .await?;
    let (status, exit, why) = match ended.map(|status| status.code().unwrap_or(1)) {
        Some(0) => (TestStatus::Passed, 0, None),
        Some(code) => {
            let code = u8::try_from(code).unwrap_or(1);
            let why = format!("it ended with exit code {code}");
            (TestStatus::Failed, code, Some(why))
        }
        None => {
            let why = format!("it was killed, as it took longer than {:?}", test.timeout);
            (TestStatus::TimedOut, TIMED_OUT, Some(why))
        }
    };
    Ok(TestReport {
        name: test.name.clone(),
        status,
        exit: Some(exit),
        ms: u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
        why,
        file: setting.file.clone(),
        line: test.origin.line,
        output: tail.text(),
    })
}

fn command(test: &TestCommand, setting: &CiSetting) -> Result<Cmd> {
    let devk = std::env::current_exe().map_err(|e| internal(&e))?;
    let guard = Cmd::devk(&devk).args(["guard", "--"]);
    Ok(match &test.place {
        TestPlace::Machine { dir } => guard
            .args(test.run.words())
            .dir(dir.as_ref().unwrap_or(&setting.root))
            .envs(setting.variables.iter().map(|(key, value)| (key, value)))
            .envs(test.env.iter().map(|(key, value)| (key, value))),
        TestPlace::Pod { service, dir } => guard
            .arg(&devk)
            .args(&setting.options)
            .args(["sh", service, "--"])
            .args(in_container(test, dir.as_deref()))
            .dir(&setting.root),
    })
}

/// The command with its variables and its folder, for a container that has `sh`.
fn in_container(test: &TestCommand, dir: Option<&str>) -> Vec<String> {
    const IN_FOLDER: &str = r#"cd "$1" && shift && exec "$@""#;
    let mut words = vec![];
    if !test.env.is_empty() {
        words.push("env".to_owned());
        words.extend(test.env.iter().map(|(key, value)| format!("{key}={value}")));
    }
    if let Some(dir) = dir {
        words.extend(["sh", "-c", IN_FOLDER, "sh", dir].map(str::to_owned));
    }
    words.extend(test.run.words());
    words
}

impl CiSetting {
    /// The options by which devk finds a project again.
    pub fn options_of(source: &Source) -> Vec<String> {
        let mut options = vec!["-C".to_owned(), source.dir.display().to_string()];
        if let Some(file) = &source.file {
            options.extend(["--file".to_owned(), file.display().to_string()]);
        }
        if let Some(profile) = &source.profile {
            options.extend(["--profile".to_owned(), profile.clone()]);
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{TestRun, read_text};

    #[test]
    fn in_a_container_the_variables_and_the_folder_stand_before_the_words() {
        let text = "releases: [{name: a, chart: .}]\ntest:\n  - name: unit\n    run: [pytest, -q, \"a b\"]\n    service: api\n    dir: /app\n    env: {N: 1, WORDS: two words}\n";
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("Chart.yaml"), "name: a\n").unwrap();
        let project = read_text(text, &dir.path().join("devk.yaml")).unwrap();
        let test = &project.tests[0];
        assert_eq!(test.timeout, Duration::from_secs(600));
        let TestPlace::Pod { service, dir } = &test.place else {
            panic!("{test:?}")
        };
        assert_eq!(service, "api");
        assert_eq!(
            in_container(test, dir.as_deref()),
            [
                "env",
                "N=1",
                "WORDS=two words",
                "sh",
                "-c",
                r#"cd "$1" && shift && exec "$@""#,
                "sh",
                "/app",
                "pytest",
                "-q",
                "a b"
            ]
        );
        let plain = TestCommand {
            run: TestRun::Shell("echo $N".to_owned()),
            env: vec![],
            ..test.clone()
        };
        assert_eq!(in_container(&plain, None), ["sh", "-c", "echo $N"]);
    }
}
