//! The machine: disk where Docker keeps its data, memory, inotify limits, the clock.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::docker::Docker;
use super::{Check, DoctorFacts, Id, Missing};
use crate::memory;

const GIB: u64 = 1 << 30;

/// A node image, the images of a stack and their copies on the node need about this much.
const DISK_WANTED: u64 = 10 * GIB;
/// With less a cluster does not even start.
const DISK_NEEDED: u64 = 2 * GIB;

/// One node with a small stack; kind itself asks for about 2 GiB.
const MEMORY_WANTED: u64 = 3 * GIB;
const MEMORY_NEEDED: u64 = 3 * GIB / 2;

/// What kind's documentation asks for (known issues: "pod errors due to too many open files").
pub(super) const INOTIFY: [(&str, u64); 2] =
    [("max_user_watches", 524_288), ("max_user_instances", 512)];

/// Certificates and tokens are judged by the clock; a second or two are the time that asking takes.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(5);

/// What the machine has. None where it cannot be seen.
#[derive(Debug, Clone, Default)]
pub struct Machine {
    /// Where Docker keeps its data, and the bytes that are free there.
    pub disk: Option<(PathBuf, u64)>,
    /// Bytes that programs can still have.
    pub memory: Option<u64>,
    /// Setting below `fs.inotify` → its value.
    pub inotify: Vec<(&'static str, u64)>,
}

/// The folder with the kernel's inotify limits.
pub(super) const INOTIFY_DIR: &str = "/proc/sys/fs/inotify";

pub(super) fn inspect(docker: Option<&Docker>) -> Machine {
    let root = docker
        .and_then(|docker| docker.root.clone())
        .filter(|dir| dir.is_dir());
    let dir = root.unwrap_or_else(std::env::temp_dir);
    let free = rustix::fs::statvfs(&dir)
        .ok()
        .map(|stat| stat.f_bavail * stat.f_frsize);
    Machine {
        disk: free.map(|free| (dir, free)),
        memory: memory::available(),
        inotify: inotify(Path::new(INOTIFY_DIR)),
    }
}

pub(super) fn inotify(dir: &Path) -> Vec<(&'static str, u64)> {
    let limit = |name: &str| {
        std::fs::read_to_string(dir.join(name))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    INOTIFY
        .iter()
        .filter_map(|(name, _)| Some((*name, limit(name)?)))
        .collect()
}

/// The settings that are too low, with what they are and what is wanted.
pub(super) fn short(inotify: &[(&'static str, u64)]) -> Vec<(&'static str, u64, u64)> {
    let wanted = |name: &str| {
        INOTIFY
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, wanted)| *wanted)
    };
    let short = |(name, is): &(&'static str, u64)| Some((*name, *is, wanted(name)?));
    inotify
        .iter()
        .filter_map(short)
        .filter(|(_, is, wanted)| is < wanted)
        .collect()
}

pub(super) fn checks(facts: &DoctorFacts) -> Vec<Check> {
    vec![
        disk(&facts.machine),
        memory(facts),
        limits(&facts.machine),
        clock(facts.docker.as_ref()),
    ]
}

fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / GIB as f64)
}

fn judge(id: Id, is: u64, needed: u64, wanted: u64, text: String) -> Check {
    match is {
        is if is >= wanted => Check::ok(id, text),
        is if is >= needed => Check::warning(id, text),
        _ => Check::error(id, text),
    }
}

fn disk(machine: &Machine) -> Check {
    let Some((dir, free)) = &machine.disk else {
        return Check::skipped(Id::MachineDisk, "the free disk cannot be seen");
    };
    let text = format!("{} of disk free in {}", gib(*free), dir.display());
    let check = judge(Id::MachineDisk, *free, DISK_NEEDED, DISK_WANTED, text);
    if *free >= DISK_WANTED {
        check
    } else {
        check.hint("docker system df    # what could go: docker image prune")
    }
}

fn memory(facts: &DoctorFacts) -> Check {
    let docker = facts.docker.as_ref().ok().and_then(|docker| docker.memory);
    // A cluster that runs has its memory already.
    let runs = facts
        .cluster
        .as_ref()
        .is_ok_and(|cluster| cluster.state == "running");
    let available = facts.machine.memory.filter(|_| !runs);
    let Some(least) = docker.into_iter().chain(available).min() else {
        return Check::skipped(Id::MachineMemory, "the memory cannot be seen");
    };
    let whose = if docker == Some(least) {
        "that Docker may use"
    } else {
        "free"
    };
    let check = judge(
        Id::MachineMemory,
        least,
        MEMORY_NEEDED,
        MEMORY_WANTED,
        format!("{} of memory {whose}", gib(least)),
    );
    match docker {
        _ if least >= MEMORY_WANTED => check,
        Some(docker) if docker == least => {
            check.hint("give Docker's virtual machine more memory in its settings")
        }
        _ => check.hint("docker stats --no-stream    # who has it"),
    }
}

fn limits(machine: &Machine) -> Check {
    if machine.inotify.is_empty() {
        return Check::skipped(Id::MachineInotify, "this system has no inotify");
    }
    let short = short(&machine.inotify);
    if short.is_empty() {
        return Check::ok(Id::MachineInotify, "inotify limits are high enough");
    }
    let set: Vec<_> = short
        .iter()
        .map(|(name, _, wanted)| format!("fs.inotify.{name}={wanted}"))
        .collect();
    let low = Check::warning(
        Id::MachineInotify,
        "inotify limits are low: pods and file watching may fail",
    );
    let tell = |check: Check, (name, is, wanted): &(&str, u64, u64)| {
        check.evidence(format!("fs.inotify.{name} = {is}, wanted {wanted}"))
    };
    short
        .iter()
        .fold(low, tell)
        .hint(format!("sudo sysctl -w {}", set.join(" ")))
}

/// Nodes are containers: their clock is that of the machine that Docker runs on.
fn clock(docker: Result<&Docker, &Missing>) -> Check {
    let offset = match docker {
        Ok(docker) => docker.clock,
        Err(missing) => return Check::skipped(Id::MachineClock, missing.to_string()),
    };
    let Some(offset) = offset else {
        return Check::skipped(Id::MachineClock, "the Engine does not report its time");
    };
    if offset.unsigned_abs() <= MAX_CLOCK_SKEW.as_secs() {
        return Check::ok(Id::MachineClock, "the nodes' clock is this machine's");
    }
    let way = if offset > 0 { "ahead of" } else { "behind" };
    Check::warning(
        Id::MachineClock,
        format!(
            "the nodes' clock is {} s {way} this machine's",
            offset.unsigned_abs()
        ),
    )
    .hint("restart Docker's virtual machine: its clock stops while the computer sleeps")
}

#[cfg(test)]
mod tests {
    use super::super::CheckStatus;
    use super::*;

    #[test]
    fn low_inotify_limits_are_found_with_the_command_that_raises_them() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("max_user_watches"), "8192\n").unwrap();
        std::fs::write(dir.path().join("max_user_instances"), "512\n").unwrap();
        let machine = |dir: &Path| Machine {
            inotify: inotify(dir),
            ..Machine::default()
        };
        let check = limits(&machine(dir.path()));
        assert_eq!(check.status, CheckStatus::Warning);
        assert_eq!(
            check.hint.as_deref(),
            Some("sudo sysctl -w fs.inotify.max_user_watches=524288")
        );
        std::fs::write(dir.path().join("max_user_watches"), "1048576\n").unwrap();
        assert_eq!(limits(&machine(dir.path())).status, CheckStatus::Ok);
        assert_eq!(
            limits(&machine(Path::new("/nowhere"))).status,
            CheckStatus::Skipped
        );
    }

    #[test]
    fn disk_is_judged_by_what_a_cluster_needs() {
        let status = |free: u64| {
            disk(&Machine {
                disk: Some(("/".into(), free)),
                ..Machine::default()
            })
            .status
        };
        assert_eq!(
            (status(GIB), status(5 * GIB), status(50 * GIB)),
            (CheckStatus::Error, CheckStatus::Warning, CheckStatus::Ok)
        );
    }
}
