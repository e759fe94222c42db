//! `cargo xtask bench`: what devk's speed is worth, side by side with the tools people would use
//! otherwise, in one run on one cluster. Figures of different runs do not compare; ratios of one run do.

use std::num::ParseIntError;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};

mod agents;
mod container;
mod figures;
mod forwards;
mod project;
mod reload;
mod report;
mod scale;
mod soak;
mod stack;
mod startup;
mod sync;
mod trees;
mod watching;
mod wire;
mod worktrees;

pub(crate) use agents::main as agents;
pub(crate) use soak::main as soak;
pub(crate) use worktrees::main as worktrees;

use report::Report;
use stack::Stack;

/// A part measures one subject.
type Part = fn(&Stack, &mut Report) -> Result<()>;

/// The parts, in the order in which they run.
const PARTS: [(&str, Part); 6] = [
    ("sync", sync::measure),
    ("watching", watching::measure),
    ("startup", startup::measure),
    ("forwards", forwards::measure),
    ("reload", reload::measure),
    ("scale", scale::measure),
];

/// The only argument of a task, which is a number of something; `otherwise` without one.
fn argument<T>(args: &[String], otherwise: T, of: &str, usage: &str) -> Result<T>
where
    T: FromStr<Err = ParseIntError>,
{
    match args {
        [] => Ok(otherwise),
        [number] => number
            .parse()
            .with_context(|| format!("`{number}` is no number of {of}")),
        _ => bail!("usage: cargo xtask {usage}"),
    }
}

pub(crate) fn main(args: &[String]) -> Result<()> {
    if let Some(unknown) = args
        .iter()
        .find(|arg| !PARTS.iter().any(|(name, _)| name == arg))
    {
        let names: Vec<_> = PARTS.iter().map(|(name, _)| *name).collect();
        bail!("no part `{unknown}`; there are: {}", names.join(", "));
    }
    let stack = Stack::start()?;
    let mut report = Report::new();
    let mut failed = vec![];
    for (name, part) in PARTS {
        if args.is_empty() || args.iter().any(|arg| arg == name) {
            eprintln!("bench: {name} …");
            // The figures of the others count all the same.
            if let Err(error) = part(&stack, &mut report) {
                eprintln!("bench: {name} failed: {error:#}");
                failed.push(name);
            }
        }
    }
    print!("{}", report.markdown());
    ensure!(failed.is_empty(), "not measured: {}", failed.join(", "));
    if args.is_empty() {
        report.write()
    } else {
        Ok(())
    }
}
