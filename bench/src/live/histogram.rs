//! How long things took: counted by tenths of a millisecond, so that an hour of them takes no more memory than a minute.

/// Width of a step, microseconds.
const STEP_US: i64 = 100;
/// Steps up to ten minutes; what took longer counts as that, and its true length is the maximum.
const STEPS_MAX: usize = 6_000_000;

/// Counts by duration.
#[derive(Debug, Clone, Default)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max_us: i64,
}

impl Histogram {
    /// Adds one duration; one below zero counts as none.
    pub(crate) fn add(&mut self, us: i64) {
        let step = usize::try_from(us.max(0) / STEP_US).unwrap_or(usize::MAX).min(STEPS_MAX - 1);
        if step >= self.counts.len() {
            self.counts.resize(step + 1, 0);
        }
        self.counts[step] += 1;
        self.total += 1;
        self.max_us = self.max_us.max(us);
    }

    /// How many there are.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The longest, milliseconds.
    pub(crate) fn max_ms(&self) -> f64 {
        self.max_us as f64 / 1e3
    }

    /// What this share of them did not exceed (nearest rank), milliseconds, rounded up to a step; `None` of none.
    pub(crate) fn quantile_ms(&self, share: f64) -> Option<f64> {
        let rank = ((share.clamp(0.0, 1.0) * self.total as f64).ceil() as u64).max(1);
        let mut below = 0;
        let step = self.counts.iter().position(|count| {
            below += count;
            below >= rank
        })?;
        Some(((step as i64 + 1) * STEP_US) as f64 / 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_what_so_many_did_not_exceed() {
        let mut histogram = Histogram::default();
        for ms in 1..=100 {
            histogram.add(ms * 1_000 - 1);
        }
        assert_eq!((histogram.quantile_ms(0.5), histogram.quantile_ms(0.99)), (Some(50.0), Some(99.0)));
        assert_eq!((histogram.quantile_ms(1.0), histogram.quantile_ms(0.0)), (Some(100.0), Some(1.0)));
        assert_eq!((histogram.total(), histogram.max_ms()), (100, 99.999));
    }

    #[test]
    fn nothing_has_no_quantile_and_what_is_too_long_is_still_counted() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile_ms(0.5), None);
        histogram.add(-5);
        assert_eq!(histogram.quantile_ms(1.0), Some(0.1));
        histogram.add(i64::MAX);
        assert_eq!((histogram.total(), histogram.quantile_ms(1.0)), (2, Some(600_000.0)));
    }
}
