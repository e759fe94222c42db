//! Other programs, with an end to their time.

use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Runs the command to its end. It is asked to end when its time is over, and what it starts must end with it.
pub(crate) fn output(command: &mut Command, time: Duration) -> Output {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().expect("the program can be run");
    let id = Pid::from_child(&child);
    let (done, is_done) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if is_done.recv_timeout(time).is_err() {
                let _ = kill_process(id, Signal::TERM);
            }
        });
        let output = child
            .wait_with_output()
            .expect("the program can be waited for");
        let _ = done.send(());
        output
    })
}
