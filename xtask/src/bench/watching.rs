//! What it costs to follow a working tree, by its size: time for each change, memory, and processor time at rest.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};

use super::container::Reader;
use super::figures::{median, percentile};
use super::project::Project;
use super::report::{Report, Row};
use super::stack::Stack;
use super::sync::saves;
use crate::command;

const SAVES: usize = 100;
const REST: Duration = Duration::from_secs(20);

pub(super) fn measure(stack: &Stack, report: &mut Report) -> Result<()> {
    for files in [10, 1_000, 100_000] {
        let project = Project::of(stack, &format!("bench-{files}"));
        project.copy()?;
        fill(&project, files)?;
        project.devk(&["up", "-d"])?;
        // What was loaded is learnt in the background; all of the image is small files here.
        sleep(REST);
        if files == 100_000 {
            rest(&project, report)?;
        }
        let pods = project.synced_pods(1)?;
        let mut readers = Reader::in_each(&project, &pods, &["/srv/app/probe".to_owned()])?;
        let times = saves(&project.path("server/app/probe"), &mut readers, SAVES)?;
        let what = |share: usize| {
            format!("sync: one file among {files} that are watched, p{share} of {SAVES}")
        };
        report.add(Row::less(what(50), median(&times), "ms"));
        report.add(Row::less(what(99), percentile(&times, 99), "ms"));
        drop(readers);
        project.devk(&["down", "--delete"])?;
        fs::remove_dir_all(project.path(""))?;
    }
    Ok(())
}

fn fill(project: &Project<'_>, files: usize) -> Result<()> {
    for number in 0..files {
        let file = project.path(&format!(
            "server/app/many/d{}/file-{number}.py",
            number / 20
        ));
        if number % 20 == 0 {
            fs::create_dir_all(file.parent().unwrap_or(&file))?;
        }
        fs::write(file, format!("value = {number}\n"))?;
    }
    Ok(())
}

fn rest(project: &Project<'_>, report: &mut Report) -> Result<()> {
    let pid = project.supervisor()?;
    let ticks: f64 = command::output(std::process::Command::new("getconf").arg("CLK_TCK"))?
        .trim()
        .parse()?;
    let before = processor_ticks(pid)?;
    sleep(REST);
    let share = (processor_ticks(pid)? - before) / ticks / REST.as_secs_f64() * 100.0;
    let what = "the session with 100,000 watched files";
    report.add(Row::less(format!("{what}: resident memory"), resident(pid)?, "MB").goal(30.0));
    report.note(format!(
        "{what}: at most {:.0} MB resident at any time",
        megabytes(pid, "VmHWM:")?
    ));
    report.add(
        Row::less(
            format!("{what}: processor time at rest, of one core"),
            share,
            "%",
        )
        .goal(0.5),
    );
    Ok(())
}

/// What the process and all that it has waited for have used (proc(5)).
fn processor_ticks(pid: u64) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(") ").context("no stat")?;
    // From the third field on: utime is the 14th, then stime, cutime, cstime.
    fields
        .split(' ')
        .skip(11)
        .take(4)
        .map(|field| Ok(field.parse::<f64>()?))
        .sum()
}

/// Megabytes of memory that a process has (proc_pid_status(5)).
pub(super) fn resident(pid: u64) -> Result<f64> {
    megabytes(pid, "VmRSS:")
}

fn megabytes(pid: u64, key: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .context("no such line")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0 / 1e6)
}
