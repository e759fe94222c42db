//! Git worktrees of the demo, each a project of its own, on a cluster and in folders of their own; removed at the end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::stack::{built, with_folders};
use crate::command;

const CLUSTER: &str = "devk-worktrees";
pub(super) const NODE: &str = "devk-worktrees-control-plane";
const TEMPLATE: &str = "profiles/demo/.";

pub(super) struct Trees {
    devk: PathBuf,
    pub(super) folder: PathBuf,
    count: usize,
}

impl Trees {
    /// A repository with the demo, and worktrees of it.
    pub(super) fn make(count: usize) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("devk-worktrees-{}", std::process::id()));
        let devk = std::env::var_os("DEVK").map_or_else(built, |devk| Ok(devk.into()))?;
        let trees = Self {
            devk,
            folder,
            count,
        };
        let main = trees.root(0);
        fs::create_dir_all(&main)?;
        command::run(Command::new("cp").args(["-r", TEMPLATE]).arg(&main))?;
        let file = main.join("devk.yaml");
        let config = fs::read_to_string(&file)?;
        let config = config.replacen("name: devk}", &format!("name: {CLUSTER}}}"), 1);
        fs::write(&file, config)?;
        let git = |args: &[&str]| command::run(Command::new("git").current_dir(&main).args(args));
        git(&["init", "--quiet"])?;
        git(&["add", "--all"])?;
        let author = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"];
        git(&[&author[..], &["commit", "--quiet", "-m", "start"]].concat())?;
        for number in 1..count {
            let root = trees.root(number);
            let root = root.to_string_lossy();
            git(&[
                "worktree",
                "add",
                "--quiet",
                "-b",
                &trees.name(number),
                &root,
            ])?;
        }
        Ok(trees)
    }

    pub(super) fn name(&self, number: usize) -> String {
        match number {
            0 => "main".to_owned(),
            number => format!("tree-{number}"),
        }
    }

    pub(super) fn root(&self, number: usize) -> PathBuf {
        self.folder.join("projects").join(self.name(number))
    }

    pub(super) fn command(&self, root: &Path, args: &[&str]) -> Command {
        let mut command = with_folders(&self.devk, &self.folder);
        command.args(args).arg("-C").arg(root);
        command
    }

    pub(super) fn up(&self, number: usize, options: &[&str]) -> Result<Duration> {
        let since = Instant::now();
        let args = [&["up", "-d"], options].concat();
        command::run(&mut self.command(&self.root(number), &args))?;
        Ok(since.elapsed())
    }
}

impl Drop for Trees {
    fn drop(&mut self) {
        let args = ["down", "--all", "--delete", "--yes"];
        match command::run(&mut self.command(&self.folder, &args)) {
            Ok(()) => drop(fs::remove_dir_all(&self.folder)),
            Err(error) => eprintln!("worktrees: {} could not be removed: {error:#}", self.count),
        }
    }
}
