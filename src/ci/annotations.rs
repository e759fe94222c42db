//! Annotations of GitHub Actions: lines that its runner reads from the output of a step (GitHub, "Workflow commands").

use std::path::Path;

use super::TestReport;
use crate::environment::Environment;
use crate::error::Error;

/// The runner shows only the beginning of a long message.
const MAX_MESSAGE_CHARACTERS: usize = 4000;

/// Whether a runner of GitHub Actions reads the output.
pub fn is_on(environment: &Environment) -> bool {
    environment.get("GITHUB_ACTIONS") == Some("true")
}

/// The annotation of a test that did not pass, at its place in devk.yaml. Every text in it goes through `mask` before it
/// is cut or escaped: half of a secret, or one with other signs, is no known one.
pub fn of_test(
    test: &TestReport,
    workspace: Option<&Path>,
    mask: impl Fn(&str) -> String,
) -> String {
    let why = mask(test.why.as_deref().unwrap_or_default());
    let message = format!("{why}\n{}", last_characters(&mask(&test.output)));
    let title = mask(&format!("devk ci: {}", test.name));
    let place = place(&test.file, Some(test.line), workspace, mask);
    error(&title, Some(place), message.trim_end())
}

/// The annotation of a step of `up` that failed, or of a problem that kept `up` from starting; masked as [`of_test`] is.
pub fn of_error(
    step: &str,
    problem: &Error,
    workspace: Option<&Path>,
    mask: impl Fn(&str) -> String,
) -> String {
    let hint = problem.hint.iter().map(|hint| format!("next: {hint}"));
    let lines = std::iter::once(problem.message.clone()).chain(problem.evidence.clone());
    let message: Vec<_> = lines.chain(hint).collect();
    let message = mask(&message.join("\n"));
    let title = mask(&format!("{step} ({})", problem.code));
    let file = problem.file.as_deref();
    let place = file.map(|file| place(file, problem.line, workspace, mask));
    error(&title, place, &first_characters(&message))
}

/// The runner knows files by their place in the repository.
fn place(
    file: &Path,
    line: Option<u32>,
    workspace: Option<&Path>,
    mask: impl Fn(&str) -> String,
) -> (String, Option<u32>) {
    let inside = workspace.and_then(|workspace| file.strip_prefix(workspace).ok());
    (mask(&inside.unwrap_or(file).display().to_string()), line)
}

fn error(title: &str, place: Option<(String, Option<u32>)>, message: &str) -> String {
    let mut properties = vec![];
    if let Some((file, line)) = place {
        properties.push(format!("file={}", property(&file)));
        properties.extend(line.map(|line| format!("line={line}")));
    }
    properties.push(format!("title={}", property(title)));
    format!("::error {}::{}\n", properties.join(","), data(message))
}

/// The beginning of what is folded in the log.
pub fn group(title: &str) -> String {
    format!("::group::{}\n", data(title))
}

/// Its end.
pub const END_GROUP: &str = "::endgroup::\n";

/// A message, in which a line end would end the command.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// A property, which also ends at a colon and at a comma.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

fn last_characters(text: &str) -> String {
    let skipped = text.chars().count().saturating_sub(MAX_MESSAGE_CHARACTERS);
    text.chars().skip(skipped).collect()
}

fn first_characters(text: &str) -> String {
    text.chars().take(MAX_MESSAGE_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::super::TestStatus;
    use super::super::fixture::test;
    use super::*;
    use crate::error::Code;

    #[test]
    fn what_would_end_a_command_or_a_property_is_escaped() {
        let failed = TestReport {
            output: "50% done\r\nE: a, b\n".to_owned(),
            ..test("end:to,end", TestStatus::Failed, Some(2))
        };
        assert_eq!(
            of_test(&failed, Some(Path::new("/src/shop")), str::to_owned),
            "::error file=devk.yaml,line=7,title=devk ci%3A end%3Ato%2Cend::it ended with 2%0A50%25 done%0D%0AE: a, b\n"
        );
    }

    #[test]
    fn an_error_without_a_place_has_none_and_a_file_elsewhere_keeps_its_path() {
        let problem = Error::new(Code::ImageBuild, "it did not build")
            .evidence("line 1\nline 2")
            .hint("devk up");
        assert_eq!(
            of_error("image.build/api", &problem, None, str::to_owned),
            "::error title=image.build/api (image.build)::it did not build%0Aline 1%0Aline 2%0Anext: devk up\n"
        );
        let placed = Error::new(Code::ConfigValue, "x").at("/etc/devk.yaml", 3);
        let line = of_error("up", &placed, Some(Path::new("/src/shop")), str::to_owned);
        assert!(
            line.starts_with("::error file=/etc/devk.yaml,line=3,title="),
            "{line}"
        );
    }

    #[test]
    fn of_a_long_output_the_end_is_shown() {
        let failed = TestReport {
            output: "é".repeat(9000) + "last",
            ..test("a", TestStatus::Failed, Some(1))
        };
        let line = of_test(&failed, None, str::to_owned);
        assert!(line.ends_with("élast\n") && line.chars().count() < 4200);
        assert_eq!(line.lines().count(), 1);
    }

    #[test]
    fn a_secret_is_masked_before_it_is_cut_or_escaped() {
        let mask = |text: &str| text.replace("p%a-b", "[masked]");
        let failed = TestReport {
            output: format!("p%a-b{}", "x".repeat(MAX_MESSAGE_CHARACTERS - 2)),
            ..test("a", TestStatus::Failed, Some(1))
        };
        let line = of_test(&failed, None, mask);
        assert!(!line.contains("a-b"), "{line}");
        let problem = Error::new(Code::ImageBuild, "with p%a-b");
        let line = of_error("up", &problem, None, mask);
        assert!(line.ends_with("::with [masked]\n"), "{line}");
    }
}
