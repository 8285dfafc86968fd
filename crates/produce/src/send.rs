//! Sending a group: appends, retries, lost answers, and the ledger behind them.
//!
//! Contract: within a partition records are appended in the order of their sequence, one append at a time, each record
//! exactly once: a refused append is repeated, one whose answer was lost is looked for in the log's tail before
//! anything else is appended there, and what of it is missing is appended behind. A record is acknowledged, and only
//! then ledgered, once its offset is known. Others may write into the same partitions.

use crate::batch::Group;
use crate::error::ProduceError;
use crate::ledger::{Acked, Ledger, Line, PRODUCER_HEADER, SEQUENCE_HEADER};
use crate::request::{Appends, ProduceSummary, Waiting};
use crate::tail::read_tail;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use watertight_core::port::{Append, Clock, ErrorKind, EventLog, PortError};
use watertight_core::record::NewRecord;

/// Waits between tries: doubled from the first to the last.
pub(crate) const BACKOFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// How records are told apart when the tail is read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marks {
    /// By their headers `wt-producer` and `wt-seq`.
    Headers,
    /// By their keys and payloads, in the order in which they were sent.
    Payloads,
}

/// What is the same for the whole run.
pub(crate) struct Target<'a> {
    pub(crate) log: &'a dyn EventLog,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) topic: &'a str,
    pub(crate) producer: &'a str,
    pub(crate) marks: Marks,
    pub(crate) appends: Appends,
    pub(crate) stop: &'a AtomicBool,
}

/// One partition's share of a group while it is being sent.
struct Share {
    partition: i32,
    /// Indices into the group's entries that are not acknowledged yet, in order.
    rest: Vec<usize>,
    /// Offset behind the last record known to be ours: nothing of ours in doubt lies before it.
    next_offset: i64,
    in_doubt: bool,
}

/// What one try on one partition brought.
#[derive(Default)]
struct Tried {
    acked: Vec<(usize, i64)>,
    error: Option<PortError>,
    resolved: bool,
}

/// Where each partition stands; sends group after group.
pub(crate) struct Sender<'a> {
    pub(crate) target: Target<'a>,
    pub(crate) next_offsets: Vec<i64>,
    pub(crate) ledger: Option<Ledger>,
    pub(crate) acked: Acked,
    pub(crate) summary: ProduceSummary,
}

impl Sender<'_> {
    /// Sends all of `group`; `waiting` is told why while it has to wait.
    ///
    /// # Errors
    /// `Log` where the log refuses for good, `Interrupted` where the stop flag is raised while it refuses.
    pub(crate) fn send(&mut self, group: &Group, waiting: &mut dyn FnMut(&Self, &Waiting)) -> Result<(), ProduceError> {
        let mut shares: Vec<Share> = (group.by_partition.iter().enumerate())
            .filter(|(_, rest)| !rest.is_empty())
            .map(|(partition, rest)| Share {
                partition: partition as i32,
                rest: rest.clone(),
                next_offset: self.next_offsets[partition],
                in_doubt: false,
            })
            .collect();
        let mut backoff = BACKOFF.0;
        while !shares.is_empty() {
            let tried = self.target.try_all(group, &mut shares);
            let mut refused = None;
            for (share, tried) in shares.iter_mut().zip(tried) {
                self.summary.resolved += u64::from(tried.resolved);
                self.note(group, share, &tried.acked);
                refused = worse(refused, tried.error);
            }
            shares.retain(|share| !share.rest.is_empty());
            self.write_ledger(waiting)?;
            let Some(error) = refused else { continue };
            if !matches!(error.kind, ErrorKind::Retry | ErrorKind::Unknown) {
                return Err(ProduceError::Log(error));
            }
            self.summary.retries += 1;
            self.rest(&mut backoff, &Waiting::Log(error.chain()), waiting)?;
        }
        Ok(())
    }

    fn note(&mut self, group: &Group, share: &mut Share, acked: &[(usize, i64)]) {
        for &(index, offset) in acked {
            let entry = &group.entries[index];
            let (sequence, position) = (entry.sequence, entry.position);
            self.acked.add(sequence, share.partition, offset, position);
            self.summary.sent += 1;
            self.summary.per_partition[share.partition as usize] += 1;
            if let Some(ledger) = &mut self.ledger {
                let id = String::from_utf8_lossy(group.id(entry));
                ledger.add(&Line { sequence, id: &id, partition: share.partition, offset, position });
            }
            share.next_offset = share.next_offset.max(offset + 1);
        }
        self.next_offsets[share.partition as usize] = share.next_offset;
        if !acked.is_empty() {
            let done: std::collections::HashSet<usize> = acked.iter().map(|(index, _)| *index).collect();
            share.rest.retain(|index| !done.contains(index));
        }
    }

    /// Writes the ledger, waiting while it cannot be written.
    pub(crate) fn write_ledger(&mut self, waiting: &mut dyn FnMut(&Self, &Waiting)) -> Result<(), ProduceError> {
        let mut backoff = BACKOFF.0;
        while let Some(ledger) = &mut self.ledger {
            match ledger.sync() {
                Ok(()) => return Ok(()),
                Err(error) => self.rest(&mut backoff, &Waiting::Ledger(error.to_string()), waiting)?,
            }
        }
        Ok(())
    }

    /// Waits before the next try.
    pub(crate) fn rest(
        &self,
        backoff: &mut Duration,
        why: &Waiting,
        waiting: &mut dyn FnMut(&Self, &Waiting),
    ) -> Result<(), ProduceError> {
        waiting(self, why);
        let began = Instant::now();
        while began.elapsed() < *backoff {
            if self.target.stop.load(Ordering::Relaxed) {
                return Err(ProduceError::Interrupted(why.to_string()));
            }
            std::thread::sleep((*backoff - began.elapsed().min(*backoff)).min(Duration::from_millis(10)));
        }
        *backoff = (*backoff * 2).min(BACKOFF.1);
        Ok(())
    }
}

/// The error that decides: one that waiting does not cure goes before one that it may.
fn worse(one: Option<PortError>, other: Option<PortError>) -> Option<PortError> {
    let passing = |error: &PortError| matches!(error.kind, ErrorKind::Retry | ErrorKind::Unknown);
    match (one, other) {
        (Some(one), Some(other)) => Some(if passing(&one) { other } else { one }),
        (one, other) => one.or(other),
    }
}

impl Target<'_> {
    fn try_all(&self, group: &Group, shares: &mut [Share]) -> Vec<Tried> {
        if self.appends == Appends::InTurn || shares.len() < 2 {
            return shares.iter_mut().map(|share| self.try_one(group, share)).collect();
        }
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                shares.iter_mut().map(|share| scope.spawn(move || self.try_one(group, share))).collect();
            let joined = threads.into_iter().map(|thread| thread.join());
            joined.map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        })
    }

    /// One append, behind the resolution of the one before, if its answer was lost.
    fn try_one(&self, group: &Group, share: &mut Share) -> Tried {
        let mut tried = Tried::default();
        if share.in_doubt {
            match self.resolve(group, share) {
                Ok(acked) => {
                    share.in_doubt = false;
                    tried = Tried { acked, error: None, resolved: true };
                    // What is there is noted first; the rest is sent with the next try.
                    return tried;
                }
                Err(error) => {
                    tried.error = Some(error);
                    return tried;
                }
            }
        }
        match self.append(group, share) {
            Ok(append) => {
                tried.acked = share.rest.iter().enumerate().map(|(row, &index)| (index, append.offset(row))).collect();
            }
            Err(error) => {
                share.in_doubt = error.kind == ErrorKind::Unknown;
                tried.error = Some(error);
            }
        }
        tried
    }

    fn append(&self, group: &Group, share: &Share) -> Result<Append, PortError> {
        let timestamp_ms = self.clock.now_us().div_euclid(1_000);
        let entries = || share.rest.iter().map(|&index| &group.entries[index]);
        let headers: Vec<[(&str, Option<&[u8]>); 2]> = match self.marks {
            Marks::Payloads => Vec::new(),
            Marks::Headers => entries()
                .map(|entry| {
                    [
                        (PRODUCER_HEADER, Some(self.producer.as_bytes())),
                        (SEQUENCE_HEADER, Some(group.sequence_text(entry))),
                    ]
                })
                .collect(),
        };
        let records: Vec<NewRecord<'_>> = entries()
            .enumerate()
            .map(|(row, entry)| NewRecord {
                key: group.key(entry),
                value: group.value(entry),
                headers: headers.get(row).map_or(&[], |pair| &pair[..]),
                timestamp_ms,
            })
            .collect();
        self.log.append(self.topic, share.partition, &records)
    }

    /// Looks in the tail for what the lost append has brought.
    fn resolve(&self, group: &Group, share: &Share) -> Result<Vec<(usize, i64)>, PortError> {
        match self.marks {
            Marks::Headers => {
                let wanted: HashMap<u64, usize> =
                    share.rest.iter().map(|&index| (group.entries[index].sequence, index)).collect();
                let mut acked = Vec::new();
                read_tail(self.log, self.topic, share.partition, share.next_offset, |found| {
                    let index = found.sequence_of(self.producer).and_then(|sequence| wanted.get(&sequence));
                    acked.extend(index.map(|&index| (index, found.offset)));
                })?;
                Ok(acked)
            }
            Marks::Payloads => {
                // A beginning of the share is there, in order, or nothing; others may lie between.
                let mut acked = Vec::new();
                read_tail(self.log, self.topic, share.partition, share.next_offset, |found| {
                    let Some(&index) = share.rest.get(acked.len()) else { return };
                    let entry = &group.entries[index];
                    if (found.key, found.value) == (group.key(entry), group.value(entry)) {
                        acked.push((index, found.offset));
                    }
                })?;
                Ok(acked)
            }
        }
    }
}
