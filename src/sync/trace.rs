//! Where the time of a save goes: from the kernel's event to the new bytes in the container.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Saves that count for the percentiles.
const MAX_SAVES: usize = 1000;

/// One batch in one container, in milliseconds. The parts add up to `total_ms`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// What the container has with it.
    pub generation: u64,
    pub files: usize,
    /// From the first event until the change was taken down.
    pub event_ms: f64,
    /// Waiting for the batch before it.
    pub queue_ms: f64,
    /// Reading the files.
    pub read_ms: f64,
    /// From the first byte sent until the container said that all is in place.
    pub applied_ms: f64,
    /// The rule's command.
    pub command_ms: f64,
    pub total_ms: f64,
}

/// The stages of a batch that is under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) event: Instant,
    pub(super) noted: Instant,
    pub(super) taken: Instant,
    pub(super) read: Instant,
    pub(super) applied: Instant,
    pub(super) done: Instant,
}

impl Clock {
    pub(super) fn trace(&self, generation: u64, files: usize) -> Trace {
        let ms = |from: Instant, to: Instant| milliseconds(to.saturating_duration_since(from));
        Trace {
            generation,
            files,
            event_ms: ms(self.event, self.noted),
            queue_ms: ms(self.noted, self.taken),
            read_ms: ms(self.taken, self.read),
            applied_ms: ms(self.read, self.applied),
            command_ms: ms(self.applied, self.done),
            total_ms: ms(self.event, self.done),
        }
    }
}

fn milliseconds(time: Duration) -> f64 {
    // Microseconds are as far as it means something.
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// The last saves.
#[derive(Debug, Clone, Default)]
pub(super) struct Traces(VecDeque<Trace>);

/// What the last saves took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub saves: usize,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    /// The stage that took most of the time of the slower half: `event`, `queue`, `read`, `applied` or `command`.
    pub slowest: Option<String>,
    pub last: Option<Trace>,
}

impl Traces {
    pub(super) fn add(&mut self, trace: Trace) {
        if self.0.len() == MAX_SAVES {
            self.0.pop_front();
        }
        self.0.push_back(trace);
    }

    pub(super) fn latency(&self) -> Latency {
        let mut traces: Vec<&Trace> = self.0.iter().collect();
        traces.sort_by(|a, b| a.total_ms.total_cmp(&b.total_ms));
        let percentile = |share: usize| {
            traces.get((traces.len() * share / 100).min(traces.len().saturating_sub(1)))
        };
        let total = |share| percentile(share).map_or(0.0, |trace| trace.total_ms);
        Latency {
            saves: traces.len(),
            p50_ms: total(50),
            p95_ms: total(95),
            p99_ms: total(99),
            slowest: slowest(&traces[traces.len() / 2..]).map(str::to_owned),
            last: self.0.back().cloned(),
        }
    }
}

fn slowest(traces: &[&Trace]) -> Option<&'static str> {
    let sum = |stage: fn(&Trace) -> f64| traces.iter().map(|trace| stage(trace)).sum::<f64>();
    let stages = [
        ("event", sum(|t| t.event_ms)),
        ("queue", sum(|t| t.queue_ms)),
        ("read", sum(|t| t.read_ms)),
        ("applied", sum(|t| t.applied_ms)),
        ("command", sum(|t| t.command_ms)),
    ];
    let most = stages.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
    most.filter(|_| !traces.is_empty()).map(|(stage, _)| stage)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(total: f64) -> Trace {
        Trace {
            total_ms: total,
            applied_ms: total - 1.0,
            event_ms: 1.0,
            ..Trace::default()
        }
    }

    #[test]
    fn percentiles_and_the_stage_to_blame_are_told() {
        let mut traces = Traces::default();
        assert_eq!(traces.latency(), Latency::default());
        (1..=100).for_each(|n| traces.add(trace(f64::from(n))));
        let told = traces.latency();
        assert_eq!(
            (told.saves, told.p50_ms, told.p95_ms, told.p99_ms),
            (100, 51.0, 96.0, 100.0)
        );
        assert_eq!(
            (told.slowest.as_deref(), told.last.unwrap().total_ms),
            (Some("applied"), 100.0)
        );
    }

    #[test]
    fn old_saves_are_forgotten() {
        let mut traces = Traces::default();
        (0..MAX_SAVES + 10).for_each(|_| traces.add(trace(5.0)));
        assert_eq!(traces.latency().saves, MAX_SAVES);
    }

    #[test]
    fn the_parts_add_up() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let clock = Clock {
            event: start,
            noted: at(1),
            taken: at(3),
            read: at(4),
            applied: at(9),
            done: at(19),
        };
        let trace = clock.trace(7, 2);
        let parts =
            trace.event_ms + trace.queue_ms + trace.read_ms + trace.applied_ms + trace.command_ms;
        assert_eq!(
            (trace.event_ms, trace.applied_ms, trace.total_ms),
            (1.0, 5.0, 19.0)
        );
        assert!((parts - trace.total_ms).abs() < 0.01);
    }
}
