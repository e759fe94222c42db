//! What runs on this machine, whoever started it.

#[cfg(not(target_os = "linux"))]
use super::Cmd;

/// The command lines of all processes of this machine, words parted by spaces.
#[cfg(target_os = "linux")]
pub async fn command_lines() -> Vec<String> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .collect()
}

/// The command lines of all processes of this machine, words parted by spaces.
#[cfg(not(target_os = "linux"))]
pub async fn command_lines() -> Vec<String> {
    let output = Cmd::new("ps")
        .args(["-A", "-ww", "-o", "args="])
        .run()
        .await;
    output
        .map(|o| o.stdout.lines().map(str::to_owned).collect())
        .unwrap_or_default()
}
