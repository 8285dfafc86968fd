//! How long steps take: measured for the books by the injected clock, and nothing is decided by it.

use watertight_core::port::Clock;

/// Runs from when it was started.
pub struct Stopwatch<'a> {
    clock: &'a dyn Clock,
    began_us: i64,
}

impl<'a> Stopwatch<'a> {
    /// Starts one.
    #[must_use]
    pub fn start(clock: &'a dyn Clock) -> Self {
        Self { clock, began_us: clock.monotonic_us() }
    }

    /// Microseconds since it was started, or since this was last asked.
    #[must_use]
    pub fn lap_us(&mut self) -> u64 {
        let now_us = self.clock.monotonic_us();
        let took_us = now_us.saturating_sub(self.began_us);
        self.began_us = now_us;
        u64::try_from(took_us).unwrap_or(0) // A clock that went back says nothing.
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Says these times, one after the other.
    struct Says(Mutex<Vec<i64>>);

    impl Clock for Says {
        fn now_us(&self) -> i64 {
            self.0.lock().expect("no panic").remove(0)
        }
    }

    #[test]
    fn a_lap_goes_from_the_one_before_and_a_clock_that_went_back_gives_0() {
        let clock = Says(Mutex::new(vec![100, 130, 131, 50, 60]));
        let mut watch = Stopwatch::start(&clock);
        let laps: Vec<u64> = (0..4).map(|_| watch.lap_us()).collect();
        assert_eq!(laps, [30, 1, 0, 10]);
    }
}
