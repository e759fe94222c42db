//! Questions: what runs in the container, how a command ends, what stands in files.

use std::collections::BTreeSet;
use std::path::PathBuf;

use tokio::time::timeout;

use super::{ANSWER_TIMEOUT, RUN_TIMEOUT, Ran, Stream, Trouble, keep, silent};
use crate::sync::processes::Processes;
use crate::sync::script::{self, Expected};
use crate::sync::watching::WatchLook;

/// What stands at a path of the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sync) enum Sum {
    Of {
        /// The SHA-256, in hexadecimal digits.
        sum: String,
        /// The permission bits, 0o7777.
        mode: u32,
        /// `uid:gid`.
        owner: String,
    },
    NoFile,
    /// Whatever stands there, this mount of the pod has brought it.
    Mounted(String),
}

impl Stream {
    /// What runs in the container, this shell left out.
    ///
    /// # Errors
    /// [`Trouble::Lost`].
    pub(in crate::sync) async fn processes(&mut self) -> Result<Processes, Trouble> {
        self.number += 1;
        let text = script::processes(self.number);
        let mut processes = Processes::default();
        self.each_line(&text, |line| processes.read(line)).await?;
        Ok(processes)
    }

    /// What watches files in the container, and what is at these paths.
    ///
    /// # Errors
    /// [`Trouble::Lost`].
    pub(in crate::sync) async fn watches(
        &mut self,
        paths: &BTreeSet<PathBuf>,
    ) -> Result<WatchLook, Trouble> {
        self.number += 1;
        let text = script::watches(self.number, paths.iter().map(PathBuf::as_path));
        let mut look = WatchLook::default();
        self.each_line(&text, |line| look.read(line)).await?;
        Ok(look)
    }

    /// Sends commands that end with the number of this question, and hands on the lines before that.
    async fn each_line(&mut self, text: &[u8], mut take: impl FnMut(&str)) -> Result<(), Trouble> {
        self.send(text).await?;
        let end = format!("ok {}", self.number);
        loop {
            let line = timeout(ANSWER_TIMEOUT, self.line())
                .await
                .map_err(|_| silent())??;
            let line = String::from_utf8_lossy(&line).into_owned();
            if line == end {
                return Ok(());
            }
            take(&line);
        }
    }

    /// Runs a program in the container, in its working folder. None if it has not ended within [`RUN_TIMEOUT`]: it goes
    /// on, and the shell waits for it and serves nothing more.
    ///
    /// # Errors
    /// [`Trouble::Lost`].
    pub async fn run(&mut self, command: &[String]) -> Result<Option<Ran>, Trouble> {
        self.number += 1;
        let text = script::run(self.number, command);
        self.send(&text).await?;
        timeout(RUN_TIMEOUT, self.ran(self.number))
            .await
            .ok()
            .transpose()
    }

    async fn ran(&mut self, number: u64) -> Result<Ran, Trouble> {
        let mut output = Vec::new();
        let end = format!("end {number} ");
        loop {
            let line = self.line().await?;
            if let Some(code) = line.strip_prefix(end.as_bytes()) {
                let code = String::from_utf8_lossy(code).parse().unwrap_or(-1);
                return Ok(Ran {
                    code,
                    output: String::from_utf8_lossy(&output).trim_end().to_owned(),
                });
            }
            keep(&mut output, &line);
            output.push(b'\n');
        }
    }

    /// Whether this shell may give files away.
    pub(in crate::sync) fn is_root(&self) -> bool {
        self.user.starts_with("0:")
    }

    /// The state of files in the container, in their order.
    ///
    /// # Errors
    /// [`Trouble::NeedsRebuild`] if the image has no `sha256sum` or no `stat`.
    pub(in crate::sync) async fn sums(&mut self, files: &[Expected]) -> Result<Vec<Sum>, Trouble> {
        let tools = [
            ("sha256sum", self.tools.sha256sum),
            ("stat", self.tools.stat),
        ];
        if let Some((missing, _)) = tools.into_iter().find(|(_, is_there)| !is_there) {
            return Err(Trouble::NeedsRebuild(format!(
                "the image has no `{missing}`, so nothing can be compared"
            )));
        }
        self.number += 1;
        let asked = files
            .iter()
            .map(|file| &file.target)
            .filter(|target| !self.mounted.contains_key(&target.root));
        let text = script::sums(self.number, asked);
        self.send(&text).await?;
        let mut sums = Vec::new();
        for file in files {
            let sum = match self.mounted.get(&file.target.root) {
                Some(mount) => Sum::Mounted(mount.clone()),
                None => self.sum().await?,
            };
            sums.push(sum);
        }
        timeout(ANSWER_TIMEOUT, self.batch_end(self.number))
            .await
            .map_err(|_| silent())??;
        Ok(sums)
    }

    async fn sum(&mut self) -> Result<Sum, Trouble> {
        loop {
            let line = timeout(RUN_TIMEOUT, self.line())
                .await
                .map_err(|_| silent())??;
            let line = String::from_utf8_lossy(&line).into_owned();
            if let Some(mount) = line.strip_prefix("mounted ") {
                return Ok(Sum::Mounted(mount.to_owned()));
            }
            if let Some(sum) = line.strip_prefix("sum") {
                return Ok(Sum::read(sum));
            }
        }
    }
}

impl Sum {
    /// Reads permission bits, owner and hash. What is not all there is no file that can be read.
    fn read(words: &str) -> Self {
        let mut words = words.split_whitespace();
        let mode = words
            .next()
            .and_then(|mode| u32::from_str_radix(mode, 8).ok());
        match (mode, words.next(), words.next()) {
            (Some(mode), Some(owner), Some(sum)) => Self::Of {
                sum: sum.to_owned(),
                mode,
                owner: owner.to_owned(),
            },
            _ => Self::NoFile,
        }
    }
}
