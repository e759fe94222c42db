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

/// The annotation of a test that did not pass, at its place in devk.yaml.
pub fn of_test(test: &TestReport, workspace: Option<&Path>) -> String {
    let why = test.why.clone().unwrap_or_default();
    let message = format!("{why}\n{}", last_characters(&test.output));
    let title = format!("devk ci: {}", test.name);
    error(
        &title,
        Some((&test.file, Some(test.line))),
        message.trim_end(),
        workspace,
    )
}

/// The annotation of a step of `up` that failed, or of a problem that kept `up` from starting.
pub fn of_error(step: &str, problem: &Error, workspace: Option<&Path>) -> String {
    let hint = problem.hint.iter().map(|hint| format!("next: {hint}"));
    let lines = std::iter::once(problem.message.clone()).chain(problem.evidence.clone());
    let message: Vec<_> = lines.chain(hint).collect();
    let place = problem.file.as_deref().map(|file| (file, problem.line));
    error(
        &format!("{step} ({})", problem.code),
        place,
        &first_characters(&message.join("\n")),
        workspace,
    )
}

fn error(
    title: &str,
    place: Option<(&Path, Option<u32>)>,
    message: &str,
    workspace: Option<&Path>,
) -> String {
    let mut properties = vec![];
    if let Some((file, line)) = place {
        // The runner knows files by their place in the repository.
        let inside = workspace.and_then(|workspace| file.strip_prefix(workspace).ok());
        let file = inside.unwrap_or(file).display().to_string();
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
            of_test(&failed, Some(Path::new("/src/shop"))),
            "::error file=devk.yaml,line=7,title=devk ci%3A end%3Ato%2Cend::it ended with 2%0A50%25 done%0D%0AE: a, b\n"
        );
    }

    #[test]
    fn an_error_without_a_place_has_none_and_a_file_elsewhere_keeps_its_path() {
        let problem = Error::new(Code::ImageBuild, "it did not build")
            .evidence("line 1\nline 2")
            .hint("devk up");
        assert_eq!(
            of_error("image.build/api", &problem, None),
            "::error title=image.build/api (image.build)::it did not build%0Aline 1%0Aline 2%0Anext: devk up\n"
        );
        let placed = Error::new(Code::ConfigValue, "x").at("/etc/devk.yaml", 3);
        let line = of_error("up", &placed, Some(Path::new("/src/shop")));
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
        let line = of_test(&failed, None);
        assert!(line.ends_with("élast\n") && line.chars().count() < 4200);
        assert_eq!(line.lines().count(), 1);
    }
}
