//! Rust source as far as tidy must understand it. It relies on rustfmt: an item ends at the first line that is
//! indented as its beginning and starts with `}`.

use super::Source;

/// A function, trait or macro call and the lines it takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Item<'a> {
    pub(super) name: &'a str,
    /// 1-based.
    pub(super) line: usize,
    /// All of its lines, first and last included.
    pub(super) lines: Vec<&'a str>,
}

/// The lines of a file that are not its unit tests; none for a file that is tests as a whole.
pub(super) fn shipped<'a>(source: &'a Source, sources: &[Source]) -> Vec<&'a str> {
    if is_test(source, sources) {
        return vec![];
    }
    let lines: Vec<_> = source.text.lines().collect();
    let tests = lines
        .windows(2)
        .position(|pair| pair[0] == "#[cfg(test)]" && pair[1] == "mod tests {");
    lines[..tests.unwrap_or(lines.len())].to_vec()
}

/// In `tests/`, or declared by its parent as `#[cfg(test)] mod …;`.
fn is_test(source: &Source, sources: &[Source]) -> bool {
    let path = source.path.trim_end_matches(".rs").trim_end_matches("/mod");
    let declared = |(folder, name): (&str, &str)| {
        let parents = [
            format!("{folder}.rs"),
            format!("{folder}/mod.rs"),
            format!("{folder}/lib.rs"),
        ];
        let declaration = [
            format!("#[cfg(test)]\nmod {name};"),
            format!("#[cfg(test)]\npub(crate) mod {name};"),
        ];
        let parent = sources.iter().filter(|other| parents.contains(&other.path));
        parent
            .into_iter()
            .any(|parent| declaration.iter().any(|text| parent.text.contains(text)))
    };
    let folders = path
        .match_indices('/')
        .map(|(at, _)| &path[..at])
        .chain([path]);
    source.path.starts_with("tests/")
        || folders
            .filter_map(|part| part.rsplit_once('/'))
            .any(declared)
}

/// A line without its comment, for checks that comments must not trip. Good enough where `//` stands in a text: what
/// follows it there is of no interest.
pub(super) fn uncommented(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

/// Functions with a body.
pub(super) fn functions<'a>(lines: &[&'a str]) -> Vec<Item<'a>> {
    items(lines, "fn ")
}

/// Traits with their methods' lines.
pub(super) fn traits<'a>(lines: &[&'a str]) -> Vec<Item<'a>> {
    items(lines, "trait ")
}

fn items<'a>(lines: &[&'a str], keyword: &str) -> Vec<Item<'a>> {
    let begins = lines
        .iter()
        .enumerate()
        .filter_map(|(at, line)| Some((at, name_after(line, keyword)?)));
    begins
        .filter_map(|(at, name)| {
            Some(Item {
                name,
                line: at + 1,
                lines: body(&lines[at..])?.to_vec(),
            })
        })
        .collect()
}

/// `read` for `    pub(super) async fn read(…` and the keyword `fn `.
fn name_after<'a>(line: &'a str, keyword: &str) -> Option<&'a str> {
    let (before, after) = uncommented(line).split_once(keyword)?;
    let modifiers = [
        "pub",
        "pub(crate)",
        "pub(super)",
        "async",
        "const",
        "unsafe",
        "extern",
    ];
    before
        .split_whitespace()
        .all(|word| modifiers.contains(&word))
        .then_some(())?;
    after
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .next()
        .filter(|name| !name.is_empty())
}

/// From the item's first line to its closing brace; None for a declaration that ends in `;`.
fn body<'a, 'l>(lines: &'l [&'a str]) -> Option<&'l [&'a str]> {
    let indent = &lines[0][..lines[0].len() - lines[0].trim_start().len()];
    if lines[0].ends_with('}') {
        return Some(&lines[..1]);
    }
    for (at, line) in lines.iter().enumerate() {
        let Some(rest) = line
            .strip_prefix(indent)
            .filter(|rest| !rest.starts_with(' '))
        else {
            continue;
        };
        if rest.starts_with('}') {
            return Some(&lines[..=at]);
        }
        if rest.ends_with(';') {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_function_ends_at_the_brace_below_its_beginning() {
        let text = "fn a() {\n    if x {\n    }\n}\n\nimpl B {\n    pub(super) async fn c(\n        &self,\n    ) -> u8 {\n        1\n    }\n}";
        let lines: Vec<_> = text.lines().collect();
        let sizes: Vec<_> = functions(&lines)
            .iter()
            .map(|f| (f.name, f.line, f.lines.len()))
            .collect();
        assert_eq!(sizes, [("a", 1, 4), ("c", 7, 5)]);
    }

    #[test]
    fn a_declaration_and_a_mention_are_no_functions() {
        let lines = [
            "trait T {",
            "    fn a(&self);",
            "}",
            "// fn b() {",
            "let x = \"fn c() {\";",
        ];
        assert_eq!(functions(&lines), []);
        assert_eq!(traits(&lines)[0].lines.len(), 3);
    }

    #[test]
    fn tests_do_not_count_as_shipped_code() {
        let all = [
            source(
                "src/a/mod.rs",
                "#[cfg(test)]\nmod fake;\nfn a() {}\n#[cfg(test)]\nmod tests {\n}",
            ),
            source("src/a/fake.rs", "fn f() {}"),
            source("src/a/fake/deep.rs", "fn f() {}"),
            source("tests/b.rs", "fn f() {}"),
        ];
        let counts: Vec<_> = all
            .iter()
            .map(|source| shipped(source, &all).len())
            .collect();
        assert_eq!(counts, [3, 0, 0, 0]);
    }
}
