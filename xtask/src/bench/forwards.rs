//! Forwards: devk's two ways into a pod against `kubectl port-forward` and a bare route to the pod.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::figures::median;
use super::report::{Report, Row};
use super::stack::Stack;
use super::wire::{at_once, fetch, small_request, throughput};
use crate::command;

const LARGE: usize = 300_000_000;
const REQUESTS: usize = 200;

/// What one way into the pod does.
struct Figures {
    megabytes: f64,
    request: f64,
    /// Milliseconds until an answer that ends by close has ended.
    closed: f64,
    /// Failed among 200 at once, and the time for all of them.
    parallel: (usize, Duration),
}

impl Figures {
    fn of(to: SocketAddr) -> Result<Self> {
        let closed: Result<Vec<_>> = (0..20)
            .map(|_| Ok(fetch(to, 64)?.as_secs_f64() * 1e3))
            .collect();
        Ok(Self {
            request: small_request(to, REQUESTS)?,
            megabytes: throughput(to, LARGE)?,
            closed: median(&closed?),
            parallel: at_once(to, 200, 100_000),
        })
    }
}

pub(super) fn measure(stack: &Stack, report: &mut Report) -> Result<()> {
    let forward = stack.forward()?;
    let kubectl = Figures::of(stack.kubectl_forward()?.address)?;
    let direct = Figures::of(stack.direct()?.pod)?;
    let goals = Goals {
        throughput: 10.0,
        request: direct.request + 1.0,
    };
    compare(
        report,
        "relay",
        &Figures::of(forward)?,
        &kubectl,
        &direct,
        &goals,
    );
    replaced_pod(stack, report, forward)?;
    let _unshared = stack.without_folder()?;
    let goals = Goals {
        throughput: 1.0,
        ..goals
    };
    compare(
        report,
        "relay, over the network",
        &Figures::of(forward)?,
        &kubectl,
        &direct,
        &goals,
    );
    let _firewall = stack.without_network()?;
    let goals = Goals {
        throughput: 1.0,
        request: 15.0,
    };
    compare(
        report,
        "API server",
        &Figures::of(forward)?,
        &kubectl,
        &direct,
        &goals,
    );
    Ok(())
}

/// What a way is to reach.
struct Goals {
    /// Times kubectl's.
    throughput: f64,
    /// Milliseconds.
    request: f64,
}

fn compare(
    report: &mut Report,
    way: &str,
    devk: &Figures,
    kubectl: &Figures,
    direct: &Figures,
    goals: &Goals,
) {
    const KUBECTL: &str = "kubectl port-forward";
    const ROUTE: &str = "a route to the pod";
    let large = Row::more(
        format!("{way}: 300 MB through a forward"),
        devk.megabytes,
        "MB/s",
    );
    report.add(
        large
            .beside(kubectl.megabytes, KUBECTL)
            .goal_ratio(goals.throughput),
    );
    report.add(
        Row::more(format!("{way}: the same"), devk.megabytes, "MB/s")
            .beside(direct.megabytes, ROUTE),
    );
    let small = Row::less(
        format!("{way}: small request, fresh connection"),
        devk.request,
        "ms",
    );
    report.add(small.beside(kubectl.request, KUBECTL).goal(goals.request));
    report.add(
        Row::less(format!("{way}: the same"), devk.request, "ms").beside(direct.request, ROUTE),
    );
    let closed = Row::less(
        format!("{way}: an answer that ends by close"),
        devk.closed,
        "ms",
    );
    report.add(closed.beside(kubectl.closed, KUBECTL));
    let ms = |figures: &Figures| figures.parallel.1.as_secs_f64() * 1e3;
    let what = format!("{way}: 200 connections at once, 100 kB each");
    report.add(Row::less(&what, ms(devk), "ms").beside(ms(kubectl), KUBECTL));
    report.add(
        Row::less(
            format!("{what}: failed"),
            devk.parallel.0 as f64,
            "connections",
        )
        .goal(0.0),
    );
    report.note(format!(
        "{what}: with {KUBECTL} {} failed",
        kubectl.parallel.0
    ));
}

/// Requests at a steady rate while the pod is deleted and replaced.
fn replaced_pod(stack: &Stack, report: &mut Report, to: SocketAddr) -> Result<()> {
    const EVERY: Duration = Duration::from_millis(2);
    let over = Arc::new(AtomicBool::new(false));
    let failures = Arc::new(Mutex::new(vec![]));
    let load = thread::spawn({
        let over = Arc::clone(&over);
        let failures = Arc::clone(&failures);
        move || steady(to, EVERY, &over, &failures)
    });
    thread::sleep(Duration::from_secs(1));
    let since = Instant::now();
    command::run(&mut stack.kubectl(&["delete", "pod", "-l", "app=server", "--wait=false"]))?;
    command::run(&mut stack.kubectl(&["rollout", "status", "deployment/bench-server"]))?;
    let ready = since.elapsed();
    fetch(to, 64)?;
    let success = since.elapsed();
    thread::sleep(Duration::from_secs(1));
    over.store(true, Relaxed);
    let sent = load.join().unwrap_or_default();
    let failed = failures
        .lock()
        .map(|failures| failures.clone())
        .unwrap_or_default();
    report.note(format!(
        "pod deleted under {} requests a second: {} of {sent} requests failed{}; next pod ready after {:.2} s, first \
         success {:.0} ms later",
        1000 / EVERY.as_millis(),
        failed.len(),
        failed.first().map(|text| format!(" (first: {text})")).unwrap_or_default(),
        ready.as_secs_f64(),
        (success - ready).as_secs_f64() * 1e3,
    ));
    Ok(())
}

/// Requests that wait at once: more than a pod's replacement takes, fewer than a machine's threads.
const WAITING: usize = 4_000;

/// Each request in a thread of its own: one that waits must not hold up the next.
fn steady(
    to: SocketAddr,
    every: Duration,
    over: &AtomicBool,
    failures: &Arc<Mutex<Vec<String>>>,
) -> usize {
    let mut requests = vec![];
    let since = Instant::now();
    let waiting = Arc::new(AtomicUsize::new(0));
    while !over.load(Relaxed) {
        if waiting.load(Relaxed) >= WAITING {
            thread::sleep(every);
            continue;
        }
        let failures = Arc::clone(failures);
        let waiting = Arc::clone(&waiting);
        waiting.fetch_add(1, Relaxed);
        requests.push(thread::spawn(move || {
            if let Err(error) = fetch(to, 64)
                && let Ok(mut failures) = failures.lock()
            {
                failures.push(format!("{error:#}"));
            }
            waiting.fetch_sub(1, Relaxed);
        }));
        let next = every * u32::try_from(requests.len()).unwrap_or(u32::MAX);
        thread::sleep(next.saturating_sub(since.elapsed()));
    }
    let count = requests.len();
    for request in requests {
        let _ = request.join();
    }
    count
}
