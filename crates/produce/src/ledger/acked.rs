//! Which sequence numbers are acknowledged, and where each partition stands.

use super::Place;
use std::collections::BTreeMap;

/// A set of sequence numbers that is nearly a prefix, with what is needed to resume behind it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Acked {
    bits: Vec<u64>,
    /// All before this one are in the set, this one is not.
    frontier: u64,
    count: u64,
    /// One more than the largest.
    end: u64,
    next_offsets: BTreeMap<i32, i64>,
    /// The place in the input behind the record of the largest sequence number below the frontier that has one.
    positions: BTreeMap<u64, Place>,
}

impl Acked {
    /// Adds a record; false where its number is in the set already.
    pub(crate) fn add(&mut self, sequence: u64, partition: i32, offset: i64, position: Option<Place>) -> bool {
        let (word, bit) = ((sequence / 64) as usize, 1 << (sequence % 64));
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        if self.bits[word] & bit != 0 {
            return false;
        }
        self.bits[word] |= bit;
        self.count += 1;
        self.end = self.end.max(sequence + 1);
        while self.contains(self.frontier) {
            self.frontier += 1;
        }
        let next = self.next_offsets.entry(partition).or_insert(offset + 1);
        *next = (*next).max(offset + 1);
        if let Some(position) = position {
            self.positions.insert(sequence, position);
            let keep = self.positions.range(..self.frontier).next_back().map(|(&sequence, _)| sequence);
            if let Some(keep) = keep {
                self.positions = self.positions.split_off(&keep);
            }
        }
        true
    }

    pub(crate) fn contains(&self, sequence: u64) -> bool {
        self.bits.get((sequence / 64) as usize).is_some_and(|word| word & (1 << (sequence % 64)) != 0)
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The first number that is not in the set.
    pub(crate) fn frontier(&self) -> u64 {
        self.frontier
    }

    /// One more than the largest number in the set.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// The offset behind the last record of a partition.
    pub(crate) fn next_offset(&self, partition: i32) -> Option<i64> {
        self.next_offsets.get(&partition).copied()
    }

    /// A place in the input, and the sequence number of the record that follows it; that number is at most the frontier.
    pub(crate) fn resume_position(&self) -> Option<(u64, Place)> {
        self.positions.range(..self.frontier).next_back().map(|(&sequence, &place)| (sequence + 1, place))
    }
}
