//! When records are due: an open loop.
//!
//! Contract: record `n` is due `n / rate` after the beginning, whatever became of those before it. A program that stops, or
//! a producer that falls behind, makes latencies longer and never makes records fewer.

use std::collections::VecDeque;

/// A rate and its beginning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Schedule {
    began_us: i64,
    per_second: f64,
}

impl Schedule {
    /// So many a second from then on, microseconds since the epoch.
    pub(crate) fn new(began_us: i64, per_second: u64) -> Self {
        Self { began_us, per_second: per_second as f64 }
    }

    /// When it began.
    pub(crate) fn began_us(&self) -> i64 {
        self.began_us
    }

    /// When record `n` is due.
    pub(crate) fn due_us(&self, n: u64) -> i64 {
        self.began_us + (n as f64 * 1e6 / self.per_second) as i64
    }

    /// How many records are due at that moment or before it.
    pub(crate) fn due_by(&self, now_us: i64) -> u64 {
        if now_us < self.began_us {
            return 0;
        }
        let mut count = ((now_us - self.began_us) as f64 * self.per_second / 1e6) as u64 + 1;
        // Rounding may be off by one either way.
        while count > 0 && self.due_us(count - 1) > now_us {
            count -= 1;
        }
        while self.due_us(count) <= now_us {
            count += 1;
        }
        count
    }
}

/// When the records of each partition were due, from the first that no commit has covered yet.
#[derive(Debug, Clone)]
pub(crate) struct Dues {
    partitions: Vec<Uncovered>,
}

#[derive(Debug, Clone)]
struct Uncovered {
    /// Offset of the first.
    next: i64,
    dues_us: VecDeque<i64>,
}

impl Dues {
    /// For partitions whose next offsets are these.
    pub(crate) fn new(next_offsets: &[i64]) -> Self {
        let partitions = next_offsets.iter().map(|next| Uncovered { next: *next, dues_us: VecDeque::new() });
        Self { partitions: partitions.collect() }
    }

    /// Notes a record that is about to be sent to the end of the partition.
    pub(crate) fn push(&mut self, partition: i32, due_us: i64) {
        self.partitions[partition as usize].dues_us.push_back(due_us);
    }

    /// Takes out the records of a partition below offset `to`: those that a commit covered now for the first time.
    pub(crate) fn cover(&mut self, partition: i32, to: i64) -> impl Iterator<Item = i64> {
        let uncovered = &mut self.partitions[partition as usize];
        let count = usize::try_from(to - uncovered.next).unwrap_or(0).min(uncovered.dues_us.len());
        uncovered.next += count as i64;
        uncovered.dues_us.drain(..count)
    }

    /// Records that were sent and that no commit has covered.
    pub(crate) fn left(&self) -> u64 {
        self.partitions.iter().map(|uncovered| uncovered.dues_us.len() as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_due_evenly_and_counted_when_they_are() {
        for per_second in [1, 3, 7_000, 20_000, 1_000_000] {
            let schedule = Schedule::new(1_000_000_007, per_second);
            assert_eq!((schedule.due_us(0), schedule.due_by(1_000_000_006)), (1_000_000_007, 0));
            assert_eq!(schedule.due_us(per_second), 1_001_000_007);
            for n in [0, 1, 2, 3, 999, 1_000, 123_456] {
                let due_us = schedule.due_us(n);
                assert!(schedule.due_by(due_us) > n, "{per_second} {n}");
                assert!(schedule.due_by(due_us - 1) <= n, "{per_second} {n}");
            }
        }
    }

    #[test]
    fn a_commit_covers_each_record_once_and_only_what_was_sent() {
        let mut dues = Dues::new(&[10, 0]);
        for due_us in [100, 200, 300] {
            dues.push(0, due_us);
        }
        dues.push(1, 150);
        assert_eq!(dues.cover(0, 10).count(), 0, "it was there before");
        assert_eq!(dues.cover(0, 12).collect::<Vec<_>>(), [100, 200]);
        assert_eq!(dues.cover(0, 12).count(), 0);
        assert_eq!((dues.left(), dues.cover(0, 99).collect::<Vec<_>>()), (2, vec![300]));
        assert_eq!(dues.cover(1, 1).collect::<Vec<_>>(), [150]);
        assert_eq!(dues.left(), 0);
    }
}
