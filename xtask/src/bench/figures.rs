//! Of many figures the ones that are told.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_figures_that_were_measured() {
        let figures: Vec<_> = (1..=200).rev().map(f64::from).collect();
        assert_eq!([50, 95, 99].map(|share| percentile(&figures, share)), [101.0, 191.0, 199.0]);
        assert_eq!(median(&[]), 0.0);
    }
}
