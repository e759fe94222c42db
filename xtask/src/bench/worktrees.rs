//! `cargo xtask worktrees [COUNT]`: as many worktrees of the demo at once on one machine: how long each `up` takes, what
//! memory and disk each costs awake and asleep. On a cluster and in folders of its own, removed at the end.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::argument;
use super::trees::{NODE, Trees};
use crate::command;

const COUNT: usize = 8;
/// The kubelet measures its pods every ten to twenty seconds.
const MEASURING: Duration = Duration::from_secs(25);
const MIB: f64 = (1 << 20) as f64;

pub(crate) fn main(args: &[String]) -> Result<()> {
    let count = argument(args, COUNT, "worktrees", "worktrees [COUNT]")?;
    let trees = Trees::make(count)?;
    println!("| Worktree | `up` | free memory after it | node's images | Docker's images |");
    println!("|---|---:|---:|---:|---:|");
    trees.show("(before)", None)?;
    for number in 0..count {
        let took = trees.up(number, &[])?;
        trees.show(&trees.name(number), Some(took))?;
    }
    std::thread::sleep(MEASURING);
    println!("\n| Worktree | workloads | pods | their memory | session's memory |");
    println!("|---|---|---:|---:|---:|");
    trees.projects()?;
    let again = trees.up(0, &[])?;
    println!(
        "\n`up` of the first, with nothing to do: {:.1} s",
        again.as_secs_f64()
    );
    let alone = trees.up(0, &["--sleep-others"])?;
    println!(
        "`up --sleep-others` of the first: {:.1} s",
        alone.as_secs_f64()
    );
    std::thread::sleep(MEASURING);
    println!("\n| Worktree | workloads | pods | their memory | session's memory |");
    println!("|---|---|---:|---:|---:|");
    trees.projects()?;
    println!("\nfree memory: {:.0} MiB", free_memory()? / MIB);
    if count > 1 {
        let woken = trees.up(1, &[])?;
        println!("`up` of one that slept: {:.1} s", woken.as_secs_f64());
    }
    Ok(())
}

/// What the worktrees cost, as rows of tables.
impl Trees {
    fn show(&self, name: &str, took: Option<Duration>) -> Result<()> {
        let seconds = took.map(|took| format!("{:.1} s", took.as_secs_f64()));
        // Before the first `up` there is no node.
        let node = node_images().map(|bytes| format!("{:.0} MiB", bytes / MIB));
        println!(
            "| {name} | {} | {:.0} MiB | {} | {:.0} MiB |",
            seconds.unwrap_or_default(),
            free_memory()? / MIB,
            node.unwrap_or_default(),
            docker_images()? / MIB,
        );
        Ok(())
    }

    /// What `devk projects` tells of each.
    fn projects(&self) -> Result<()> {
        let args = ["projects", "--format", "json"];
        let text = command::output(&mut self.command(&self.folder, &args))?;
        let document: Value = serde_json::from_str(&text)?;
        let projects = document["projects"].as_array().context("no projects")?;
        for project in projects {
            let mib = |bytes: &Value| {
                bytes
                    .as_f64()
                    .map_or("-".to_owned(), |bytes| format!("{:.0} MiB", bytes / MIB))
            };
            println!(
                "| {} | {} | {} | {} | {} |",
                project["id"].as_str().unwrap_or_default(),
                project["workloads"].as_str().unwrap_or_default(),
                project["pods"]["total"],
                mib(&project["pods"]["memory_bytes"]),
                mib(&project["session"]["memory_bytes"]),
            );
        }
        Ok(())
    }
}

fn free_memory() -> Result<f64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find(|line| line.starts_with("MemAvailable:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    let kibibytes: f64 = number.context("no MemAvailable")?.parse()?;
    Ok(kibibytes * 1024.0)
}

/// What the node's containerd keeps, layers that several images share once.
fn node_images() -> Option<f64> {
    let du = ["exec", NODE, "du", "-sxB1", "/var/lib/containerd"];
    let text = command::output(Command::new("docker").args(du)).ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// The sum of the layers that Docker keeps, each once.
fn docker_images() -> Result<f64> {
    let format = "{{json .}}";
    let lines = command::output(Command::new("docker").args(["system", "df", "--format", format]))?;
    let mut rows = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let images = rows
        .find(|row| row["Type"] == "Images")
        .context("no images")?;
    let size = images["Size"].as_str().context("no size")?;
    bytes(size).with_context(|| format!("`{size}` is no size"))
}

/// Docker's sizes are decimal: `1.52GB`.
fn bytes(size: &str) -> Option<f64> {
    let units = [("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1.0)];
    let (number, factor) = units
        .iter()
        .find_map(|(unit, factor)| Some((size.strip_suffix(unit)?, factor)))?;
    Some(number.trim().parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_docker_are_decimal() {
        let sizes = ["1.5GB", "20MB", "3kB", "7B"].map(bytes);
        assert_eq!(sizes, [Some(1.5e9), Some(2e7), Some(3e3), Some(7.0)]);
        assert_eq!(bytes("many"), None);
    }
}
