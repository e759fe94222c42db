//! The table, on standard output and in docs/benchmarks.md.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;

const FILE: &str = "docs/benchmarks.md";

/// One figure beside another of the same run.
struct Row {
    what: String,
    devk: f64,
    other: f64,
    unit: &'static str,
    against: String,
    /// Larger is better: throughput.
    more_is_better: bool,
}

impl Row {
    /// How many times better devk is.
    fn ratio(&self) -> f64 {
        if self.more_is_better { self.devk / self.other } else { self.other / self.devk }
    }
}

pub(super) struct Report {
    rows: Vec<Row>,
    notes: Vec<String>,
}

impl Report {
    pub(super) fn new() -> Self {
        Self { rows: vec![], notes: vec![] }
    }

    /// A duration, or another figure of which less is better.
    pub(super) fn less(&mut self, what: impl Into<String>, devk: f64, other: f64, unit: &'static str, against: &str) {
        self.row(what.into(), devk, other, unit, against, false);
    }

    /// A rate, or another figure of which more is better.
    pub(super) fn more(&mut self, what: impl Into<String>, devk: f64, other: f64, unit: &'static str, against: &str) {
        self.row(what.into(), devk, other, unit, against, true);
    }

    fn row(&mut self, what: String, devk: f64, other: f64, unit: &'static str, against: &str, more_is_better: bool) {
        let row = Row { what, devk, other, unit, against: against.to_owned(), more_is_better };
        eprintln!("bench:   {}: {devk:.2} {unit}, {against} {other:.2} {unit} ({:.1}x)", row.what, row.ratio());
        self.rows.push(row);
    }

    /// A figure without another beside it.
    pub(super) fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        eprintln!("bench:   {text}");
        self.notes.push(text);
    }

    pub(super) fn markdown(&self) -> String {
        let mut text =
            String::from("| Measured | devk | beside it | | devk is better by |\n|---|---:|---:|---|---:|\n");
        for row in &self.rows {
            let Row { what, devk, other, unit, against, .. } = row;
            let _ =
                writeln!(text, "| {what} | {devk:.2} {unit} | {other:.2} {unit} | {against} | {:.1}× |", row.ratio());
        }
        if !self.notes.is_empty() {
            text.push('\n');
        }
        for note in &self.notes {
            let _ = writeln!(text, "- {note}");
        }
        text
    }

    pub(super) fn write(&self) -> Result<()> {
        let text = format!(
            "# Benchmarks\n\nWritten by `cargo xtask bench`: everything in one run, on one kind cluster with one node. \
             Figures of different runs do not compare, the ratios of one run do.\n\nMachine: {}\n\n{}",
            machine()?,
            self.markdown()
        );
        fs::write(FILE, text).with_context(|| format!("cannot write {FILE}"))
    }
}

fn machine() -> Result<String> {
    let read = |file: &str| fs::read_to_string(file).with_context(|| format!("cannot read {file}"));
    let cpus = read("/proc/cpuinfo")?;
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let cores = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let memory = read("/proc/meminfo")?;
    let kib: u64 = memory.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or_default();
    let versions = [
        ["docker", "version", "--format", "Docker Engine {{.Server.Version}}"].as_slice(),
        ["kind", "version", "-q"].as_slice(),
        ["helm", "version", "--short"].as_slice(),
        ["uname", "-sr"].as_slice(),
    ];
    let mut said = vec![];
    for words in versions {
        let version = command::output(Command::new(words[0]).args(&words[1..]))?;
        let name = if ["kind", "helm"].contains(&words[0]) { format!("{} ", words[0]) } else { String::new() };
        said.push(format!("{name}{}", version.trim()));
    }
    let model = model.trim_start_matches([' ', '\t', ':']);
    Ok(format!("{cores} cores ({model}), {} GiB, {}.", kib / 1024 / 1024, said.join(", ")))
}
