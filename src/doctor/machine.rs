//! The machine: disk where Docker keeps its data, and inotify limits.

use std::path::{Path, PathBuf};

use super::{Check, Status};
use crate::docker::Engine;

/// A node image, the images of a stack and their copies on the node need about this much.
const DISK_WANTED: u64 = 10 << 30;
/// With less a cluster does not even start.
const DISK_NEEDED: u64 = 2 << 30;

/// What kind's documentation asks for (known issues: "pod errors due to too many open files").
const INOTIFY: [(&str, u64); 2] = [("max_user_watches", 524_288), ("max_user_instances", 512)];

pub async fn checks(engine: Option<&Engine>) -> Vec<Check> {
    let mut checks = vec![disk(&docker_root(engine).await)];
    if cfg!(target_os = "linux") {
        checks.push(inotify(Path::new("/proc/sys/fs/inotify")));
    }
    checks
}

/// Docker's data folder if it is on this machine, else the folder of temporary files.
async fn docker_root(engine: Option<&Engine>) -> PathBuf {
    let info = match engine {
        Some(engine) => engine.docker.info().await.ok(),
        None => None,
    };
    info.and_then(|info| info.docker_root_dir)
        .map(PathBuf::from)
        .filter(|dir| dir.is_dir())
        .unwrap_or_else(std::env::temp_dir)
}

fn disk(dir: &Path) -> Check {
    let free = match rustix::fs::statvfs(dir) {
        Ok(stat) => stat.f_bavail * stat.f_frsize,
        Err(error) => {
            return Check::new("machine.disk", Status::Skipped, format!("cannot look at {}: {error}", dir.display()));
        }
    };
    let summary = format!("{:.1} GiB free in {}", free as f64 / (1u64 << 30) as f64, dir.display());
    match free {
        free if free >= DISK_WANTED => Check::new("machine.disk", Status::Ok, summary),
        free => {
            let status = if free >= DISK_NEEDED { Status::Warning } else { Status::Error };
            Check::new("machine.disk", status, summary).hint("docker system df")
        }
    }
}

fn inotify(dir: &Path) -> Check {
    let limit =
        |name: &str| std::fs::read_to_string(dir.join(name)).ok().and_then(|text| text.trim().parse::<u64>().ok());
    let short: Vec<_> =
        INOTIFY.iter().filter(|(name, wanted)| limit(name).is_some_and(|limit| limit < *wanted)).collect();
    if short.is_empty() {
        return Check::new("machine.inotify", Status::Ok, "inotify limits are high enough");
    }
    let set = short.iter().map(|(name, wanted)| format!("fs.inotify.{name}={wanted}")).collect::<Vec<_>>().join(" ");
    let mut check =
        Check::new("machine.inotify", Status::Warning, "inotify limits are low: pods and file watching may fail");
    for (name, wanted) in short {
        check = check.evidence(format!("fs.inotify.{name} = {}, wanted {wanted}", limit(name).unwrap_or_default()));
    }
    check.hint(format!("sudo sysctl -w {set}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_inotify_limits_are_found_with_the_command_that_raises_them() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("max_user_watches"), "8192\n").unwrap();
        std::fs::write(dir.path().join("max_user_instances"), "512\n").unwrap();
        let check = inotify(dir.path());
        assert_eq!(check.status, Status::Warning);
        assert_eq!(check.hint.as_deref(), Some("sudo sysctl -w fs.inotify.max_user_watches=524288"));
        std::fs::write(dir.path().join("max_user_watches"), "1048576\n").unwrap();
        assert_eq!(inotify(dir.path()).status, Status::Ok);
    }
}
