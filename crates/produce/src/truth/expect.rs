//! The simulation: what becomes of each record, in the order in which it was produced.
//!
//! Contract: a partition's watermark is the largest event time seen in it so far, less the delay; records whose time can
//! be read count, valid or not, duplicates too. Late = event time before the partition's watermark as it was before the record.

use crate::generate::{Event, Plan, Role};

/// What becomes of a record.
#[derive(Debug, Clone)]
pub(crate) enum Fate {
    /// The first with its id: a row of silver (or, where a copy elsewhere is committed first, that copy is).
    Silver { event: Event, late: bool },
    /// A copy of the event `of`; `elsewhere`: in another partition than its original.
    Duplicate { of: u64, elsewhere: bool },
    /// A dead letter; the index of its kind in the plan.
    DeadLetter { kind: usize },
}

/// A record and its fate.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) sequence: u64,
    pub(crate) partition: i32,
    /// Offset, where only this producer writes into the topic.
    pub(crate) offset: i64,
    pub(crate) fate: Fate,
}

/// Shows the fate of items `0..count` to `each`; returns the stream's watermark at the end: the smallest of the partitions
/// that were used.
pub(crate) fn simulate(plan: &Plan, start_offsets: &[i64], count: u64, mut each: impl FnMut(Seen)) -> Option<i64> {
    let delay_us = plan.spec.watermark_delay_us;
    let mut next: Vec<i64> = start_offsets.to_vec();
    let mut largest: Vec<Option<i64>> = vec![None; next.len()];
    for sequence in 0..count {
        let partition = plan.partition(sequence);
        let index = partition as usize;
        let role = plan.role(sequence);
        let event = plan.valid_event(sequence);
        let time_us = match (&role, &event) {
            (Role::Malformed(kind), _) => plan.malformed_time_us(sequence, *kind),
            (_, event) => event.as_ref().map(|event| event.time_us),
        };
        let late = matches!((time_us, largest[index]), (Some(time), Some(largest)) if time < largest - delay_us);
        let fate = match (role, event) {
            (Role::Malformed(kind), _) => Fate::DeadLetter { kind },
            (Role::Copy { of, .. }, _) => Fate::Duplicate { of, elsewhere: partition != plan.partition(of) },
            (Role::Original(timing), event) => {
                Fate::Silver { event: event.unwrap_or_else(|| plan.event(sequence, timing)), late }
            }
        };
        each(Seen { sequence, partition, offset: next[index], fate });
        next[index] += 1;
        largest[index] = largest[index].max(time_us);
    }
    largest.into_iter().flatten().min().map(|time| time - delay_us)
}
