//! A runc that never asks for a capability the machine does not have.
//!
//! Some virtual machines lack a capability in their bounding set (CAP_SYS_RESOURCE, as a rule). Docker's `--privileged`
//! asks for every capability the kernel knows, so runc refuses to start the container, and kind's nodes are privileged.
//! A copy of this binary under the name below is then dockerd's runtime: it takes the missing capabilities out of
//! what runc is about to read and becomes runc.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use serde_json::Value;

/// The name under which this binary acts as the wrapper.
pub(crate) const NAME: &str = "devk-lab-runc";

/// In the kernel's order: the index is the bit.
const CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

pub(crate) fn is_meant(called_as: &str) -> bool {
    Path::new(called_as)
        .file_name()
        .is_some_and(|name| name == NAME)
}

/// Becomes runc; returns only when that failed.
pub(crate) fn run(args: &[String]) -> ExitCode {
    // A file that cannot be edited is left to runc, whose own message names the trouble better.
    if let Err(error) = edit_what_runc_reads(args) {
        eprintln!("{NAME}: {error:#}");
    }
    let error = Command::new("runc")
        .args(args.iter().map(OsString::from))
        .exec();
    eprintln!("{NAME}: cannot run runc: {error}");
    ExitCode::FAILURE
}

/// The capabilities this machine lacks; empty on an ordinary one.
pub(crate) fn missing_here() -> Result<Vec<&'static str>> {
    let status =
        std::fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
    let last = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap")
        .context("cannot read cap_last_cap")?;
    let last: usize = last
        .trim()
        .parse()
        .context("cap_last_cap is not a number")?;
    missing(&status, last)
}

fn missing(status: &str, last: usize) -> Result<Vec<&'static str>> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    let hex = line.context("no CapBnd line in /proc/self/status")?.trim();
    let bounding = u64::from_str_radix(hex, 16)
        .with_context(|| format!("CapBnd is not hexadecimal: `{hex}`"))?;
    let known = CAPABILITIES.iter().enumerate().take(last + 1);
    Ok(known
        .filter(|(bit, _)| bounding >> bit & 1 == 0)
        .map(|(_, name)| *name)
        .collect())
}

fn edit_what_runc_reads(args: &[String]) -> Result<()> {
    let Some(file) = file_with_capabilities(args) else {
        return Ok(());
    };
    let text = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut document: Value =
        serde_json::from_slice(&text).with_context(|| format!("{} is not JSON", file.display()))?;
    if drop_capabilities(&mut document, &missing_here()?) {
        std::fs::write(&file, serde_json::to_vec(&document)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// The bundle's `config.json` of `create` and `run`, the process file of `exec`.
fn file_with_capabilities(args: &[String]) -> Option<PathBuf> {
    if args.iter().any(|arg| arg == "create" || arg == "run") {
        let bundle = option(args, &["--bundle", "-b"]).unwrap_or(".");
        return Some(Path::new(bundle).join("config.json"));
    }
    let is_exec = args.iter().any(|arg| arg == "exec");
    is_exec
        .then(|| option(args, &["--process", "-p"]).map(PathBuf::from))
        .flatten()
}

fn option<'a>(args: &'a [String], names: &[&str]) -> Option<&'a str> {
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        if names.contains(&arg.as_str()) {
            return rest.next().map(String::as_str);
        }
        if let Some((name, value)) = arg.split_once('=')
            && names.contains(&name)
        {
            return Some(value);
        }
    }
    None
}

/// True if the document changed. A container's config holds `process`; an exec's process file is that object itself.
fn drop_capabilities(document: &mut Value, missing: &[&str]) -> bool {
    let process = match document.get_mut("process") {
        Some(process) => process,
        None => document,
    };
    let Some(sets) = process
        .get_mut("capabilities")
        .and_then(Value::as_object_mut)
    else {
        return false;
    };
    let mut changed = false;
    for set in sets.values_mut().filter_map(Value::as_array_mut) {
        let before = set.len();
        set.retain(|name| !name.as_str().is_some_and(|name| missing.contains(&name)));
        changed |= set.len() != before;
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(String::from).collect()
    }

    #[test]
    fn a_full_bounding_set_misses_nothing() {
        let status = "Name:\tx\nCapBnd:\t000001ffffffffff\n";
        assert_eq!(missing(status, 40).unwrap(), Vec::<&str>::new());
    }

    #[test]
    fn a_cleared_bit_is_named() {
        let status = "CapEff:\t0000000000000000\nCapBnd:\t000001fffeffffff\n";
        assert_eq!(missing(status, 40).unwrap(), ["CAP_SYS_RESOURCE"]);
    }

    #[test]
    fn capabilities_younger_than_the_kernel_are_not_missing() {
        assert_eq!(
            missing("CapBnd:\t0000003fffffffff\n", 37).unwrap(),
            Vec::<&str>::new()
        );
    }

    #[test]
    fn a_status_without_the_line_is_an_error() {
        assert!(missing("Name:\tx\n", 40).is_err());
        assert!(missing("CapBnd:\tzz\n", 40).is_err());
    }

    #[test]
    fn every_set_of_a_container_loses_the_missing_capability() {
        let mut config = json!({"process": {"capabilities": {
            "bounding": ["CAP_CHOWN", "CAP_SYS_RESOURCE"], "effective": ["CAP_SYS_RESOURCE"], "ambient": []}}});
        assert!(drop_capabilities(&mut config, &["CAP_SYS_RESOURCE"]));
        let left = json!({"bounding": ["CAP_CHOWN"], "effective": [], "ambient": []});
        assert_eq!(config["process"]["capabilities"], left);
    }

    #[test]
    fn an_exec_process_file_is_edited_too() {
        let mut process =
            json!({"args": ["sh"], "capabilities": {"bounding": ["CAP_SYS_RESOURCE"]}});
        assert!(drop_capabilities(&mut process, &["CAP_SYS_RESOURCE"]));
        assert_eq!(process["capabilities"]["bounding"], json!([]));
    }

    #[test]
    fn nothing_changes_where_nothing_is_missing() {
        let mut config = json!({"process": {"capabilities": {"bounding": ["CAP_CHOWN"]}}});
        assert!(!drop_capabilities(&mut config, &["CAP_SYS_RESOURCE"]));
        assert!(!drop_capabilities(
            &mut json!({"process": {}}),
            &["CAP_SYS_RESOURCE"]
        ));
    }

    #[test]
    fn the_file_is_found_in_runc_s_own_arguments() {
        let create = words("--root /r --log /l/log.json create --bundle /b --pid-file /b/pid id");
        assert_eq!(
            file_with_capabilities(&create),
            Some("/b/config.json".into())
        );
        let exec = words("--root /r exec --process /tmp/p --detach id");
        assert_eq!(file_with_capabilities(&exec), Some("/tmp/p".into()));
        let short = words("run --bundle=/x id");
        assert_eq!(
            file_with_capabilities(&short),
            Some("/x/config.json".into())
        );
        assert_eq!(file_with_capabilities(&words("--root /r delete id")), None);
        assert_eq!(file_with_capabilities(&words("exec id sh")), None);
    }

    #[test]
    fn only_the_wrapper_s_name_makes_a_wrapper() {
        assert!(is_meant("/some/cache/devk-lab-runc"));
        assert!(!is_meant("target/debug/xtask"));
    }
}
