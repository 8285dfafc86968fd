//! What was read and waits to be fetched: one lane per partition, between the thread that reads and whoever fetches.
//!
//! Contract: bounded in bytes; a lane's chunks are given out in order, the first one only when all its holes are
//! explained; its failure comes behind its chunks. A seek raises the lane's version: what was read for an earlier one
//! is dropped wherever it is met.

use super::chunk::Chunk;
use super::failure::{Failure, Until};
use super::holes::{Answer, Doubt, Verdict};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use watertight_core::port::{ErrorKind, Fetched, Gap, PortError, ReadFrom};

/// Bytes that may wait. Enough for the reading to go on while an epoch is committed; what comes on top is one poll,
/// which librdkafka's own bound (`queued.max.messages.kbytes`) limits.
const QUEUED_BYTES_MAX: usize = 32 << 20;
/// How long the threads wait before they look around again.
const LOOK_AROUND: Duration = Duration::from_millis(100);

/// What the thread gathered of one partition.
#[derive(Debug)]
pub(super) struct Update {
    /// Which lane.
    pub(super) lane: usize,
    /// For which place.
    pub(super) version: u64,
    /// Further chunks.
    pub(super) chunks: Vec<Chunk>,
    /// Where the partition ends.
    pub(super) end: i64,
    /// What happened behind the chunks.
    pub(super) failure: Option<Failure>,
}

/// A lane is to be read from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order {
    /// Which lane.
    pub(super) lane: usize,
    /// Its new version.
    pub(super) version: u64,
    /// First offset wanted.
    pub(super) offset: i64,
    /// Epoch of the leader that wrote the record right before it, to be checked; -1: nothing to check.
    pub(super) leader_epoch: i32,
}

/// What the thread does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// End: the reader is gone.
    Close,
    /// Go elsewhere, then read.
    Place(Vec<Order>),
    /// Read.
    Read,
    /// Enough waits already.
    Wait,
}

/// One partition.
#[derive(Debug, Default)]
struct Lane {
    partition: i32,
    version: u64,
    /// Up to where it was given out.
    position: i64,
    /// Epoch of the leader that wrote the record right before that; -1: not known.
    leader_epoch: i32,
    end: i64,
    queue: VecDeque<Chunk>,
    failure: Option<Failure>,
    /// Why holes could not be explained.
    doubt: Option<Failure>,
    wanted: Option<i64>,
}

/// What a lane has for a fetch.
enum Taken {
    Part(Fetched, usize),
    Nothing,
    Failed(Failure),
}

#[derive(Debug, Default)]
struct State {
    lanes: Vec<Lane>,
    /// Bytes in all lanes.
    queued: usize,
    /// Lane that is first at the next fetch.
    turn: usize,
    /// Why nothing will be read any more.
    ended: Option<Failure>,
    closed: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    /// Something came.
    arrived: Condvar,
    /// Something was taken, or an order given.
    room: Condvar,
    /// A hole came.
    doubts: Condvar,
}

impl Inbox {
    /// Lanes for these partitions, each at its offset, and those that cannot be read from there with why.
    pub(super) fn new(lanes: impl IntoIterator<Item = (ReadFrom, Option<Failure>)>) -> Self {
        let lane = |(ReadFrom { partition, offset, leader_epoch }, failure)| Lane {
            partition,
            position: offset,
            leader_epoch,
            end: offset,
            failure,
            ..Lane::default()
        };
        let state = State { lanes: lanes.into_iter().map(lane).collect(), ..State::default() };
        Self { state: Mutex::new(state), ..Self::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // For whoever fetches.

    /// As `LogReader::fetch`; `away` is asked when nothing came.
    pub(super) fn fetch(
        &self,
        bytes_max: usize,
        wait: Duration,
        away: impl Fn() -> Option<Failure>,
    ) -> Result<Vec<Fetched>, PortError> {
        let began = Instant::now();
        let mut state = self.lock();
        loop {
            let fetched = state.gather(bytes_max).map_err(|failure| failure.error())?;
            if !fetched.is_empty() {
                self.room.notify_all();
                return Ok(fetched);
            }
            if let Some(failure) = &state.ended {
                return Err(failure.error());
            }
            let left = wait.saturating_sub(began.elapsed());
            if left.is_zero() {
                drop(state);
                return away().map_or_else(|| Ok(Vec::new()), |failure| Err(failure.error()));
            }
            state = self.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Sends a partition elsewhere; false where there is no such lane. Whoever does so answers for what lies below, at
    /// the same offset too: if that were checked, nobody could go on behind what was declared lost.
    pub(super) fn seek(&self, partition: i32, offset: i64) -> bool {
        let mut state = self.lock();
        let Some(lane) = state.lanes.iter().position(|lane| lane.partition == partition) else { return false };
        state.seek(lane, offset, -1);
        state.lanes[lane].failure = None;
        self.room.notify_all();
        true
    }

    /// Ends the threads.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.room.notify_all();
        self.doubts.notify_all();
    }

    // For the thread that reads.

    /// What to do next; waits a little where that is to wait.
    pub(super) fn next(&self) -> Next {
        let mut state = self.lock();
        if !state.closed && !state.is_wanted() && state.queued >= QUEUED_BYTES_MAX {
            state = self.room.wait_timeout(state, LOOK_AROUND).unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.closed {
            return Next::Close;
        }
        if state.is_wanted() {
            return Next::Place(state.orders());
        }
        if state.queued >= QUEUED_BYTES_MAX { Next::Wait } else { Next::Read }
    }

    /// Hands over what was gathered.
    pub(super) fn push(&self, updates: Vec<Update>) {
        if updates.is_empty() {
            return;
        }
        let mut state = self.lock();
        let mut has_holes = false;
        for update in updates {
            has_holes |= state.add(update);
        }
        drop(state);
        self.arrived.notify_all();
        if has_holes {
            self.doubts.notify_all();
        }
    }

    /// Nothing will be read any more.
    pub(super) fn end(&self, failure: Failure) {
        self.lock().ended.get_or_insert(failure);
        self.arrived.notify_all();
    }

    /// Whether the reader is gone.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    // For the thread that explains holes.

    /// Waits for holes; `None` where the reader is gone.
    pub(super) fn doubts(&self) -> Option<Vec<Doubt>> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            let doubts = state.doubts();
            if !doubts.is_empty() {
                return Some(doubts);
            }
            state = self.doubts.wait_timeout(state, LOOK_AROUND).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes note of what became of them.
    pub(super) fn settle(&self, answer: Answer) {
        self.lock().settle(answer);
        self.arrived.notify_all();
        self.room.notify_all();
    }
}

impl State {
    /// One chunk of each lane in turn, until the budget is used or no lane has any more. A failure is returned when its
    /// lane is the first that has something to say; the next fetch begins behind it.
    fn gather(&mut self, bytes_max: usize) -> Result<Vec<Fetched>, Failure> {
        let count = self.lanes.len();
        let mut fetched: Vec<Fetched> = Vec::new();
        let mut left = bytes_max.max(1);
        let mut idle = 0;
        while idle < count && left > 0 {
            let at = self.turn % count;
            self.turn = (at + 1) % count;
            match self.lanes[at].take(left, fetched.is_empty()) {
                Taken::Part(part, bytes) => {
                    fetched.push(part);
                    self.queued = self.queued.saturating_sub(bytes);
                    left = left.saturating_sub(bytes);
                    idle = 0;
                }
                Taken::Failed(failure) => return Err(failure),
                Taken::Nothing => idle += 1,
            }
        }
        Ok(fetched)
    }

    fn seek(&mut self, lane: usize, offset: i64, leader_epoch: i32) {
        let lane = &mut self.lanes[lane];
        self.queued = self.queued.saturating_sub(lane.queue.iter().map(Chunk::bytes).sum());
        lane.queue.clear();
        lane.version += 1;
        (lane.position, lane.leader_epoch) = (offset, leader_epoch);
        lane.doubt = None;
        lane.wanted = Some(offset);
    }

    fn is_wanted(&self) -> bool {
        self.lanes.iter().any(|lane| lane.wanted.is_some())
    }

    fn orders(&mut self) -> Vec<Order> {
        let lanes = self.lanes.iter_mut().enumerate();
        let order = |(at, lane): (usize, &mut Lane)| {
            let (version, leader_epoch) = (lane.version, lane.leader_epoch);
            lane.wanted.take().map(|offset| Order { lane: at, version, offset, leader_epoch })
        };
        lanes.filter_map(order).collect()
    }

    /// Whether holes came with it.
    fn add(&mut self, update: Update) -> bool {
        let lane = &mut self.lanes[update.lane];
        if lane.version != update.version {
            return false;
        }
        lane.end = update.end;
        // Also where only the end was reached: the partition answers.
        if update.failure.is_none() && lane.failure.as_ref().is_some_and(|failure| failure.until == Until::Progress) {
            lane.failure = None;
        }
        let mut has_holes = false;
        for chunk in update.chunks {
            has_holes |= !chunk.is_explained();
            self.queued += chunk.bytes();
            match lane.queue.back_mut() {
                Some(last) if last.can_join(&chunk) => last.join(chunk),
                _ => lane.queue.push_back(chunk),
            }
        }
        if update.failure.is_some() {
            lane.failure = update.failure;
        }
        has_holes
    }

    fn doubts(&self) -> Vec<Doubt> {
        let doubt = |(at, lane): (usize, &Lane)| Doubt {
            lane: at,
            version: lane.version,
            partition: lane.partition,
            holes: lane.queue.iter().flat_map(|chunk| chunk.holes.iter().cloned()).collect(),
        };
        let doubts = self.lanes.iter().enumerate().map(doubt);
        doubts.filter(|doubt| !doubt.holes.is_empty()).collect()
    }

    fn settle(&mut self, answer: Answer) {
        let Answer { lane: at, version, verdict } = answer;
        let lane = &mut self.lanes[at];
        if lane.version != version {
            return;
        }
        match verdict {
            Verdict::Empty(gaps) => lane.explain(gaps),
            Verdict::Unknown(failure) => lane.doubt = Some(failure),
            Verdict::Missed(offsets) => {
                let (position, leader_epoch, partition) = (lane.position, lane.leader_epoch, lane.partition);
                let message = format!(
                    "the first reading of partition {partition} passed over records at offsets {}..{} that a second \
                     one shows; nothing of it was used, and it is read again from offset {position}: a defect in the \
                     client library or the broker, please report it",
                    offsets.start, offsets.end
                );
                tracing::error!("{message}");
                // With the epoch: that the log was cut off, which may have been found meanwhile, is found again.
                self.seek(at, position, leader_epoch);
                self.lanes[at].failure = Some(Failure::new(ErrorKind::Retry, message, Until::Told));
            }
        }
    }
}

impl Lane {
    /// The front of the lane, of about `budget` bytes; larger only where it is the `first` of a fetch.
    fn take(&mut self, budget: usize, first: bool) -> Taken {
        let failed = |failure: &Failure| if first { Taken::Failed(failure.clone()) } else { Taken::Nothing };
        let Some(front) = self.queue.front_mut() else {
            let taken = self.failure.as_ref().map_or(Taken::Nothing, failed);
            if matches!(&taken, Taken::Failed(failure) if failure.until == Until::Told) {
                self.failure = None;
            }
            return taken;
        };
        if !front.is_explained() {
            return self.doubt.as_ref().map_or(Taken::Nothing, failed);
        }
        if front.bytes() > budget && !first {
            return Taken::Nothing;
        }
        let piece = front.take(budget);
        if front.is_empty() {
            self.queue.pop_front();
        }
        (self.position, self.leader_epoch) = (piece.to, piece.leader_epoch());
        let part = Fetched {
            partition: self.partition,
            from: piece.from,
            to: piece.to,
            records: piece.records,
            gaps: piece.gaps,
            log_end: self.end.max(piece.to),
        };
        Taken::Part(part, piece.bytes)
    }

    /// Holes are gaps now. All of a chunk's holes were asked about, or none, as chunks come whole.
    fn explain(&mut self, gaps: Vec<Gap>) {
        self.doubt = None;
        let Some(upto) = gaps.last().map(|gap| gap.to) else { return };
        let mut gaps = gaps.into_iter().peekable();
        for chunk in self.queue.iter_mut().take_while(|chunk| chunk.from < upto) {
            while let Some(gap) = gaps.next_if(|gap| gap.to <= chunk.to) {
                chunk.gaps.push(gap);
            }
            chunk.holes.retain(|hole| hole.end > upto);
            chunk.gaps.sort_unstable_by_key(|gap| gap.from);
        }
    }
}

#[cfg(test)]
mod tests;
