//! Silver rows → open windows → closed windows → one gold commit.

use super::checkpoint::WindowCheckpoint;
use super::engine::{ModelPlan, WindowState};
use crate::feed::{DayRows, by_day, utc_day};
use crate::runtime::{CommitFailure, Committer, Draft, StreamIdentity};
use arrow::array::{ArrayRef, AsArray, Date32Array, Int32Array, RecordBatch, StringArray};
use arrow::compute::{concat_batches, filter_record_batch, not};
use arrow::datatypes::{Schema, SchemaRef, TimestampMicrosecondType};
use std::sync::Arc;
use watertight_core::books::{Layer, Took};
use watertight_core::port::{DataFile, ErrorKind, LakeTable, PortError};
use watertight_core::position::{PositionKey, PositionStep, Positions};
use watertight_core::schema::gold_extra_fields;
use watertight_state::StateFolder;

/// The columns of a model's table: its own, and ours.
#[must_use]
pub fn model_table_schema(plan: &ModelPlan) -> SchemaRef {
    let mut fields: Vec<_> = plan.output_schema().fields().iter().cloned().collect();
    fields.extend(gold_extra_fields().into_iter().map(Arc::new));
    Arc::new(Schema::new(fields))
}

/// One model. What is closed leaves the windows before it is committed: after a commit that failed, or whose end is not
/// known, the stage is dropped and another one opened, from what the table says by then.
pub struct GoldStage {
    table: Box<dyn LakeTable>,
    identity: StreamIdentity,
    state: WindowState,
    checkpoint: WindowCheckpoint,
    closed_until_us: Option<i64>,
    /// Since the commit before.
    took: Took,
}

/// How much of silver a stage's windows hold when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covers {
    /// Up to this version of silver, from the checkpoint.
    Version(u64),
    /// Nothing: they are to be rebuilt.
    Nothing,
}

impl GoldStage {
    /// Takes over the table and what the checkpoint has. The rest of silver's rows must be given to
    /// [`GoldStage::refold`], then [`GoldStage::settle`] called, before anything else.
    ///
    /// # Errors
    /// `Retry` where the state folder cannot be used for now, `Stop` where it cannot be used at all.
    pub fn open(
        table: Box<dyn LakeTable>,
        identity: StreamIdentity,
        plan: &Arc<ModelPlan>,
        state: &StateFolder,
        silver_version: u64,
    ) -> Result<(Self, Covers), PortError> {
        let closed_until_us = table.state().last_append.as_ref().and_then(|books| books.closed_until_us);
        let mut checkpoint = WindowCheckpoint::open(state, &identity.pipeline, plan.name())?;
        let loaded = checkpoint.load(plan, silver_version, closed_until_us);
        let covers = loaded.as_ref().map_or(Covers::Nothing, |(_, upto)| Covers::Version(*upto));
        let state = loaded.map_or_else(
            || closed_until_us.map_or_else(|| plan.open(), |closed| plan.open_after(closed)),
            |(state, _)| state,
        );
        Ok((Self { table, identity, state, checkpoint, closed_until_us, took: Took::default() }, covers))
    }

    /// Drops the windows that gold holds already: those closed after the checkpoint was made.
    ///
    /// # Errors
    /// The model's own failure.
    pub fn settle(&mut self) -> Result<(), PortError> {
        match self.closed_until_us {
            Some(closed) if self.state.has_closable(closed) => self.state.close(closed).map(drop).map_err(model_failed),
            _ => Ok(()),
        }
    }

    /// Saves the open windows now and then; `silver_version` is what they cover.
    pub fn save_if_due(&mut self, silver_version: u64) {
        self.checkpoint.save_if_due(&self.state, silver_version);
    }

    /// Saves the open windows: the run ends.
    pub fn save(&mut self, silver_version: u64) {
        self.checkpoint.save(&self.state, silver_version);
    }

    /// Windows that end at or before this are written.
    #[must_use]
    pub fn closed_until_us(&self) -> Option<i64> {
        self.closed_until_us
    }

    /// The open windows.
    #[must_use]
    pub fn state(&self) -> &WindowState {
        &self.state
    }

    /// Folds silver rows in; late ones are left out.
    ///
    /// # Errors
    /// The model's own failure: it stops, nothing else does.
    pub fn fold(&mut self, rows: &RecordBatch) -> Result<(), PortError> {
        let on_time = on_time(rows)?;
        if on_time.num_rows() == 0 {
            return Ok(());
        }
        self.state.fold(&on_time).map_err(model_failed)
    }

    /// Notes how long rows were folded, for the books of the next commit.
    pub fn note_folded(&mut self, took_us: u64) {
        *self.took.fold_us.get_or_insert(0) += took_us;
    }

    /// Closes and commits every window that ends at or before `watermark_us`. `positions` are all of silver's.
    ///
    /// # Errors
    /// See [`CommitFailure`].
    pub fn close(
        &mut self,
        watermark_us: i64,
        positions: &Positions,
        committer: &Committer<'_>,
    ) -> Result<(), CommitFailure> {
        if !self.state.has_closable(watermark_us) {
            return Ok(());
        }
        let mut watch = committer.stopwatch();
        let closed = self.state.close(watermark_us).map_err(model_failed)?;
        self.note_folded(watch.lap_us());
        let files = self.stage(&closed, committer)?;
        self.commit(files, closed.num_rows(), watermark_us, positions, committer)
    }

    /// Closes windows up to `until_us` and stages their rows without a commit: backfill, a stretch at a time.
    ///
    /// # Errors
    /// See [`CommitFailure`].
    pub fn close_staged(
        &mut self,
        until_us: i64,
        committer: &Committer<'_>,
    ) -> Result<(Vec<DataFile>, usize), CommitFailure> {
        if !self.state.has_closable(until_us) {
            return Ok((Vec::new(), 0));
        }
        let mut watch = committer.stopwatch();
        let closed = self.state.close(until_us).map_err(model_failed)?;
        self.note_folded(watch.lap_us());
        Ok((self.stage(&closed, committer)?, closed.num_rows()))
    }

    /// Commits staged files as everything that closed up to `closed_until_us`. Gold's positions become silver's: those
    /// of this life of the topic, and of earlier ones as far as they moved, since windows hold rows of those too.
    ///
    /// # Errors
    /// See [`CommitFailure`].
    pub fn commit(
        &mut self,
        files: Vec<DataFile>,
        rows: usize,
        closed_until_us: i64,
        positions: &Positions,
        committer: &Committer<'_>,
    ) -> Result<(), CommitFailure> {
        let mut books = self.identity.books(committer.fresh_id());
        books.rows = rows as u64;
        books.took = std::mem::take(&mut self.took);
        books.closed_until_us = Some(closed_until_us);
        let stored = &self.table.state().positions;
        let step = |(key, to): (&PositionKey, &i64)| {
            let from = stored.get(key).copied();
            let moves = from != Some(*to) || *key.incarnation == *self.identity.incarnation;
            moves.then(|| PositionStep { key: key.clone(), from, to: *to })
        };
        let steps = positions.iter().filter_map(step).collect();
        committer.append(self.table.as_mut(), Draft { layer: Layer::Gold, steps, files, books })?;
        self.closed_until_us = Some(closed_until_us);
        Ok(())
    }

    fn stage(&mut self, closed: &RecordBatch, committer: &Committer<'_>) -> Result<Vec<DataFile>, CommitFailure> {
        let mut watch = committer.stopwatch();
        let days =
            self.rows(closed).map_err(|e| PortError::caused(ErrorKind::Bug, "gold rows could not be built", e))?;
        *self.took.build_us.get_or_insert(0) += watch.lap_us();
        let table = &mut self.table;
        days.iter().map(|(day, rows)| committer.retry("stage gold", || table.stage(*day, rows))).collect()
    }

    fn rows(&self, closed: &RecordBatch) -> Result<Vec<DayRows>, arrow::error::ArrowError> {
        let starts =
            closed.column_by_name("window_start").map(|c| c.as_primitive::<TimestampMicrosecondType>().clone());
        let days: Vec<i32> = starts.iter().flat_map(|s| s.values().iter().map(|start| utc_day(*start))).collect();
        let rows = closed.num_rows();
        let columns = self.table.columns();
        let column = |field: &Arc<arrow::datatypes::Field>| -> ArrayRef {
            match field.name().as_str() {
                "_computed_by" => Arc::new(StringArray::from_iter_values(std::iter::repeat_n("stream", rows))),
                "_model_version" => Arc::new(Int32Array::from_value(self.identity.definition, rows)),
                "_window_date" => Arc::new(Date32Array::from(days.clone())),
                name => closed
                    .column_by_name(name)
                    .map_or_else(|| arrow::array::new_null_array(field.data_type(), rows), Arc::clone),
            }
        };
        let all = RecordBatch::try_new(columns.clone(), columns.fields().iter().map(column).collect())?;
        by_day(&all, days.into_iter())
    }

    /// Folds rows read back from silver whose windows are not closed yet: late rows and closed windows are left out.
    ///
    /// # Errors
    /// The model's own failure.
    pub fn refold(&mut self, rows: &[RecordBatch], window_us: i64) -> Result<(), PortError> {
        let Some(first) = rows.first() else { return Ok(()) };
        let all = concat_batches(first.schema_ref(), rows).map_err(|e| arrow_failed(&e))?;
        let open = match self.closed_until_us {
            None => all,
            Some(closed) => still_open(&all, closed, window_us)?,
        };
        self.fold(&open)
    }
}

fn still_open(rows: &RecordBatch, closed_until_us: i64, window_us: i64) -> Result<RecordBatch, PortError> {
    let Some(times) = rows.column_by_name("_event_time") else {
        return Err(PortError::new(ErrorKind::Bug, "silver rows come without _event_time"));
    };
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let end = |time: i64| time.div_euclid(window_us).saturating_add(1).saturating_mul(window_us);
    let mask = arrow::array::BooleanArray::from_iter(times.values().iter().map(|t| Some(end(*t) > closed_until_us)));
    filter_record_batch(rows, &mask).map_err(|e| arrow_failed(&e))
}

fn on_time(rows: &RecordBatch) -> Result<RecordBatch, PortError> {
    let Some(late) = rows.column_by_name("_is_late_arriving") else {
        return Err(PortError::new(ErrorKind::Bug, "silver rows come without _is_late_arriving"));
    };
    let late = late.as_boolean();
    if late.true_count() == 0 {
        return Ok(rows.clone());
    }
    let keep = not(late).map_err(|e| arrow_failed(&e))?;
    filter_record_batch(rows, &keep).map_err(|e| arrow_failed(&e))
}

fn arrow_failed(error: &arrow::error::ArrowError) -> PortError {
    PortError::new(ErrorKind::Bug, format!("gold rows could not be selected: {error}"))
}

fn model_failed(error: super::engine::ModelError) -> PortError {
    PortError::caused(ErrorKind::Stop, format!("{error}"), error)
}
