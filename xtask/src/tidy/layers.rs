//! Which module of `src/` may use which: imports lead downwards only.

use std::collections::BTreeSet;

use super::rust::uncommented;
use super::{Finding, Source, finding};

/// The modules at the top of `src/`, the lowest layer first. A module uses those of the layers below its own, and none
/// beside it.
const LAYERS: &[&[&str]] = &[
    &[
        "again",
        "dockerfile",
        "error",
        "go_path",
        "hex",
        "kubernetes_version",
        "log_lines",
        "program",
        "quantity",
        "secret_forms",
        "shell",
        "version_range",
    ],
    &[
        "environment",
        "kubernetes_schema",
        "limits",
        "memory",
        "paths",
        "place",
        "pod_security",
    ],
    &["approval", "audit", "process"],
    &["model", "owner", "relay", "ui"],
    &["config", "database", "docker"],
    &["compose", "image", "ports"],
    &["cluster", "new_chart", "plan", "variables"],
    &["release", "sync"],
    &["bridge", "change", "inputs"],
    &["observe"],
    &["session"],
    &["up"],
    &["daemon"],
    &["logs"],
    &["ci", "down", "init", "inventory"],
    &["ask", "check"],
    &["doctor", "mcp"],
    &["assistant"],
    &["commands"],
    &["cli"],
];

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let modules: Vec<_> = sources
        .iter()
        .filter_map(|source| Some((source, module(&source.path)?)))
        .collect();
    let mut findings = unlisted(&modules);
    for (source, module) in modules {
        findings.extend(upwards(source, module));
    }
    findings
}

/// The module at the top of `src/` that a file belongs to. None for the roots of the crate and all that is no module.
fn module(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let top = inside.split('/').next()?;
    (!["lib", "main"].contains(&inside)).then_some(top)
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Modules that have no place in [`LAYERS`], each at the first of its files.
fn unlisted(modules: &[(&Source, &str)]) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let unknown = modules
        .iter()
        .filter(|(_, module)| layer(module).is_none() && seen.insert(*module));
    unknown
        .map(|(source, module)| {
            let what = format!("module `{module}` is in no layer of xtask/src/tidy/layers.rs");
            finding(&source.path, 1, what)
        })
        .collect()
}

/// Imports of modules that stand above this one, or beside it.
fn upwards(source: &Source, module: &str) -> Vec<Finding> {
    let Some(own) = layer(module) else {
        return vec![];
    };
    let is_up = |other: &str| other != module && layer(other).is_some_and(|layer| layer >= own);
    let code = code(source, module);
    let found = paths(&code).into_iter().filter(|(_, other)| is_up(other));
    found
        .map(|(line, other)| {
            let what = format!("imports upwards: `crate::{other}` is not below `{module}`");
            finding(&source.path, line, what)
        })
        .collect()
}

/// The text without comments, line by line. In the file of a module at the top of `src/`, what it imports from `super`
/// comes from the crate's root.
fn code(source: &Source, module: &str) -> String {
    let is_top =
        [format!("src/{module}.rs"), format!("src/{module}/mod.rs")].contains(&source.path);
    let line = |line: &str| {
        let line = uncommented(line);
        let is_import = !line.starts_with(' ') && line.contains("use super::");
        let line = match is_top && is_import {
            true => line.replace("use super::", "use crate::"),
            false => line.to_owned(),
        };
        line + "\n"
    };
    source.text.lines().map(line).collect()
}

/// The modules that follow on `crate::`, with their lines. Of `crate::{a::B, c}` there are two.
fn paths(code: &str) -> Vec<(usize, &str)> {
    let is_whole = |at: &usize| !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    let starts = code.match_indices("crate::").map(|(at, _)| at);
    let afters = starts.filter(is_whole).map(|at| at + "crate::".len());
    let names = afters.flat_map(|at| match code[at..].starts_with('{') {
        true => grouped(code, at),
        false => vec![at],
    });
    names
        .filter_map(|at| {
            let line = code[..at].matches('\n').count() + 1;
            Some((line, word(&code[at..])?))
        })
        .collect()
}

/// Where the members of a group begin whose brace is at `open`.
fn grouped(code: &str, open: usize) -> Vec<usize> {
    let mut begins = vec![];
    let mut depth = 0;
    for (at, c) in code[open..].char_indices() {
        let is_before_one = match c {
            '{' => {
                depth += 1;
                depth == 1
            }
            '}' => {
                depth -= 1;
                false
            }
            ',' => depth == 1,
            _ => false,
        };
        if depth == 0 {
            break;
        }
        if is_before_one {
            let rest = &code[open + at + 1..];
            begins.push(open + at + 1 + (rest.len() - rest.trim_start().len()));
        }
    }
    begins
}

/// The word at the start of a text, if there is one.
fn word(text: &str) -> Option<&str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .next()
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let source = Source {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        check(&[source]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_import_of_a_layer_above_is_named_with_its_line() {
        let text = "use crate::error::Error;\nuse crate::session::Session;\n";
        assert_eq!(
            found("src/sync/worker.rs", text),
            ["src/sync/worker.rs:2: imports upwards: `crate::session` is not below `sync`"]
        );
        assert_eq!(found("src/daemon/mod.rs", text), [""; 0]);
    }

    #[test]
    fn a_module_beside_another_does_not_use_it_but_uses_itself() {
        assert_eq!(
            found("src/image/load/mod.rs", "use crate::ports::Lease;").len(),
            1
        );
        assert_eq!(
            found("src/image/load/mod.rs", "use crate::image::hash;"),
            [""; 0]
        );
    }

    #[test]
    fn a_group_over_several_lines_and_a_path_in_tests_are_seen() {
        let group = "use crate::{\n    config::{Project, up},\n    up::Asked,\n    cli,\n};\n";
        assert_eq!(
            found("src/observe/mod.rs", group),
            [
                "src/observe/mod.rs:3: imports upwards: `crate::up` is not below `observe`",
                "src/observe/mod.rs:4: imports upwards: `crate::cli` is not below `observe`"
            ]
        );
        let test = "#[cfg(test)]\nmod tests {\n    fn f() {\n        crate::up::up();\n    }\n}\n";
        assert_eq!(found("src/ui/plain.rs", test).len(), 1);
    }

    #[test]
    fn a_comment_is_no_import_and_super_may_be_the_root() {
        assert_eq!(
            found("src/ui/plain.rs", "/// As [`crate::up::up`] says.\n"),
            [""; 0]
        );
        assert_eq!(found("src/ui/mod.rs", "use super::up::up;\n").len(), 1);
        assert_eq!(found("src/ui/plain.rs", "use super::up;\n"), [""; 0]);
        assert_eq!(
            found("src/ui/mod.rs", "mod tests {\n    use super::up;\n}\n"),
            [""; 0]
        );
    }

    #[test]
    fn a_module_without_a_layer_is_named_once_and_the_roots_need_none() {
        assert_eq!(
            found("src/new/mod.rs", "use crate::cli;"),
            ["src/new/mod.rs:1: module `new` is in no layer of xtask/src/tidy/layers.rs"]
        );
        assert_eq!(found("src/lib.rs", "use crate::cli;"), [""; 0]);
        assert_eq!(found("xtask/src/a.rs", "use crate::cli;"), [""; 0]);
    }
}
