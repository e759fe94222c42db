//! Sizes and boundaries of the Rust code.

use super::rust::{functions, shipped, traits, uncommented};
use super::{Finding, Source, find, finding};

/// Without unit tests. More than this is more than one subject.
const FILE_LINES: usize = 400;
const MAIN_LINES: usize = 40;
const TRAIT_METHODS: usize = 4;

/// Where devk may start processes: the one door with its guard, and the client that starts devk itself.
const PROCESS_DOORS: [&str; 3] = [
    "src/process.rs",
    "src/process/guarded.rs",
    "src/daemon/client.rs",
];

/// Commands that talk to a cluster: by themselves to that of the user's current context.
const CLUSTER_COMMANDS: [&str; 12] = [
    "kubectl annotate ",
    "kubectl delete ",
    "kubectl describe ",
    "kubectl get ",
    "kubectl logs ",
    "kubectl patch ",
    "kubectl rollout ",
    "kubectl scale ",
    "helm history ",
    "helm rollback ",
    "helm status ",
    "helm uninstall ",
];

/// Calls whose first argument is a step's id.
const STEP_CALLS: [&str; 3] = [".start(", ".step(", ".skipped("];

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let rust = sources.iter().filter(|source| source.path.ends_with(".rs"));
    let each = rust.flat_map(|source| {
        let lines = shipped(source, sources);
        let of_lines = [
            sizes(source, &lines),
            processes(source, &lines),
            commands(source, &lines),
        ];
        of_lines
            .into_iter()
            .chain([steps(source, &lines, sources)])
            .flatten()
    });
    each.chain(codes(sources)).collect()
}

fn sizes(source: &Source, lines: &[&str]) -> Vec<Finding> {
    let most = if source.path == "src/main.rs" {
        MAIN_LINES
    } else {
        FILE_LINES
    };
    let too_long =
        |what: &str, is: usize, most: usize| format!("{what} has {is} lines; {most} are the most");
    let file = (lines.len() > most)
        .then(|| finding(&source.path, 1, too_long("the file", lines.len(), most)));
    let traits = traits(lines).into_iter().filter_map(|item| {
        let methods = item.lines.iter().filter(|line| {
            line.trim_start()
                .trim_start_matches("async ")
                .starts_with("fn ")
        });
        let count = methods.count();
        let what = format!(
            "trait `{}` has {count} methods; {TRAIT_METHODS} are the most",
            item.name
        );
        (count > TRAIT_METHODS).then(|| finding(&source.path, item.line, what))
    });
    file.into_iter().chain(traits).collect()
}

/// The number of shipped functions, and how many lines they have: the median and the longest of nine in ten. Reported,
/// not limited: a limit on a function's lines makes lines dense instead of functions short.
pub(super) fn function_lines(sources: &[Source]) -> (usize, usize, usize) {
    let rust = sources.iter().filter(|source| source.path.ends_with(".rs"));
    let mut lengths: Vec<usize> = rust
        .flat_map(|source| {
            let lines = shipped(source, sources);
            let lengths: Vec<_> = functions(&lines).iter().map(|f| f.lines.len()).collect();
            lengths
        })
        .collect();
    lengths.sort_unstable();
    let at = |share: usize| {
        lengths
            .get(lengths.len() * share / 100)
            .copied()
            .unwrap_or(0)
    };
    (lengths.len(), at(50), at(90))
}

/// A child must not see the user's environment (src/process.rs says why).
fn processes(source: &Source, lines: &[&str]) -> Vec<Finding> {
    if !source.path.starts_with("src/") || PROCESS_DOORS.contains(&source.path.as_str()) {
        return vec![];
    }
    let starts = |line: &str| {
        let line = uncommented(line);
        line.split_once("process::").is_some_and(|(_, after)| {
            let end = after.find([';', '(']).unwrap_or(after.len());
            after[..end]
                .split(|c: char| !c.is_alphanumeric())
                .any(|word| word == "Command")
        })
    };
    let found = lines.iter().enumerate().filter(|(_, line)| starts(line));
    found
        .map(|(at, _)| {
            finding(
                &source.path,
                at + 1,
                "subprocesses are started through src/process.rs",
            )
        })
        .collect()
}

/// A command that is pasted from a hint leads to the cluster that devk pinned (`on_cluster` in src/error.rs says why). It
/// is named in the same statement, or on the line before or after it.
fn commands(source: &Source, lines: &[&str]) -> Vec<Finding> {
    if !source.path.starts_with("src/") {
        return vec![];
    }
    let leads = |line: &&str| line.contains("on_cluster(") || line.contains("--kubeconfig");
    let found = lines.iter().enumerate().filter(|(at, line)| {
        let beside = around(lines, *at);
        CLUSTER_COMMANDS
            .iter()
            .any(|command| uncommented(line).contains(command))
            && !beside.iter().any(leads)
    });
    let what = "a command for the user's current context: wrap it in `on_cluster`";
    found
        .map(|(at, _)| finding(&source.path, at + 1, what))
        .collect()
}

/// The statement that a line belongs to, with the line before it and the one after.
fn around<'l, 'a>(lines: &'l [&'a str], at: usize) -> &'l [&'a str] {
    let ends = |line: &&str| uncommented(line).trim_end().ends_with([';', '{', '}']);
    let before = lines[..at].iter().rposition(ends).unwrap_or(0);
    let after = lines[at..]
        .iter()
        .position(ends)
        .map_or(lines.len(), |end| at + end + 1);
    &lines[before..lines.len().min(after + 1)]
}

/// A step that is reported has its place in `STEPS`, and so in docs/errors.md.
fn steps(source: &Source, lines: &[&str], sources: &[Source]) -> Vec<Finding> {
    let Some(table) =
        find(sources, "src/plan/steps.rs").filter(|_| source.path.starts_with("src/"))
    else {
        return vec![];
    };
    let unknown = |line: &str| {
        let id = step_id(uncommented(line))?;
        (!table.text.contains(&format!("\"{id}\",")))
            .then(|| format!("step `{id}` is not in STEPS of src/plan/steps.rs"))
    };
    let found = lines
        .iter()
        .enumerate()
        .filter_map(|(at, line)| Some((at, unknown(line)?)));
    found
        .map(|(at, what)| finding(&source.path, at + 1, what))
        .collect()
}

/// The id that a call on this line spells out: `a.b`, or `a.b/NAME` for `format!("a.b/{…}"`.
fn step_id(line: &str) -> Option<String> {
    let call = STEP_CALLS.iter().find_map(|call| line.split_once(call))?.1;
    let text = call
        .trim_start_matches('&')
        .trim_start_matches("format!(")
        .strip_prefix('"')?;
    let id = text.split('"').next()?;
    Some(
        id.split_once('/')
            .map_or_else(|| id.to_owned(), |(kind, _)| format!("{kind}/NAME")),
    )
}

/// An error code that nothing makes is a promise that nothing keeps.
fn codes(sources: &[Source]) -> Vec<Finding> {
    let Some(table) = find(sources, "src/error.rs") else {
        return vec![];
    };
    let rust = sources
        .iter()
        .filter(|s| s.path.starts_with("src/") && s.path.ends_with(".rs"));
    let lines: Vec<_> = rust
        .flat_map(|source| shipped(source, sources))
        .map(uncommented)
        .collect();
    let is_used = |variant: &str| {
        let text = format!("Code::{variant}");
        let mut ends = lines.iter().flat_map(|line| line.split(&text).skip(1));
        ends.any(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
    };
    let unused = variants(&table.text).filter(|(_, variant)| !is_used(variant));
    unused
        .map(|(line, variant)| {
            finding(
                &table.path,
                line,
                format!("nothing makes `Code::{variant}`"),
            )
        })
        .collect()
}

/// The lines of the `codes!` table.
fn variants(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let table = text
        .lines()
        .enumerate()
        .skip_while(|(_, line)| *line != "codes! {")
        .take_while(|(_, line)| *line != "}");
    table.filter_map(|(at, line)| Some((at + 1, line.split_once(" => \"")?.0.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whats(sources: &[(&str, &str)]) -> Vec<String> {
        let own = |(path, text): &(&str, &str)| Source {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        };
        check(&sources.iter().map(own).collect::<Vec<_>>())
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn what_is_too_long_is_named_with_its_line() {
        assert_eq!(
            whats(&[("src/a.rs", &"\n".repeat(401))]),
            ["src/a.rs:1: the file has 401 lines; 400 are the most"]
        );
        assert_eq!(whats(&[("src/main.rs", &"\n".repeat(41))]).len(), 1);
        let methods = "    fn m(&self);\n".repeat(5);
        assert_eq!(
            whats(&[("src/a.rs", &format!("pub trait T {{\n{methods}}}"))]).len(),
            1
        );
    }

    #[test]
    fn functions_are_measured_and_tests_are_not() {
        let function = |lines: usize| format!("fn f() {{\n{}}}\n", "    x();\n".repeat(lines - 2));
        let text = [3, 5, 9].map(function).concat() + "#[cfg(test)]\nmod tests {\nfn t() {\n}\n}\n";
        let source = Source {
            path: "src/a.rs".to_owned(),
            text,
        };
        assert_eq!(function_lines(&[source]), (3, 5, 9));
        assert_eq!(function_lines(&[]), (0, 0, 0));
    }

    #[test]
    fn processes_start_behind_one_door() {
        for text in [
            "use std::process::{Child, Command};",
            "tokio::process::Command::new(x)",
        ] {
            assert_eq!(whats(&[("src/a.rs", text)]).len(), 1, "{text}");
            assert_eq!(whats(&[("src/process.rs", text)]).len(), 0);
        }
        assert_eq!(
            whats(&[(
                "src/a.rs",
                "use std::process::ExitCode; // no process::Command"
            )])
            .len(),
            0
        );
    }

    #[test]
    fn a_command_for_a_cluster_names_the_cluster() {
        let bare = "\n.hint(format!(\"helm status {name}\"))\n";
        assert_eq!(whats(&[("src/a.rs", bare)]).len(), 1);
        assert_eq!(whats(&[("xtask/src/a.rs", bare)]).len(), 0);
        for text in [
            "let status = format!(\"helm status {name}\");\n.hint(on_cluster(status))",
            "on_cluster(\n\"kubectl get pods\"\n)",
            "let status = format!(\n\"helm status {}\",\nname,\n);\n(code, on_cluster(status))",
            "// kubectl get pods",
            "\"kubectl config get-contexts\"",
        ] {
            assert_eq!(whats(&[("src/a.rs", text)]), [""; 0], "{text}");
        }
    }

    #[test]
    fn a_step_that_is_reported_is_documented() {
        let plan = (
            "src/plan/steps.rs",
            "(\"a.b\", \"\"),\n(\"c.d/NAME\", \"\"),",
        );
        let known =
            "r.start(\"a.b\", \"\");\nself.step(&format!(\"c.d/{x}\"), y);\nother.start(z);";
        assert_eq!(whats(&[plan, ("src/up.rs", known)]), [""; 0]);
        let unknown = whats(&[plan, ("src/up.rs", "r.skipped(\"a.c\", \"\");")]);
        assert_eq!(
            unknown,
            ["src/up.rs:1: step `a.c` is not in STEPS of src/plan/steps.rs"]
        );
    }

    #[test]
    fn a_code_is_used_outside_of_comments_and_tests() {
        let table = "codes! {\n    A => \"a\", Usage, \"\";\n    AB => \"ab\", Usage, \"\";\n}";
        let uses = "// Code::A\nfn f() { Code::AB }\n#[cfg(test)]\nmod tests {\n    Code::A\n}";
        assert_eq!(
            whats(&[("src/error.rs", table), ("src/a.rs", uses)]),
            ["src/error.rs:2: nothing makes `Code::A`"]
        );
    }
}
