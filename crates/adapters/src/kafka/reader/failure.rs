//! What keeps a partition, or all of them, from being read: said again at each fetch, for as long as it holds.

use crate::kafka::error::port_error;
use crate::kafka::native::Failure as NativeError;
use rdkafka::types::RDKafkaErrorCode;
use std::ops::Range;
use watertight_core::port::{ErrorKind, OffsetBounds, OffsetRange, PortError};

/// How librdkafka words that the log was truncated; the code of such an error is that of a lost place.
const TRUNCATED: &str = "Local: Partition log truncation detected";
/// What it says before the offset where the log of the last known leader epoch ends.
const BROKER_END: &str = "broker end offset is ";

/// When a failure is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// When the reader is sent elsewhere.
    Seek,
    /// When something comes.
    Progress,
    /// When it was said.
    Told,
}

/// A failure, to be told as often as needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// What the caller does.
    pub(super) kind: ErrorKind,
    /// Message.
    pub(super) message: String,
    /// Offsets it is about.
    pub(super) range: Option<OffsetRange>,
    /// When it is over.
    pub(super) until: Until,
}

impl Failure {
    /// One of this kind.
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>, until: Until) -> Self {
        Self { kind, message: message.into(), range: None, until }
    }

    /// Having failed at `what` ("topic t cannot be read"), for librdkafka's reason and of its kind.
    pub(super) fn native(what: &str, error: &NativeError, until: Until) -> Self {
        Self::port(port_error(what, error.clone()), until)
    }

    /// An error of a port, to be told again.
    pub(super) fn port(error: PortError, until: Until) -> Self {
        Self { kind: error.kind, message: error.chain(), range: error.range, until }
    }

    /// As the port's error.
    pub(super) fn error(&self) -> PortError {
        let error = PortError::new(self.kind, self.message.clone());
        match self.range {
            Some(range) => error.about(range),
            None => error,
        }
    }

    fn about(mut self, partition: i32, offsets: Range<i64>) -> Self {
        self.range = Some(OffsetRange { partition, from: offsets.start, to: offsets.end });
        self
    }
}

/// Whether the position lies outside what the partition holds: below, lost to retention; above, not there any more.
pub(super) fn out_of_bounds(topic: &str, partition: i32, position: i64, bounds: OffsetBounds) -> Option<Failure> {
    let OffsetBounds { earliest, next } = bounds;
    if position < earliest {
        let message = format!(
            "offsets {position}..{earliest} of partition {topic}/{partition} are gone, retention or a deletion removed \
             them before they were read; the first one kept is {earliest}"
        );
        let failure = Failure::new(ErrorKind::OutOfRange, message, Until::Seek);
        return Some(failure.about(partition, position..earliest));
    }
    if position > next {
        let message = format!(
            "position {position} of partition {topic}/{partition} lies behind the end of the log, {next}; the log lost \
             records that were read, or is another one: look for an unclean election or a restored cluster, then \
             declare offsets {next}..{position} lost or restore them"
        );
        let failure = Failure::new(ErrorKind::Stop, message, Until::Seek);
        return Some(failure.about(partition, next..position));
    }
    None
}

/// The log below the position is not the one that was read.
pub(super) fn replaced(topic: &str, partition: i32, offsets: Range<i64>) -> Failure {
    let Range { start, end } = offsets;
    let message = format!(
        "offsets {start}..{end} of partition {topic}/{partition} were read, and the log holds other records there now: \
         a leader that did not have them took over (unclean election, or a broker that lost its disk); decide which of \
         the two is right, then declare the offsets lost or restore them"
    );
    Failure::new(ErrorKind::Stop, message, Until::Seek).about(partition, start..end)
}

/// Where the log of the position's leader epoch ends, in librdkafka's words for a truncated log; `None` inside where it
/// knows no such epoch, and outside where the words are about something else.
pub(super) fn truncated_at(text: &str) -> Option<Option<i64>> {
    if !text.contains(TRUNCATED) {
        return None;
    }
    let end = text.split_once(BROKER_END).and_then(|(_, rest)| {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..digits].parse().ok()
    });
    Some(end)
}

/// An error that came in the place of a partition's records, at this offset, while reading stood at `position`. Where
/// it is about the records themselves, it names the first offset that cannot be read.
pub(super) fn of_partition(topic: &str, partition: i32, position: i64, offset: i64, error: &NativeError) -> Failure {
    let records = |kind, message: String| {
        Failure::new(kind, message, Until::Seek).about(partition, position..position.max(offset) + 1)
    };
    match error.code {
        RDKafkaErrorCode::BadMessage | RDKafkaErrorCode::BadCompression | RDKafkaErrorCode::InvalidMessage => {
            let message = format!(
                "what the broker sends at offset {offset} of partition {topic}/{partition} is damaged ({}); nothing \
                 was skipped: restore the broker's segment from a replica, or seek behind the damage and declare it \
                 lost",
                error.text
            );
            records(ErrorKind::Corrupt, message)
        }
        RDKafkaErrorCode::NotImplemented => {
            let message = format!(
                "records at offset {offset} of partition {topic}/{partition} are in a form that this build cannot read \
                 ({}); nothing was skipped: a newer build is needed",
                error.text
            );
            records(ErrorKind::Stop, message)
        }
        // Anything that went wrong inside a broker: the client fetches again by itself.
        RDKafkaErrorCode::Unknown => {
            let what = format!("partition {topic}/{partition} cannot be read for now");
            Failure { kind: ErrorKind::Retry, ..Failure::native(&what, error, Until::Told) }
        }
        _ => Failure::native(&format!("partition {topic}/{partition} cannot be read"), error, Until::Progress),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: OffsetBounds = OffsetBounds { earliest: 5, next: 9 };

    #[test]
    fn a_position_outside_the_log_is_named_with_the_exact_range() {
        let below = out_of_bounds("t", 3, 2, BOUNDS).expect("below");
        assert_eq!(
            (below.kind, below.range),
            (ErrorKind::OutOfRange, Some(OffsetRange { partition: 3, from: 2, to: 5 }))
        );
        assert!(below.message.contains("2..5 of partition t/3"), "{}", below.message);
        let above = out_of_bounds("t", 3, 11, BOUNDS).expect("above");
        assert_eq!((above.kind, above.range), (ErrorKind::Stop, Some(OffsetRange { partition: 3, from: 9, to: 11 })));
        for inside in [5, 7, 9] {
            assert_eq!(out_of_bounds("t", 3, inside, BOUNDS), None, "the end itself is a place to wait");
        }
        let error = above.error();
        assert_eq!((error.kind, error.range), (above.kind, above.range));
    }

    #[test]
    fn the_end_of_a_truncated_log_is_found_in_librdkafkas_words() {
        let cut = "Partition log truncation detected at offset 5 (leader epoch 0): broker end offset is 4 (offset \
                   leader epoch 0). Reset to INVALID.: Local: Partition log truncation detected (broker 1)";
        assert_eq!(truncated_at(cut), Some(Some(4)));
        let unknown = "No epoch found less or equal to offset 15 (leader epoch 7): broker end offset is -1 (offset \
                       leader epoch -1). Reset using configured policy.: Local: Partition log truncation detected \
                       (broker 1)";
        assert_eq!(truncated_at(unknown), Some(None));
        let below = "fetch failed due to requested offset not available on the broker: Broker: Offset out of range";
        assert_eq!(truncated_at(below), None);
        let words = RDKafkaErrorCode::LogTruncation.to_string();
        assert!(words.contains(TRUNCATED), "this librdkafka says: {words}");
    }

    #[test]
    fn damage_is_corrupt_and_holds_until_a_seek() {
        let error = NativeError { code: RDKafkaErrorCode::BadMessage, text: "failed CRC32C check".to_owned() };
        let failure = of_partition("t", 0, 8, 7, &error);
        assert_eq!((failure.kind, failure.until), (ErrorKind::Corrupt, Until::Seek));
        assert_eq!(failure.range, Some(OffsetRange { partition: 0, from: 8, to: 9 }), "in the middle of the batch");
        assert!(failure.message.contains("offset 7") && failure.message.contains("CRC32C"), "{}", failure.message);
    }
}
