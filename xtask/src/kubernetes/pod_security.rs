//! The test data of the Pod Security Standards, with what Kubernetes' own code says of it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::module;
use crate::command;

/// The same version as `src/pod_security` names.
const MODULE: &str = "k8s.io/pod-security-admission@v0.36.3";
const PROGRAM: &str = include_str!("pod_security.go");

pub(super) fn make(scratch: &Path) -> Result<String> {
    let data = module(scratch, MODULE)?.join("test/testdata");
    let folder = scratch.join("pod-security");
    fs::create_dir_all(&folder).context("cannot create the folder of the Go program")?;
    fs::write(folder.join("main.go"), PROGRAM).context("cannot write main.go")?;
    fs::write(
        folder.join("go.mod"),
        "module lab/pod-security\n\ngo 1.26.0\n",
    )
    .context("cannot write go.mod")?;
    let go = || {
        let mut go = Command::new("go");
        go.current_dir(&folder)
            .env("GOFLAGS", "-mod=mod")
            .env("GOWORK", "off")
            .env("CGO_ENABLED", "0");
        go
    };
    command::run(go().args(["get", MODULE]))?;
    command::output(go().args(["run", "."]).arg(&data))
}
