//! The topics of a stream at work: what is known of each while it is read, and their readers as one.
//!
//! Contract: a fetch is of one topic; none that has something waits for one that has nothing, and none goes twice while
//! another has something. A topic's place among the readers is its place among the topics, for as long as a run goes on.

use super::identity::StreamIdentity;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use watertight_core::port::{Fetched, LogReader, PortError, TopicInfo};
use watertight_core::schema::StartAt;

/// With several readers, none of which has anything: how long one is listened to before the others are asked again.
const SLICE: Duration = Duration::from_millis(10);

/// A topic that is read.
pub(super) struct Reading {
    pub topic: TopicInfo,
    pub identity: StreamIdentity,
    /// Where it begins if nothing of it was ever read.
    pub start: StartAt,
    /// When each partition last had a record, or was first looked at.
    pub seen: BTreeMap<i32, Instant>,
    /// Where partitions begin, as far as it is decided and not in the tables yet: it is with the next epoch.
    pub starts: BTreeMap<i32, i64>,
    /// Partitions that stopped, and are not read.
    pub stopped: BTreeSet<i32>,
    /// Since when the log says that there is no such topic.
    pub missed: Option<Instant>,
}

impl Reading {
    pub(super) fn new(topic: TopicInfo, identity: StreamIdentity, start: StartAt) -> Self {
        let (seen, starts, stopped) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { topic, identity, start, seen, starts, stopped, missed: None }
    }

    /// Whether this partition is read.
    pub(super) fn reads(&self, partition: i32) -> bool {
        (0..self.topic.partitions).contains(&partition) && !self.stopped.contains(&partition)
    }
}

/// The readers of all topics, in the order of the topics; none where every partition of a topic stopped.
pub(super) struct Readers {
    all: Vec<Option<Box<dyn LogReader>>>,
    at: usize,
}

impl Readers {
    pub(super) fn new(all: Vec<Option<Box<dyn LogReader>>>) -> Self {
        Self { all, at: 0 }
    }

    /// The topic that the last fetch was of, or failed at.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Whether nothing is read any more.
    pub(super) fn is_empty(&self) -> bool {
        self.all.iter().all(Option::is_none)
    }

    /// Puts a topic's reader in its place, which may be the first behind the last.
    pub(super) fn put(&mut self, at: usize, reader: Option<Box<dyn LogReader>>) {
        if at < self.all.len() {
            self.all[at] = reader;
        } else {
            self.all.push(reader);
        }
    }

    /// As [`LogReader::fetch`], of the next topic that has something.
    ///
    /// # Errors
    /// Those of the topic at [`Readers::at`]; the next fetch begins behind it.
    pub(super) fn fetch(&mut self, bytes_max: usize, wait: Duration) -> Result<Vec<Fetched>, PortError> {
        if let [Some(only)] = self.all.as_mut_slice() {
            return only.fetch(bytes_max, wait);
        }
        let began = Instant::now();
        loop {
            for _ in 0..self.all.len() {
                let fetched = self.next(bytes_max, Duration::ZERO)?;
                if !fetched.is_empty() {
                    return Ok(fetched);
                }
            }
            let left = wait.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Ok(Vec::new());
            }
            let fetched = self.next(bytes_max, left.min(SLICE))?;
            if !fetched.is_empty() {
                return Ok(fetched);
            }
        }
    }

    /// Asks the next one that is there.
    fn next(&mut self, bytes_max: usize, wait: Duration) -> Result<Vec<Fetched>, PortError> {
        for _ in 0..self.all.len() {
            self.at = (self.at + 1) % self.all.len();
            if let Some(reader) = &mut self.all[self.at] {
                return reader.fetch(bytes_max, wait);
            }
        }
        std::thread::sleep(wait);
        Ok(Vec::new())
    }

    /// As [`LogReader::seek`], of the topic that the last fetch failed at.
    ///
    /// # Errors
    /// As [`LogReader::seek`].
    pub(super) fn seek(&mut self, partition: i32, offset: i64) -> Result<(), PortError> {
        match self.all.get_mut(self.at) {
            Some(Some(reader)) => reader.seek(partition, offset),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use watertight_core::port::ErrorKind;

    /// Answers fetches as it was told: with something of this partition, or an error.
    struct Told(VecDeque<Result<i32, ErrorKind>>);

    impl LogReader for Told {
        fn fetch(&mut self, _: usize, wait: Duration) -> Result<Vec<Fetched>, PortError> {
            let (records, gaps) = (Default::default(), Vec::new());
            match self.0.pop_front() {
                Some(Ok(partition)) => Ok(vec![Fetched { partition, from: 0, to: 0, records, gaps, log_end: 0 }]),
                Some(Err(kind)) => Err(PortError::new(kind, "told")),
                None => {
                    std::thread::sleep(wait);
                    Ok(Vec::new())
                }
            }
        }

        fn seek(&mut self, _: i32, _: i64) -> Result<(), PortError> {
            Ok(())
        }
    }

    fn readers(told: &[&[Result<i32, ErrorKind>]]) -> Readers {
        let reader = |told: &&[Result<i32, ErrorKind>]| -> Option<Box<dyn LogReader>> {
            Some(Box::new(Told(told.iter().copied().collect())))
        };
        Readers::new(told.iter().map(reader).collect())
    }

    /// Topic and partition of what a fetch brings; `None` for nothing.
    fn next(readers: &mut Readers) -> Option<(usize, i32)> {
        let fetched = readers.fetch(1, Duration::from_millis(5)).expect("told nothing else");
        fetched.first().map(|fetched| (readers.at(), fetched.partition))
    }

    #[test]
    fn topics_take_turns_and_those_that_have_nothing_are_passed_over() {
        let mut readers = readers(&[&[Ok(1), Ok(2), Ok(3)], &[], &[Ok(4)]]);
        let order: Vec<_> = (0..5).map(|_| next(&mut readers)).collect();
        assert_eq!(order, [Some((2, 4)), Some((0, 1)), Some((0, 2)), Some((0, 3)), None]);
    }

    #[test]
    fn an_error_tells_its_topic_and_keeps_the_others_from_nothing() {
        let mut readers = readers(&[&[Ok(1)], &[Err(ErrorKind::Retry), Ok(2)]]);
        let error = readers.fetch(1, Duration::ZERO).expect_err("told so");
        assert_eq!((error.kind, readers.at()), (ErrorKind::Retry, 1));
        assert_eq!((next(&mut readers), next(&mut readers)), (Some((0, 1)), Some((1, 2))));
    }

    #[test]
    fn a_topic_without_a_reader_is_passed_over_and_one_that_is_found_is_put_behind_the_last() {
        let mut all = readers(&[&[Ok(1)], &[Ok(2)]]);
        all.put(0, None);
        assert_eq!((next(&mut all), next(&mut all), all.is_empty()), (Some((1, 2)), None, false));
        all.put(1, None);
        assert!(all.is_empty());
        all.put(2, Some(Box::new(Told(VecDeque::from([Ok(7)])))));
        assert_eq!(next(&mut all), Some((2, 7)));
    }
}
