//! The OpenAPI definitions of every version, from the Python package `kubernetes-validate`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use crate::command;

const PACKAGE: &str = "kubernetes-validate==1.37.0";

/// Downloads the package and unpacks it below the scratch folder.
pub(super) fn fetch(scratch: &Path) -> Result<()> {
    let pip = [
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        "wheel",
        PACKAGE,
    ];
    command::run(Command::new("python3").current_dir(scratch).args(pip))?;
    let unpack = "python3 -m zipfile -e wheel/*.whl unpacked";
    command::run(command::script(unpack, &[]).current_dir(scratch))
}

/// The definitions of one version, by name.
pub(super) fn definitions(scratch: &Path, minor: u8) -> Result<Map<String, Value>> {
    let folder = format!("unpacked/kubernetes_validate/kubernetes-json-schema/v1.{minor}.0-local");
    let path = scratch.join(folder).join("_definitions.json");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut file: Map<String, Value> =
        serde_json::from_str(&text).context("the definitions are no JSON")?;
    // From 1.37 on the file follows a newer draft of JSON Schema.
    let found = file.remove("$defs").or_else(|| file.remove("definitions"));
    match found {
        Some(Value::Object(definitions)) => Ok(definitions),
        _ => anyhow::bail!("{} has no definitions", path.display()),
    }
}
