//! What is fetched for one epoch.
//!
//! Contract: an error that is about one partition ends the fetching, and what came before it is kept. What is merged is
//! ordered by partition and offset, neighbours put together, so that each commit gets large stretches.

use super::commit::CommitFailure;
use super::health::Part;
use super::stream::Worker;
use super::topics::Readers;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use watertight_core::port::{Fetched, PortError};

/// Longest wait in one fetch: a stop is noticed within it.
pub(super) const FETCH_WAIT_MAX: Duration = Duration::from_millis(100);
/// Consecutive fetches of a partition are put together up to this many records, so that they are decoded together.
const MERGED_RECORDS_MAX: usize = 4_096;

/// What was fetched, by the topic's place.
pub(super) type ByTopic = BTreeMap<usize, Vec<Fetched>>;

/// What was fetched for an epoch, and the error that ended the fetching, with its topic, where it is about one partition
/// only.
pub(super) struct Collected {
    pub(super) fetched: ByTopic,
    pub(super) trouble: Option<(usize, PortError)>,
}

impl Worker<'_> {
    /// Fetches until the interval is over, a bound is reached, a stop is asked for, nothing more is there, or a partition
    /// is to stop.
    pub(super) fn collect(&mut self, readers: &mut Readers) -> Result<Collected, CommitFailure> {
        let bounds = self.starter.setup.bounds;
        let committer = self.starter.committer(Part::Stream(self.starter.def.name.clone()));
        let mut deadline = Instant::now() + bounds.interval;
        let mut collected = ByTopic::new();
        let (mut rows, mut bytes) = (0, 0);
        while rows < bounds.rows_max && bytes < bounds.bytes_max && !self.starter.stop.requested() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let per_row = bytes.checked_div(rows).map_or(256, |average: usize| average.max(16));
            let wanted = (bounds.bytes_max - bytes).min((bounds.rows_max - rows).saturating_mul(per_row));
            let wait = left.min(FETCH_WAIT_MAX);
            let batch = committer.retry("fetch", || readers.fetch(wanted.max(1), wait));
            let at = readers.at();
            let batch = match batch {
                Err(CommitFailure::Port(error)) if self.stops_one(at, &error) => {
                    match self.pass_over(at, &error, readers)? {
                        Some(passed) => passed,
                        None => return Ok(Collected { fetched: collected, trouble: Some((at, error)) }),
                    }
                }
                fetched => fetched?,
            };
            if batch.is_empty() && self.starter.setup.until.caught_up {
                break;
            }
            if collected.is_empty() && !batch.is_empty() {
                deadline = Instant::now() + bounds.interval;
            }
            for fetched in batch {
                rows += fetched.records.len();
                bytes += fetched.records.byte_len();
                self.started.topics[at].seen.insert(fetched.partition, Instant::now());
                collected.entry(at).or_default().push(fetched);
            }
        }
        Ok(Collected { fetched: collected, trouble: None })
    }
}

/// Orders by partition and offset, and puts small neighbours together.
pub(super) fn merge(mut fetched: Vec<Fetched>) -> Vec<Fetched> {
    fetched.sort_by_key(|one| (one.partition, one.from));
    let mut merged: Vec<Fetched> = Vec::with_capacity(fetched.len());
    for next in fetched {
        match merged.last_mut() {
            Some(last)
                if last.partition == next.partition
                    && last.to == next.from
                    && last.records.len() + next.records.len() <= MERGED_RECORDS_MAX =>
            {
                last.records.append(&next.records);
                last.gaps.extend(next.gaps);
                last.to = next.to;
            }
            _ => merged.push(next),
        }
    }
    merged
}
