//! Judged records → what a silver commit will hold, record by record in offset order: time, then duplicates.
//!
//! A fold may stop before the end of a chunk: at the record that would touch one event date too many. What was
//! folded is then committed, and the rest goes into the next commit; the rows are the same either way.

use super::judge::Judged;
use super::time::StreamTime;
use crate::feed::{Chunk, utc_day};
use crate::runtime::unusable;
use arrow::array::{Array, BooleanArray, RecordBatch};
use std::collections::{BTreeMap, BTreeSet};
use watertight_core::books::{Checksum, Entry, Outcome, TimeDecision};
use watertight_core::port::{Gap, GapCause, PortError};
use watertight_decode::{Decoded, EXTRA_COLUMN};
use watertight_state::{DuplicateIndex, IdKey, Seen};

/// Most event dates that one commit touches: each is a file.
const EVENT_DATES_MAX: usize = 64;

/// Silver rows of one chunk and one event date, as far as it was folded.
#[derive(Debug)]
pub struct Piece {
    /// Event date of all its rows, days since the epoch.
    pub day: i32,
    /// Declared columns and `_extra` of the kept rows.
    pub columns: RecordBatch,
    /// Event ids of the kept rows.
    pub event_ids: arrow::array::StringArray,
    /// Per kept row.
    pub meta: Vec<RowMeta>,
}

/// What silver adds to a row.
#[derive(Debug, Clone, Copy)]
pub struct RowMeta {
    /// Event time, microseconds.
    pub event_time_us: i64,
    /// Log timestamp, microseconds.
    pub log_time_us: i64,
    /// Below its partition's watermark.
    pub late: bool,
    /// Beyond the tolerated future.
    pub future: bool,
    /// Partition number.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
}

/// A dead letter, by where its record is.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// Index into the chunks of the epoch.
    pub chunk: usize,
    /// Record within the chunk.
    pub row: usize,
    /// Stable codes.
    pub reasons: Vec<String>,
}

/// What one commit will hold.
#[derive(Debug, Default)]
pub struct Folded {
    /// Silver rows.
    pub pieces: Vec<Piece>,
    /// Dead letters.
    pub dead_letters: Vec<DeadLetter>,
    /// Books by partition.
    pub entries: BTreeMap<i32, Entry>,
    /// Decisions taken while folding.
    pub decisions: Vec<TimeDecision>,
    /// Keys that are new with this commit.
    pub keys: Vec<IdKey>,
    dates: BTreeSet<i32>,
}

impl Folded {
    /// Nothing folded yet, but decisions already taken.
    #[must_use]
    pub fn with_decisions(decisions: Vec<TimeDecision>) -> Self {
        Self { decisions, ..Self::default() }
    }

    /// Enters where a partition begins, of which nothing is covered yet.
    pub fn begin(&mut self, partition: i32, at: i64) {
        let begun = Entry { partition, from: at, to: at, ..Entry::default() };
        self.entries.entry(partition).or_insert(begun);
    }

    /// Whether a commit would say anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.decisions.is_empty()
    }
}

/// The state a fold works on.
pub struct SilverFold<'a> {
    /// Watermarks.
    pub time: &'a mut StreamTime,
    /// Ids that silver holds.
    pub index: &'a mut DuplicateIndex,
}

impl SilverFold<'_> {
    /// Folds records `from_row..` of a chunk into `folded`; returns the record to go on with after a commit, or
    /// `None` when the chunk is done.
    ///
    /// # Errors
    /// When the duplicate index cannot be asked.
    pub fn fold(
        &mut self,
        number: usize,
        chunk: &Chunk,
        judged: &Judged,
        from_row: usize,
        folded: &mut Folded,
    ) -> Result<Option<usize>, PortError> {
        if from_row == 0 && !chunk.records.is_empty() {
            folded.decisions.extend(self.time.wake(chunk.partition, chunk.records.metas()[0].offset));
        }
        let first_valid = judged.rows.partition_point(|row| (*row as usize) < from_row);
        let mut reject = judged.rejected.partition_point(|r| (r.row as usize) < from_row);
        let mut valid = first_valid;
        let mut meta = Vec::new();
        let mut keep = vec![false; judged.rows.len()];
        let mut outcome = Outcome::default();
        let mut sum = Checksum::default();
        let mut stopped_at = None;
        let extra = judged.columns.column_by_name(EXTRA_COLUMN);
        for (row, record) in chunk.records.metas().iter().enumerate().skip(from_row) {
            let event_time_us = judged.event_time_us[row];
            let is_valid = judged.rows.get(valid).is_some_and(|v| *v as usize == row);
            if is_valid && !self.admit_date(event_time_us, &mut folded.dates) {
                stopped_at = Some(row);
                break;
            }
            let log_time_us = record.timestamp_ms.saturating_mul(1000);
            let judgement = if event_time_us == Decoded::NO_TIME {
                None
            } else {
                Some(self.time.observe(chunk.partition, event_time_us, log_time_us.min(chunk.ingested_at_us)))
            };
            outcome.records += 1;
            sum.add(chunk.checksums[row]);
            if is_valid {
                let key = judged.keys[valid];
                match self.index.insert(key).map_err(unusable)? {
                    Seen::Duplicate => outcome.duplicates += 1,
                    Seen::New => {
                        let (late, future) = judgement.map_or((false, false), |j| (j.late, j.future));
                        keep[valid] = true;
                        folded.keys.push(key);
                        outcome.silver += 1;
                        outcome.late += u64::from(late);
                        outcome.future += u64::from(future);
                        outcome.unknown_fields += u64::from(extra.is_some_and(|extra| extra.is_valid(valid)));
                        let (partition, offset) = (chunk.partition, record.offset);
                        meta.push(RowMeta { event_time_us, log_time_us, late, future, partition, offset });
                    }
                }
                valid += 1;
            } else {
                let reasons = judged.rejected.get(reject).map(|r| r.reasons.clone()).unwrap_or_default();
                reject += 1;
                outcome.dead_letters += 1;
                folded.dead_letters.push(DeadLetter { chunk: number, row, reasons });
            }
        }
        let from = if from_row == 0 { chunk.from } else { chunk.records.metas()[from_row].offset };
        // Stopped where it began, nothing is folded: a gap before that record is covered when it goes on from there.
        let to = match stopped_at {
            None => chunk.to,
            Some(row) if row == from_row => from,
            Some(row) => chunk.records.metas()[row].offset,
        };
        enter(folded, chunk, (from, to), outcome, sum);
        if !meta.is_empty() {
            folded.pieces.extend(pieces(judged, &keep, meta)?);
        }
        Ok(stopped_at)
    }

    fn admit_date(&self, event_time_us: i64, dates: &mut BTreeSet<i32>) -> bool {
        let day = utc_day(event_time_us);
        if dates.contains(&day) {
            return true;
        }
        dates.len() < EVENT_DATES_MAX && dates.insert(day)
    }
}

fn enter(folded: &mut Folded, chunk: &Chunk, (from, to): (i64, i64), mut outcome: Outcome, sum: Checksum) {
    if from == to {
        return;
    }
    (outcome.no_record, outcome.lost) = chunk.without_record(from, to);
    let partition = chunk.partition;
    let entry =
        folded.entries.entry(partition).or_insert_with(|| Entry { partition, from, to: from, ..Entry::default() });
    entry.to = to;
    entry.outcome.add(&outcome);
    entry.checksum.add(sum.0);
    let lost = chunk.gaps.iter().filter(|gap| gap.cause != GapCause::NoRecord);
    let inside = lost.map(|gap| Gap { from: gap.from.max(from), to: gap.to.min(to), ..*gap });
    entry.gaps.extend(inside.filter(|gap| gap.from < gap.to));
}

/// The rows to keep, by event date, so that each is copied out of its chunk once; within a date their order stays. There
/// is one `meta` for each.
fn pieces(judged: &Judged, keep: &[bool], meta: Vec<RowMeta>) -> Result<Vec<Piece>, PortError> {
    let mut days: BTreeMap<i32, (Vec<bool>, Vec<RowMeta>)> = BTreeMap::new();
    let kept = keep.iter().enumerate().filter(|(_, keep)| **keep);
    for ((row, _), meta) in kept.zip(meta) {
        let nothing = || (vec![false; keep.len()], Vec::new());
        let (mask, rows) = days.entry(utc_day(meta.event_time_us)).or_insert_with(nothing);
        mask[row] = true;
        rows.push(meta);
    }
    days.into_iter().map(|(day, (mask, meta))| piece(judged, day, mask, meta)).collect()
}

fn piece(judged: &Judged, day: i32, keep: Vec<bool>, meta: Vec<RowMeta>) -> Result<Piece, PortError> {
    use watertight_core::port::ErrorKind;
    let failed = |e| PortError::caused(ErrorKind::Bug, "silver rows could not be selected", e);
    if meta.len() == keep.len() {
        return Ok(Piece { day, columns: judged.columns.clone(), event_ids: judged.event_ids.clone(), meta });
    }
    let mask = BooleanArray::from(keep);
    let columns = arrow::compute::filter_record_batch(&judged.columns, &mask).map_err(failed)?;
    let event_ids = arrow::compute::filter(&judged.event_ids, &mask).map_err(failed)?;
    Ok(Piece { day, columns, event_ids: arrow::array::AsArray::as_string::<i32>(&event_ids).clone(), meta })
}
