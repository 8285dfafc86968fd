//! What is asked of the cluster: topics, offsets, a group's offsets.
//!
//! Contract: a call returns within about [`PATIENCE`] plus [`CALL`], with an answer of this moment or an error whose
//! kind says whether waiting helps. Looking at a topic never makes it. One client, for all threads.

use super::KafkaOptions;
use super::attended::Attended;
use super::error::{kind, port_error};
use super::listener::Listener;
use super::native::offsets::Which;
use super::native::{Failure, describe, groups, metadata, offsets, topics};
use super::settings::{self, Isolation};
use rdkafka::client::Client;
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::time::{Duration, Instant};
use watertight_core::port::{ErrorKind, OffsetBounds, PortError, TopicInfo};

/// How long one question may take: a cluster that is well answers within milliseconds.
pub(super) const CALL: Duration = Duration::from_secs(5);
/// How long something is tried that takes a moment to be known to every broker: a new topic, a new leader.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause between such tries.
const PAUSE: Duration = Duration::from_millis(20);

/// The client that asks. It is a producer that produces nothing: librdkafka's own way, since a consumer is more.
pub(super) struct Admin {
    client: Attended,
    /// Copies of new topics; -1 for the brokers' default.
    copies: i32,
}

fn stop(message: String) -> PortError {
    PortError::new(ErrorKind::Stop, message)
}

pub(super) fn no_topic(topic: &str) -> PortError {
    stop(format!("there is no topic {topic}; make it first"))
}

pub(super) fn no_partition(topic: &str, partitions: i32, partition: i32) -> PortError {
    stop(format!("topic {topic} has partitions 0..{partitions}, not {partition}; add partitions first"))
}

/// Refuses names that no topic can have: librdkafka does not take all of them.
fn check_name(topic: &str) -> Result<(), PortError> {
    let plain = |letter: u8| letter.is_ascii_alphanumeric() || b"._-".contains(&letter);
    if matches!(topic, "" | "." | "..") || topic.len() > 249 || !topic.bytes().all(plain) {
        return Err(stop(format!(
            "{topic:?} cannot be a topic's name in Kafka; take letters, digits, `.`, `_` and `-`, 249 at most"
        )));
    }
    Ok(())
}

impl Admin {
    /// A client with these options; no broker is waited for.
    pub(super) fn open(options: &KafkaOptions) -> Result<Self, PortError> {
        let listener = Listener::new("admin", options);
        let client = Attended::open(&settings::admin(options), listener)?;
        Ok(Self { client, copies: options.replication_factor.map_or(-1, i32::from) })
    }

    fn client(&self) -> &Client<Listener> {
        self.client.client()
    }

    /// What a failure means: time that ran out has a reason, if the client has heard of one.
    fn failed(&self, what: impl Into<String>, failure: Failure) -> PortError {
        self.client.hear();
        let heard = self.client.listener().heard();
        match (kind(failure.code), heard) {
            (ErrorKind::Retry, Some(heard)) => port_error(what, Failure { code: heard.code, text: heard.text }),
            _ => port_error(what, failure),
        }
    }

    fn answered<T>(&self, what: impl Into<String>, answer: Result<T, Failure>) -> Result<T, PortError> {
        match answer {
            Ok(answer) => {
                self.client.listener().forget();
                Ok(answer)
            }
            Err(failure) => Err(self.failed(what, failure)),
        }
    }

    /// A topic as it is now; `None` where there is none.
    ///
    /// # Errors
    /// When the cluster cannot be asked; `Stop` where it gives topics no ids.
    pub(super) fn describe(&self, topic: &str) -> Result<Option<TopicInfo>, PortError> {
        check_name(topic)?;
        let answer = describe::describe(self.client(), topic, CALL);
        let Some(found) = self.answered(format!("topic {topic} cannot be described"), answer)? else { return Ok(None) };
        let incarnation = found.id.ok_or_else(|| {
            stop(format!(
                "the brokers give topic {topic} no id, so a topic that is made anew could not be told from it; Kafka \
                 2.8 or newer is needed"
            ))
        })?;
        Ok(Some(TopicInfo { name: topic.to_owned(), incarnation, partitions: found.partitions }))
    }

    /// Names of the topics that this user may see, in order, without Kafka's own.
    pub(super) fn topics(&self) -> Result<Vec<String>, PortError> {
        let topics = self.answered("topics cannot be listed", metadata::topics(self.client(), CALL))?;
        // One whose leader is just being chosen is there.
        let is_there =
            |failure: &Option<Failure>| failure.as_ref().is_none_or(|one| kind(one.code) == ErrorKind::Retry);
        let shown = topics.into_iter().filter(|(name, failure)| is_there(failure) && !name.starts_with("__"));
        let mut names: Vec<String> = shown.map(|(name, _)| name).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// The topic with at least so many partitions, made or grown where it has to be.
    pub(super) fn create_topic(&self, topic: &str, partitions: i32) -> Result<TopicInfo, PortError> {
        if partitions < 1 {
            return Err(stop("a topic has a name and at least one partition".to_owned()));
        }
        let began = Instant::now();
        loop {
            let found = self.describe(topic)?;
            let answer = match &found {
                Some(info) if info.partitions >= partitions => return Ok(info.clone()),
                Some(_) => topics::grow(self.client(), topic, partitions, CALL),
                None => topics::create(self.client(), topic, partitions, self.copies, CALL),
            };
            match answer {
                // Somebody else was faster, or what was made is not known everywhere yet.
                Ok(()) | Err(Failure { code: Code::TopicAlreadyExists | Code::InvalidPartitions, .. }) => {}
                Err(failure) if kind(failure.code) == ErrorKind::Retry && began.elapsed() < PATIENCE => {}
                Err(failure) => {
                    let what = if found.is_some() { "given more partitions" } else { "made" };
                    return Err(self.failed(format!("topic {topic} cannot be {what}"), failure));
                }
            }
            if began.elapsed() >= PATIENCE {
                let what = format!("topic {topic} does not show {partitions} partitions yet; try again");
                return Err(PortError::new(ErrorKind::Retry, what));
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// The offsets that can be read of a partition.
    pub(super) fn bounds(&self, topic: &str, partition: i32) -> Result<OffsetBounds, PortError> {
        self.refresh(topic, partition)?;
        let earliest = self.offset(topic, partition, Which::Earliest, Isolation::Uncommitted)?.unwrap_or(0);
        // Up to the first transaction that is open: behind it nothing can be read yet. Markers and what was aborted
        // count.
        let next = self.offset(topic, partition, Which::Next, Isolation::Committed)?.unwrap_or(earliest);
        Ok(OffsetBounds { earliest, next: next.max(earliest) })
    }

    /// The offset behind the last record that a partition's replicas have, of open transactions too.
    pub(super) fn end(&self, topic: &str, partition: i32) -> Result<i64, PortError> {
        self.refresh(topic, partition)?;
        Ok(self.offset(topic, partition, Which::Next, Isolation::Uncommitted)?.unwrap_or(0))
    }

    /// The first offset of a record that is as young as this; the next offset where there is none.
    pub(super) fn offset_at(&self, topic: &str, partition: i32, timestamp_ms: i64) -> Result<i64, PortError> {
        self.refresh(topic, partition)?;
        match self.offset(topic, partition, Which::At(timestamp_ms), Isolation::Committed)? {
            Some(offset) => Ok(offset),
            None => self.bounds(topic, partition).map(|bounds| bounds.next),
        }
    }

    /// Sets what tools that watch a group's lag are shown.
    pub(super) fn commit_group_offsets(
        &self,
        topic: &str,
        group: &str,
        positions: &[(i32, i64)],
    ) -> Result<(), PortError> {
        if positions.is_empty() {
            return Ok(());
        }
        check_name(topic)?;
        let what = || format!("the offsets of group {group} cannot be committed");
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for (partition, offset) in positions {
            let added = list.add_partition_offset(topic, *partition, Offset::Offset(*offset));
            added.map_err(|error| port_error(what(), error))?;
        }
        self.answered(what(), groups::set_offsets(self.client(), group, &list, CALL))
    }

    /// Looks anew at a topic's partitions and their leaders: what the client knows may be of an earlier life, or from
    /// before partitions were added.
    ///
    /// # Errors
    /// `Stop` where there is no such topic or partition.
    fn refresh(&self, topic: &str, partition: i32) -> Result<(), PortError> {
        check_name(topic)?;
        let partitions = metadata::partitions(self.client(), topic, CALL)
            .map_err(|failure| self.failed(format!("topic {topic} cannot be looked at"), failure))?;
        if usize::try_from(partition).is_ok_and(|partition| partition < partitions) {
            return Ok(());
        }
        // That broker may not know yet; the one that is asked for descriptions decides.
        let info = self.describe(topic)?.ok_or_else(|| no_topic(topic))?;
        if (0..info.partitions).contains(&partition) {
            return Ok(());
        }
        Err(no_partition(topic, info.partitions, partition))
    }

    /// One offset. What may pass, as leaders change, is tried again for a while.
    fn offset(
        &self,
        topic: &str,
        partition: i32,
        which: Which,
        isolation: Isolation,
    ) -> Result<Option<i64>, PortError> {
        let began = Instant::now();
        loop {
            let answer = offsets::offset(self.client(), topic, partition, which, isolation, CALL);
            // The client says so of leaders and partitions that it does not know; whether they exist is known here.
            let passing = |code| {
                kind(code) == ErrorKind::Retry
                    || matches!(
                        code,
                        Code::UnknownPartition | Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::NoEnt
                    )
            };
            match answer {
                Err(failure) if passing(failure.code) && began.elapsed() < PATIENCE => {
                    std::thread::sleep(PAUSE);
                    self.refresh(topic, partition)?;
                }
                // The partition exists (`refresh`): what is missing is its leader.
                Err(failure) if passing(failure.code) && kind(failure.code) != ErrorKind::Retry => {
                    let missing = Failure { code: Code::LeaderNotAvailable, ..failure };
                    return self.answered(format!("offsets of {topic}/{partition} cannot be asked for"), Err(missing));
                }
                other => return self.answered(format!("offsets of {topic}/{partition} cannot be asked for"), other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_topic_can_have_are_refused_before_anything_is_asked() {
        for name in ["", ".", "..", "a/b", "a b", "ä", "a\0b", &"x".repeat(250)] {
            assert_eq!(check_name(name).unwrap_err().kind, ErrorKind::Stop, "{name:?}");
        }
        for name in ["a", "a.b_c-D9", &"x".repeat(249)] {
            check_name(name).unwrap();
        }
    }
}
