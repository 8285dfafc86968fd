//! Rows of gold that belong to no window which closed: of windows that are still open, or on another date than theirs.
//!
//! A stretch reads the rows of its windows only; these would be in none. Only the columns of the key are read.

use super::eras::{Closed, Era};
use super::model::Model;
use super::provider::{WINDOW_START, column, in_file, utc_timestamp};
use super::show;
use super::stretches::{Dated, Stretch};
use crate::finding::{Code, Findings, Place};
use crate::lake::Table;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use std::collections::BTreeMap;

/// Windows that are judged, by day: starts `from..to`.
type Covered = BTreeMap<i32, Vec<(i64, i64)>>;

/// What is looked through, and what belongs there.
pub(super) struct Strays<'a> {
    /// The table.
    pub gold: &'a Table,
    /// The newest version: windows have one length, and rows one key, through all of them.
    pub model: &'a Model,
    /// What closed.
    pub closed: &'a Closed,
    /// Eras whose version is not known: their rows are not judged.
    pub unknown: &'a [Era],
    /// The stretches that will be judged.
    pub stretches: &'a [(i32, Stretch)],
}

impl Strays<'_> {
    /// Enters every stray row. Files that cannot be read are entered with their stretches.
    pub(super) fn find<'f, 'd: 'f>(&self, files: impl Iterator<Item = &'f Dated<'d>>, findings: &Findings) {
        let table = self.gold.name.to_string();
        let mut covered: Covered = BTreeMap::new();
        for (_, stretch) in self.stretches {
            covered.entry(stretch.day).or_default().push((stretch.from_us, stretch.to_us));
        }
        for file in files {
            let of_day = file.day.and_then(|day| covered.get(&day)).map_or(&[][..], Vec::as_slice);
            for batch in in_file(self.gold, file.file, self.model.keys()) {
                let Ok(batch) = batch else { break };
                self.in_batch(&batch, of_day, |row, why| {
                    let window = show::window_and_group(&batch, row, self.model.keys());
                    let place = Place::table(&table).in_file(&file.file.add.path).at_version(file.file.version);
                    findings.add(Code::WindowExtra, place.in_window(&window), why);
                });
            }
        }
    }

    fn in_batch(&self, batch: &RecordBatch, of_day: &[(i64, i64)], mut tell: impl FnMut(usize, String)) {
        let Ok(starts) = column(batch, WINDOW_START, &utc_timestamp()) else { return };
        let starts = starts.as_primitive::<TimestampMicrosecondType>();
        for row in 0..starts.len() {
            let start = starts.is_valid(row).then(|| starts.value(row));
            if let Some(why) = self.why(start, of_day) {
                tell(row, why);
            }
        }
    }

    /// Why a row is a stray, if it is.
    fn why(&self, start_us: Option<i64>, of_day: &[(i64, i64)]) -> Option<String> {
        let Some((start, end)) = start_us.and_then(|start| Some((start, start.checked_add(self.model.window_us())?)))
        else {
            return Some("the row has no window".to_owned());
        };
        let closed = self.closed.until_us();
        if closed.is_none_or(|closed| end > closed) {
            let until = closed.map_or_else(|| "none".to_owned(), |closed| format!("those to {}", show::time(closed)));
            return Some(format!("the window ends at {} and did not close: {until} did", show::time(end)));
        }
        let unknown = self.unknown.iter().any(|era| era.after_us < end && end <= era.until_us);
        if unknown || !self.closed.judges(end) {
            return None;
        }
        let judged = of_day.iter().any(|(from, to)| *from <= start && start < *to);
        (!judged).then(|| "no window starts then, or not on the date in whose files the row stands".to_owned())
    }
}
