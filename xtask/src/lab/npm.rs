//! Node itself, from the npm packages that carry its binary.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::cache::{Cache, Key};
use super::progress::Progress;
use crate::command;

const NODE: &str = "20.20.2";
/// The npm that this Node is released with.
const NPM: &str = "10.8.2";

pub(super) fn key() -> Key {
    Key::of([NODE, NPM, std::env::consts::ARCH])
}

/// A folder with the `node` binary and an `npm` package.
pub(super) fn get(cache: &Cache, progress: &Progress) -> Result<PathBuf> {
    cache.get("node", &key(), progress, |folder| {
        let package = format!("node-linux-{}", arch()?);
        unpack(&format!("{package}@{NODE}"), &folder.join("package"))?;
        unpack(&format!("npm@{NPM}"), &folder.join("npm"))?;
        let take = r#"install -m 755 "$1/package/bin/node" "$1/node" && rm -rf "$1/package""#;
        command::run(&mut command::script(take, &[&folder.to_string_lossy()]))
    })
}

fn arch() -> Result<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Ok("x64"),
        "aarch64" => Ok("arm64"),
        other => bail!("no npm package carries Node for {other}"),
    }
}

fn unpack(package: &str, folder: &Path) -> Result<()> {
    let text = r#"mkdir -p "$2" && cd "$2"
        file=$(npm pack --silent "$1")
        tar -x --strip-components=1 --no-same-owner -f "$file" && rm "$file""#;
    command::run(&mut command::script(
        text,
        &[package, &folder.to_string_lossy()],
    ))
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_machine_s_architecture_has_a_package() {
        assert!(super::arch().is_ok());
    }
}
