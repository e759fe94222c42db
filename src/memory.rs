//! Memory as Linux tells of it in /proc: what programs can still have, and what one of them has. Other systems tell it
//! elsewhere, and there both are unknown.

use std::path::Path;

/// The bytes that programs can still have without swapping.
pub(crate) fn available() -> Option<u64> {
    available_in(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

/// The bytes of a process that are in memory.
pub(crate) fn resident(pid: u32) -> Option<u64> {
    let file = Path::new("/proc").join(pid.to_string()).join("status");
    kibibytes(&std::fs::read_to_string(file).ok()?, "VmRSS:")
}

/// The line `MemAvailable: N kB` of proc_meminfo(5).
fn available_in(meminfo: &str) -> Option<u64> {
    kibibytes(meminfo, "MemAvailable:")
}

fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    number.checked_mul(1024)
}

/// Bytes in the unit that people compare them in.
pub(crate) fn shown(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    match bytes {
        bytes if bytes >= 10 * 1024 * MIB => format!("{:.0} GiB", bytes as f64 / (1 << 30) as f64),
        bytes if bytes >= 1024 * MIB => format!("{:.1} GiB", bytes as f64 / (1 << 30) as f64),
        bytes => format!("{} MiB", bytes / MIB),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_read_in_kibibytes_and_nothing_else_is() {
        let text = "MemTotal:  2048 kB\nMemAvailable:    512 kB\nVmRSS:\t  7 kB\n";
        assert_eq!(available_in(text), Some(512 * 1024));
        assert_eq!(kibibytes(text, "VmRSS:"), Some(7 * 1024));
        assert_eq!(kibibytes(text, "VmSwap:"), None);
        assert_eq!(available_in("MemAvailable: many kB\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_has_memory_and_one_that_is_gone_has_none() {
        assert!(resident(std::process::id()).unwrap() > 1 << 20);
        assert_eq!(resident(u32::MAX), None);
        assert!(available().is_some());
    }

    #[test]
    fn bytes_are_shown_as_people_compare_them() {
        let sizes = [5 << 20, 1536 << 20, 20 << 30].map(shown);
        assert_eq!(sizes, ["5 MiB", "1.5 GiB", "20 GiB"]);
    }
}
