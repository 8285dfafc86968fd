//! When the next item may be sent.
//!
//! Contract: a rate does not drift: item `n` is due `n / rate` after the first, however long the log took between; what was
//! held up is caught up. Generated events are never sent so early that their time would lie beyond the
//! stream's future tolerance.

use std::time::{Duration, Instant};
use watertight_core::port::Clock;

/// How items are paced.
enum Rule {
    /// As fast as they are taken.
    Unlimited,
    /// So many per second.
    Rate(f64),
    /// By event time, so many times faster.
    Speed(f64),
}

/// See the module.
pub(crate) struct Pace<'a> {
    rule: Rule,
    began: Option<(Instant, u64, Option<i64>)>,
    /// Items whose event time lies further than this beyond the clock wait.
    ahead_max_us: Option<(i64, &'a dyn Clock)>,
    /// Below this event time no look at the clock is needed.
    allowed_until_us: i64,
}

impl<'a> Pace<'a> {
    pub(crate) fn new(rate: Option<f64>, speed: Option<f64>, ahead_max: Option<(i64, &'a dyn Clock)>) -> Self {
        let rule = match (rate, speed) {
            (Some(rate), _) => Rule::Rate(rate),
            (None, Some(speed)) => Rule::Speed(speed),
            (None, None) => Rule::Unlimited,
        };
        Self { rule, began: None, ahead_max_us: ahead_max, allowed_until_us: i64::MIN }
    }

    /// Whether items are worth sending before a group is full.
    pub(crate) fn is_paced(&self) -> bool {
        !matches!(self.rule, Rule::Unlimited)
    }

    /// How long the item has to wait; it is asked again until that is nothing.
    pub(crate) fn wait(&mut self, sequence: u64, time_us: Option<i64>) -> Duration {
        if let (Some((ahead_us, clock)), Some(time_us)) = (self.ahead_max_us, time_us)
            && time_us > self.allowed_until_us
        {
            self.allowed_until_us = clock.now_us() + ahead_us;
            if time_us > self.allowed_until_us {
                return Duration::from_micros((time_us - self.allowed_until_us) as u64);
            }
        }
        if !self.is_paced() {
            return Duration::ZERO;
        }
        let (began, first, first_time) = self.began.get_or_insert_with(|| (Instant::now(), sequence, None));
        let due = match self.rule {
            Rule::Unlimited => return Duration::ZERO,
            Rule::Rate(rate) => (sequence - *first) as f64 / rate,
            Rule::Speed(speed) => match time_us {
                Some(time_us) => (time_us - *first_time.get_or_insert(time_us)).max(0) as f64 / 1e6 / speed,
                None => 0.0,
            },
        };
        // A year is as good as for ever, and can be added to an instant.
        Duration::from_secs_f64(due.min(3e7)).saturating_sub(began.elapsed())
    }
}
