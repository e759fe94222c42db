//! How far a load is, shown now and then.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bollard::models::ImageInspect;

use crate::ui::event::Step;

/// Progress is shown at most this often.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// The bytes of one load.
#[derive(Debug)]
pub(super) struct Progress<'a> {
    step: &'a Step,
    total: u64,
    /// Sent, and when that was shown last.
    state: Mutex<(u64, Instant)>,
}

impl<'a> Progress<'a> {
    pub(super) fn new(step: &'a Step, image: &ImageInspect) -> Self {
        Self {
            step,
            total: total(image),
            state: Mutex::new((0, Instant::now())),
        }
    }

    pub(super) fn add(&self, bytes: usize) {
        let mut state = self.state();
        state.0 += bytes as u64;
        if state.1.elapsed() >= PROGRESS_INTERVAL {
            state.1 = Instant::now();
            self.step.progress(how_far(state.0, self.total));
        }
    }

    pub(super) fn sent(&self) -> u64 {
        self.state().0
    }

    /// All over again.
    pub(super) fn restart(&self) {
        self.state().0 = 0;
    }

    fn state(&self) -> std::sync::MutexGuard<'_, (u64, Instant)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes of an image, as Docker tells them.
pub(super) fn total(image: &ImageInspect) -> u64 {
    u64::try_from(image.size.unwrap_or_default()).unwrap_or_default()
}

/// An archive is a little larger than the image: never more than all of it is shown.
fn how_far(sent: u64, total: u64) -> String {
    format!(
        "{} MB of {} MB",
        sent.min(total) / 1_000_000,
        total.div_ceil(1_000_000)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_never_passes_the_whole() {
        assert_eq!(how_far(120_400_000, 300_000_000), "120 MB of 300 MB");
        assert_eq!(how_far(301_000_000, 300_000_000), "300 MB of 300 MB");
    }
}
