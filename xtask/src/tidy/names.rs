//! Type names: one name, one type. A name that several types of `src/` have says of none of them what it is.

use std::collections::BTreeMap;

use super::rust::{shipped, uncommented};
use super::{Finding, Source, finding};

const KEYWORDS: [&str; 4] = ["struct ", "enum ", "trait ", "type "];

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = vec![];
    for (name, places) in types(sources) {
        let (first, first_line) = places[0];
        for (path, line) in &places[1..] {
            let what = format!("type `{name}` has the name of another, {first}:{first_line}");
            findings.push(finding(path, *line, what));
        }
    }
    findings
}

/// The types of `src/` that more than their own module can name, with their places.
fn types(sources: &[Source]) -> BTreeMap<&str, Vec<(&str, usize)>> {
    let mut found = BTreeMap::<_, Vec<_>>::new();
    for source in sources {
        if !source.path.starts_with("src/") || !source.path.ends_with(".rs") {
            continue;
        }
        for (at, line) in shipped(source, sources).into_iter().enumerate() {
            if let Some(name) = public_type(uncommented(line)) {
                found.entry(name).or_default().push((&*source.path, at + 1));
            }
        }
    }
    found
}

/// `Plan` for `pub(super) struct Plan<'a> {`.
fn public_type(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("pub")?;
    let rest = match rest.strip_prefix('(') {
        Some(inside) => inside.split_once(')')?.1,
        None => rest,
    };
    let rest = rest.strip_prefix(' ')?;
    let name = KEYWORDS
        .iter()
        .find_map(|keyword| rest.strip_prefix(keyword))?;
    name.split(|c: char| !c.is_alphanumeric()).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let source = |(path, text): &(&str, &str)| Source {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        };
        let sources: Vec<_> = files.iter().map(source).collect();
        let findings = check(&sources);
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_name_that_two_types_have_is_told_at_the_second() {
        let files = [
            ("src/a.rs", "\npub(super) struct Place<'a> {\n}\n"),
            ("src/b.rs", "pub enum Place {\n}\n"),
        ];
        assert_eq!(
            found(&files),
            ["src/b.rs:1: type `Place` has the name of another, src/a.rs:2"]
        );
    }

    #[test]
    fn what_only_its_module_can_name_and_what_tests_have_does_not_count() {
        let files = [
            ("src/a.rs", "pub struct Place;\n"),
            (
                "src/b.rs",
                "struct Place;\n#[cfg(test)]\nmod tests {\n    pub struct Place;\n}\n",
            ),
            ("xtask/src/c.rs", "pub struct Place;\n"),
        ];
        assert_eq!(found(&files), [""; 0]);
    }
}
