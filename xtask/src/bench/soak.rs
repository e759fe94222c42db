//! `cargo xtask soak [MINUTES]`: a long working day in an hour. Files are saved, images rebuilt, pods deleted, and
//! requests come all the while; in the end nothing may have grown, and nothing may be lost.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::argument;
use super::project::Project;
use super::stack::{NODE, Stack};
use super::watching::resident;
use super::wire::fetch;
use crate::command;

const MINUTES: u64 = 60;
/// Ten saves a second.
const SAVE: Duration = Duration::from_millis(100);
/// Twenty requests a second.
const REQUEST: Duration = Duration::from_millis(50);
const SAMPLE: Duration = Duration::from_secs(15);
const CHECK: Duration = Duration::from_secs(60);
const DELETE_POD: Duration = Duration::from_secs(120);
const REBUILD: Duration = Duration::from_secs(300);
/// How long the containers may take to have all that was saved, once nothing is.
const SETTLE: Duration = Duration::from_secs(60);
/// A request that failed within this time of a pod's end was in flight there.
const IN_FLIGHT: Duration = Duration::from_secs(3);

pub(crate) fn main(args: &[String]) -> Result<()> {
    let minutes = argument(args, MINUTES, "minutes", "soak [MINUTES]")?;
    let stack = Stack::start()?;
    let project = stack.main();
    let load = Load::at(stack.forward()?);
    let mut day = Day::new(&stack, &project)?;
    let outcome = day.pass(Duration::from_secs(minutes * 60));
    let (requests, failures) = load.end();
    outcome?;
    day.tell(requests, &failures)
}

/// Requests at a steady rate, one after another, and the moments at which some failed.
struct Load {
    over: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    failed: Arc<Mutex<Vec<(Instant, String)>>>,
    thread: thread::JoinHandle<()>,
}

impl Load {
    fn at(to: SocketAddr) -> Self {
        let (over, sent, failed) =
            <(Arc<AtomicBool>, Arc<AtomicUsize>, Arc<Mutex<Vec<_>>>)>::default();
        let thread = thread::spawn({
            let over = Arc::clone(&over);
            let sent = Arc::clone(&sent);
            let failed = Arc::clone(&failed);
            move || {
                while !over.load(Relaxed) {
                    let since = Instant::now();
                    sent.fetch_add(1, Relaxed);
                    if let (Err(error), Ok(mut failed)) = (fetch(to, 4096), failed.lock()) {
                        failed.push((Instant::now(), format!("{error:#}")));
                    }
                    sleep(REQUEST.saturating_sub(since.elapsed()));
                }
            }
        });
        Self {
            over,
            sent,
            failed,
            thread,
        }
    }

    fn end(self) -> (usize, Vec<(Instant, String)>) {
        self.over.store(true, Relaxed);
        let _ = self.thread.join();
        (
            self.sent.load(Relaxed),
            self.failed
                .lock()
                .map(|failed| failed.clone())
                .unwrap_or_default(),
        )
    }
}

/// What is measured again and again, and may not grow.
struct Curve {
    what: &'static str,
    /// What a curve that does not grow may differ by at its end.
    slack: f64,
    points: Vec<f64>,
}

impl Curve {
    /// The mean of a quarter of it; the first one is the warm-up.
    fn quarter(&self, number: usize) -> f64 {
        let quarter = (self.points.len() / 4).max(1);
        let points: Vec<_> = self
            .points
            .iter()
            .skip(number * quarter)
            .take(quarter)
            .collect();
        points.iter().copied().sum::<f64>() / points.len().max(1) as f64
    }

    fn is_flat(&self) -> bool {
        self.quarter(3) <= self.quarter(1) + self.slack
    }

    /// One block for each of up to 60 portions, from zero up.
    fn plot(&self) -> String {
        const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let top = self
            .points
            .iter()
            .copied()
            .fold(f64::MIN_POSITIVE, f64::max);
        let portion = self.points.len().div_ceil(60).max(1);
        let height = |points: &[f64]| points.iter().copied().fold(0.0, f64::max) / top * 7.0;
        self.points
            .chunks(portion)
            .map(|points| BLOCKS[(height(points).round() as usize).min(7)])
            .collect()
    }
}

struct Day<'a> {
    project: &'a Project<'a>,
    log: PathBuf,
    pid: u64,
    curves: [Curve; 5],
    saved: usize,
    checks: usize,
    rebuilds: usize,
    deleted: usize,
    /// When a pod was about to end, by our hand or by a rollout.
    ends: Vec<Instant>,
}

impl<'a> Day<'a> {
    fn new(stack: &Stack, project: &'a Project<'a>) -> Result<Self> {
        let curve = |what, slack| Curve {
            what,
            slack,
            points: vec![],
        };
        let curves = [
            curve("resident memory of the session, MB", 2.0),
            curve("its file descriptors", 8.0),
            curve("its threads", 4.0),
            curve("its log, kB", 256.0),
            curve("resident memory of the relay, MB", 2.0),
        ];
        let log = stack.log(project);
        let pid = project.supervisor()?;
        Ok(Self {
            project,
            log,
            pid,
            curves,
            saved: 0,
            checks: 0,
            rebuilds: 0,
            deleted: 0,
            ends: vec![],
        })
    }

    fn pass(&mut self, length: Duration) -> Result<()> {
        let since = Instant::now();
        let mut sample = SAMPLE;
        let mut check = CHECK;
        let mut delete = DELETE_POD;
        let mut rebuild = REBUILD;
        let due = |next: &mut Duration, every: Duration| {
            let is_due = since.elapsed() >= *next;
            *next += if is_due { every } else { Duration::ZERO };
            is_due
        };
        while since.elapsed() < length {
            self.save()?;
            if due(&mut sample, SAMPLE) {
                self.sample()?;
            }
            if due(&mut check, CHECK) {
                self.check()?;
            }
            if due(&mut delete, DELETE_POD) {
                self.delete_pod();
            }
            if due(&mut rebuild, REBUILD) {
                self.rebuild()?;
            }
            sleep(SAVE);
        }
        self.check()
    }

    /// An API server that is too busy to be asked now is asked the next time.
    fn delete_pod(&mut self) {
        self.ends.push(Instant::now());
        match command::run(&mut self.project.kubectl(&[
            "delete",
            "pod",
            "-l",
            "app=server",
            "--wait=false",
        ])) {
            Ok(()) => self.deleted += 1,
            Err(error) => eprintln!("soak: {error:#}"),
        }
    }

    /// Files come, change and go.
    fn save(&mut self) -> Result<()> {
        self.saved += 1;
        let file = |number: usize| {
            self.project
                .path(&format!("server/app/soak-{}", number % 50))
        };
        fs::write(file(self.saved), format!("{}\n", self.saved).repeat(200))?;
        if self.saved.is_multiple_of(7) {
            let _ = fs::remove_file(file(self.saved / 7));
        }
        Ok(())
    }

    /// Every container has the working tree, soon after the last save.
    fn check(&mut self) -> Result<()> {
        let since = Instant::now();
        while let Err(error) = self.project.devk(&["verify"]) {
            ensure!(since.elapsed() < SETTLE, "saves are lost: {error:#}");
            sleep(Duration::from_millis(500));
        }
        self.checks += 1;
        Ok(())
    }

    /// What no sync rule serves: the image is built and rolled out.
    fn rebuild(&mut self) -> Result<()> {
        self.rebuilds += 1;
        let file = self.project.path("server/server.py");
        let source = fs::read_to_string(&file)?;
        let before = self.images();
        fs::write(&file, format!("{source}# {}\n", self.rebuilds))?;
        let since = Instant::now();
        // The pods of before are gone, and there are others.
        while self
            .images()
            .is_none_or(|now| Some(&now) == before.as_ref() || now.split(' ').count() > 1)
        {
            ensure!(
                since.elapsed() < SETTLE * 5,
                "no rebuild of {}",
                file.display()
            );
            sleep(Duration::from_millis(200));
            self.ends.push(Instant::now());
        }
        Ok(())
    }

    /// What the server's pods run, if the API server says so.
    fn images(&self) -> Option<String> {
        let images = [
            "get",
            "pods",
            "-l",
            "app=server",
            "-o",
            "jsonpath={.items[*].spec.containers[0].image}",
        ];
        self.project
            .kubectl_output(&images)
            .ok()
            .filter(|images| !images.is_empty())
    }

    fn sample(&mut self) -> Result<()> {
        ensure!(
            fs::exists(format!("/proc/{}/fd", self.pid))?,
            "the session ended"
        );
        let count = |folder: &str| -> Result<f64> {
            Ok(fs::read_dir(format!("/proc/{}/{folder}", self.pid))?.count() as f64)
        };
        let log = fs::metadata(&self.log)?.len() as f64 / 1e3;
        let points = [
            resident(self.pid)?,
            count("fd")?,
            count("task")?,
            log,
            relay()?,
        ];
        self.curves
            .iter_mut()
            .zip(points)
            .for_each(|(curve, point)| curve.points.push(point));
        Ok(())
    }

    fn tell(&self, requests: usize, failures: &[(Instant, String)]) -> Result<()> {
        let in_flight = |at: &Instant| {
            self.ends
                .iter()
                .any(|end| *at + IN_FLIGHT > *end && *at < *end + IN_FLIGHT)
        };
        let lost: Vec<_> = failures.iter().filter(|(at, _)| !in_flight(at)).collect();
        let Self {
            saved,
            rebuilds,
            deleted,
            checks,
            ..
        } = self;
        println!(
            "{saved} saves, {rebuilds} rebuilds, {deleted} pods deleted; all was there in each of {checks} checks"
        );
        println!(
            "{requests} requests, {} failed, {} of them not in flight at a pod's end",
            failures.len(),
            lost.len()
        );
        for curve in &self.curves {
            let first = curve.points.first().copied().unwrap_or_default();
            let second = curve.quarter(1);
            let last = curve.quarter(3);
            println!(
                "{}  {}: first {first:.1}, second quarter {second:.1}, last {last:.1}",
                curve.plot(),
                curve.what
            );
        }
        if let Some((_, text)) = lost.first() {
            bail!(
                "{} requests failed with no pod ending, the first: {text}",
                lost.len()
            );
        }
        let grown: Vec<_> = self
            .curves
            .iter()
            .filter(|curve| !curve.is_flat())
            .map(|curve| curve.what)
            .collect();
        ensure!(grown.is_empty(), "grown: {}", grown.join(", "));
        Ok(())
    }
}

/// The relay's memory; 0 while there is none.
fn relay() -> Result<f64> {
    const SCRIPT: &str = "for pid in $(pgrep -f '^/proc/self/fd/3 relay'); do grep VmRSS /proc/$pid/status; done; true";
    let said = command::output(Command::new("docker").args(["exec", NODE, "sh", "-c", SCRIPT]))?;
    let kibibytes = said
        .split_whitespace()
        .filter_map(|word| word.parse::<f64>().ok());
    Ok(kibibytes.fold(0.0, f64::max) * 1024.0 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[f64]) -> Curve {
        Curve {
            what: "memory",
            slack: 1.0,
            points: points.to_vec(),
        }
    }

    #[test]
    fn what_grows_after_the_first_quarter_is_not_flat() {
        assert!(curve(&[1.0, 1.0, 30.0, 30.0, 30.0, 30.0, 30.5, 31.0]).is_flat());
        assert!(!curve(&[1.0, 1.0, 30.0, 30.0, 31.0, 31.0, 32.0, 32.0]).is_flat());
    }

    #[test]
    fn a_plot_is_drawn_from_zero() {
        assert_eq!(curve(&[0.0, 4.0, 8.0]).plot(), "▁▅█");
        assert_eq!(curve(&[7.0; 120]).plot(), "█".repeat(60));
    }
}
