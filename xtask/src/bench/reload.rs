//! Reload: an image of 900 MB of which 5 MB changed, from the end of its build until the node can use it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::figures::median;
use super::project::Project;
use super::report::{Report, Row};
use super::stack::{CLUSTER, NODE, Stack};
use crate::command;

/// With the base image below it, more than 900 MB.
const MUCH: usize = 800_000_000;
const LITTLE: u64 = 5_000_000;
const ROUNDS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(300);

pub(super) fn measure(stack: &Stack, report: &mut Report) -> Result<()> {
    let project = Project::of(stack, "bench-reload");
    let ours = Base::new("devk-bench-ours")?;
    let kinds = Base::new("devk-bench-kinds")?;
    project.copy()?;
    let dockerfile = project.path("server/Dockerfile");
    let text = fs::read_to_string(&dockerfile)?.replacen("python:3.11-slim", &ours.0, 1);
    fs::write(
        dockerfile,
        text.replacen("CMD", "COPY little /little\nCMD", 1),
    )?;

    let changed = change(&project)?;
    let session = Session::attach(&project)?;
    let cold = session.load()?;
    session.until("the session is settled", |event| {
        event["settled"]["ready"] == true
    })?;
    runs(&project, &changed)?;
    let kind_cold = kind_load(&kinds, 0)?;
    let size: f64 = docker(&[
        "inspect",
        "--format",
        "{{.Size}}",
        &format!("{}:0", kinds.0),
    ])?
    .parse()?;
    let what = format!("first load of an image of {:.0} MB", size / 1e6);
    report.add(
        Row::less(what, cold, "s")
            .beside(kind_cold, "`kind load docker-image`")
            .goal_ratio(1.0),
    );

    let learning = Instant::now();
    learnt(stack, &ours)?;
    report.note(format!(
        "devk learns from a first load in the background, for {:.0} s here; a change before that is loaded in full",
        learning.elapsed().as_secs_f64()
    ));
    let mut reloads = vec![];
    for _ in 0..ROUNDS {
        let changed = change(&project)?;
        reloads.push(session.load()?);
        session.until("the change is live", |event| is(event, "change/", "done"))?;
        runs(&project, &changed)?;
    }
    let kind_reloads = (1..=2)
        .map(|round| kind_load(&kinds, round))
        .collect::<Result<Vec<_>>>()?;
    let row = Row::less(
        "reload with 5 MB changed, from the end of the build",
        median(&reloads),
        "s",
    );
    report.add(
        row.beside(median(&kind_reloads), "`kind load docker-image`")
            .goal_ratio(40.0),
    );
    Ok(())
}

/// An image with much in it that nothing compresses; removed at the end, with what was made of it.
struct Base(String);

impl Base {
    fn new(name: &str) -> Result<Self> {
        let script = format!("head -c {MUCH} /dev/urandom > /much");
        let container = docker(&["run", "-d", "python:3.11-slim", "sh", "-c", &script])?;
        docker(&["wait", &container])?;
        docker(&["commit", &container, name])?;
        docker(&["rm", &container])?;
        Ok(Self(name.to_owned()))
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        // By name: what others are made of goes with the last of them.
        let named = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}", &self.0])
            .unwrap_or_default();
        let _ = docker(
            &[
                &["rmi", "-f"][..],
                &named.split_whitespace().collect::<Vec<_>>(),
            ]
            .concat(),
        );
    }
}

fn docker(args: &[&str]) -> Result<String> {
    Ok(command::output(Command::new("docker").args(args))?
        .trim()
        .to_owned())
}

/// Changes what is little, and tells its checksum.
fn change(project: &Project<'_>) -> Result<String> {
    let file = project.path("server/little");
    let mut noise = vec![];
    File::open("/dev/urandom")?
        .take(LITTLE)
        .read_to_end(&mut noise)?;
    fs::write(file, &noise)?;
    Ok(Sha256::digest(&noise)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// Waits until the container that runs has this content.
fn runs(project: &Project<'_>, changed: &str) -> Result<()> {
    let sum = [
        "exec",
        "deployment/bench-server",
        "--",
        "sha256sum",
        "/little",
    ];
    let since = Instant::now();
    while !command::output(&mut project.kubectl(&sum)).is_ok_and(|said| said.starts_with(changed)) {
        ensure!(
            since.elapsed() < Duration::from_secs(30),
            "the running container has other content than was built"
        );
        sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// Waits until devk remembers the layer that all of this is about.
fn learnt(stack: &Stack, base: &Base) -> Result<()> {
    let layers: Vec<String> = serde_json::from_str(&docker(&[
        "inspect",
        "--format",
        "{{json .RootFS.Layers}}",
        &base.0,
    ])?)?;
    let layer = layers.last().context("an image without layers")?;
    stack.wait("devk to learn", || {
        Ok(fs::read_to_string(stack.layers())
            .unwrap_or_default()
            .contains(layer))
    })
}

/// Another 5 MB on the base, and `kind load` of that.
fn kind_load(base: &Base, round: usize) -> Result<f64> {
    let image = format!("{}:{round}", base.0);
    let container = docker(&["create", &base.0])?;
    let noise = std::env::temp_dir().join(format!("devk-bench-noise-{}", std::process::id()));
    command::run(
        Command::new("dd")
            .args(["if=/dev/urandom", "bs=1000000", "count=5"])
            .arg(of(&noise)),
    )?;
    docker(&[
        "cp",
        &noise.to_string_lossy(),
        &format!("{container}:/little"),
    ])?;
    docker(&["commit", &container, &image])?;
    docker(&["rm", &container])?;
    fs::remove_file(&noise)?;
    let since = Instant::now();
    command::run(Command::new("kind").args(["load", "docker-image", "--name", CLUSTER, &image]))?;
    let took = since.elapsed().as_secs_f64();
    let images = docker(&[
        "exec",
        NODE,
        "ctr",
        "--namespace=k8s.io",
        "images",
        "ls",
        "-q",
    ])?;
    ensure!(images.contains(&image), "`kind load` brought no `{image}`");
    Ok(took)
}

fn of(file: &Path) -> String {
    format!("of={}", file.display())
}

/// `devk up` that stays, and what it tells with the time of its arrival.
struct Session {
    child: Child,
    events: Receiver<(Instant, Value)>,
}

impl Session {
    fn attach(project: &Project<'_>) -> Result<Self> {
        let mut command = project.command(&["up", "--format", "json"]);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let output = BufReader::new(child.stdout.take().context("no standard output")?);
        let (sender, events) = channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let Ok(event) = serde_json::from_str(&line) else {
                    continue;
                };
                if sender.send((Instant::now(), event)).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, events })
    }

    fn until(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Result<Instant> {
        loop {
            let (at, event) = self
                .events
                .recv_timeout(PATIENCE)
                .with_context(|| format!("waited until {what}"))?;
            if is_it(&event) {
                return Ok(at);
            }
            if event["status"] == "failed" {
                bail!("waited until {what}: {event}");
            }
        }
    }

    /// Seconds from the end of the next build until its image is on the node, as devk verified it.
    fn load(&self) -> Result<f64> {
        let built = self.until("the image is built", |event| {
            is(event, "image.build/", "done")
        })?;
        let loaded = self.until("the image is loaded", |event| {
            is(event, "image.load/", "done")
        })?;
        Ok((loaded - built).as_secs_f64())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is(event: &Value, step: &str, status: &str) -> bool {
    event["status"] == status
        && event["step"]
            .as_str()
            .is_some_and(|id| id.starts_with(step))
}
