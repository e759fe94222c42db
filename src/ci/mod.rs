//! `devk ci` but for the stack: runs the commands of `test:` one after another, and says what came of them: in a JUnit
//! report, in annotations of GitHub Actions, in a folder of what shows why something failed.

pub mod annotations;
pub mod artifacts;
pub mod junit;
mod last_lines;
mod run;

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::ui::event::{Event, Status};

pub use run::{CiSetting, run_test};

/// What a test came to (the contract of `devk ci --format json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TestReport {
    pub name: String,
    pub status: TestStatus,
    /// The exit code of its command, 124 if the time was up; null if it was not run.
    pub exit: Option<u8>,
    pub ms: u64,
    /// Why it was not run, or did not pass.
    pub why: Option<String>,
    /// Where it stands in devk.yaml.
    pub file: PathBuf,
    pub line: u32,
    /// The last lines that the command printed; the log among the artifacts has all.
    #[serde(skip)]
    pub output: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestStatus {
    Passed,
    Failed,
    TimedOut,
    Skipped,
}

impl TestReport {
    /// Whether its command was run and did not pass.
    pub fn is_failure(&self) -> bool {
        matches!(self.status, TestStatus::Failed | TestStatus::TimedOut)
    }

    /// How long it took.
    pub fn took(&self) -> Duration {
        Duration::from_millis(self.ms)
    }
}

/// How each step of `up` ended last, in the order of these ends.
pub fn ends(events: &[Event]) -> Vec<&Event> {
    let mut ends: Vec<&Event> = vec![];
    let is_end = |event: &&Event| {
        let status = event.status;
        matches!(status, Status::Done | Status::Failed | Status::Skipped)
    };
    for event in events.iter().filter(is_end) {
        ends.retain(|other| other.step != event.step);
        ends.push(event);
    }
    ends
}

/// The exit code of the first test that did not pass.
pub fn first_failure(tests: &[TestReport]) -> Option<u8> {
    let failed = tests.iter().find(|test| test.is_failure())?;
    Some(failed.exit.filter(|code| *code != 0).unwrap_or(1))
}

#[cfg(test)]
pub(crate) mod fixture {
    use super::*;

    pub(crate) fn test(name: &str, status: TestStatus, exit: Option<u8>) -> TestReport {
        TestReport {
            name: name.to_owned(),
            status,
            exit,
            ms: 1500,
            why: exit
                .filter(|code| *code != 0)
                .map(|code| format!("it ended with {code}")),
            file: "/src/shop/devk.yaml".into(),
            line: 7,
            output: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fixture::test;
    use super::*;

    #[test]
    fn the_exit_code_is_that_of_the_first_test_that_failed() {
        let passed = test("a", TestStatus::Passed, Some(0));
        let skipped = test("b", TestStatus::Skipped, None);
        assert_eq!(first_failure(&[passed.clone(), skipped.clone()]), None);
        let late = test("c", TestStatus::TimedOut, Some(124));
        let broken = test("d", TestStatus::Failed, Some(3));
        assert_eq!(first_failure(&[passed, skipped, late, broken]), Some(124));
    }
}
