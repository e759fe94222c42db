//! Whether the program of a container runs what was saved, by what its processes have done since. Pure.
//!
//! A reloader notices a file some time after the file is there, ends the program and starts it again, or starts it in
//! vain, and tells nobody. Its processes show it: the new one is younger than the file, has started up when it has
//! nothing to do for a moment, and is gone for good if the file broke it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::processes::{Process, Processes, above};
use super::served_by::{is_program, reloader_of};

/// A process that sleeps for this long has started up.
const IDLE: Duration = Duration::from_millis(100);
/// A process that lives for this long and sleeps now and then has started up, and so has one that has worked for this
/// long: what starts up works without a pause, for as long as a busy machine takes for it.
const MAX_START: Duration = Duration::from_secs(5);
/// What ended, and is not there again this long after the last thing happened, does not come back by itself.
const GONE_AFTER: Duration = Duration::from_secs(2);

/// What ran in a container before something was saved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct AtRest {
    programs: BTreeSet<String>,
    listening: BTreeSet<u16>,
}

impl AtRest {
    pub(super) fn of(processes: &Processes) -> Self {
        Self {
            programs: programs(processes).map(named).collect(),
            listening: processes.listening.clone(),
        }
    }

    /// What of it is not there, in words for the user.
    fn missing(&self, now: &Self) -> Option<String> {
        let program = self.programs.difference(&now.programs).next();
        let program = program.map(|program| format!("`{program}` ended and is not back"));
        let port = self.listening.difference(&now.listening).next();
        program.or_else(|| port.map(|port| format!("nothing listens on port {port} any more")))
    }
}

/// What is known of a program after a save.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reload {
    /// Not known yet, and what is waited for.
    Open(String),
    /// It started again, and has started up.
    Restarted,
    /// It went on: the reloader does not restart it for this file, or not by a new process.
    WentOn,
    /// It ended, and is not there any more.
    Broken(String),
}

/// Looks at one container since a save.
#[derive(Debug)]
pub(super) struct ReloadCheck {
    /// When the file was in place, since the start of the container's machine. Unless the container tells, it is the
    /// first look: what started before that counts as older.
    applied: Option<Duration>,
    /// How long a reloader may take to notice it.
    patience: Duration,
    last: Option<Processes>,
    /// When something happened last, since the start of the machine, too.
    moved: Duration,
}

impl ReloadCheck {
    pub(super) fn new(applied: Option<Duration>, patience: Duration) -> Self {
        Self {
            applied,
            patience,
            last: None,
            moved: Duration::ZERO,
        }
    }

    /// Judges by one more look.
    pub(super) fn judge(&mut self, at_rest: Option<&AtRest>, now: Processes) -> Reload {
        let applied = *self.applied.get_or_insert(now.now);
        let since = now.now.saturating_sub(applied);
        let is_newer = |process: &&Process| process.started >= applied;
        let (newer, older): (Vec<_>, Vec<_>) = programs(&now).partition(is_newer);
        if self.has_moved(&now, &newer) {
            self.moved = now.now;
        }
        let quiet = now.now.saturating_sub(self.moved);
        let missing = at_rest.and_then(|at_rest| at_rest.missing(&AtRest::of(&now)));
        let is_ending = newer
            .iter()
            .any(|new| older.iter().any(|old| named(old) == named(new)));
        let is_up = |process: &Process| {
            let age = now.now.saturating_sub(process.started);
            let slept =
                || process.sleeps && self.last_look(process).is_some_and(|last| last.sleeps);
            process.worked >= MAX_START || (age >= MAX_START && slept())
        };
        let reload = match missing {
            Some(missing) if quiet >= GONE_AFTER => Reload::Broken(missing),
            Some(missing) => Reload::Open(missing),
            None if is_ending => Reload::Open("the earlier process has not ended".to_owned()),
            None if newer.is_empty() && since >= self.patience => match idle_reloader(&now) {
                // Without a look before the save nothing else tells that the program ended with it.
                Some(reloader) if at_rest.is_none() => Reload::Broken(format!(
                    "nothing runs under `{}` any more",
                    reloader.words.join(" ")
                )),
                _ => Reload::WentOn,
            },
            None if newer.is_empty() => {
                Reload::Open("the reloader has not restarted it".to_owned())
            }
            None if quiet >= IDLE || newer.iter().all(|process| is_up(process)) => {
                Reload::Restarted
            }
            None => Reload::Open("the new process starts up".to_owned()),
        };
        self.last = Some(now);
        reload
    }

    /// Whether a process came or went since the last look, or one that is newer than the save works, or what started it
    /// does: a new process sleeps while it is told what to run.
    fn has_moved(&self, now: &Processes, newer: &[&Process]) -> bool {
        let Some(last) = &self.last else {
            return true;
        };
        let ids = |processes: &Processes| -> BTreeSet<_> {
            programs(processes).map(|process| process.id).collect()
        };
        let is_idle = |process: &&Process| {
            let last = self.last_look(process);
            process.sleeps
                && last.is_some_and(|last| last.worked == process.worked)
                && above(&now.all, process)
                    .iter()
                    .all(|starter| starter.sleeps)
        };
        ids(last) != ids(now) || !newer.iter().all(is_idle)
    }

    /// The same process in the look before.
    fn last_look(&self, process: &Process) -> Option<&Process> {
        let mut last = self.last.iter().flat_map(|last| &last.all);
        last.find(|last| last.id == process.id)
    }
}

/// The reloader, if none of the programs was started by one.
fn idle_reloader(processes: &Processes) -> Option<&Process> {
    let all = &processes.all;
    let is_reloader = |process: &Process| reloader_of(&process.words).is_some();
    let is_started = |process: &Process| above(all, process).into_iter().any(is_reloader);
    match programs(processes).any(is_started) {
        true => None,
        false => all.iter().find(|process| is_reloader(process)),
    }
}

/// The processes without what stands beside them, such as shells.
fn programs(processes: &Processes) -> impl Iterator<Item = &Process> {
    processes.all.iter().filter(|process| is_program(process))
}

/// The words without numbers, which may be others each time, such as a file descriptor's.
fn named(process: &Process) -> String {
    let mut name = process.words.join(" ");
    name.retain(|letter| !letter.is_ascii_digit());
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The save was so long after the start of the machine.
    const SAVED: Duration = Duration::from_secs(100);

    /// A container at a moment, in milliseconds since the save: processes by id, start, work and words.
    fn at(ms: u64, processes: &[(u32, u64, u64, &str)], listening: &[u16]) -> Processes {
        let ms_of = Duration::from_millis;
        let process = |(id, started, worked, words): &(u32, u64, u64, &str)| Process {
            id: *id,
            parent: u32::from(*id != 1),
            sleeps: true,
            worked: ms_of(*worked),
            started: ms_of(*started),
            words: words.split(' ').map(str::to_owned).collect(),
        };
        Processes {
            now: SAVED + ms_of(ms),
            all: processes.iter().map(process).collect(),
            listening: listening.iter().copied().collect(),
        }
    }

    const PARENT: (u32, u64, u64, &str) = (1, 1000, 0, "node --watch a.js");
    const OLD: (u32, u64, u64, &str) = (20, 2000, 300, "node a.js 5");

    /// Judges by looks in their order.
    fn judged(patience: u64, looks: &[Processes]) -> Vec<Reload> {
        let mut check = ReloadCheck::new(Some(SAVED), Duration::from_millis(patience));
        let baseline = AtRest::of(&at(0, &[PARENT, OLD], &[80]));
        let judge = |look: &Processes| check.judge(Some(&baseline), look.clone());
        looks.iter().map(judge).collect()
    }

    fn is_open(reload: &Reload) -> bool {
        matches!(reload, Reload::Open(_))
    }

    #[test]
    fn a_program_has_restarted_when_the_new_process_has_nothing_to_do() {
        let new = |worked| (31, 100_300, worked, "node a.js 7");
        let reloads = judged(
            4000,
            &[
                at(50, &[PARENT, OLD], &[80]),
                at(350, &[PARENT], &[]),
                at(400, &[PARENT, new(20)], &[]),
                at(450, &[PARENT, new(60)], &[80]),
                at(500, &[PARENT, new(90)], &[80]),
                at(550, &[PARENT, new(90)], &[80]),
                at(600, &[PARENT, new(90)], &[80]),
            ],
        );
        assert!(reloads[..6].iter().all(is_open), "{reloads:?}");
        assert_eq!(reloads[6], Reload::Restarted);
    }

    #[test]
    fn an_earlier_process_that_still_answers_is_waited_for() {
        let new = (31, 100_300, 90, "node a.js 7");
        let both = |ms| at(ms, &[PARENT, OLD, new], &[80]);
        let reloads = judged(4000, &[both(400), both(600), both(9000)]);
        assert!(reloads.iter().all(is_open), "{reloads:?}");
    }

    #[test]
    fn a_process_that_was_there_before_the_save_is_no_restart() {
        let rest = |ms| at(ms, &[PARENT, OLD], &[80]);
        let reloads = judged(4000, &[rest(50), rest(3990), rest(4000)]);
        assert!(reloads[..2].iter().all(is_open), "{reloads:?}");
        assert_eq!(reloads[2], Reload::WentOn);
    }

    #[test]
    fn without_a_look_before_the_save_a_reloader_without_a_program_has_lost_it() {
        let judged = |processes: &[(u32, u64, u64, &str)]| {
            let mut check = ReloadCheck::new(Some(SAVED), Duration::from_secs(4));
            check.judge(None, at(5000, processes, &[]))
        };
        let watchfiles = (1, 100, 10, "python /bin/watchfiles app.py .");
        let told = "nothing runs under `python /bin/watchfiles app.py .` any more";
        assert_eq!(judged(&[watchfiles]), Reload::Broken(told.to_owned()));
        let program = (7, 100, 10, "python app.py");
        assert_eq!(judged(&[watchfiles, program]), Reload::WentOn);
    }

    #[test]
    fn a_program_that_ended_and_does_not_come_back_is_broken_and_one_that_is_being_built_is_not() {
        let build = |ms, worked| at(ms, &[PARENT, (40, 100_200, worked, "go build")], &[]);
        let gone = |ms| at(ms, &[PARENT], &[]);
        let reloads = judged(
            4000,
            &[
                build(500, 10),
                build(3000, 20),
                build(9000, 30),
                gone(9500),
                gone(11_400),
                gone(11_500),
            ],
        );
        assert!(reloads[..5].iter().all(is_open), "{reloads:?}");
        let why = "`node a.js ` ended and is not back".to_owned();
        assert_eq!(reloads[5], Reload::Broken(why));
    }

    #[test]
    fn a_port_that_nothing_listens_on_any_more_is_told() {
        let new = (31, 100_300, 90, "node a.js 7");
        let deaf = |ms| at(ms, &[PARENT, new], &[81]);
        let reloads = judged(4000, &[deaf(400), deaf(2400)]);
        let why = "nothing listens on port 80 any more".to_owned();
        assert_eq!(reloads[1], Reload::Broken(why));
    }

    #[test]
    fn a_program_that_never_rests_has_started_up_after_a_while() {
        let new = |ms| at(ms, &[PARENT, (31, 100_300, ms / 2, "node a.js 7")], &[80]);
        let reloads = judged(4000, &[new(400), new(5200), new(5400)]);
        assert!(reloads[..2].iter().all(is_open), "{reloads:?}");
        assert_eq!(reloads[2], Reload::Restarted);
    }

    #[test]
    fn a_program_that_wants_to_run_all_the_time_starts_up_until_it_has_worked_for_long() {
        let new = |ms, worked| {
            let mut look = at(ms, &[PARENT, (31, 100_300, worked, "node a.js 7")], &[80]);
            look.all[1].sleeps = false;
            look
        };
        let looks = [
            new(400, 10),
            new(9000, 900),
            new(9040, 900),
            new(40_000, 5000),
        ];
        let reloads = judged(4000, &looks);
        assert!(reloads[..3].iter().all(is_open), "{reloads:?}");
        assert_eq!(reloads[3], Reload::Restarted);
    }

    #[test]
    fn a_new_process_that_waits_for_its_busy_starter_has_not_started_up() {
        let new = |ms, parent_sleeps| {
            let mut look = at(ms, &[PARENT, (31, 100_300, 10, "node a.js 7")], &[80]);
            look.all[0].sleeps = parent_sleeps;
            look
        };
        let reloads = judged(4000, &[new(400, false), new(800, false), new(850, true)]);
        assert!(reloads.iter().all(is_open), "{reloads:?}");
        let reloads = judged(4000, &[new(400, false), new(800, true), new(900, true)]);
        assert_eq!(reloads[2], Reload::Restarted);
    }
}
