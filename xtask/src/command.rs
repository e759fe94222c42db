//! The one door for subprocesses: quiet while they work, and on failure the command to paste and its last words.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

const LAST_LINES: usize = 25;

/// Runs to the end and returns stdout; anything but success is an error that shows what happened.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run `{program}`"))?;
    if !output.status.success() {
        bail!("{} from\n  {shown}\n{}", output.status, last_words(&output));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

pub(crate) fn run(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

/// For questions whose answer is the exit code.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// A shell script whose steps belong together (pipes, mostly); its arguments are `$1`, `$2`, …
pub(crate) fn script(text: &str, args: &[&str]) -> Command {
    let mut command = Command::new("bash");
    command
        .args(["-euo", "pipefail", "-c", text, "lab"])
        .args(args);
    command
}

/// The same program as root: itself where we are root already, else through sudo.
pub(crate) fn as_root(program: &str) -> Command {
    let is_root = output(Command::new("id").arg("-u")).is_ok_and(|uid| uid.trim() == "0");
    if is_root {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.arg(program);
    command
}

/// The folders of administration count too: they are missing from an ordinary user's PATH.
pub(crate) fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let administration = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let mut folders = std::env::split_paths(&path).chain(administration);
    folders.any(|folder| folder.join(program).is_file())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line: Vec<String> = words.map(|word| quoted(&word.to_string_lossy())).collect();
    match command.get_current_dir() {
        Some(folder) => format!("cd {} && {}", folder.display(), line.join(" ")),
        None => line.join(" "),
    }
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn last_words(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.len().saturating_sub(LAST_LINES);
    lines[first..]
        .iter()
        .map(|line| format!("  | {line}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shows_the_command_and_its_last_words() {
        let error = run(&mut script("echo seen; echo \"$1\" >&2; exit 3", &["it's"]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(error.contains(r"'it'\''s'"), "{error}");
        assert!(error.contains("  | seen\n  | it's\n"), "{error}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(&mut Command::new("no-such-program")).unwrap_err();
        assert_eq!(error.to_string(), "cannot run `no-such-program`");
    }
}
