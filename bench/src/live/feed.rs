//! The producer of an open loop: every event is sent when it is due, whatever became of those before it.
//!
//! Contract: a record's timestamp is the millisecond in which it was due, and it is noted as due before it is sent. How far the
//! producer fell behind its own schedule is told: latencies count from the schedule, so what it lost is in them.

use super::schedule::{Dues, Schedule};
use super::sink::Sink;
use crate::input::{self, STREAM};
use anyhow::{Context as _, Result, bail};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use watertight_adapters::system::SystemClock;
use watertight_core::port::Clock as _;
use watertight_produce::{GeneratorKind, Items, PlanSpec};

/// How often it is looked what is due: short beside any latency, and long enough that looking costs nothing.
const TICK: Duration = Duration::from_millis(2);

/// One event, borrowed until the next is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event<'a> {
    /// Partition.
    pub(crate) partition: i32,
    /// Key.
    pub(crate) key: Option<&'a [u8]>,
    /// Payload.
    pub(crate) value: Option<&'a [u8]>,
}

/// Where events come from, without an end.
pub(crate) trait Events: Send {
    /// Makes the next one.
    fn make(&mut self) -> Event<'_>;
}

/// The events of the benchmark.
pub(crate) struct Generated(Items);

impl Generated {
    /// With event times from `start_us` on, as far apart as the rate says.
    pub(crate) fn new(start_us: i64, per_second: u64) -> Result<Self> {
        let mut spec = PlanSpec::for_stream(&input::definition()?, GeneratorKind::Bench, STREAM);
        (spec.start_time_us, spec.spacing_ns) = (start_us, 1_000_000_000 / per_second);
        Ok(Self(Items::new(spec)?))
    }
}

impl Events for Generated {
    fn make(&mut self) -> Event<'_> {
        let item = self.0.make();
        Event { partition: item.partition, key: item.key, value: item.value }
    }
}

/// What was sent in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fed {
    /// Records.
    pub(crate) sent: u64,
    /// The furthest that one was sent behind its time, microseconds.
    pub(crate) behind_max_us: i64,
}

#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    dues: Mutex<Dues>,
}

impl Shared {
    fn dues(&self) -> MutexGuard<'_, Dues> {
        self.dues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A producer at work, on a thread of its own.
pub(crate) struct Feed {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<Fed>>>,
}

impl Feed {
    /// Begins; it ends after `count` events, or when it is told to. `dues` knows the partitions as they are before it.
    pub(crate) fn start(
        sink: Sink,
        events: Box<dyn Events>,
        schedule: Schedule,
        count: Option<u64>,
        dues: Dues,
    ) -> Result<Self> {
        let shared = Arc::new(Shared { stop: AtomicBool::new(false), dues: Mutex::new(dues) });
        let theirs = Arc::clone(&shared);
        let work = move || feed(sink, events, schedule, count.unwrap_or(u64::MAX), &theirs);
        let thread =
            std::thread::Builder::new().name("feed".to_owned()).spawn(work).context("no thread for the events")?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Whether everything was sent, or nothing more will be.
    pub(crate) fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// When the records were due that no commit has covered yet.
    pub(crate) fn dues(&self) -> MutexGuard<'_, Dues> {
        self.shared.dues()
    }

    /// Ends it, and answers what was sent.
    pub(crate) fn finish(&mut self) -> Result<Fed> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else { bail!("the producer was ended twice; this is a defect") };
        match thread.join() {
            Ok(fed) => fed.context("events could not be sent"),
            Err(_) => bail!("the thread that sends events panicked; this is a defect in watertight-bench"),
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Whoever drops it without finishing has an error of its own to tell.
            let _ = thread.join();
        }
    }
}

fn feed(mut sink: Sink, mut events: Box<dyn Events>, schedule: Schedule, count: u64, shared: &Shared) -> Result<Fed> {
    let mut fed = Fed { sent: 0, behind_max_us: 0 };
    while fed.sent < count && !shared.stop.load(Ordering::Relaxed) {
        let due = schedule.due_by(SystemClock.now_us()).min(count);
        let first = fed.sent;
        while fed.sent < due && !shared.stop.load(Ordering::Relaxed) {
            let (event, due_us) = (events.make(), schedule.due_us(fed.sent));
            shared.dues().push(event.partition, due_us);
            sink.send(event.partition, (event.key, event.value), due_us.div_euclid(1_000))?;
            fed.sent += 1;
        }
        if fed.sent > first {
            sink.tick()?;
            fed.behind_max_us = fed.behind_max_us.max(SystemClock.now_us() - schedule.due_us(first));
        }
        std::thread::sleep(TICK);
    }
    sink.finish()?;
    Ok(fed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::PARTITIONS;
    use crate::levels::read_log::sum_of;

    #[test]
    fn every_event_is_sent_once_and_noted_before_it_can_be_seen() {
        let dir = tempfile::tempdir().expect("scratch");
        let (began_us, per_second, count) = (SystemClock.now_us(), 20_000, 2_000);
        let sink = Sink::local(dir.path(), "t", PARTITIONS).expect("opens");
        let events = Box::new(Generated::new(began_us, per_second).expect("events"));
        let dues = Dues::new(&[0; PARTITIONS as usize]);
        let schedule = Schedule::new(began_us, per_second);
        let mut feed = Feed::start(sink, events, schedule, Some(count), dues).expect("started");
        while !feed.is_over() {
            std::thread::sleep(TICK);
        }
        let fed = feed.finish().expect("sent");
        assert_eq!((fed.sent, feed.dues().left()), (count, count));
        assert_eq!(sum_of(dir.path(), "t").expect("read").records, count);
        assert!(SystemClock.now_us() - began_us >= 99_950, "they were sent when they were due, not at once");
        let mut dues_us: Vec<i64> = Vec::new();
        for partition in 0..PARTITIONS {
            dues_us.extend(feed.dues().cover(partition, i64::MAX));
        }
        dues_us.sort_unstable();
        assert_eq!(dues_us, (0..count).map(|n| schedule.due_us(n)).collect::<Vec<_>>());
    }

    #[test]
    fn a_producer_that_is_told_to_end_ends() {
        let dir = tempfile::tempdir().expect("scratch");
        let sink = Sink::local(dir.path(), "t", PARTITIONS).expect("opens");
        let now_us = SystemClock.now_us();
        let events = Box::new(Generated::new(now_us, 1_000).expect("events"));
        let dues = Dues::new(&[0; PARTITIONS as usize]);
        let mut feed = Feed::start(sink, events, Schedule::new(now_us, 1_000), None, dues).expect("started");
        assert!(!feed.is_over());
        let sent = feed.finish().expect("ended").sent;
        assert_eq!(feed.dues().left(), sent);
        assert!(feed.finish().is_err());
    }
}
