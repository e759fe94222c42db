//! What runs in a container at a moment, as its shell tells it (`q` in `container.sh`). Pure.

use std::collections::BTreeSet;
use std::time::Duration;

/// What parts the words of a process in a line.
const BETWEEN_WORDS: char = '\u{1f}';
/// How long a tick of proc(5) lasts: programs see 100 in a second on every architecture that Kubernetes runs on.
const TICK: Duration = Duration::from_millis(10);
/// Ports from here on are given to whoever asks for any (ip_local_port_range of ip(7)), so they say nothing of a program.
const FIRST_EPHEMERAL_PORT: u16 = 32768;

/// The processes of a container, the shell that looked left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Processes {
    /// The time of the look, since the start of the machine.
    pub(super) now: Duration,
    pub(super) all: Vec<Process>,
    /// The ports of the pod that something listens on, without ephemeral ones.
    pub(super) listening: BTreeSet<u16>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) id: u32,
    pub(super) parent: u32,
    /// It waits for something, and does not want to run.
    pub(super) sleeps: bool,
    /// The time that it has worked.
    pub(super) worked: Duration,
    /// Since the start of the machine, rounded down to a tick.
    pub(super) started: Duration,
    pub(super) words: Vec<String>,
}

impl Processes {
    /// Takes a line in. Another program of the container may print what is none of these.
    pub(super) fn read(&mut self, line: &str) {
        if let Some(seconds) = line.strip_prefix("now ") {
            self.now = since_start(seconds).unwrap_or_default();
        } else if let Some(port) = line.strip_prefix("listen ") {
            let port = u16::from_str_radix(port, 16).ok();
            self.listening
                .extend(port.filter(|port| *port < FIRST_EPHEMERAL_PORT));
        } else if let Some(process) = line.strip_prefix("proc ") {
            self.all.extend(Process::read(process));
        }
    }

    /// The words of every process.
    pub(super) fn words(&self) -> Vec<Vec<String>> {
        self.all
            .iter()
            .map(|process| process.words.clone())
            .collect()
    }
}

/// Reads the first number of /proc/uptime (proc(5)).
pub(super) fn since_start(seconds: &str) -> Option<Duration> {
    let seconds = seconds.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// What started a process, then what started that, as far as it is among `all`.
pub(super) fn above<'a>(all: &'a [Process], process: &Process) -> Vec<&'a Process> {
    let starter = |process: &Process| all.iter().find(|other| other.id == process.parent);
    let mut line: Vec<&Process> = vec![];
    let mut next = starter(process);
    while let Some(found) = next.filter(|found| !line.contains(found)) {
        line.push(found);
        next = starter(found);
    }
    line
}

impl Process {
    fn read(line: &str) -> Option<Self> {
        let mut fields = line.splitn(7, ' ');
        let mut next = || fields.next();
        let id = next()?.parse().ok()?;
        let parent = next()?.parse().ok()?;
        let sleeps = matches!(next()?, "S" | "I");
        let [user, kernel, started] = [next()?, next()?, next()?].map(|ticks| ticks.parse().ok());
        let words = next()?.split(BETWEEN_WORDS);
        Some(Self {
            id,
            parent,
            sleeps,
            worked: TICK * (user? + kernel?),
            started: TICK * started?,
            words: words
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_line_of_the_look_is_passed_over() {
        let mut processes = Processes::default();
        for line in [
            "now 12.5",
            "listen 1F90",
            "listen FFFF",
            "listen x",
            "proc 7 1 S 3 4 1200 node\u{1f}--watch\u{1f}a b.js\u{1f}",
            "proc 8 1 S 3",
            "proc 9 1 S x 4 1200 node",
            "something else",
            "",
        ] {
            processes.read(line);
        }
        let node = Process {
            id: 7,
            parent: 1,
            sleeps: true,
            worked: Duration::from_millis(70),
            started: Duration::from_secs(12),
            words: ["node", "--watch", "a b.js"].map(str::to_owned).to_vec(),
        };
        let expected = Processes {
            now: Duration::from_millis(12500),
            all: vec![node],
            listening: BTreeSet::from([8080]),
        };
        assert_eq!(processes, expected);
    }
}
