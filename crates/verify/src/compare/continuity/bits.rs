//! A bit for each offset of a stretch, set by several threads at once.

use super::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// The bits of a stretch of offsets.
pub(super) struct Bits(Vec<AtomicU64>);

impl Bits {
    /// All empty.
    pub(super) fn new(from: i64, to: i64) -> Self {
        let words = usize::try_from(from.abs_diff(to).div_ceil(64)).unwrap_or(0);
        Self(std::iter::repeat_with(AtomicU64::default).take(words).collect())
    }

    /// Sets the bit of the offset `number` behind the first; whether it was set before.
    pub(super) fn set(&self, number: u64) -> bool {
        let word = usize::try_from(number / 64).ok().and_then(|word| self.0.get(word));
        let bit = 1_u64 << (number % 64);
        word.is_some_and(|word| word.fetch_or(bit, Ordering::Relaxed) & bit != 0)
    }

    /// The offsets of `from..to` whose bits are empty, as ranges in order.
    pub(super) fn holes(&self, from: i64, to: i64) -> Vec<Range> {
        let mut found = Vec::new();
        let mut open: Option<i64> = None;
        for (number, word) in (0_i64..).zip(&self.0) {
            let word = word.load(Ordering::Relaxed);
            let first = from.saturating_add(number.saturating_mul(64));
            if word == u64::MAX {
                found.extend(open.take().map(|begun| (begun, first)));
                continue;
            }
            if word == 0 {
                open.get_or_insert(first);
                continue;
            }
            for bit in 0..64 {
                let at = first.saturating_add(bit);
                if at >= to {
                    break;
                }
                if (word >> bit) & 1 == 0 {
                    open.get_or_insert(at);
                } else {
                    found.extend(open.take().map(|begun| (begun, at)));
                }
            }
        }
        found.extend(open.filter(|begun| *begun < to).map(|begun| (begun, to)));
        found
    }
}
