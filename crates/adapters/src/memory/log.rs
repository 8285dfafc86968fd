//! The event log in memory, with scripted faults.
//!
//! Contract: as `EventLog` says, but nothing outlives the process. Faults are queued per kind of call and used up
//! in order; a call without one works. Handles made by `clone` share the log, as processes share a real one.

mod faults;
mod reader;

pub use faults::{LogCall, LogFault};

use reader::MemoryReader;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use watertight_core::port::{
    Append, ErrorKind, EventLog, GapCause, Ids, LogReader, OffsetBounds, PortError, ReadFrom, TopicInfo,
};
use watertight_core::record::{NewRecord, encode_headers};

#[derive(Debug, Clone)]
struct Stored {
    timestamp_ms: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Option<Vec<u8>>,
}

#[derive(Debug)]
enum Entry {
    Record(Stored),
    Gap { to: i64, cause: GapCause },
}

#[derive(Debug, Default)]
struct Partition {
    earliest: i64,
    next: i64,
    entries: BTreeMap<i64, Entry>,
}

#[derive(Debug)]
struct Topic {
    incarnation: String,
    partitions: Vec<Partition>,
}

#[derive(Debug, Default)]
struct State {
    topics: HashMap<String, Topic>,
    faults: HashMap<LogCall, VecDeque<LogFault>>,
    holds: HashMap<LogCall, usize>,
}

struct Shared {
    state: Mutex<State>,
    turned: Condvar,
    ids: Arc<dyn Ids>,
}

/// An event log in memory.
#[derive(Clone)]
pub struct MemoryLog {
    shared: Arc<Shared>,
}

/// While it lives, calls of one kind wait.
pub struct LogHold {
    shared: Arc<Shared>,
    call: LogCall,
}

impl Drop for LogHold {
    fn drop(&mut self) {
        if let Some(count) = self.shared.lock().holds.get_mut(&self.call) {
            *count -= 1;
        }
        self.shared.turned.notify_all();
    }
}

fn stop(message: String) -> PortError {
    PortError::new(ErrorKind::Stop, message)
}

impl State {
    fn topic(&mut self, topic: &str) -> Result<&mut Topic, PortError> {
        self.topics.get_mut(topic).ok_or_else(|| stop(format!("there is no topic {topic}; make it first")))
    }

    fn partition(&mut self, topic: &str, partition: i32) -> Result<&mut Partition, PortError> {
        let found = self.topic(topic)?;
        let count = found.partitions.len();
        let index = usize::try_from(partition).unwrap_or(usize::MAX);
        found.partitions.get_mut(index).ok_or_else(|| {
            stop(format!("topic {topic} has partitions 0..{count}, not {partition}; add partitions first"))
        })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while calls of this kind are held, then applies the next scripted fault; true: its answer gets lost.
    fn enter(&self, call: LogCall) -> Result<bool, PortError> {
        let held = |state: &mut State| state.holds.get(&call).is_some_and(|count| *count > 0);
        let mut state = self.turned.wait_while(self.lock(), held).unwrap_or_else(PoisonError::into_inner);
        let fault = state.faults.get_mut(&call).and_then(VecDeque::pop_front);
        drop(state);
        match fault {
            None => Ok(false),
            Some(LogFault::Reject(kind)) => Err(PortError::new(kind, format!("scripted: {call:?} is rejected"))),
            Some(LogFault::LoseAnswer) => Ok(true),
            Some(LogFault::Slow(time)) => {
                std::thread::sleep(time);
                Ok(false)
            }
        }
    }

    fn leave<T>(call: LogCall, lost: bool, answer: T) -> Result<T, PortError> {
        if lost {
            return Err(PortError::new(ErrorKind::Unknown, format!("scripted: the answer of {call:?} is lost")));
        }
        Ok(answer)
    }
}

impl MemoryLog {
    /// An empty log; `ids` gives incarnations.
    #[must_use]
    pub fn new(ids: Arc<dyn Ids>) -> Self {
        Self { shared: Arc::new(Shared { state: Mutex::default(), turned: Condvar::new(), ids }) }
    }

    /// Queues a fault for a kind of call.
    pub fn inject(&self, call: LogCall, fault: LogFault) {
        self.shared.lock().faults.entry(call).or_default().push_back(fault);
    }

    /// Makes calls of one kind wait until the hold is dropped.
    #[must_use]
    pub fn hold(&self, call: LogCall) -> LogHold {
        *self.shared.lock().holds.entry(call).or_default() += 1;
        LogHold { shared: Arc::clone(&self.shared), call }
    }

    /// Removes a topic; false where there was none.
    pub fn remove_topic(&self, topic: &str) -> bool {
        let removed = self.shared.lock().topics.remove(topic).is_some();
        self.shared.turned.notify_all();
        removed
    }

    /// Replaces what is at `offsets` (within the bounds) by a gap.
    ///
    /// # Errors
    /// `Stop` where the topic or partition does not exist.
    pub fn lose(&self, topic: &str, partition: i32, offsets: Range<i64>, cause: GapCause) -> Result<(), PortError> {
        let mut state = self.shared.lock();
        let found = state.partition(topic, partition)?;
        let (from, to) = (offsets.start.max(found.earliest), offsets.end.min(found.next));
        if from < to {
            found.entries.retain(|offset, _| !(from..to).contains(offset));
            found.entries.insert(from, Entry::Gap { to, cause });
        }
        Ok(())
    }

    /// Uses up `count` offsets at the end without records, as transaction markers do.
    ///
    /// # Errors
    /// `Stop` where the topic or partition does not exist.
    pub fn skip_offsets(&self, topic: &str, partition: i32, count: i64) -> Result<(), PortError> {
        let mut state = self.shared.lock();
        let found = state.partition(topic, partition)?;
        let from = found.next;
        found.next += count;
        found.entries.insert(from, Entry::Gap { to: from + count, cause: GapCause::NoRecord });
        drop(state);
        self.shared.turned.notify_all();
        Ok(())
    }

    /// Cuts the end off, as the election of a leader that lacks it does: offsets from `next` on are given again.
    ///
    /// # Errors
    /// `Stop` where the topic or partition does not exist.
    pub fn truncate(&self, topic: &str, partition: i32, next: i64) -> Result<(), PortError> {
        let mut state = self.shared.lock();
        let found = state.partition(topic, partition)?;
        let next = next.clamp(found.earliest, found.next);
        found.next = next;
        found.entries.retain(|offset, _| *offset < next);
        if let Some((_, Entry::Gap { to, .. })) = found.entries.range_mut(..next).next_back() {
            *to = next.min(*to);
        }
        Ok(())
    }

    /// Moves the earliest offset forward, as retention does.
    ///
    /// # Errors
    /// `Stop` where the topic or partition does not exist.
    pub fn retain_from(&self, topic: &str, partition: i32, earliest: i64) -> Result<(), PortError> {
        let mut state = self.shared.lock();
        let found = state.partition(topic, partition)?;
        found.earliest = earliest.clamp(found.earliest, found.next);
        let earliest = found.earliest;
        // A gap that reaches over the new edge keeps what is left of it.
        let below: Vec<i64> = found.entries.range(..earliest).map(|(offset, _)| *offset).collect();
        for offset in below {
            if let Some(Entry::Gap { to, cause }) = found.entries.remove(&offset)
                && to > earliest
            {
                found.entries.insert(earliest, Entry::Gap { to, cause });
            }
        }
        Ok(())
    }
}

impl EventLog for MemoryLog {
    fn topic(&self, topic: &str) -> Result<Option<TopicInfo>, PortError> {
        let lost = self.shared.enter(LogCall::Topic)?;
        let found = self.shared.lock().topics.get(topic).map(|found| info(topic, found));
        Shared::leave(LogCall::Topic, lost, found)
    }

    fn topics(&self) -> Result<Vec<String>, PortError> {
        let lost = self.shared.enter(LogCall::Topic)?;
        let state = self.shared.lock();
        let mut names: Vec<String> = state.topics.keys().filter(|name| !name.starts_with("__")).cloned().collect();
        drop(state);
        names.sort_unstable();
        Shared::leave(LogCall::Topic, lost, names)
    }

    fn create_topic(&self, topic: &str, partitions: i32) -> Result<TopicInfo, PortError> {
        let lost = self.shared.enter(LogCall::Topic)?;
        if topic.is_empty() || partitions < 1 {
            return Err(stop("a topic has a name and at least one partition".to_owned()));
        }
        let mut state = self.shared.lock();
        let fresh = || Topic { incarnation: self.shared.ids.fresh(), partitions: Vec::new() };
        let found = state.topics.entry(topic.to_owned()).or_insert_with(fresh);
        let wanted = found.partitions.len().max(partitions as usize);
        found.partitions.resize_with(wanted, Partition::default);
        Shared::leave(LogCall::Topic, lost, info(topic, found))
    }

    fn append(&self, topic: &str, partition: i32, records: &[NewRecord<'_>]) -> Result<Append, PortError> {
        let lost = self.shared.enter(LogCall::Append)?;
        let mut state = self.shared.lock();
        let found = state.partition(topic, partition)?;
        let first_offset = found.next;
        for record in records {
            found.entries.insert(found.next, Entry::Record(stored(record)));
            found.next += 1;
        }
        drop(state);
        self.shared.turned.notify_all();
        Shared::leave(LogCall::Append, lost, Append::dense(first_offset))
    }

    fn bounds(&self, topic: &str, partition: i32) -> Result<OffsetBounds, PortError> {
        let lost = self.shared.enter(LogCall::Bounds)?;
        let mut state = self.shared.lock();
        let found = state.partition(topic, partition)?;
        Shared::leave(LogCall::Bounds, lost, OffsetBounds { earliest: found.earliest, next: found.next })
    }

    fn reader(&self, topic: &str, from: &[ReadFrom]) -> Result<Box<dyn LogReader>, PortError> {
        let mut state = self.shared.lock();
        let incarnation = state.topic(topic)?.incarnation.clone();
        let mut positions: Vec<(i32, i64)> = Vec::with_capacity(from.len());
        for ReadFrom { partition, offset, .. } in from {
            state.partition(topic, *partition)?;
            if positions.iter().any(|(other, _)| other == partition) {
                return Err(stop(format!("partition {topic}/{partition} is named twice; name each partition once")));
            }
            positions.push((*partition, *offset));
        }
        let shared = Arc::clone(&self.shared);
        Ok(Box::new(MemoryReader { shared, topic: topic.to_owned(), incarnation, positions, turn: 0 }))
    }
}

fn info(topic: &str, found: &Topic) -> TopicInfo {
    let partitions = i32::try_from(found.partitions.len()).unwrap_or(i32::MAX);
    TopicInfo { name: topic.to_owned(), incarnation: found.incarnation.clone(), partitions }
}

fn stored(record: &NewRecord<'_>) -> Stored {
    let mut headers = Vec::new();
    encode_headers(record.headers, &mut headers);
    Stored {
        timestamp_ms: record.timestamp_ms,
        key: record.key.map(<[u8]>::to_vec),
        value: record.value.map(<[u8]>::to_vec),
        headers: (!record.headers.is_empty()).then_some(headers),
    }
}

#[cfg(test)]
mod tests;
