//! The table, on standard output and in docs/benchmarks.md.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;

const FILE: &str = "docs/benchmarks.md";

/// One figure of devk's, and another of the same run beside it.
pub(super) struct Row {
    what: String,
    devk: f64,
    unit: &'static str,
    /// Larger is better: throughput.
    more_is_better: bool,
    beside: Option<(f64, String)>,
    /// What was to be reached, and whether it was.
    goals: Vec<(String, bool)>,
}

impl Row {
    /// A duration, or another figure of which less is better.
    pub(super) fn less(what: impl Into<String>, devk: f64, unit: &'static str) -> Self {
        Self {
            what: what.into(),
            devk,
            unit,
            more_is_better: false,
            beside: None,
            goals: vec![],
        }
    }

    /// A rate, or another figure of which more is better.
    pub(super) fn more(what: impl Into<String>, devk: f64, unit: &'static str) -> Self {
        Self {
            more_is_better: true,
            ..Self::less(what, devk, unit)
        }
    }

    pub(super) fn beside(self, figure: f64, whose: &str) -> Self {
        Self {
            beside: Some((figure, whose.to_owned())),
            ..self
        }
    }

    /// The figure itself is to be this good.
    pub(super) fn goal(mut self, limit: f64) -> Self {
        let (sign, reached) = if self.more_is_better {
            ("≥", self.devk >= limit)
        } else {
            ("≤", self.devk <= limit)
        };
        self.goals.push((
            format!("{sign} {} {}", (limit * 100.0).round() / 100.0, self.unit),
            reached,
        ));
        self
    }

    /// devk is to be this many times better.
    pub(super) fn goal_ratio(mut self, times: f64) -> Self {
        let reached = self.ratio().is_some_and(|ratio| ratio >= times);
        self.goals.push((format!("≥ {times}×"), reached));
        self
    }

    /// How many times better devk is.
    fn ratio(&self) -> Option<f64> {
        let (other, _) = self.beside.as_ref()?;
        Some(if self.more_is_better {
            self.devk / other
        } else {
            other / self.devk
        })
    }

    /// The columns.
    fn cells(&self) -> [String; 6] {
        let told = |figure: f64| format!("{} {}", digits(figure), self.unit);
        let (other, whose) = self
            .beside
            .clone()
            .map(|(figure, whose)| (told(figure), whose))
            .unwrap_or_default();
        let ratio = self
            .ratio()
            .map(|ratio| format!("{}×", digits(ratio)))
            .unwrap_or_default();
        let goals = self
            .goals
            .iter()
            .map(|(goal, reached)| format!("{goal} {}", if *reached { "✓" } else { "✗" }));
        [
            self.what.clone(),
            told(self.devk),
            other,
            whose,
            ratio,
            goals.collect::<Vec<_>>().join(", "),
        ]
    }
}

/// Three digits that mean something.
fn digits(figure: f64) -> String {
    let decimals = match figure.abs() {
        0.0..10.0 => 2,
        10.0..100.0 => 1,
        _ => 0,
    };
    format!("{figure:.decimals$}")
}

pub(super) struct Report {
    rows: Vec<Row>,
    notes: Vec<String>,
}

impl Report {
    pub(super) fn new() -> Self {
        Self {
            rows: vec![],
            notes: vec![],
        }
    }

    pub(super) fn add(&mut self, row: Row) {
        let cells = row.cells();
        let told: Vec<_> = cells
            .iter()
            .filter(|cell| !cell.is_empty())
            .map(String::as_str)
            .collect();
        eprintln!("bench:   {}", told.join(" | "));
        self.rows.push(row);
    }

    /// What is no figure.
    pub(super) fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        eprintln!("bench:   {text}");
        self.notes.push(text);
    }

    pub(super) fn markdown(&self) -> String {
        let mut text = String::from(
            "| Measured | devk | beside it | | devk is better by | goal |\n|---|---:|---:|---|---:|---|\n",
        );
        for row in &self.rows {
            let _ = writeln!(text, "| {} |", row.cells().join(" | "));
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
            "# Benchmarks\n\n`cargo xtask bench` writes this page: it measures everything in one run, on one kind cluster with \
             one node. Figures of different runs do not compare; the ratios within one run do. A ratio below 1× means \
             that devk is slower. \"A line through an open exec stream\" is the lower bound for any sync through the API \
             server, not an alternative to devk. `cargo xtask bench sync` and similar commands measure one part. Without \
             a container registry, `cargo xtask lab` builds the tools and images first.\n\n\
             Machine: {}\n\n{}",
            machine()?,
            self.markdown()
        );
        fs::write(FILE, text).with_context(|| format!("cannot write {FILE}"))
    }
}

fn machine() -> Result<String> {
    let read = |file: &str| fs::read_to_string(file).with_context(|| format!("cannot read {file}"));
    let cpus = read("/proc/cpuinfo")?;
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or_default();
    let cores = cpus
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let memory = read("/proc/meminfo")?;
    let kib: u64 = memory
        .split_whitespace()
        .nth(1)
        .and_then(|word| word.parse().ok())
        .unwrap_or_default();
    let versions = [
        [
            "docker",
            "version",
            "--format",
            "Docker Engine {{.Server.Version}}",
        ]
        .as_slice(),
        ["kind", "version", "-q"].as_slice(),
        ["helm", "version", "--short"].as_slice(),
        ["uname", "-sr"].as_slice(),
    ];
    let mut said = vec![];
    for words in versions {
        let version = command::output(Command::new(words[0]).args(&words[1..]))?;
        let name = if ["kind", "helm"].contains(&words[0]) {
            format!("{} ", words[0])
        } else {
            String::new()
        };
        said.push(format!("{name}{}", version.trim()));
    }
    let model = model.trim_start_matches([' ', '\t', ':']);
    Ok(format!(
        "{cores} cores ({model}), {} GiB, {}.",
        kib / 1024 / 1024,
        said.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_by_how_much_devk_is_better_and_whether_that_is_enough() {
        let row = Row::less("reload", 0.25, "s")
            .beside(15.0, "kind load")
            .goal_ratio(40.0)
            .goal(0.2);
        assert_eq!(
            row.cells(),
            [
                "reload",
                "0.25 s",
                "15.0 s",
                "kind load",
                "60.0×",
                "≥ 40× ✓, ≤ 0.2 s ✗"
            ]
        );
        let row = Row::more("throughput", 1200.0, "MB/s").beside(100.0, "kubectl");
        assert_eq!(
            row.cells(),
            [
                "throughput",
                "1200 MB/s",
                "100 MB/s",
                "kubectl",
                "12.0×",
                ""
            ]
        );
    }
}
