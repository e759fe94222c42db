//! The JUnit report of a run: one suite for the steps of `up`, one for the tests. Only this file knows the library.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{TestReport, TestStatus, ends};
use crate::error::{Errors, Result, internal};
use crate::ui::event::{Event, Status};

/// What a report tells of.
#[derive(Debug)]
pub struct JunitSource<'a> {
    pub project: &'a str,
    /// The events of `up`, in their order.
    pub events: &'a [Event],
    /// Why `up` did not begin.
    pub refused: Option<&'a Errors>,
    pub tests: &'a [TestReport],
}

impl JunitSource<'_> {
    /// The report as a file. Every text in it goes through `mask`.
    ///
    /// # Errors
    /// None in practice.
    pub fn text(&self, mask: impl Fn(&str) -> String) -> Result<String> {
        let mut report = Report::new(format!("devk ci {}", self.project));
        let mut steps = TestSuite::new("devk up");
        steps.add_test_cases(self.steps(&mask));
        let mut tests = TestSuite::new("devk ci");
        tests.add_test_cases(self.tests.iter().map(|test| self.test(test, &mask)));
        let whole: Duration = self.tests.iter().map(TestReport::took).sum();
        tests.set_time(whole);
        report.add_test_suites([steps, tests]);
        report.to_string().map_err(|e| internal(&e))
    }

    /// The steps by how each ended last.
    fn steps(&self, mask: &impl Fn(&str) -> String) -> Vec<TestCase> {
        let ends = ends(self.events).into_iter();
        let mut cases: Vec<_> = ends.map(|event| step(event, mask)).collect();
        let refused = self.refused.iter().flat_map(|errors| &errors.0);
        cases.extend(refused.map(|error| {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status
                .set_message(mask(&error.message))
                .set_type(error.code.as_str())
                .set_description(mask(&error.evidence.join("\n")));
            case("up", "devk.up", 0, status)
        }));
        cases
    }

    fn test(&self, test: &TestReport, mask: &impl Fn(&str) -> String) -> TestCase {
        let why = mask(test.why.as_deref().unwrap_or_default());
        let mut status = match test.status {
            TestStatus::Passed => TestCaseStatus::success(),
            TestStatus::Skipped => TestCaseStatus::skipped(),
            TestStatus::Failed | TestStatus::TimedOut => {
                TestCaseStatus::non_success(NonSuccessKind::Failure)
            }
        };
        if test.status != TestStatus::Passed {
            status.set_message(why);
        }
        let mut case = case(&test.name, self.project, test.ms, status);
        if !test.output.is_empty() {
            case.set_system_out(mask(&test.output));
        }
        case
    }
}

fn step(event: &Event, mask: &impl Fn(&str) -> String) -> TestCase {
    let mut status = match event.status {
        Status::Skipped => TestCaseStatus::skipped(),
        Status::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
        _ => TestCaseStatus::success(),
    };
    if event.status == Status::Skipped {
        status.set_message(mask(&event.detail));
    }
    if let Some(error) = &event.error {
        status
            .set_message(mask(&error.message))
            .set_type(error.code.as_str())
            .set_description(mask(&error.evidence.join("\n")));
    }
    case(&event.step, "devk.up", event.ms, status)
}

fn case(name: &str, class: &str, ms: u64, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(class)
        .set_time(Duration::from_millis(ms));
    case
}

#[cfg(test)]
mod tests {
    use super::super::fixture::test;
    use super::*;
    use crate::error::{Code, Error};

    fn event(step: &str, status: Status, error: Option<Error>) -> Event {
        Event {
            time: jiff::Timestamp::UNIX_EPOCH,
            step: step.to_owned(),
            status,
            detail: "detail".to_owned(),
            ms: 20,
            error,
        }
    }

    #[test]
    fn each_step_counts_once_by_its_end_and_each_test_by_its_own() {
        let failure =
            Error::new(Code::ReleaseNotReady, "pod <api> crashed").evidence("key=hunter22");
        let events = [
            event("image.build/api", Status::Started, None),
            event("image.build/api", Status::Done, None),
            event("cluster.create", Status::Skipped, None),
            event("release.ready/shop", Status::Done, None),
            event("release.ready/shop", Status::Failed, Some(failure)),
        ];
        let tests = [
            test("unit", TestStatus::Passed, Some(0)),
            TestReport {
                output: "\u{1b}[31mred\u{1b}[0m \u{0} hunter22 ]]> end\n".to_owned(),
                ..test("e2e", TestStatus::Failed, Some(3))
            },
            test("late", TestStatus::Skipped, None),
        ];
        let source = JunitSource {
            project: "shop",
            events: &events,
            refused: None,
            tests: &tests,
        };
        let text = source
            .text(|text| text.replace("hunter22", "[masked]"))
            .unwrap();
        assert!(!text.contains("hunter22") && !text.contains('\u{1b}') && !text.contains('\0'));
        let read = Report::deserialize_from_str(&text).unwrap();
        let [steps, suite] = &read.test_suites[..] else {
            panic!("{text}")
        };
        assert_eq!((steps.tests, steps.failures, steps.skipped), (3, 1, 1));
        assert_eq!((suite.tests, suite.failures, suite.skipped), (3, 1, 1));
        let output = suite.test_cases[1].system_out.as_ref().unwrap();
        assert_eq!(output.as_str(), "red  [masked] ]]> end");
        assert!(text.contains("pod &lt;api&gt; crashed"), "{text}");
    }

    #[test]
    fn an_up_that_was_refused_is_an_error_of_its_own() {
        let errors = Errors::from(Error::new(Code::ConfigMissing, "there is none"));
        let source = JunitSource {
            project: "shop",
            events: &[],
            refused: Some(&errors),
            tests: &[],
        };
        let read = Report::deserialize_from_str(&source.text(str::to_owned).unwrap()).unwrap();
        assert_eq!((read.tests, read.errors, read.failures), (1, 1, 0));
    }
}
