//! When events happen: nominal times at even spacing, with jitter, disorder and lateness around them.
//!
//! Contract: a time is a pure function of the item's number. A normal event of item `i` lies in
//! `[nominal(i) − unit, nominal(i) + jitter_max]`, and `jitter_max` is at most a quarter of the watermark's delay, so a
//! normal event is never late in any partition; a disordered one lies within the delay; a late one behind it as
//! soon as its partition has seen a recent normal event. Ticks of one symbol never share a time.

use super::draw::Draw;
use super::stocks::SYMBOLS;

/// Disorder within the watermark stays below this, however long the delay is.
const DISORDER_MAX_US: i64 = 600_000_000;

/// How an event's time relates to its place in the sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timing {
    Normal,
    /// Out of order, but not behind the watermark.
    Disordered,
    /// Behind the watermark.
    Late,
}

/// Cells for streams in which times must be unique per key: item `i` has a key of its own among `SYMBOLS`
/// consecutive items, and each key's cells do not overlap.
#[derive(Debug, Clone, Copy)]
struct Cells {
    /// Length in units, rounded down; cells of one key lie at least this far apart.
    units: u64,
    length_us: i64,
}

#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    start_us: i64,
    spacing_ns: u64,
    delay_us: i64,
    jitter_max_us: i64,
    /// Times are multiples of this: a millisecond, or a microsecond where that is too coarse.
    unit_us: i64,
    cells: Option<Cells>,
}

impl Schedule {
    pub(crate) fn new(start_us: i64, spacing_ns: u64, delay_us: i64, unique_per_key: bool) -> Self {
        let quarter = if delay_us < 8_000 { 0 } else { delay_us / 4 };
        if !unique_per_key {
            let jitter_max_us = quarter.min(50_000);
            return Self { start_us, spacing_ns, delay_us, jitter_max_us, unit_us: 1_000, cells: None };
        }
        let length_us = (u128::from(SYMBOLS) * u128::from(spacing_ns) / 1_000) as i64;
        let unit_us = if length_us >= 48_000 { 1_000 } else { 1 };
        let units = (length_us / unit_us) as u64;
        // Whole units only, so that the last one of the jitter's range stays within its part of the cell.
        let jitter_max_us = (quarter / unit_us).min(units as i64 / 4) * unit_us;
        Self { start_us, spacing_ns, delay_us, jitter_max_us, unit_us, cells: Some(Cells { units, length_us }) }
    }

    /// Whether times need microseconds to be written.
    pub(crate) fn writes_micros(&self) -> bool {
        self.unit_us < 1_000
    }

    /// The time at which item `index` is due.
    pub(crate) fn nominal_us(&self, index: i64) -> i64 {
        let ns = i128::from(index) * i128::from(self.spacing_ns);
        self.start_us + ns.div_euclid(1_000) as i64
    }

    /// How many items lie within `span_us`.
    pub(crate) fn items_in(&self, span_us: i64) -> u64 {
        (span_us as u128 * 1_000 / u128::from(self.spacing_ns)) as u64
    }

    /// No normal event up to item `index` is later than this.
    pub(crate) fn latest_us(&self, index: u64) -> i64 {
        self.nominal_us(index as i64) + self.jitter_max_us
    }

    /// Whether an event of `time_us` is on time in every partition when it is seen as item `index`.
    pub(crate) fn is_on_time_everywhere(&self, time_us: i64, index: u64) -> bool {
        time_us >= self.latest_us(index) - self.delay_us
    }

    /// Whether the watermark leaves room for disorder within it.
    pub(crate) fn allows_disorder(&self) -> bool {
        match self.cells {
            Some(cells) => self.disorder_us() / 2 >= cells.length_us,
            None => self.disorder_us() >= 4 * self.unit_us,
        }
    }

    fn disorder_us(&self) -> i64 {
        self.delay_us.min(DISORDER_MAX_US) * 7 / 10
    }

    /// The event time of item `index`.
    pub(crate) fn time_us(&self, index: u64, timing: Timing, draw: &mut Draw) -> i64 {
        match self.cells {
            Some(cells) => self.time_in_cell(index, timing, cells, draw),
            None => self.time_around(index, timing, draw),
        }
    }

    fn time_around(&self, index: u64, timing: Timing, draw: &mut Draw) -> i64 {
        let nominal = self.nominal_us(index as i64);
        let time = match timing {
            Timing::Normal => nominal + draw.below(self.jitter_max_us as u64 + 1) as i64,
            Timing::Disordered => nominal - draw.between(self.unit_us, self.disorder_us().max(self.unit_us)),
            Timing::Late => {
                let reach = self.delay_us.clamp(10_000_000, 3_600_000_000);
                nominal - self.delay_us - draw.between(1_000_000, reach)
            }
        };
        time.div_euclid(self.unit_us) * self.unit_us
    }

    /// Moves whole cells back, into a part of the cell that belongs to this way of being displaced: two events of a
    /// key meet in one part of one cell only if they are the same item.
    fn time_in_cell(&self, index: u64, timing: Timing, cells: Cells, draw: &mut Draw) -> i64 {
        let near = draw.below(2) == 0;
        let (back, part) = match (timing, near) {
            (Timing::Normal, _) => (0, None),
            (Timing::Disordered, true) => (self.disorder_us() / 2 / cells.length_us, Some(0)),
            (Timing::Disordered, false) => (self.disorder_us() / cells.length_us, Some(1)),
            (Timing::Late, true) => (self.delay_us / cells.length_us + 2, Some(2)),
            (Timing::Late, false) => (self.delay_us / cells.length_us * 3 / 2 + 7, Some(3)),
        };
        let cell = self.nominal_us(index as i64 - back * SYMBOLS as i64).div_euclid(self.unit_us);
        let unit = match part {
            None => draw.below((self.jitter_max_us / self.unit_us) as u64),
            Some(part) => cells.units / 2 + part * (cells.units / 8) + draw.below(cells.units / 8),
        };
        (cell + unit as i64) * self.unit_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const TIMINGS: [Timing; 3] = [Timing::Normal, Timing::Disordered, Timing::Late];

    #[test]
    fn ticks_of_one_symbol_never_share_a_time_whatever_their_timing() {
        for spacing_ns in [200, 333, 20_000, 1_000_000, 1_999_999, 2_000_000, 300_000_000] {
            let schedule = Schedule::new(1_700_000_000_123_456, spacing_ns, 2_000_000, true);
            let mut seen = HashSet::new();
            for index in 0..60_000_u64 {
                let mut draw = Draw::new(9, index, 1);
                let timing = TIMINGS[draw.below(3) as usize];
                if timing == Timing::Disordered && !schedule.allows_disorder() {
                    continue;
                }
                let time = schedule.time_us(index, timing, &mut draw);
                assert!(seen.insert((index % SYMBOLS, time)), "spacing {spacing_ns}, item {index}");
            }
        }
    }

    #[test]
    fn each_timing_keeps_its_promise_against_everything_that_came_before() {
        for unique in [false, true] {
            for (spacing_ns, delay_us) in
                [(50_000, 2_000_000), (1_000_000, 7_200_000_000), (2_000_000, 0), (999, 9_000)]
            {
                let schedule = Schedule::new(1_700_000_000_000_000, spacing_ns, delay_us, unique);
                let mut largest = i64::MIN;
                for index in 0..20_000 {
                    for timing in [Timing::Disordered, Timing::Late] {
                        let time = schedule.time_us(index, timing, &mut Draw::new(4, index, 2));
                        let late = index > 0 && time < largest - delay_us;
                        match timing {
                            Timing::Late => assert!(late || index < SYMBOLS, "{unique} {spacing_ns} {index}"),
                            _ => assert!(!late || !schedule.allows_disorder(), "{unique} {spacing_ns} {index}"),
                        }
                    }
                    let time = schedule.time_us(index, Timing::Normal, &mut Draw::new(4, index, 3));
                    assert!(index == 0 || time >= largest - delay_us, "a normal event is on time");
                    largest = largest.max(time);
                    assert!(largest <= schedule.latest_us(index));
                }
            }
        }
    }
}
