//! The data of Kubernetes that devk has with it: the schemas of its objects, and the test data for them and for the Pod
//! Security Standards. Made from the packages of registries, through their own clients.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use flate2::{Compression, GzBuilder};
use serde_json::Value;

use crate::command;

mod closed;
mod examples;
mod go_types;
mod lifecycle;
mod packages;
mod pod_security;
mod schemas;
mod wheel;

/// The minor versions that have schemas.
const MINORS: std::ops::RangeInclusive<u8> = 25..=37;
const SCHEMAS: &str = "src/kubernetes_schema/schemas.json.gz";
const POD_SECURITY: &str = "tests/kubernetes/pod-security.json.gz";
const EXAMPLES: &str = "tests/kubernetes/examples.json.gz";

/// Makes the text of a file in a folder that goes afterwards.
type Make = fn(&Path) -> Result<String>;

pub(crate) fn main(args: &[String]) -> Result<()> {
    let wanted = match args {
        [] => [true; 3],
        [part] if part == "schemas" => [true, false, false],
        [part] if part == "examples" => [false, true, false],
        [part] if part == "pod-security" => [false, false, true],
        _ => bail!("usage: cargo xtask kubernetes [schemas | examples | pod-security]"),
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask has no parent folder")?;
    let scratch = Scratch::new()?;
    let parts: [(&str, Make); 3] = [
        (SCHEMAS, schemas::make),
        (EXAMPLES, examples::make),
        (POD_SECURITY, pod_security::make),
    ];
    for ((path, make), _) in parts.into_iter().zip(wanted).filter(|(_, wanted)| *wanted) {
        let text = make(&scratch.0)?;
        let bytes = packed(&text)?;
        fs::write(root.join(path), &bytes).with_context(|| format!("cannot write {path}"))?;
        println!("{path}: {} bytes, unpacked {}", bytes.len(), text.len());
    }
    Ok(())
}

/// gzip without the time, so that the same content gives the same file.
fn packed(text: &str) -> Result<Vec<u8>> {
    let mut writer = GzBuilder::new().write(vec![], Compression::best());
    writer.write_all(text.as_bytes())?;
    Ok(writer.finish()?)
}

/// A folder that goes when the task ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("devk-kubernetes-{}", std::process::id()));
        fs::create_dir_all(&folder).context("cannot create a folder for downloads")?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The folder of a Go module (`PATH@VERSION`) in the module cache.
fn module(scratch: &Path, module: &str) -> Result<PathBuf> {
    let mut download = Command::new("go");
    download
        .current_dir(scratch)
        .env("GOFLAGS", "")
        .env("GOWORK", "off");
    let answer = command::output(download.args(["mod", "download", "-json", module]))?;
    let answer: Value =
        serde_json::from_str(&answer).context("`go mod download -json` is not JSON")?;
    let folder = answer["Dir"].as_str();
    folder
        .map(PathBuf::from)
        .with_context(|| format!("`go mod download {module}` names no folder"))
}

/// The Go files of a folder that people wrote, as one text.
fn sources(folder: &Path) -> Result<String> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.sort();
    let is_source = |path: &&PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_made = name.starts_with("zz_generated")
            || name.starts_with("generated")
            || name.ends_with("_test.go");
        name.ends_with(".go") && !is_made
    };
    let texts = files.iter().filter(is_source).map(fs::read_to_string);
    let texts: Result<Vec<_>, _> = texts.collect();
    Ok(texts.context("cannot read a Go file")?.join("\n"))
}
