//! The thread that reads: it owns the consumer's place in each partition, copies what comes once, and hands it over.
//!
//! Contract: what is handed over was fetched from the topic that was opened, and is contiguous in each partition from
//! where it was sent. An error of one partition switches that one off and leaves the others alone.

use super::failure::{Failure, Until, of_partition, out_of_bounds, replaced, truncated_at};
use super::identity::Ears;
use super::inbox::{Inbox, Next, Order, Update};
use super::second::{Context, first_record};
use super::track::{Stage, Track};
use crate::kafka::native::Failure as NativeError;
use crate::kafka::native::consume::{Batch, Consumer, Message};
use rdkafka::types::RDKafkaErrorCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use watertight_core::port::{ErrorKind, OffsetBounds, ReadFrom};

/// Messages of one poll: what librdkafka has ready. Large, so that a chunk of one partition is large.
const BATCH_MAX: usize = 8_192;
/// How long a poll waits for the first message; orders wake it.
const POLL_WAIT: Duration = Duration::from_millis(100);
/// How long a question for offsets may take: all partitions wait for it, and whoever closes the reader.
const ASK_WAIT: Duration = Duration::from_millis(500);
/// Pause before a place is taken again.
const PAUSE: Duration = Duration::from_millis(200);
/// And before a question that was not answered is asked again.
const ASK_PAUSE: Duration = Duration::from_secs(2);

/// A partition that lost its place.
struct Displaced {
    lane: usize,
    version: u64,
    /// librdkafka's words.
    text: String,
    not_before: Instant,
}

/// See the module.
pub(super) struct Pump {
    context: Context,
    consumer: Arc<Consumer>,
    ears: Arc<Ears>,
    inbox: Arc<Inbox>,
    tracks: Vec<Track>,
    /// Lane by partition number.
    lanes: Vec<Option<usize>>,
    displaced: Vec<Displaced>,
    headers: Vec<u8>,
    placed_after: Option<Instant>,
}

impl Pump {
    /// Reads these partitions; those that are off wait for a seek.
    pub(super) fn new(
        context: Context,
        consumer: Arc<Consumer>,
        ears: Arc<Ears>,
        inbox: Arc<Inbox>,
        tracks: Vec<Track>,
    ) -> Self {
        let highest = tracks.iter().map(|track| track.partition).max().unwrap_or(-1);
        let mut lanes = vec![None; usize::try_from(highest + 1).unwrap_or(0)];
        for (lane, track) in tracks.iter().enumerate() {
            if let Some(slot) = usize::try_from(track.partition).ok().and_then(|at| lanes.get_mut(at)) {
                *slot = Some(lane);
            }
        }
        let (displaced, headers) = (Vec::new(), Vec::new());
        Self { context, consumer, ears, inbox, tracks, lanes, displaced, headers, placed_after: None }
    }

    /// Until the reader is gone, or nothing can be read any more.
    pub(super) fn run(mut self) {
        let mut batch = Batch::with_capacity(BATCH_MAX);
        loop {
            match self.inbox.next() {
                Next::Close => return,
                Next::Place(orders) => self.follow(&orders),
                Next::Read => {
                    self.place();
                    self.consumer.poll(&mut batch, POLL_WAIT);
                }
                Next::Wait => {}
            }
            // After the poll: whoever announced another topic did so before anything of it could be polled.
            if let Some(ended) = self.context.identity.ended() {
                self.inbox.end(ended);
                return;
            }
            if !batch.is_empty() && !self.take(&mut batch) {
                return;
            }
            if !self.hear() {
                return;
            }
            self.look_into_displaced();
        }
    }

    fn follow(&mut self, orders: &[Order]) {
        for order in orders {
            self.tracks[order.lane].seek(order.version, order.offset, order.leader_epoch);
        }
        self.placed_after = None;
    }

    /// Sets the place of the partitions that have none yet.
    fn place(&mut self) {
        if self.placed_after.is_some_and(|at| Instant::now() < at) {
            return;
        }
        for lane in 0..self.tracks.len() {
            if self.tracks[lane].stage == Stage::Placing && self.tracks[lane].next < 0 {
                // No offset to librdkafka, which would go to some end of the partition.
                self.displace(lane, String::new());
            }
        }
        let to_place = self.tracks.iter().filter(|track| track.stage == Stage::Placing);
        let start = |track: &Track| ReadFrom {
            partition: track.partition,
            offset: track.next,
            leader_epoch: track.leader_epoch,
        };
        let starts: Vec<ReadFrom> = to_place.map(start).collect();
        if starts.is_empty() {
            return;
        }
        match self.consumer.place(&starts) {
            Ok(left) => {
                self.placed_after = (!left.is_empty()).then(|| Instant::now() + PAUSE);
                for track in self.tracks.iter_mut().filter(|track| track.stage == Stage::Placing) {
                    if !left.contains(&track.partition) {
                        track.stage = Stage::Reading;
                    }
                }
            }
            Err(error) => {
                self.placed_after = Some(Instant::now() + PAUSE);
                self.context.identity.trouble(Failure::native(
                    &format!("places in topic {} cannot be taken", self.context.topic),
                    &error,
                    Until::Progress,
                ));
            }
        }
    }

    /// Takes what was polled; false where nothing can be read any more.
    fn take(&mut self, batch: &mut Batch) -> bool {
        let mut has_record = false;
        for message in batch.iter().filter(|message| message.is_record()) {
            has_record = true;
            if let Some(lane) = self.lane(message) {
                self.tracks[lane].expect(message.byte_len());
            }
        }
        if has_record && !self.ears.has_heard_id() {
            let topic = &self.context.topic;
            let message = format!(
                "the client library did not say which topic id it reads {topic} by, so that a recreated topic could \
                 not be told from this one; this build does not fit its librdkafka, please report it"
            );
            self.inbox.end(Failure::new(ErrorKind::Bug, message, Until::Seek));
            return false;
        }
        let mut told = false;
        batch.drain(|message| told |= self.take_one(message));
        if told {
            self.context.identity.alive();
        }
        self.hand_over();
        true
    }

    fn lane(&self, message: Message<'_>) -> Option<usize> {
        let at = usize::try_from(message.partition()).ok()?;
        self.lanes.get(at).copied().flatten()
    }

    /// Takes one message; whether it shows that a broker answers.
    #[inline]
    fn take_one(&mut self, message: Message<'_>) -> bool {
        let Some(lane) = self.lane(message) else {
            self.stray(message);
            return false;
        };
        if !message.is_record() {
            return self.event(lane, message);
        }
        let track = &mut self.tracks[lane];
        let offset = message.offset();
        if !track.wants(offset) {
            return true;
        }
        let has_headers = match message.headers(&mut self.headers) {
            Ok(has_headers) => has_headers,
            Err(error) => {
                let damaged = NativeError { code: RDKafkaErrorCode::BadMessage, ..error };
                let (partition, position) = (track.partition, track.next);
                track.fail(of_partition(&self.context.topic, partition, position, offset, &damaged));
                return true;
            }
        };
        let epoch = message.leader_epoch();
        if let Some(records) = track.accept(offset, epoch) {
            let headers = has_headers.then_some(self.headers.as_slice());
            records.push(offset, message.timestamp_ms(), epoch, message.key(), message.value(), headers);
        }
        true
    }

    fn event(&mut self, lane: usize, message: Message<'_>) -> bool {
        if !message.has_topic() {
            self.stray(message);
            return false;
        }
        let event = message.event();
        let (topic, track) = (&self.context.topic, &mut self.tracks[lane]);
        match event.code {
            RDKafkaErrorCode::PartitionEOF => {
                track.reach(message.offset());
                return true;
            }
            RDKafkaErrorCode::AutoOffsetReset
            | RDKafkaErrorCode::OffsetOutOfRange
            | RDKafkaErrorCode::LogTruncation
                if track.stage == Stage::Reading =>
            {
                self.displace(lane, event.text);
            }
            code if is_about_existence(code) => self.context.identity.ask(),
            _ if track.stage == Stage::Reading => {
                let (partition, position) = (track.partition, track.next);
                track.fail(of_partition(topic, partition, position, message.offset(), &event));
            }
            _ => {}
        }
        false
    }

    /// An event of the client, or of a partition that is not ours.
    fn stray(&self, message: Message<'_>) {
        if !message.is_record() {
            // Such as: the group of which we are no member may not be described.
            let NativeError { code, text } = message.event();
            tracing::debug!(topic = self.context.topic, ?code, "from the client library: {text}");
        }
    }

    fn displace(&mut self, lane: usize, text: String) {
        let track = &mut self.tracks[lane];
        track.stage = Stage::Displaced;
        let version = track.version;
        self.displaced.push(Displaced { lane, version, text, not_before: Instant::now() });
    }

    /// Hands over what was gathered, and leaves partitions that are off.
    fn hand_over(&mut self) {
        let mut updates: Vec<Update> = Vec::new();
        let mut off: Vec<i32> = Vec::new();
        for (lane, track) in self.tracks.iter_mut().enumerate() {
            let watermark = track.has_gathered().then(|| self.consumer.high_watermark(track.partition)).flatten();
            updates.extend(track.hand_over(lane, watermark));
            if track.stage == Stage::Off {
                off.push(track.partition);
            }
        }
        self.inbox.push(updates);
        if let Err(error) = self.consumer.leave(&off) {
            tracing::warn!(topic = self.context.topic, "partitions that failed are fetched on: {}", error.text);
        }
    }

    /// Takes note of errors that belong to no partition; false where nothing can be read any more.
    fn hear(&self) -> bool {
        for error in self.ears.errors() {
            let failure =
                || Failure::native(&format!("topic {} cannot be read", self.context.topic), &error, Until::Progress);
            match error.code {
                RDKafkaErrorCode::Fatal => {
                    let message = format!("the client library has failed for good: {}; restart", error.text);
                    self.inbox.end(Failure::new(ErrorKind::Stop, message, Until::Seek));
                    return false;
                }
                code if is_about_existence(code) => self.context.identity.ask(),
                _ => self.context.identity.trouble(failure()),
            }
        }
        true
    }

    /// Finds out why partitions lost their place.
    fn look_into_displaced(&mut self) {
        if self.displaced.is_empty() {
            return;
        }
        let now = Instant::now();
        let (due, later): (Vec<Displaced>, Vec<Displaced>) =
            std::mem::take(&mut self.displaced).into_iter().partition(|one| one.not_before <= now);
        self.displaced = later;
        for mut one in due {
            let track = &self.tracks[one.lane];
            if track.version != one.version || track.stage != Stage::Displaced {
                continue;
            }
            match self.why(track, &one.text) {
                Ok(None) => {
                    let track = &mut self.tracks[one.lane];
                    if truncated_at(&one.text).is_some() {
                        // Nothing that was read is gone, and its epoch would seem to be cut off again.
                        track.leader_epoch = -1;
                    }
                    track.stage = Stage::Placing;
                    self.placed_after = Some(now + PAUSE);
                }
                Ok(Some(failure)) => self.tracks[one.lane].fail(failure),
                Err(failure) => {
                    self.tracks[one.lane].fail(failure);
                    one.not_before = now + ASK_PAUSE;
                    self.displaced.push(one);
                }
            }
        }
        self.hand_over();
    }

    /// Why a partition cannot be read from its position; nothing where it can after all.
    fn why(&self, track: &Track, text: &str) -> Result<Option<Failure>, Failure> {
        let (topic, partition, position) = (&self.context.topic, track.partition, track.next);
        let bounds = self.consumer.bounds(&[partition], ASK_WAIT).map_err(|error| {
            Failure::native(
                &format!("partition {topic}/{partition} does not tell its offsets"),
                &error,
                Until::Progress,
            )
        })?;
        let Some(&bounds) = bounds.first() else { return Ok(None) };
        if let Some(failure) = out_of_bounds(topic, partition, position, bounds) {
            return Ok(Some(failure));
        }
        let OffsetBounds { earliest, .. } = bounds;
        match truncated_at(text) {
            None => Ok(None),
            Some(None) => Ok(Some(replaced(topic, partition, earliest.min(position)..position))),
            // The epoch is that of the last record, and what lies between it and the position may be markers of
            // transactions that a later leader wrote: then nothing that was read is gone. (A broker that restarts
            // within a transaction is enough.) Records there would have been read.
            Some(Some(end)) => {
                let unknown = end.max(earliest)..position;
                if unknown.is_empty() {
                    return Ok(None);
                }
                let record = first_record(&self.context, partition, unknown, &|| self.inbox.is_closed())?;
                Ok(record.map(|record| replaced(topic, partition, record.start..position)))
            }
        }
    }
}

/// Whether the code says that the topic or a partition of it does not exist.
fn is_about_existence(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopicId
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownPartition
    )
}
