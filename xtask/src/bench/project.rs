//! A project on the bench cluster: a copy of `xtask/bench/` under a name of its own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::stack::Stack;
use crate::command;

const TEMPLATE: &str = "xtask/bench/.";

pub(super) struct Project<'a> {
    stack: &'a Stack,
    /// Its namespace, too.
    name: String,
}

impl<'a> Project<'a> {
    pub(super) fn of(stack: &'a Stack, name: &str) -> Self {
        Self {
            stack,
            name: name.to_owned(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Makes its files.
    pub(super) fn copy(&self) -> Result<()> {
        fs::create_dir_all(self.path(""))?;
        command::run(Command::new("cp").args(["-r", TEMPLATE]).arg(self.path("")))?;
        let config = fs::read_to_string(self.path("devk.yaml"))?;
        Ok(fs::write(
            self.path("devk.yaml"),
            config.replacen("name: bench", &format!("name: {}", self.name), 1),
        )?)
    }

    pub(super) fn path(&self, below: &str) -> PathBuf {
        self.stack.projects().join(&self.name).join(below)
    }

    /// devk, about to be run.
    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.stack.command();
        command.args(args).arg("-C").arg(self.path(""));
        command
    }

    pub(super) fn devk(&self, args: &[&str]) -> Result<String> {
        command::output(&mut self.command(args))
    }

    pub(super) fn json(&self, args: &[&str]) -> Result<Value> {
        let text = self.devk(&[args, &["--format", "json"]].concat())?;
        serde_json::from_str(&text)
            .with_context(|| format!("`devk {}` printed no JSON", args.join(" ")))
    }

    pub(super) fn kubectl(&self, args: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command
            .arg("--kubeconfig")
            .arg(self.stack.kubeconfig())
            .args(["--namespace", &self.name])
            .args(args);
        command
    }

    pub(super) fn kubectl_output(&self, args: &[&str]) -> Result<String> {
        command::output(&mut self.kubectl(args))
    }

    /// The pods that are synced into, once there are so many.
    pub(super) fn synced_pods(&self, count: usize) -> Result<Vec<String>> {
        let open = || -> Result<Vec<String>> {
            let status = self.json(&["status"])?;
            let containers = status["sync"][0]["containers"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let open = containers
                .iter()
                .filter(|container| container["open"] == true);
            Ok(open
                .filter_map(|container| container["pod"].as_str().map(str::to_owned))
                .collect())
        };
        self.stack
            .wait("open shells in the pods", || Ok(open()?.len() == count))?;
        open()
    }

    /// Runs until it is told to end, with all of the machine's own.
    pub(super) fn supervisor(&self) -> Result<u64> {
        self.json(&["status"])?["session"]["pid"]
            .as_u64()
            .context("no session")
    }
}
