//! How long the tests took: `cargo xtask times FILE…` reads the JUnit reports that cargo-nextest writes.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use anyhow::{Context, Result, bail};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// How many of the slowest tests are named.
const SLOWEST: usize = 20;

/// One test that ran.
#[derive(Debug, PartialEq)]
struct Test {
    /// The test program: the package, and after `::` its target if that is not the library.
    program: String,
    /// With its modules.
    name: String,
    seconds: f64,
}

impl Test {
    /// The file that holds the test, as far as its modules tell.
    fn file(&self) -> String {
        let modules = self.name.strip_suffix(self.function()).unwrap_or_default();
        let modules = modules.trim_end_matches("::").trim_end_matches("::tests");
        format!("{} {}", self.program, modules)
    }

    fn function(&self) -> &str {
        self.name.rsplit("::").next().unwrap_or(&self.name)
    }
}

pub(crate) fn main(files: &[String]) -> Result<()> {
    if files.is_empty() {
        bail!("usage: cargo xtask times JUNIT_XML…");
    }
    let mut tests = vec![];
    for file in files {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
        tests.extend(parse(&text).with_context(|| format!("{file} is no JUnit report"))?);
    }
    print!("{}", report(&tests));
    Ok(())
}

fn parse(text: &str) -> Result<Vec<Test>> {
    let mut reader = Reader::from_str(text);
    let mut tests = vec![];
    loop {
        match reader.read_event()? {
            Event::Start(tag) | Event::Empty(tag) if tag.name().as_ref() == b"testcase" => {
                tests.push(Test {
                    program: attribute(&tag, "classname")?,
                    name: attribute(&tag, "name")?,
                    seconds: attribute(&tag, "time")?.parse().context("no seconds")?,
                });
            }
            Event::Eof => return Ok(tests),
            _ => {}
        }
    }
}

fn attribute(tag: &BytesStart, name: &str) -> Result<String> {
    let found = tag.try_get_attribute(name)?;
    let found = found.with_context(|| format!("a test without `{name}`"))?;
    Ok(found.unescape_value()?.into_owned())
}

fn report(tests: &[Test]) -> String {
    let mut slowest: Vec<_> = tests.iter().collect();
    slowest.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    let mut text = format!("the slowest of {} tests:\n", tests.len());
    for test in slowest.iter().take(SLOWEST) {
        let _ = writeln!(
            text,
            "{:8.1} s  {} {}",
            test.seconds, test.program, test.name
        );
    }
    let mut files = BTreeMap::<String, (usize, f64)>::new();
    for test in tests {
        let (count, seconds) = files.entry(test.file()).or_default();
        *count += 1;
        *seconds += test.seconds;
    }
    let mut files: Vec<_> = files.into_iter().collect();
    files.sort_by(|(_, (_, a)), (_, (_, b))| b.total_cmp(a));
    text += "by file, tests that ran at once added up:\n";
    for (file, (count, seconds)) in files.iter().filter(|(_, (_, seconds))| *seconds >= 1.0) {
        let _ = writeln!(text, "{seconds:8.1} s  {file} ({count})");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="2" failures="1">
  <testsuite name="devk::e2e" tests="2">
    <testcase name="sync::a_save" classname="devk::e2e" timestamp="2026-01-01" time="12.500"/>
    <testcase name="graph::tests::runs" classname="devk" time="0.010">
      <failure type="test failure">a &lt; b</failure>
    </testcase>
    <testcase name="sync::another" classname="devk::e2e" time="3.000"/>
  </testsuite>
</testsuites>"#;

    #[test]
    fn tests_are_told_by_their_time_and_files_by_their_sum() {
        let report = report(&parse(REPORT).unwrap());
        assert_eq!(
            report,
            "the slowest of 3 tests:\n    12.5 s  devk::e2e sync::a_save\n     \
             3.0 s  devk::e2e sync::another\n     0.0 s  devk graph::tests::runs\n\
             by file, tests that ran at once added up:\n    15.5 s  devk::e2e sync (2)\n"
        );
    }

    #[test]
    fn what_is_no_report_is_said() {
        assert!(parse("<testcase name='x'/>").is_err());
        assert_eq!(parse("nothing").unwrap(), []);
    }
}
