//! What flows from stage to stage: stretches of one partition, exactly covered by records and gaps.
//!
//! A chunk comes from the event log (live) or is read back from bronze (catching up); later stages cannot tell
//! the difference, which is what makes a replay equal to the first run.

mod days;

pub use days::{DayRows, by_day};

use std::sync::Arc;
use watertight_core::books::record_checksum;
use watertight_core::port::{Fetched, Gap, GapCause};
use watertight_core::record::Records;

/// Records of one partition, covering `from..to` together with the gaps.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// Incarnation of the topic.
    pub incarnation: Arc<str>,
    /// Partition number.
    pub partition: i32,
    /// First offset covered.
    pub from: i64,
    /// Offset after the last one covered.
    pub to: i64,
    /// The records, in offset order.
    pub records: Records,
    /// Per record: [`record_checksum`].
    pub checksums: Vec<u128>,
    /// Offsets without a record.
    pub gaps: Vec<Gap>,
    /// `_ingested_at` of every record in it, microseconds.
    pub ingested_at_us: i64,
}

impl Chunk {
    /// A chunk as fetched, ingested at the given time.
    #[must_use]
    pub fn from_log(fetched: Fetched, incarnation: &Arc<str>, ingested_at_us: i64) -> Self {
        let Fetched { partition, from, to, records, gaps, .. } = fetched;
        Self::new(incarnation.clone(), partition, (from, to), records, gaps, ingested_at_us)
    }

    /// A chunk covering `range.0..range.1`.
    #[must_use]
    pub fn new(
        incarnation: Arc<str>,
        partition: i32,
        range: (i64, i64),
        records: Records,
        gaps: Vec<Gap>,
        ingested_at_us: i64,
    ) -> Self {
        let checksums = records
            .metas()
            .iter()
            .enumerate()
            .map(|(row, meta)| record_checksum(partition, meta.offset, records.key(row), records.value(row)))
            .collect();
        Self { incarnation, partition, from: range.0, to: range.1, records, checksums, gaps, ingested_at_us }
    }

    /// Offsets in `from..to` of this chunk that hold no record, by whether they are lost: `(no record, lost)`.
    #[must_use]
    pub fn without_record(&self, from: i64, to: i64) -> (u64, u64) {
        let mut counts = (0, 0);
        for gap in &self.gaps {
            let width = (gap.to.min(to) - gap.from.max(from)).max(0).unsigned_abs();
            match gap.cause {
                GapCause::NoRecord => counts.0 += width,
                GapCause::Damaged | GapCause::Retention => counts.1 += width,
            }
        }
        counts
    }

    /// What the offset after record `row` is covered up to: the next record's offset, or the chunk's end.
    #[must_use]
    pub fn covered_after(&self, row: usize) -> i64 {
        self.records.metas().get(row + 1).map_or(self.to, |next| next.offset)
    }
}

/// The UTC day an instant falls on, days since the epoch.
#[must_use]
pub fn utc_day(instant_us: i64) -> i32 {
    const DAY_US: i64 = 86_400_000_000;
    i32::try_from(instant_us.div_euclid(DAY_US)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_before_the_epoch_are_floored() {
        assert_eq!(utc_day(0), 0);
        assert_eq!(utc_day(-1), -1);
        assert_eq!(utc_day(86_400_000_000), 1);
    }

    #[test]
    fn offsets_without_a_record_are_counted_within_the_asked_range_only() {
        let gaps =
            vec![Gap { from: 2, to: 5, cause: GapCause::NoRecord }, Gap { from: 7, to: 9, cause: GapCause::Damaged }];
        let chunk = Chunk::new("i".into(), 0, (0, 10), Records::default(), gaps, 0);
        assert_eq!(chunk.without_record(0, 10), (3, 2));
        assert_eq!(chunk.without_record(3, 8), (2, 1));
    }
}
