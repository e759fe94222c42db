//! What devk may depend on: licences that fit its own, crates from the registry alone, none that is archived.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Finding, finding};

/// Licences under which code may be linked into an Apache-2.0 program.
const LICENCES: [&str; 12] = [
    "Apache-2.0 WITH LLVM-exception",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates that must not come back, and why.
const REFUSED: [(&str, &str); 4] = [
    ("serde_yaml", "archived"),
    ("serde_yml", "unsound, with RUSTSEC advisories"),
    (
        "portpicker",
        "a port number that nobody holds may be gone a moment later",
    ),
    (
        "openssl-sys",
        "rustls is used throughout, so that one binary runs everywhere",
    ),
];

pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let args = ["metadata", "--format-version", "1", "--locked"];
    let output = Command::new(env!("CARGO"))
        .args(args)
        .current_dir(root)
        .output()
        .context("cannot run cargo")?;
    ensure!(
        output.status.success(),
        "cargo metadata failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value =
        serde_json::from_slice(&output.stdout).context("cargo metadata is not JSON")?;
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata names no packages")?;
    Ok(packages
        .iter()
        .filter_map(problem)
        .map(|what| finding("Cargo.lock", 1, what))
        .collect())
}

fn problem(package: &Value) -> Option<String> {
    let name = package["name"].as_str().unwrap_or_default();
    let licence = package["license"].as_str().unwrap_or("no licence");
    if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
        return Some(format!("`{name}` is not to be depended on: {why}"));
    }
    if package["source"]
        .as_str()
        .is_some_and(|source| !source.starts_with("registry+"))
    {
        return Some(format!("`{name}` does not come from the registry"));
    }
    (!is_allowed(licence))
        .then(|| format!("`{name}` is under `{licence}`, which is not on the list"))
}

/// Every part of an SPDX expression joined by AND offers, joined by OR (or the older `/`), an allowed licence.
fn is_allowed(expression: &str) -> bool {
    let offers = |part: &str| {
        let choices = part
            .trim_matches(['(', ')', ' '])
            .split(" OR ")
            .flat_map(|choice| choice.split('/'));
        choices
            .map(str::trim)
            .any(|choice| LICENCES.contains(&choice))
    };
    expression.split(" AND ").all(offers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_allowed_choice_is_enough_and_one_part_without_any_is_too_much() {
        assert!(is_allowed("MIT OR GPL-3.0-only"));
        assert!(is_allowed("MIT/Apache-2.0"));
        assert!(is_allowed("(MIT OR GPL-3.0-only) AND Unicode-3.0"));
        assert!(!is_allowed("MIT AND GPL-3.0-only"));
        assert!(!is_allowed("no licence"));
    }

    #[test]
    fn an_archived_crate_and_one_from_git_are_found() {
        let package = |name: &str, source: &str| {
            problem(&serde_json::json!({"name": name, "license": "MIT", "source": source}))
                .unwrap_or_default()
        };
        assert_eq!(
            package("serde_yaml", "registry+x"),
            "`serde_yaml` is not to be depended on: archived"
        );
        assert_eq!(
            package("shop", "git+x"),
            "`shop` does not come from the registry"
        );
        assert_eq!(package("shop", "registry+x"), "");
    }
}
