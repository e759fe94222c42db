//! Of many figures the ones that are told.

use std::time::Instant;

use anyhow::Result;

/// The middle one.
pub(super) fn median(figures: &[f64]) -> f64 {
    percentile(figures, 50)
}

/// The figure that `share` percent do not exceed.
pub(super) fn percentile(figures: &[f64], share: usize) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() * share / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}

/// Milliseconds, the median of `count` times.
pub(super) fn times(count: usize, work: impl Fn() -> Result<()>) -> Result<f64> {
    let mut times = vec![];
    for _ in 0..count {
        let since = Instant::now();
        work()?;
        times.push(since.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(&times))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_figures_that_were_measured() {
        let figures: Vec<_> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(
            [50, 95, 99].map(|share| percentile(&figures, share)),
            [101.0, 191.0, 199.0]
        );
        assert_eq!(median(&[]), 0.0);
    }
}
