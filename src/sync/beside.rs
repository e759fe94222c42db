//! Which program of a container no reloader starts again. Pure.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::processes::{Process, above};
use super::served_by::{is_program, reloader_of};

/// A process that runs files which saves change, and no reloader starts again: it is no reloader, started none, and was
/// started by none. `scripts` are the files among those that a process names.
///
/// A shell that ends with `exec` leaves its children to the program that takes its place. So a child of a reloader
/// counts if both name files, and none of them is the same. What is run in the container from outside, such as a probe,
/// is not the container's.
pub(super) fn beside_reloaders(
    processes: &[Process],
    scripts: impl Fn(&Process) -> BTreeSet<PathBuf>,
) -> Option<&Process> {
    let is_reloader = |process: &Process| reloader_of(&process.words).is_some();
    let reloaders = processes.iter().filter(|process| is_reloader(process));
    let starters: Vec<_> = reloaders
        .flat_map(|reloader| above(processes, reloader))
        .collect();
    let is_left_to_it = |process: &Process, parent: &Process| {
        let named = scripts(parent);
        is_reloader(parent) && !named.is_empty() && named.is_disjoint(&scripts(process))
    };
    processes.iter().find(|process| {
        let line = above(processes, process);
        let is_own = process.id == 1 || line.iter().any(|above| above.id == 1);
        let is_its = line.iter().any(|above| is_reloader(above));
        let is_left = || {
            line.first()
                .is_some_and(|parent| is_left_to_it(process, parent))
        };
        is_own
            && is_program(process)
            && !is_reloader(process)
            && !starters.contains(process)
            && (!is_its || is_left())
            && !scripts(process).is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words that end with `.js` or `.py` are files that saves change.
    fn beside(processes: &[(u32, u32, &str)]) -> Option<u32> {
        let process = |(id, parent, words): &(u32, u32, &str)| Process {
            id: *id,
            parent: *parent,
            words: words.split(' ').map(str::to_owned).collect(),
            ..Process::default()
        };
        let processes: Vec<_> = processes.iter().map(process).collect();
        let is_file = |word: &&String| word.ends_with(".js") || word.ends_with(".py");
        let scripts = |process: &Process| {
            process
                .words
                .iter()
                .filter(is_file)
                .map(PathBuf::from)
                .collect()
        };
        beside_reloaders(&processes, scripts).map(|process| process.id)
    }

    #[test]
    fn what_a_reloader_starts_and_what_starts_it_are_not_beside_it() {
        let npm = [
            (1, 0, "python dev.py"),
            (8, 1, "sh -c nodemon server.js"),
            (9, 8, "node nodemon -x npm"),
            (19, 9, "npm start"),
            (20, 19, "node server.js"),
            (21, 20, "node child.js"),
        ];
        assert_eq!(beside(&npm), None);
        let watched = [
            (1, 0, "node --watch server.js"),
            (8, 1, "node server.js"),
            (9, 8, "node worker.js"),
        ];
        assert_eq!(beside(&watched), None);
    }

    #[test]
    fn a_second_program_of_the_containers_command_is_beside_it() {
        let script = [
            (1, 0, "/bin/sh ./start.sh"),
            (7, 1, "node worker.js"),
            (8, 1, "node --watch server.js"),
            (9, 8, "node server.js"),
        ];
        assert_eq!(beside(&script), Some(7));
        let replaced = [
            (1, 0, "node --watch server.js"),
            (7, 1, "node worker.js"),
            (8, 1, "node server.js"),
        ];
        assert_eq!(beside(&replaced), Some(7));
        let supervised = [
            (1, 0, "python supervisord -n"),
            (7, 1, "python celery -A tasks.py worker"),
            (8, 1, "python uvicorn app.py --reload"),
        ];
        assert_eq!(beside(&supervised), Some(7));
        let no_file_of_it = [
            (1, 0, "python supervisord -n"),
            (7, 1, "redis-server *:6379"),
            (8, 1, "python uvicorn app.py --reload"),
        ];
        assert_eq!(beside(&no_file_of_it), None);
    }

    #[test]
    fn what_is_run_from_outside_is_not_the_containers() {
        let probed = [
            (1, 0, "python uvicorn app.py --reload"),
            (40, 0, "python healthcheck.py"),
            (41, 0, "sh"),
            (42, 41, "python other.py"),
        ];
        assert_eq!(beside(&probed), None);
    }
}
