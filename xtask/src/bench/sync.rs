//! Sync: from the writer's `close()` to a process in the container that reads the new bytes, beside an exec stream
//! that is open already and the commands that people type.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;

use super::container::{OpenExec, Reader, fed, milliseconds, now, until_read};
use super::figures::{median, percentile};
use super::project::Project;
use super::report::{Report, Row};
use super::stack::Stack;
use crate::command;

const SAVES: usize = 200;
/// Bytes in a file, about: an ordinary source file.
const SIZE: usize = 2_000;
/// Between saves, as if somebody typed fast.
const PAUSE: Duration = Duration::from_millis(20);
const ROUNDS: usize = 7;

pub(super) fn measure(stack: &Stack, report: &mut Report) -> Result<()> {
    let project = stack.main();
    for replicas in [1, 5] {
        let pods = scale(&project, replicas)?;
        one_file(&project, &pods, report)?;
        for count in [10, 1_000] {
            many_files(&project, &pods, count, report)?;
        }
    }
    scale(&project, 1).map(drop)
}

fn scale(project: &Project<'_>, replicas: usize) -> Result<Vec<String>> {
    command::run(&mut project.kubectl(&[
        "scale",
        "deployment/bench-server",
        &format!("--replicas={replicas}"),
    ]))?;
    command::run(&mut project.kubectl(&["rollout", "status", "deployment/bench-server"]))?;
    project.synced_pods(replicas)
}

/// Content that was never there before.
fn token() -> String {
    now().to_string()
}

/// A file's content around a token.
fn content(token: &str) -> String {
    format!("{token}\n{}\n{token}", "value = 1\n".repeat(SIZE / 10))
}

/// Saves a file again and again; the milliseconds until every reader has read it.
pub(super) fn saves(file: &Path, readers: &mut [Reader], count: usize) -> Result<Vec<f64>> {
    let mut times = vec![];
    for _ in 0..count {
        let token = token();
        times.push(until_read(readers, &token, || {
            fs::write(file, content(&token))?;
            Ok(now())
        })?);
        sleep(PAUSE);
    }
    Ok(times)
}

fn one_file(project: &Project<'_>, pods: &[String], report: &mut Report) -> Result<()> {
    const STREAM: &str = "a line through an open exec stream";
    let mut readers = Reader::in_each(project, pods, &["/srv/app/probe".to_owned()])?;
    let mut others = Reader::in_each(project, pods, &["/srv/app/line".to_owned()])?;
    let streams = pods
        .iter()
        .map(|pod| OpenExec::start(project, pod, "/srv/app/line"));
    let mut streams = streams.collect::<Result<Vec<_>>>()?;
    // The first save makes what later ones find.
    let probe = project.path("server/app/probe");
    saves(&probe, &mut readers, 1)?;
    let mut devk = vec![];
    let mut limit = vec![];
    for _ in 0..SAVES {
        devk.extend(saves(&probe, &mut readers, 1)?);
        let token = token();
        limit.push(until_read(&mut others, &token, || {
            let since = now();
            streams
                .iter_mut()
                .try_for_each(|stream| stream.write(&token))?;
            Ok(since)
        })?);
        sleep(PAUSE);
    }
    let what = |share: usize| {
        format!(
            "sync: one file, {} replica(s), p{share} of {SAVES}",
            pods.len()
        )
    };
    let row = |share| {
        Row::less(what(share), percentile(&devk, share), "ms")
            .beside(percentile(&limit, share), STREAM)
    };
    if pods.len() == 1 {
        report.add(row(50).goal(10.0).goal_ratio(0.25));
        report.add(row(95));
        report.add(row(99).goal(40.0));
        by_hand(project, &pods[0], &mut others, median(&devk), report)?;
    } else {
        [50, 95, 99]
            .into_iter()
            .for_each(|share| report.add(row(share)));
    }
    Ok(())
}

/// What people type instead.
fn by_hand(
    project: &Project<'_>,
    pod: &str,
    readers: &mut [Reader],
    devk: f64,
    report: &mut Report,
) -> Result<()> {
    let file = project.path("by-hand");
    let to = format!("{pod}:/srv/app/line");
    let mut exec = vec![];
    let mut copy = vec![];
    for _ in 0..10 {
        let next = token();
        exec.push(until_read(readers, &next, || {
            let since = now();
            let cat = ["exec", "-i", pod, "--", "sh", "-c", "cat >/srv/app/line"];
            fed(&mut project.kubectl(&cat), &content(&next))?;
            Ok(since)
        })?);
        let next = token();
        fs::write(&file, content(&next))?;
        copy.push(until_read(readers, &next, || copied(project, &file, &to))?);
    }
    let what = "sync: one file, 1 replica(s), p50";
    report.add(Row::less(what, devk, "ms").beside(median(&exec), "a fresh `kubectl exec`"));
    report.add(Row::less(what, devk, "ms").beside(median(&copy), "`kubectl cp`"));
    Ok(())
}

fn copied(project: &Project<'_>, from: &Path, to: &str) -> Result<u128> {
    let since = now();
    command::run(project.kubectl(&["cp"]).arg(from).arg(to))?;
    Ok(since)
}

/// Many files at once, as a checkout writes them: each one removed and made anew.
fn many_files(
    project: &Project<'_>,
    pods: &[String],
    count: usize,
    report: &mut Report,
) -> Result<()> {
    let names: Vec<_> = (0..count)
        .map(|number| format!("many-{count}/d{}/f{number}.py", number / 20))
        .collect();
    let in_container: Vec<_> = names
        .iter()
        .map(|name| format!("/srv/app/{name}"))
        .collect();
    let mut readers = Reader::in_each(project, pods, &in_container)?;
    let checkout = |token: &str| -> Result<u128> {
        let since = now();
        for name in &names {
            let file = project.path("server/app").join(name);
            fs::create_dir_all(file.parent().unwrap_or(&file))?;
            let _ = fs::remove_file(&file);
            fs::write(file, content(token))?;
        }
        Ok(since)
    };
    let mut times = vec![];
    for round in 0..=ROUNDS {
        let token = token();
        let took = until_read(&mut readers, &token, || checkout(&token))?;
        // In the first there are no files yet.
        times.extend((round > 0).then_some(took));
        sleep(PAUSE * 20);
    }
    let what = format!(
        "sync: {count} files in one checkout, {} replica(s), from its first write",
        pods.len()
    );
    let mut row = Row::less(what, median(&times), "ms");
    if pods.len() == 1 {
        let folder = project.path(&format!("server/app/many-{count}"));
        let copy = || {
            Ok(milliseconds(
                copied(project, &folder, &format!("{}:/tmp", pods[0]))?,
                now(),
            ))
        };
        let copies = (0..3).map(|_| copy()).collect::<Result<Vec<_>>>()?;
        row = row.beside(median(&copies), "`kubectl cp` of them");
    }
    report.add(if count == 1_000 {
        row.goal(1_000.0)
    } else {
        row
    });
    Ok(())
}
