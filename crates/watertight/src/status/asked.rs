//! What the event log says of topics, asked for within a time: a log that is away keeps nothing else from being shown.
//!
//! All topics are asked for at once, through one client. What has not answered in time is left behind in its thread, which
//! ends with the process, or when the client gives up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use watertight_core::port::{EventLog, OffsetBounds, PortError, TopicInfo};

/// How long the log has for its answer: who asks for a status waits for it. A question to Kafka gives up after 5 s, and
/// says why it could not be asked, which is worth those two more.
const PATIENCE: Duration = Duration::from_secs(7);
/// Partitions of one topic that are asked for at the same time: each is a question or two, over a network.
const AT_ONCE: usize = 8;

/// What the log says of a topic.
#[derive(Debug)]
pub(super) struct TopicReading {
    pub(super) info: TopicInfo,
    /// By partition, from 0.
    pub(super) bounds: Vec<Result<Bounds, String>>,
}

/// What can be read of a partition, and what is there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// What can be read.
    pub(super) readable: OffsetBounds,
    /// The offset behind the last record; above what can be read, a transaction is open.
    pub(super) end: i64,
}

/// Nothing where there is no such topic; an error in words.
pub(super) type Answer = Result<Option<TopicReading>, String>;

/// Asks for topics; `place` says where the log is.
pub(super) fn ask(
    log: &Result<Arc<dyn EventLog>, PortError>,
    place: &str,
    topics: BTreeSet<String>,
) -> BTreeMap<String, Answer> {
    ask_within(PATIENCE, log, place, topics)
}

fn ask_within(
    patience: Duration,
    log: &Result<Arc<dyn EventLog>, PortError>,
    place: &str,
    topics: BTreeSet<String>,
) -> BTreeMap<String, Answer> {
    let log = match log {
        Ok(log) => log,
        Err(error) => return topics.into_iter().map(|topic| (topic, Err(error.chain()))).collect(),
    };
    let (sender, answers) = channel();
    for topic in &topics {
        let (log, topic, sender) = (Arc::clone(log), topic.clone(), sender.clone());
        let body = move || {
            let answer = reading(log.as_ref(), &topic);
            // Nobody waits for it any more where it comes too late.
            let _ = sender.send((topic, answer));
        };
        // A thread that cannot be started gives no answer.
        let _ = std::thread::Builder::new().name("status".to_owned()).spawn(body);
    }
    drop(sender);
    let end = Instant::now() + patience;
    let mut found: BTreeMap<String, Answer> = BTreeMap::new();
    while let Ok((topic, answer)) = answers.recv_timeout(end.saturating_duration_since(Instant::now())) {
        found.insert(topic, answer);
    }
    for topic in topics {
        found
            .entry(topic)
            .or_insert_with(|| Err(format!("no answer from {place} within {} s", patience.as_secs_f32())));
    }
    found
}

fn reading(log: &dyn EventLog, topic: &str) -> Answer {
    let Some(info) = log.topic(topic).map_err(|error| error.chain())? else { return Ok(None) };
    let numbers: Vec<i32> = (0..info.partitions).collect();
    let share = numbers.len().div_ceil(AT_ONCE).max(1);
    let one = |number: i32| -> Result<Bounds, PortError> {
        Ok(Bounds { readable: log.bounds(topic, number)?, end: log.end(topic, number)? })
    };
    let ask = |numbers: &[i32]| -> Vec<Result<Bounds, String>> {
        numbers.iter().map(|number| one(*number).map_err(|error| error.chain())).collect()
    };
    let bounds = std::thread::scope(|scope| {
        let asked: Vec<_> = numbers.chunks(share).map(|numbers| scope.spawn(move || ask(numbers))).collect();
        let answered =
            asked.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        answered.flatten().collect()
    });
    Ok(Some(TopicReading { info, bounds }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use watertight_adapters::memory::log::MemoryLog;
    use watertight_adapters::system::SystemIds;
    use watertight_core::port::{Append, ErrorKind, LogReader, ReadFrom};
    use watertight_core::record::NewRecord;

    /// A log that never answers for topics whose name begins so.
    struct Deaf(MemoryLog, &'static str);

    impl EventLog for Deaf {
        fn topic(&self, topic: &str) -> Result<Option<TopicInfo>, PortError> {
            if topic.starts_with(self.1) {
                std::thread::sleep(Duration::from_secs(3_600));
            }
            self.0.topic(topic)
        }

        fn topics(&self) -> Result<Vec<String>, PortError> {
            self.0.topics()
        }

        fn create_topic(&self, topic: &str, partitions: i32) -> Result<TopicInfo, PortError> {
            self.0.create_topic(topic, partitions)
        }

        fn append(&self, topic: &str, partition: i32, records: &[NewRecord<'_>]) -> Result<Append, PortError> {
            self.0.append(topic, partition, records)
        }

        fn bounds(&self, topic: &str, partition: i32) -> Result<OffsetBounds, PortError> {
            self.0.bounds(topic, partition)
        }

        fn reader(&self, topic: &str, from: &[ReadFrom]) -> Result<Box<dyn LogReader>, PortError> {
            self.0.reader(topic, from)
        }
    }

    #[test]
    fn what_does_not_answer_in_time_keeps_nothing_else_from_being_told() {
        let log = MemoryLog::new(Arc::new(SystemIds));
        log.create_topic("ticks", 20).expect("a topic");
        log.append("ticks", 17, &[NewRecord::default(); 3]).expect("appended");
        let log: Result<Arc<dyn EventLog>, PortError> = Ok(Arc::new(Deaf(log, "deaf")));
        let topics = ["deaf one", "deaf two", "nowhere", "ticks"].map(str::to_owned);
        let began = Instant::now();
        let found = ask_within(Duration::from_millis(300), &log, "there", BTreeSet::from(topics));
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}: all are waited for together", began.elapsed());
        for deaf in ["deaf one", "deaf two"] {
            let error = found[deaf].as_ref().expect_err("no answer");
            assert_eq!(error, "no answer from there within 0.3 s");
        }
        assert!(found["nowhere"].as_ref().is_ok_and(Option::is_none));
        let ticks = found["ticks"].as_ref().expect("answered").as_ref().expect("there");
        let ends: Vec<i64> = ticks.bounds.iter().map(|bounds| bounds.as_ref().expect("answered").end).collect();
        let expected: Vec<i64> = (0..20).map(|partition| if partition == 17 { 3 } else { 0 }).collect();
        assert_eq!(ends, expected, "by partition, from 0");
    }

    #[test]
    fn a_log_that_cannot_be_opened_is_the_answer_for_every_topic() {
        let log = Err(PortError::new(ErrorKind::Stop, "no such property"));
        let found = ask(&log, "there", BTreeSet::from(["a", "b"].map(str::to_owned)));
        assert!(
            found.len() == 2 && found.values().all(|answer| answer.as_ref().is_err_and(|e| e == "no such property"))
        );
    }
}
