//! The documents name what exists, and what exists is in the documents.

use std::collections::BTreeSet;

use super::rust::{shipped, uncommented};
use super::{Finding, Source, find, finding};

const MAP: &str = "docs/architecture.md";
/// The command line: the file, and the folder with the rest of it.
const CLI: &str = "src/cli";
const CONFIGURATION: &str = "docs/configuration.md";
/// The project file that the page on devk.yaml shows.
const EXAMPLE: &str = "profiles/demo/devk.yaml";

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = unmapped(sources);
    findings.extend(old_example(sources));
    let of_cli = sources.iter().filter(|source| source.path.starts_with(CLI));
    let cli: Vec<_> = of_cli.map(|source| source.text.as_str()).collect();
    let cli = cli.join("\n");
    for source in sources {
        if source.path.ends_with(".md") {
            findings.extend(dead_paths(source, sources));
            findings.extend(broken_rows(source));
            for (line, code) in codes(&source.text) {
                findings.extend(
                    unknown_command(&code, &cli).map(|what| finding(&source.path, line, what)),
                );
            }
        }
        if source.path.starts_with("src/") {
            findings.extend(hints(source, sources, &cli));
        }
    }
    findings
}

/// Modules at the top of `src` that the code map leaves out.
fn unmapped(sources: &[Source]) -> Vec<Finding> {
    let map = find(sources, MAP)
        .map(|map| map.text.as_str())
        .unwrap_or_default();
    let inside = sources
        .iter()
        .filter_map(|source| source.path.strip_prefix("src/"));
    let modules: BTreeSet<_> = inside
        .map(|path| path.split_inclusive('/').next().unwrap_or(path))
        .collect();
    let missing = modules
        .into_iter()
        .filter(|module| !map.contains(&format!("`src/{module}`")));
    missing
        .map(|module| finding(MAP, 1, format!("the code map lacks `src/{module}`")))
        .collect()
}

/// The example in the page on devk.yaml is a file that the tests run.
fn old_example(sources: &[Source]) -> Option<Finding> {
    let page = find(sources, CONFIGURATION)?;
    let example = find(sources, EXAMPLE)?;
    (!page.text.contains(&example.text)).then(|| {
        finding(
            CONFIGURATION,
            1,
            format!("does not show `{EXAMPLE}` as it is"),
        )
    })
}

/// Rows of tables that have other cells than the row above: what reads Markdown drops some of them.
fn broken_rows(source: &Source) -> Vec<Finding> {
    let cells = |line: &str| {
        line.starts_with('|')
            .then(|| line.replace("\\|", "").matches('|').count())
    };
    let lines: Vec<_> = source.text.lines().map(cells).collect();
    let pairs = lines.windows(2).enumerate();
    let broken = pairs.filter(|(_, pair)| matches!(pair, [Some(above), Some(row)] if above != row));
    broken
        .map(|(above, _)| {
            finding(
                &source.path,
                above + 2,
                "the row has other cells than the one above",
            )
        })
        .collect()
}

/// Links and code that name a file of the repository which is not there.
fn dead_paths(source: &Source, sources: &[Source]) -> Vec<Finding> {
    let folder = source
        .path
        .rsplit_once('/')
        .map(|(folder, _)| format!("{folder}/"))
        .unwrap_or_default();
    let exists = |path: &str| {
        sources
            .iter()
            .any(|other| other.path == path || other.path.starts_with(&format!("{path}/")))
    };
    let tops: BTreeSet<_> = sources
        .iter()
        .filter_map(|other| Some(other.path.split_once('/')?.0))
        .collect();
    let links = links(&source.text)
        .into_iter()
        .map(|(line, link)| (line, link.clone(), format!("{folder}{link}")));
    let named = codes(&source.text).into_iter().flat_map(|(line, code)| {
        let words: Vec<_> = code.split_whitespace().map(str::to_owned).collect();
        words
            .into_iter()
            .map(move |word| (line, word.clone(), word.trim_end_matches('/').to_owned()))
    });
    // Only from the root: what a project's own document names by `./` is that project's affair.
    let named = named.filter(|(_, _, path)| {
        path.split_once('/')
            .is_some_and(|(top, _)| tops.contains(top))
    });
    let dead = links.chain(named).filter(|(_, _, path)| !exists(path));
    dead.map(|(line, shown, _)| finding(&source.path, line, format!("`{shown}` does not exist")))
        .collect()
}

/// Targets of Markdown links into the repository.
fn links(text: &str) -> Vec<(usize, String)> {
    let in_line = |(at, line): (usize, &str)| {
        let targets = line
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'))
            .map(|(target, _)| target);
        let inner = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
        inner
            .map(|target| (at + 1, target.to_owned()))
            .collect::<Vec<_>>()
    };
    text.lines().enumerate().flat_map(in_line).collect()
}

/// What stands in code: inline, or a line of a fenced block, its comment left out.
fn codes(text: &str) -> Vec<(usize, String)> {
    let mut found = vec![];
    let mut fenced = false;
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            found.push((
                at + 1,
                line.split(" #").next().unwrap_or_default().to_owned(),
            ));
        } else {
            found.extend(
                line.split('`')
                    .skip(1)
                    .step_by(2)
                    .map(|code| (at + 1, code.to_owned())),
            );
        }
    }
    found
}

/// A `devk COMMAND` or one of its options that the command line does not know.
fn unknown_command(code: &str, cli: &str) -> Option<String> {
    let known = commands(cli);
    let words: Vec<_> = code
        .split(|c: char| c.is_whitespace() || "\"'()|;".contains(c))
        .collect();
    let calls = words
        .windows(2)
        .filter(|pair| pair[0] == "devk" && pair[1].starts_with(|c: char| c.is_ascii_lowercase()));
    if let Some(pair) = { calls }.find(|pair| !known.contains(pair[1])) {
        return Some(format!("`devk {}` is no command", pair[1]));
    }
    let options = words
        .iter()
        .filter(|_| words.contains(&"devk"))
        .filter_map(|word| word.strip_prefix("--"));
    let is_known = |option: &&str| {
        let field = format!(" {}:", option.replace('-', "_"));
        // clap's own.
        ["help", "version"].contains(option)
            || cli.contains(&field)
            || cli.contains(&format!("long = \"{option}\""))
    };
    { options }
        .find(|option| !is_known(option))
        .map(|option| format!("devk has no option `--{option}`"))
}

/// The commands of `enum Command`.
fn commands(cli: &str) -> BTreeSet<String> {
    let variants = cli
        .lines()
        .skip_while(|line| *line != "enum Command {")
        .take_while(|line| *line != "}");
    let names = variants.filter_map(|line| line.strip_prefix("    "));
    let names = names.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    names
        .map(|line| {
            line.split(|c: char| !c.is_alphanumeric())
                .next()
                .unwrap_or_default()
                .to_lowercase()
        })
        .collect()
}

/// Hints that begin with a devk command that does not exist.
fn hints(source: &Source, sources: &[Source], cli: &str) -> Vec<Finding> {
    let wrong = |line: &str| {
        let hint = uncommented(line)
            .split_once("hint(")?
            .1
            .trim_start_matches("format!(")
            .strip_prefix("\"devk ")?;
        unknown_command(&format!("devk {}", hint.split('"').next()?), cli)
    };
    let lines = shipped(source, sources).into_iter().enumerate();
    lines
        .filter_map(|(at, line)| Some(finding(&source.path, at + 1, wrong(line)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMANDS: &str = "enum Command {\n    /// Go\n    Up(UpArgs),\n    Down {\n        delete: bool,\n    },\n    Env,\n}";

    fn whats(path: &str, text: &str) -> Vec<String> {
        let source = |path: &str, text: &str| Source {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let map = source(MAP, "`src/cli.rs` `src/a/` `src/b.rs`");
        let sources = [
            source("src/cli.rs", COMMANDS),
            source("src/a/x.rs", ""),
            source("src/b.rs", ""),
            map,
            source(path, text),
        ];
        check(&sources).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_module_that_the_map_lacks_is_found() {
        assert_eq!(
            whats("src/c/mod.rs", ""),
            ["docs/architecture.md:1: the code map lacks `src/c/`"]
        );
    }

    #[test]
    fn commands_and_options_in_code_must_exist() {
        assert_eq!(
            whats(
                "README.md",
                "devk builds\n`devk up`, `devk --version`, `x=\"$(devk env)\"`\n```\ndevk down --delete  # devk x\n```"
            ),
            [""; 0]
        );
        assert_eq!(
            whats("README.md", "\n```\ndevk upp\n```"),
            ["README.md:3: `devk upp` is no command"]
        );
        assert_eq!(
            whats("README.md", "`devk down --all`"),
            ["README.md:1: devk has no option `--all`"]
        );
        assert_eq!(
            whats("src/a/y.rs", "    e.hint(\"devk dawn\")"),
            ["src/a/y.rs:1: `devk dawn` is no command"]
        );
    }

    #[test]
    fn the_page_on_the_project_file_shows_the_example_as_it_is() {
        let source = |path: &str, text: &str| Source {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let shown = |page| {
            let sources = [source(CONFIGURATION, page), source(EXAMPLE, "name: demo\n")];
            old_example(&sources).is_none()
        };
        assert!(shown("```\nname: demo\n```") && !shown("```\nname: shop\n```"));
    }

    #[test]
    fn every_row_of_a_table_has_as_many_cells() {
        let table = "| a | b |\n|---|---|\n| 1 | `x \\| y` |\n";
        assert_eq!(whats("docs/x.md", table), [""; 0]);
        assert_eq!(
            whats("docs/x.md", &format!("{table}| 1 | 2 | | 3 | 4 |\n")),
            ["docs/x.md:4: the row has other cells than the one above"]
        );
    }

    #[test]
    fn links_and_paths_in_code_must_exist() {
        assert_eq!(
            whats(
                "docs/x.md",
                "[map](architecture.md) `src/a/` [out](https://example.org)"
            ),
            [""; 0]
        );
        assert_eq!(
            whats("docs/x.md", "[map](maps.md)"),
            ["docs/x.md:1: `maps.md` does not exist"]
        );
        assert_eq!(
            whats("README.md", "`src/c.rs`"),
            ["README.md:1: `src/c.rs` does not exist"]
        );
    }
}
