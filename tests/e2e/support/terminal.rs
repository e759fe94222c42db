//! A program on a terminal of its own, that of `script`: what it shows there, and what is typed.

use std::io::{BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Longer than anything that is waited for here takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// How questions end, which wait for their answer on the same line.
const QUESTIONS: &[&[u8]] = &[b"[y/N] ", b"to go on: "];

pub(crate) struct OnTerminal {
    child: Child,
    keyboard: ChildStdin,
    screen: Receiver<String>,
    seen: String,
}

impl OnTerminal {
    /// Starts a command with its folder and environment. Its words need no quoting.
    pub(crate) fn start(command: &Command) -> Self {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let line: Vec<_> = words.map(|word| word.to_str().unwrap()).collect();
        let line = line.join(" ");
        let mut script = Command::new("script");
        script
            .args([
                "--quiet",
                "--return",
                "--flush",
                "--command",
                &line,
                "/dev/null",
            ])
            .env_clear()
            .env("TERM", "xterm")
            .envs(
                command
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some(folder) = command.get_current_dir() {
            script.current_dir(folder);
        }
        let mut child = script.spawn().unwrap();
        let keyboard = child.stdin.take().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, screen) = channel();
        std::thread::spawn(move || {
            let mut line = vec![];
            for byte in out.bytes().map_while(Result::ok) {
                line.push(byte);
                if byte == b'\n' || QUESTIONS.iter().any(|ending| line.ends_with(ending)) {
                    let text = String::from_utf8_lossy(&std::mem::take(&mut line)).into_owned();
                    let _ = sender.send(text.trim_end_matches(['\r', '\n']).to_owned());
                }
            }
            let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
        });
        Self {
            child,
            keyboard,
            screen,
            seen: String::new(),
        }
    }

    /// Waits for a line that holds this text.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let line = self.next_line(deadline, text);
            if line.contains(text) {
                return line;
            }
        }
    }

    fn next_line(&mut self, deadline: Instant, text: &str) -> String {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = self.screen.recv_timeout(left);
        let line = line
            .unwrap_or_else(|e| panic!("no `{text}` ({e}); the terminal shows:\n{}", self.seen));
        self.seen += &format!("{line}\n");
        line
    }

    pub(crate) fn type_keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// All that was shown until its end, and the exit code.
    pub(crate) fn ended(mut self) -> (String, Option<i32>) {
        while let Ok(line) = self.screen.recv_timeout(PATIENCE) {
            self.seen += &format!("{line}\n");
        }
        let code = self.child.wait().unwrap().code();
        (std::mem::take(&mut self.seen), code)
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
