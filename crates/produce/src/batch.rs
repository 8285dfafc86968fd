//! Groups: items gathered until they are many, or have waited long enough, or the next is not yet due.
//!
//! Contract: a group holds items in the order of their sequence. The filler runs in a thread of its own, one or two groups
//! ahead of the sender (the channel's bound), and ends when the source does, when it is told to stop, or when
//! nobody receives any more.

use crate::error::ProduceError;
use crate::generate::Item;
use crate::input::Pace;
use crate::ledger::{Acked, Place};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

/// How long the filler sleeps at most before it looks at the stop flag again.
const NAP: Duration = Duration::from_millis(10);

/// An item with what only the run needs to know of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drawn {
    pub(crate) item: Item,
    /// Event time, where pacing needs it.
    pub(crate) time_us: Option<i64>,
    /// Place in the input behind it.
    pub(crate) position: Option<Place>,
}

/// What a source has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pull {
    /// An item was written into the buffer.
    Item,
    /// Something that cannot be sent was passed over, and why; it has no number.
    PassedOver(String),
    /// Nothing now; ask again.
    Later,
    /// Nothing any more.
    End,
}

/// Where items come from, in the order of their sequence numbers.
pub(crate) trait ItemSource: Send {
    fn next(&mut self, drawn: &mut Drawn) -> Result<Pull, ProduceError>;
}

/// One record of a group, as ranges of the group's bytes.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) sequence: u64,
    pub(crate) position: Option<Place>,
    id: Range<usize>,
    sequence_text: Range<usize>,
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
}

/// Items that are sent together.
#[derive(Debug, Default)]
pub(crate) struct Group {
    bytes: Vec<u8>,
    pub(crate) entries: Vec<Entry>,
    /// Indices into `entries`, per partition.
    pub(crate) by_partition: Vec<Vec<usize>>,
    /// What was passed over behind the entries.
    pub(crate) passed_over: Vec<String>,
}

impl Group {
    fn new(partitions: usize) -> Self {
        Self { by_partition: vec![Vec::new(); partitions], ..Self::default() }
    }

    fn push(&mut self, drawn: &Drawn) {
        let Drawn { item, position, .. } = drawn;
        let mut copy = |bytes: &[u8]| {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(bytes);
            start..self.bytes.len()
        };
        let id = copy(&item.id);
        let sequence_text = copy(item.sequence.to_string().as_bytes());
        let key = item.key.as_deref().map(&mut copy);
        let value = item.value.as_deref().map(&mut copy);
        self.by_partition[item.partition as usize].push(self.entries.len());
        let (sequence, position) = (item.sequence, *position);
        self.entries.push(Entry { sequence, position, id, sequence_text, key, value });
    }

    pub(crate) fn id(&self, entry: &Entry) -> &[u8] {
        &self.bytes[entry.id.clone()]
    }

    pub(crate) fn sequence_text(&self, entry: &Entry) -> &[u8] {
        &self.bytes[entry.sequence_text.clone()]
    }

    pub(crate) fn key(&self, entry: &Entry) -> Option<&[u8]> {
        entry.key.clone().map(|range| &self.bytes[range])
    }

    pub(crate) fn value(&self, entry: &Entry) -> Option<&[u8]> {
        entry.value.clone().map(|range| &self.bytes[range])
    }
}

/// When a group is full.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) partitions: usize,
    pub(crate) records_max: usize,
    pub(crate) bytes_max: usize,
    pub(crate) linger: Duration,
}

impl Bounds {
    fn are_reached(&self, group: &Group) -> bool {
        group.entries.len() >= self.records_max || group.bytes.len() >= self.bytes_max
    }
}

/// Fills groups from `source` and hands them over; items in `sent` are passed over.
pub(crate) fn fill(
    source: &mut dyn ItemSource,
    pace: &mut Pace<'_>,
    sent: &Acked,
    bounds: Bounds,
    stop: &[&AtomicBool],
    out: &SyncSender<Result<Group, ProduceError>>,
) {
    let mut group = Group::new(bounds.partitions);
    let mut opened = Instant::now();
    let mut drawn = Drawn::default();
    let mut waits = false;
    loop {
        let over = stop.iter().any(|flag| flag.load(Ordering::Relaxed));
        let pulled = match (over, waits) {
            (true, _) => Ok(Pull::End),
            (false, true) => Ok(Pull::Item),
            (false, false) => source.next(&mut drawn),
        };
        match pulled {
            Ok(Pull::Item) if !waits && sent.contains(drawn.item.sequence) => continue,
            Ok(Pull::Item) => {
                let wait = pace.wait(drawn.item.sequence, drawn.time_us);
                waits = !wait.is_zero();
                if waits {
                    let patience = bounds.linger.saturating_sub(opened.elapsed());
                    if !group.entries.is_empty() && wait > patience {
                        if !hand_over(&mut group, bounds, out) {
                            return;
                        }
                    } else {
                        std::thread::sleep(wait.min(NAP));
                    }
                    continue;
                }
                if group.entries.is_empty() {
                    opened = Instant::now();
                }
                group.push(&drawn);
                let full = bounds.are_reached(&group) || (pace.is_paced() && opened.elapsed() >= bounds.linger);
                if full && !hand_over(&mut group, bounds, out) {
                    return;
                }
            }
            Ok(Pull::PassedOver(what)) => {
                group.passed_over.push(what);
                if !hand_over(&mut group, bounds, out) {
                    return;
                }
            }
            Ok(Pull::Later) => {
                if !hand_over(&mut group, bounds, out) {
                    return;
                }
                std::thread::sleep(NAP);
            }
            Ok(Pull::End) => {
                hand_over(&mut group, bounds, out);
                return;
            }
            Err(error) => {
                // What was read before the error is sent first.
                if hand_over(&mut group, bounds, out) {
                    let _ = out.send(Err(error));
                }
                return;
            }
        }
    }
}

/// Sends the group, unless nothing is in it, and begins a new one; false where nobody receives any more.
fn hand_over(group: &mut Group, bounds: Bounds, out: &SyncSender<Result<Group, ProduceError>>) -> bool {
    if group.entries.is_empty() && group.passed_over.is_empty() {
        return true;
    }
    let full = std::mem::replace(group, Group::new(bounds.partitions));
    group.bytes.reserve(full.bytes.len());
    group.entries.reserve(full.entries.len());
    out.send(Ok(full)).is_ok()
}
