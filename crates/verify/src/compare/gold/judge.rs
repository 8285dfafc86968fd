//! One stretch of windows: computed anew from silver, and held against the rows of gold.
//!
//! Rows that say `_computed_by = 'batch'` are held against the SQL over all rows of their windows, late ones too; the
//! others against the SQL over the rows that were on time. Of windows that late rows fall in, a note says what they
//! would change.

use super::difference::{Difference, differences};
use super::eras::Closed;
use super::model::{Failure, Model};
use super::provider::{Late, Rows, Selection, WINDOW_END, WINDOW_START, Which};
use super::show;
use super::stretches::Stretch;
use crate::finding::{Code, Findings, Place};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, RecordBatch, StringArray};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::error::ArrowError;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What `_computed_by` says of rows that were computed in batch.
const BATCH: &str = "batch";
/// What it says of the others.
const STREAM: &str = "stream";

/// Rows of gold.
#[derive(Debug)]
pub(super) struct Found {
    /// The model's columns.
    pub rows: RecordBatch,
    /// `_computed_by` of each.
    pub computed_by: StringArray,
    /// `_model_version` of each.
    pub versions: Int32Array,
    /// From which row on rows are of which file, and the version of the table that added it.
    pub files: Vec<(usize, String, u64)>,
}

/// What a version of a model is judged with.
pub(super) struct Judge<'a> {
    /// `gold.<model>`.
    pub table: &'a str,
    /// The version.
    pub version: i32,
    /// Planned.
    pub model: &'a Model,
    /// What closed when.
    pub closed: &'a Closed,
    /// Silver's offsets by partition up to which gold was made.
    pub below: &'a BTreeMap<i32, i64>,
    /// Where what is found goes.
    pub findings: &'a Findings,
}

/// What was computed for a stretch.
struct Computed {
    /// From the rows that were on time.
    on_time: RecordBatch,
    /// From all rows, of the windows that late rows fall in, or that stand in gold as computed in batch.
    all: RecordBatch,
    /// Late rows by window.
    late: Late,
}

impl Judge<'_> {
    /// Judges the windows of a stretch; the number of windows and groups that were compared.
    ///
    /// # Errors
    /// [`Failure`]: nothing was judged.
    pub(super) fn stretch(&self, stretch: Stretch, silver: &Arc<dyn Rows>, found: &Found) -> Result<u64, Failure> {
        let in_batch = in_batch(found);
        let computed = self.compute(stretch, silver, &in_batch)?;
        let compared = self.compare(&computed, &in_batch, found).map_err(|_| unlike())?;
        self.note_late(&computed, &in_batch).map_err(|_| unlike())?;
        Ok(compared)
    }

    fn compute(&self, stretch: Stretch, silver: &Arc<dyn Rows>, in_batch: &BTreeSet<i64>) -> Result<Computed, Failure> {
        let Stretch { from_us, to_us, .. } = stretch;
        let pass = |which| {
            let selection = Selection { window_us: self.model.window_us(), from_us, to_us, which };
            self.model.run(Arc::clone(silver), selection)
        };
        let (on_time, late) = pass(Which::OnTime(self.below.clone()))?;
        let both: BTreeSet<i64> = late.keys().copied().chain(in_batch.iter().copied()).collect();
        let all = if both.is_empty() { on_time.slice(0, 0) } else { pass(Which::All(both))?.0 };
        Ok(Computed { on_time, all, late })
    }

    fn compare(&self, computed: &Computed, in_batch: &BTreeSet<i64>, found: &Found) -> Result<u64, ArrowError> {
        let streamed = only(&computed.on_time, |start| !in_batch.contains(&start))?;
        let batch = only(&computed.all, |start| in_batch.contains(&start))?;
        let expected = concat_batches(self.model.columns(), [&streamed, &batch])?;
        let (keys, skipped) = (self.model.keys(), self.model.approximate());
        self.check_marks(found);
        differences(&expected, &found.rows, keys, skipped, |difference| self.enter(&expected, found, difference))?;
        Ok(expected.num_rows() as u64)
    }

    fn enter(&self, expected: &RecordBatch, found: &Found, difference: Difference) {
        match difference {
            Difference::Missing { expected: row } => {
                let mut place = Place::table(self.table).in_window(&self.window(expected, row));
                if let Some(version) = self.closed_by(expected, row) {
                    place = place.at_version(version);
                }
                let what = format!("version {} of the model over silver gives this row, gold has none", self.version);
                self.findings.add(Code::WindowMissing, place, what);
            }
            Difference::Extra { found: row } => {
                let what = format!("gold has this row, version {} of the model over silver gives none", self.version);
                self.findings.add(Code::WindowExtra, self.place(found, row), what);
            }
            Difference::Doubled { found: row, times } => {
                let what = format!("gold has the window and group {times} times, it should be there once");
                self.findings.add(Code::WindowDoubled, self.place(found, row), what);
            }
            Difference::Different { found: row, changed } => {
                for changed in changed {
                    let what = format!("the model over silver gives {}, gold has {}", changed.expected, changed.found);
                    let place = self.place(found, row).in_column(&changed.column);
                    self.findings.add(Code::WindowDifferent, place, what);
                }
            }
        }
    }

    /// The columns that say how a row came to be.
    fn check_marks(&self, found: &Found) {
        for row in 0..found.rows.num_rows() {
            let by = found.computed_by.is_valid(row).then(|| found.computed_by.value(row));
            if !matches!(by, Some(STREAM | BATCH)) {
                let place = self.place(found, row).in_column("_computed_by");
                self.findings.add(Code::WindowDifferent, place, "it is neither stream nor batch");
            }
            let version = found.versions.is_valid(row).then(|| found.versions.value(row));
            if by != Some(BATCH) && version != Some(self.version) {
                let named = version.map_or_else(|| "none".to_owned(), |version| format!("version {version}"));
                let what = format!("version {} of the model closed the window, the row names {named}", self.version);
                self.findings.add(Code::WindowDifferent, self.place(found, row).in_column("_model_version"), what);
            }
        }
    }

    fn note_late(&self, computed: &Computed, in_batch: &BTreeSet<i64>) -> Result<(), ArrowError> {
        let late = |start: i64| computed.late.contains_key(&start) && !in_batch.contains(&start);
        let (before, after) = (only(&computed.on_time, late)?, only(&computed.all, late)?);
        let (keys, skipped) = (self.model.keys(), self.model.approximate());
        // Late rows are counted by window: which group each would fall in only the model's SQL says.
        let is_group = |key: &String| key != WINDOW_START && key != WINDOW_END;
        let of_all = if keys.iter().any(is_group) { ", in any of its groups" } else { "" };
        differences(&before, &after, keys, skipped, |difference| {
            let (rows, row, would) = match difference {
                Difference::Missing { expected } => (&before, expected, "the row would not be there".to_owned()),
                Difference::Extra { found } => {
                    (&after, found, format!("there would be a row: {}", self.values(&after, found)))
                }
                Difference::Doubled { found, .. } => (&after, found, "there would be another row".to_owned()),
                Difference::Different { found, changed } => {
                    let changes = changed.iter().map(|changed| {
                        let grown = show::growth(&changed.expected, &changed.found);
                        let grown = grown.map(|grown| format!(" ({grown})")).unwrap_or_default();
                        format!("{} {} → {}{grown}", changed.column, changed.expected, changed.found)
                    });
                    (&after, found, changes.collect::<Vec<_>>().join(", "))
                }
            };
            let count = start_of(rows, row).and_then(|start| computed.late.get(&start)).copied().unwrap_or(0);
            let late_rows = if count == 1 { "late row" } else { "late rows" };
            let what = format!("{count} {late_rows} fell in the window{of_all}; with all rows: {would}");
            let place = Place::table(self.table).in_window(&self.window(rows, row));
            self.findings.add(Code::WindowLate, place, what);
        })
    }

    fn values(&self, rows: &RecordBatch, row: usize) -> String {
        let fields = rows.schema_ref().fields().iter().zip(rows.columns());
        let values = fields.filter(|(field, _)| !self.model.keys().contains(field.name()));
        let shown = values.map(|(field, column)| format!("{} {}", field.name(), show::value(column, row)));
        shown.collect::<Vec<_>>().join(", ")
    }

    fn window(&self, rows: &RecordBatch, row: usize) -> String {
        show::window_and_group(rows, row, self.model.keys())
    }

    fn closed_by(&self, rows: &RecordBatch, row: usize) -> Option<u64> {
        self.closed.closed_by(start_of(rows, row)?.checked_add(self.model.window_us())?)
    }

    /// Where a row of gold stands.
    fn place(&self, found: &Found, row: usize) -> Place {
        let place = Place::table(self.table).in_window(&self.window(&found.rows, row));
        let after = found.files.partition_point(|(first, ..)| *first <= row);
        match after.checked_sub(1).and_then(|index| found.files.get(index)) {
            Some((_, path, version)) => place.in_file(path).at_version(*version),
            None => place,
        }
    }
}

fn unlike() -> Failure {
    Failure::Query("its results cannot be compared with the rows of the table".to_owned())
}

/// Windows of which gold has rows that were computed in batch.
fn in_batch(found: &Found) -> BTreeSet<i64> {
    let of_batch = |row: &usize| found.computed_by.is_valid(*row) && found.computed_by.value(*row) == BATCH;
    (0..found.rows.num_rows()).filter(of_batch).filter_map(|row| start_of(&found.rows, row)).collect()
}

fn starts(rows: &RecordBatch) -> Option<&ArrayRef> {
    rows.column_by_name(WINDOW_START)
}

fn start_of(rows: &RecordBatch, row: usize) -> Option<i64> {
    let starts = starts(rows)?.as_primitive_opt::<TimestampMicrosecondType>()?;
    starts.is_valid(row).then(|| starts.value(row))
}

/// The rows of some windows.
fn only(rows: &RecordBatch, window: impl Fn(i64) -> bool) -> Result<RecordBatch, ArrowError> {
    let keep: BooleanArray = (0..rows.num_rows()).map(|row| Some(start_of(rows, row).is_some_and(&window))).collect();
    filter_record_batch(rows, &keep)
}
