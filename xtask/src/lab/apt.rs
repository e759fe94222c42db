//! Debian packages on this machine, and the mirror it gets them from.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;

const POLICY: &str = "/usr/sbin/policy-rc.d";

/// `program` stands for its package: nothing happens where it is on PATH.
pub(super) fn ensure(program: &str, packages: &[&str]) -> Result<()> {
    if command::on_path(program) {
        return Ok(());
    }
    install(packages)
}

pub(super) fn install(packages: &[&str]) -> Result<()> {
    let mut first_try = apt_get(&["install", "-y", "--no-install-recommends"]);
    if command::succeeds(first_try.args(packages)) {
        return Ok(());
    }
    // The package lists may be missing or too old.
    command::run(&mut apt_get(&["update"]))?;
    command::run(apt_get(&["install", "-y", "--no-install-recommends"]).args(packages))
}

/// Debian starts a daemon as soon as it is installed, with settings that may not do here.
pub(super) fn install_without_starting(packages: &[&str]) -> Result<()> {
    if fs::exists(POLICY).unwrap_or(true) {
        return install(packages);
    }
    let forbid = "printf '#!/bin/sh\\nexit 101\\n' >\"$1\" && chmod 755 \"$1\"";
    command::run(command::as_root("sh").args(["-c", forbid, "lab", POLICY]))?;
    let outcome = install(packages);
    command::run(command::as_root("rm").args(["-f", POLICY]))?;
    outcome
}

fn apt_get(args: &[&str]) -> Command {
    let mut command = command::as_root("env");
    command
        .args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"])
        .args(args);
    command
}

/// Where this machine gets Debian from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mirror {
    pub(super) main: String,
    security: Option<String>,
}

impl Mirror {
    pub(super) fn of_this_machine() -> Result<Self> {
        let format = "$(ORIGIN) $(CODENAME) $(SITE)";
        let targets =
            command::output(Command::new("apt-get").args(["indextargets", "--format", format]))?;
        Self::parse(&targets).context(
            "`apt-get indextargets` names no Debian mirror: the lab builds its images from Debian packages, so it needs \
             a Debian machine with fetched package lists (`apt-get update`)",
        )
    }

    fn parse(targets: &str) -> Option<Self> {
        let debian = targets
            .lines()
            .filter_map(|line| line.strip_prefix("Debian "));
        let mut main = None;
        let mut security = None;
        for (codename, site) in debian.filter_map(|line| line.split_once(' ')) {
            if codename.ends_with("-security") {
                security = Some(site.to_owned());
            } else {
                main = main.or(Some(site.to_owned()));
            }
        }
        main.map(|main| Self { main, security })
    }

    /// The `sources.list` of an image with this suite.
    pub(super) fn sources(&self, suite: &str) -> String {
        let main = &self.main;
        let mut list = format!("deb {main} {suite} main\ndeb {main} {suite}-updates main\n");
        if let Some(security) = &self.security {
            list.push_str(&format!("deb {security} {suite}-security main\n"));
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGETS: &str = "Other stable http://other.example/x\n\
        Debian bookworm http://mirror.example/debian\nDebian bookworm-updates http://mirror.example/debian\n\
        Debian bookworm-security http://mirror.example/security\n";

    #[test]
    fn the_mirror_is_the_machine_s_own() {
        let mirror = Mirror::parse(TARGETS).unwrap();
        assert_eq!(
            mirror.sources("trixie"),
            "deb http://mirror.example/debian trixie main\ndeb http://mirror.example/debian trixie-updates main\n\
             deb http://mirror.example/security trixie-security main\n"
        );
    }

    #[test]
    fn a_machine_without_debian_sources_has_none() {
        assert_eq!(
            Mirror::parse("Ubuntu noble http://mirror.example/ubuntu\n"),
            None
        );
    }
}
