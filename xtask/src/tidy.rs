//! What no compiler checks: sizes, boundaries between modules, dependencies, texts that must not be in the
//! repository, and documents that must say what the code says. `cargo xtask tidy` prints every finding as
//! `file:line: what`.

use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

mod code;
mod dependencies;
mod documents;
mod layers;
mod names;
mod rust;
mod tracked;

/// Something to be mended.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    file: String,
    /// 1-based.
    line: usize,
    what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

fn finding(file: &str, line: usize, what: impl Into<String>) -> Finding {
    Finding {
        file: file.to_owned(),
        line,
        what: what.into(),
    }
}

/// A text file under version control.
#[derive(Debug)]
struct Source {
    /// From the root of the repository, with `/`.
    path: String,
    text: String,
}

pub(crate) fn main(args: &[String]) -> Result<()> {
    ensure!(args.is_empty(), "usage: cargo xtask tidy");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask has no parent folder")?;
    let sources = sources(root)?;
    let mut findings = code::check(&sources);
    findings.extend(layers::check(&sources));
    findings.extend(names::check(&sources));
    findings.extend(tracked::check(&sources, root)?);
    findings.extend(documents::check(&sources));
    findings.extend(dependencies::check(root)?);
    findings.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        let (functions, median, p90) = code::function_lines(&sources);
        let files = sources.len();
        println!("tidy: {files} files, {functions} functions (lines: median {median}, p90 {p90})");
        return Ok(());
    }
    bail!("{} finding(s)", findings.len())
}

/// Every file that git knows or would add, if it is text and still there.
fn sources(root: &Path) -> Result<Vec<Source>> {
    let list = [
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ];
    let output = Command::new("git")
        .args(list)
        .current_dir(root)
        .output()
        .context("cannot run git")?;
    ensure!(
        output.status.success(),
        "git ls-files failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let paths = String::from_utf8(output.stdout).context("a path is not UTF-8")?;
    let read = |path: &str| {
        Some(Source {
            path: path.to_owned(),
            text: std::fs::read_to_string(root.join(path)).ok()?,
        })
    };
    Ok(paths.split_terminator('\0').filter_map(read).collect())
}

fn find<'a>(sources: &'a [Source], path: &str) -> Option<&'a Source> {
    sources.iter().find(|source| source.path == path)
}
