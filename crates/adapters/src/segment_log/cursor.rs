//! Reading one partition forward.
//!
//! Contract: every offset from the position on is delivered once, in order, as a record or in a gap that says why
//! there is none; nothing behind the mark is looked at. What was damaged costs its own block and nothing behind it.

use super::block::{Header, take_record};
use super::disk::Open;
use super::mark::Mark;
use super::partition::{Partition, SegmentEnd};
use super::scan::{Stretch, Window};
use std::fs::File;
use std::io;
use std::sync::Arc;
use watertight_core::port::{ErrorKind, Fetched, Gap, GapCause, OffsetRange, PortError};
use watertight_core::record::{RecordMeta, Records};

/// An arena addresses 4 GiB; a fetch stays well below.
const FETCH_BYTES_MAX: usize = 1 << 30;

/// Where a cursor stands in a segment.
struct Place {
    base: i64,
    file: File,
    /// Byte of the next header.
    at: u64,
}

/// An unpacked block of which records are still to be delivered.
#[derive(Default)]
struct OpenBlock {
    raw: Vec<u8>,
    at: usize,
    next: i64,
    end: i64,
    base_time_ms: i64,
}

/// What a step brought.
enum Step {
    /// Something to deliver, or a gap, or the next segment.
    Moved,
    /// Nothing more is durable.
    Ended,
}

/// A position in one partition.
pub(super) struct Cursor {
    pub(super) partition: Arc<Partition>,
    pub(super) position: i64,
    place: Option<Place>,
    window: Window,
    open: OpenBlock,
}

impl Cursor {
    pub(super) fn new(partition: Arc<Partition>, position: i64) -> Self {
        Self { partition, position, place: None, window: Window::for_records(), open: OpenBlock::default() }
    }

    /// Goes to another offset.
    pub(super) fn seek(&mut self, offset: i64) {
        self.position = offset;
        self.place = None;
        self.window.clear();
        self.open = OpenBlock::default();
    }

    /// An answer that covers nothing yet.
    pub(super) fn nothing(&self, mark: &Mark) -> Fetched {
        Fetched {
            partition: self.partition.number,
            from: self.position,
            to: self.position,
            records: Records::default(),
            gaps: Vec::new(),
            log_end: mark.next,
        }
    }

    /// Reads on, about `budget` bytes more but at least one record, and returns the bytes it took. What was added
    /// to `out` before an error counts, and the position with it.
    pub(super) fn fill(&mut self, mark: &Mark, budget: usize, out: &mut Fetched) -> Result<usize, PortError> {
        self.check_position(mark)?;
        let budget = budget.min(FETCH_BYTES_MAX);
        let mut used = 0;
        while used < budget {
            if self.open.next < self.open.end {
                used += self.deliver(budget - used, out);
                continue;
            }
            let step = self.step(mark, budget, out);
            out.to = self.position;
            match step {
                Ok(Step::Moved) => {}
                Ok(Step::Ended) => break,
                Err(error) => {
                    // Retention may have removed what was just looked for: then that is what is said.
                    self.check_position(&self.partition.mark()?)?;
                    return Err(error);
                }
            }
        }
        out.to = self.position;
        Ok(used)
    }

    fn check_position(&self, mark: &Mark) -> Result<(), PortError> {
        let (position, name) = (self.position, &self.partition.name);
        if position < mark.earliest {
            let earliest = mark.earliest;
            return Err(PortError::new(
                ErrorKind::OutOfRange,
                format!(
                    "offsets {position}..{earliest} of partition {name} are gone, retention removed them; the first one \
                     kept is {earliest}"
                ),
            )
            .about(OffsetRange { partition: self.partition.number, from: position, to: earliest }));
        }
        if position > mark.next {
            let next = mark.next;
            return Err(PortError::new(
                ErrorKind::Stop,
                format!(
                    "position {position} of partition {name} lies behind the end of the log, {next}; the log lost \
                     records or is another one, compare its incarnation"
                ),
            )
            .about(OffsetRange { partition: self.partition.number, from: next, to: position }));
        }
        Ok(())
    }

    /// Delivers records of the open block.
    fn deliver(&mut self, budget: usize, out: &mut Fetched) -> usize {
        let open = &mut self.open;
        let mut used = 0;
        let mut rest = &open.raw[open.at..];
        while open.next < open.end && used < budget {
            let Some(record) = take_record(&mut rest, open.base_time_ms) else {
                add_gap(out, open.next, open.end, GapCause::Damaged);
                open.next = open.end;
                break;
            };
            out.records.push(open.next, record.timestamp_ms, -1, record.key, record.value, record.headers);
            let parts = [record.key, record.value, record.headers];
            used += parts.iter().flatten().map(|bytes| bytes.len()).sum::<usize>() + size_of::<RecordMeta>();
            open.next += 1;
        }
        open.at = open.raw.len() - rest.len();
        self.position = open.next;
        used
    }

    /// Goes to the next block, or to the next segment.
    fn step(&mut self, mark: &Mark, budget: usize, out: &mut Fetched) -> Result<Step, PortError> {
        if self.place.is_none() {
            if mark.base < 0 || self.position >= mark.next {
                return Ok(Step::Ended);
            }
            self.place = Some(self.find_place(mark)?);
            self.window.clear();
        }
        let Some(place) = &mut self.place else { return Ok(Step::Ended) };
        let end = self.partition.segment_end(place.base, mark)?;
        let stretch =
            Stretch { file: &place.file, tag: self.partition.tag, end: end.len, end_offset: end.next.max(place.base) };
        let failed = |e| self.partition.failed("read a segment", e);
        let Some(header) = self.window.next_header(&stretch, place.at).map_err(failed)? else {
            place.at = place.at.max(end.len);
            return Ok(self.end_segment(end, out));
        };
        place.at = header.position + header.block_len();
        if header.end_offset() <= self.position {
            return Ok(Step::Moved);
        }
        if header.first_offset > self.position {
            add_gap(out, self.position, header.first_offset, GapCause::Damaged);
            self.position = header.first_offset;
        }
        let ahead = end.len - header.position;
        let stored = self.window.stored(&stretch, &header).map_err(failed)?;
        if header.vouches_for(stored) && header.unpack(stored, &mut self.open.raw).is_some() {
            if out.records.is_empty() {
                out.records = room_for(&header, ahead, budget);
            }
            self.begin_block(&header, out);
        } else {
            add_gap(out, self.position, header.end_offset(), GapCause::Damaged);
            self.position = header.end_offset();
        }
        Ok(Step::Moved)
    }

    /// Makes the unpacked block the open one, from the position on.
    fn begin_block(&mut self, header: &Header, out: &mut Fetched) {
        let open = &mut self.open;
        open.next = header.first_offset;
        open.end = header.end_offset();
        open.base_time_ms = header.base_time_ms;
        let mut rest = &open.raw[..];
        while open.next < self.position {
            if take_record(&mut rest, header.base_time_ms).is_none() {
                add_gap(out, self.position, open.end, GapCause::Damaged);
                self.position = open.end;
                open.next = open.end;
                break;
            }
            open.next += 1;
        }
        open.at = open.raw.len() - rest.len();
    }

    /// All of a segment was looked at: what is missing up to its end was there once, what is missing from there to
    /// the next one never was (see `append.rs` on poisoned segments).
    fn end_segment(&mut self, end: SegmentEnd, out: &mut Fetched) -> Step {
        if self.position < end.next {
            add_gap(out, self.position, end.next, GapCause::Damaged);
            self.position = end.next;
        }
        let Some(following) = end.following else { return Step::Ended };
        if self.position < following {
            add_gap(out, self.position, following, GapCause::NoRecord);
            self.position = following;
        }
        self.place = None;
        Step::Moved
    }

    /// The segment that holds the position, or the first one behind it.
    fn find_place(&self, mark: &Mark) -> Result<Place, PortError> {
        let partition = &self.partition;
        for attempt in 0..2 {
            let segments = if attempt == 0 { partition.segments(mark)? } else { partition.list_segments()? };
            let usable = &segments[..segments.partition_point(|base| *base <= mark.base)];
            let above = usable.partition_point(|base| *base <= self.position);
            let Some(&base) = usable.get(above.saturating_sub(1)) else { continue };
            match partition.open_segment(base, Open::Read) {
                Ok(file) => {
                    let end = partition.segment_end(base, mark)?;
                    let stretch =
                        Stretch { file: &file, tag: partition.tag, end: end.len, end_offset: end.next.max(base) };
                    let at = partition.place_of(base, &stretch, self.position);
                    let at = at.map_err(|e| partition.failed("look for an offset", e))?;
                    return Ok(Place { base, file, at });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(partition.failed("open a segment", error)),
            }
        }
        if !partition.is_current()? {
            return Err(partition.removed());
        }
        self.check_position(&partition.mark()?)?;
        Err(PortError::new(
            ErrorKind::Corrupt,
            format!(
                "the segment of partition {} that holds offset {} is missing; restore it, or seek behind it and \
                 declare its offsets lost",
                partition.name, self.position
            ),
        ))
    }
}

/// Room for what is likely to come, judged by the first block.
fn room_for(header: &Header, ahead: u64, budget: usize) -> Records {
    let stored = u64::from(header.stored_len).max(1);
    let raw = u64::from(header.raw_len);
    let bytes = usize::try_from(ahead.saturating_mul(raw) / stored).unwrap_or(usize::MAX).min(budget).max(raw as usize);
    let record = (raw / u64::from(header.count).max(1)).max(1) as usize + size_of::<RecordMeta>();
    Records::with_capacity((bytes / record).max(header.count as usize).min(1 << 20), bytes.min(256 << 20))
}

/// Adds a gap, joined to the one before where they touch.
fn add_gap(out: &mut Fetched, from: i64, to: i64, cause: GapCause) {
    match out.gaps.last_mut() {
        Some(last) if last.to == from && last.cause == cause => last.to = to,
        _ => out.gaps.push(Gap { from, to, cause }),
    }
}
