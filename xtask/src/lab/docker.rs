//! The Docker daemon: installed where there is none, started where none answers, left alone otherwise.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::apt;
use super::cache::Cache;
use super::progress::Progress;
use crate::command;
use crate::runc_wrapper;

const START_LIMIT: Duration = Duration::from_secs(60);
/// A pull that takes longer than this is of no use to anybody.
const PROBE_LIMIT: &str = "40";

pub(super) fn ensure(cache: &Cache, progress: &Progress) -> Result<()> {
    raise_inotify_limits();
    if answers() {
        return Ok(());
    }
    progress.step("docker daemon", || {
        install()?;
        if !answers_root() {
            start(cache)?;
        }
        if !answers() {
            bail!("Docker runs, but only root may use it: `sudo usermod -aG docker $USER`, then log in again");
        }
        Ok(())
    })
}

pub(super) fn answers() -> bool {
    command::succeeds(Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]))
}

fn answers_root() -> bool {
    command::succeeds(command::as_root("docker").args([
        "version",
        "--format",
        "{{.Server.Version}}",
    ]))
}

/// Whether this machine gets images in the ordinary way. Asked by doing it: no name of a host is known here.
pub(super) fn registry_answers() -> bool {
    command::succeeds(Command::new("timeout").args([
        PROBE_LIMIT,
        "docker",
        "pull",
        "--quiet",
        "hello-world",
    ]))
}

fn install() -> Result<()> {
    if !command::on_path("dockerd") {
        apt::install_without_starting(&["docker.io", "iptables"])?;
    }
    // Newer releases have the client in a package of its own.
    if !command::on_path("docker") {
        apt::install(&["docker-cli"])?;
    }
    Ok(())
}

fn start(cache: &Cache) -> Result<()> {
    if Path::new("/run/systemd/system").exists() {
        command::run(command::as_root("systemctl").args(["start", "docker"]))?;
    } else {
        remove_stale_pid_files()?;
        detach_daemon(cache)?;
    }
    wait_until_it_answers(&log(cache))
}

fn log(cache: &Cache) -> PathBuf {
    cache.file("dockerd.log")
}

/// In a session of its own, so that it outlives this process and its terminal.
fn detach_daemon(cache: &Cache) -> Result<()> {
    let log = log(cache);
    let out = File::options().create(true).append(true).open(&log);
    let out = out.with_context(|| format!("cannot write {}", log.display()))?;
    let mut daemon = command::as_root("setsid");
    daemon
        .args(["--fork", "dockerd", "--config-file"])
        .arg(daemon_config(cache)?);
    let errors = out.try_clone().context("cannot share the log")?;
    let status = daemon
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(errors)
        .status();
    if !status.context("cannot run setsid")?.success() {
        bail!("dockerd did not start; see {}", log.display());
    }
    Ok(())
}

/// Docker's own defaults, and the runc wrapper where the machine lacks a capability.
fn daemon_config(cache: &Cache) -> Result<PathBuf> {
    let missing = runc_wrapper::missing_here()?;
    let config = if missing.is_empty() {
        json!({})
    } else {
        eprintln!(
            "lab: this machine lacks {}; containers will not ask for it",
            missing.join(", ")
        );
        let wrapper = install_wrapper(cache)?;
        json!({"default-runtime": runc_wrapper::NAME, "runtimes": {runc_wrapper::NAME: {"path": wrapper}}})
    };
    let path = cache.file("daemon.json");
    fs::write(&path, config.to_string())
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// A copy of this very binary: a later build may replace or remove the one that runs now.
fn install_wrapper(cache: &Cache) -> Result<PathBuf> {
    let path = cache.file(runc_wrapper::NAME);
    let fresh = path.with_extension("new");
    let this = std::env::current_exe().context("cannot find this binary")?;
    fs::copy(&this, &fresh).with_context(|| format!("cannot write {}", fresh.display()))?;
    fs::rename(&fresh, &path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// A machine that was switched off leaves pid files whose numbers belong to others by now; dockerd believes them.
fn remove_stale_pid_files() -> Result<()> {
    let files = [
        ("/var/run/docker.pid", "dockerd"),
        ("/var/run/docker/containerd/containerd.pid", "containerd"),
    ];
    for (file, program) in files {
        let Ok(pid) = fs::read_to_string(file) else {
            continue;
        };
        let name = fs::read_to_string(format!("/proc/{}/comm", pid.trim())).unwrap_or_default();
        if name.trim() != program {
            command::run(command::as_root("rm").args(["-f", file]))?;
        }
    }
    Ok(())
}

fn wait_until_it_answers(log: &Path) -> Result<()> {
    let began = Instant::now();
    while !answers_root() {
        if began.elapsed() > START_LIMIT {
            let text = fs::read_to_string(log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let last = lines[lines.len().saturating_sub(15)..].join("\n  | ");
            bail!(
                "dockerd does not answer after {} s; {} ends with\n  | {last}",
                START_LIMIT.as_secs(),
                log.display()
            );
        }
        sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// A kubelet, containerd and a file watcher in one container need more than most systems allow. Best effort: in a
/// container without the right to write these, what there is may do.
fn raise_inotify_limits() {
    for (limit, needed) in [("max_user_watches", 524_288), ("max_user_instances", 1024)] {
        let path = format!("/proc/sys/fs/inotify/{limit}");
        let now = fs::read_to_string(&path)
            .ok()
            .and_then(|text| text.trim().parse::<u64>().ok());
        if now.is_some_and(|now| now < needed) {
            let setting = format!("fs.inotify.{limit}={needed}");
            if !command::succeeds(command::as_root("sysctl").args(["-qw", &setting])) {
                eprintln!(
                    "lab: cannot set {setting}; if pods fail with `too many open files`, set it as root"
                );
            }
        }
    }
}
