//! The open windows of a model.
//!
//! A fold's partial aggregates are kept as they come (*pending*, all windows mixed), because merging them into all
//! that is open at every fold would cost as much as there are groups. When enough are pending they are merged,
//! split by window, and become a *run* of their window. A window's runs are merged when the newest ones together
//! weigh half of the next older one or more, so that a group is merged a logarithmic number of times. Closing a
//! window takes its runs and its share of what is pending, and touches no other window.
//!
//! Contract: rows come out once, when their window closes, and only then. What failed once is refused from then on.

use super::error::ModelError;
use super::plan::ModelPlan;
use super::window::micros;
use arrow::array::{BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{filter_record_batch, take_record_batch};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows of partial aggregates that may be pending: a merge then costs little per row, and a start after a crash
/// that finds them in a checkpoint has little to merge.
pub const PENDING_ROWS_MAX: usize = 65_536;
/// Pending batches: each costs a look when windows close.
pub const PENDING_BATCHES_MAX: usize = 256;
/// Pending bytes: median and count(distinct) keep their values in few rows.
pub const PENDING_BYTES_MAX: usize = 64 << 20;
/// Bytes of a model's open windows after merging. Beyond it the model stops with advice, and the others go on.
pub const STATE_BYTES_MAX: usize = 1 << 30;

/// Partial aggregates of the open windows of one model. Not shared: one thread folds and closes.
#[derive(Debug)]
pub struct WindowState {
    plan: Arc<ModelPlan>,
    closed_until_us: i64,
    windows: BTreeMap<i64, Window>,
    pending: Vec<Pending>,
    pending_rows: usize,
    pending_bytes: usize,
    run_bytes: usize,
    bytes_max: usize,
    broken: bool,
}

/// An open window, known by its start. It has no runs while all its rows are pending.
#[derive(Debug, Default)]
struct Window {
    runs: Vec<Run>,
}

#[derive(Debug)]
struct Run {
    rows: RecordBatch,
    bytes: usize,
}

#[derive(Debug)]
struct Pending {
    rows: RecordBatch,
    first_start_us: i64,
}

impl WindowState {
    pub(super) fn new(plan: Arc<ModelPlan>, closed_until_us: i64) -> Self {
        Self {
            plan,
            closed_until_us,
            windows: BTreeMap::new(),
            pending: Vec::new(),
            pending_rows: 0,
            pending_bytes: 0,
            run_bytes: 0,
            bytes_max: STATE_BYTES_MAX,
            broken: false,
        }
    }

    /// Sets another bound than [`STATE_BYTES_MAX`].
    #[must_use]
    pub fn with_bytes_max(mut self, bytes_max: usize) -> Self {
        self.bytes_max = bytes_max;
        self
    }

    /// The plan that this state belongs to.
    #[must_use]
    pub fn plan(&self) -> &Arc<ModelPlan> {
        &self.plan
    }

    /// Windows that end here or earlier (µs since the epoch) are closed; `i64::MIN` before the first close.
    #[must_use]
    pub fn closed_until_us(&self) -> i64 {
        self.closed_until_us
    }

    /// Number of open windows that hold rows.
    #[must_use]
    pub fn open_windows(&self) -> usize {
        self.windows.len()
    }

    /// End of the earliest open window, µs since the epoch.
    #[must_use]
    pub fn earliest_end_us(&self) -> Option<i64> {
        self.windows.first_key_value().map(|(start, _)| start.saturating_add(self.plan.window_us()))
    }

    /// End of the latest open window, µs since the epoch.
    #[must_use]
    pub fn latest_end_us(&self) -> Option<i64> {
        self.windows.last_key_value().map(|(start, _)| start.saturating_add(self.plan.window_us()))
    }

    /// Whether [`Self::close`] at `until_us` would find a window to close.
    #[must_use]
    pub fn has_closable(&self, until_us: i64) -> bool {
        self.earliest_end_us().is_some_and(|end| end <= until_us)
    }

    /// Rows of partial aggregates held; at least the number of groups in open windows.
    #[must_use]
    pub fn state_rows(&self) -> usize {
        let runs = self.windows.values().flat_map(|window| &window.runs);
        self.pending_rows + runs.map(|run| run.rows.num_rows()).sum::<usize>()
    }

    /// Bytes of partial aggregates held.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        self.pending_bytes + self.run_bytes
    }

    /// Whether an earlier call failed, so that this state must be rebuilt from silver.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Folds rows of silver that are not late, each exactly once, in any order.
    ///
    /// # Errors
    /// Any [`ModelError`] means that the batch is not folded; the state then is broken and refuses every call.
    pub fn fold(&mut self, silver_rows: &RecordBatch) -> Result<(), ModelError> {
        self.attempt(|state| {
            let rows = state.plan.with_windows(silver_rows)?;
            let ends = micros(rows.column(rows.num_columns() - 1));
            if let Some(end) = ends.iter().find(|end| **end <= state.closed_until_us) {
                return Err(ModelError::WindowClosed {
                    model: state.plan.name().to_owned(),
                    window_end_us: *end,
                    closed_until_us: state.closed_until_us,
                });
            }
            state.take_in(rows)
        })
    }

    /// Folds those of the rows whose windows are open, and returns how many those are: for rebuilding a lost state
    /// from silver, which still has the rows of closed windows.
    ///
    /// # Errors
    /// As [`Self::fold`].
    pub fn fold_open(&mut self, silver_rows: &RecordBatch) -> Result<usize, ModelError> {
        self.attempt(|state| {
            let rows = state.plan.with_windows(silver_rows)?;
            let ends = micros(rows.column(rows.num_columns() - 1));
            let open: BooleanArray = ends.iter().map(|end| Some(*end > state.closed_until_us)).collect();
            let rows = filter_record_batch(&rows, &open).map_err(|error| state.plan.defect(&error))?;
            let count = rows.num_rows();
            state.take_in(rows)?;
            Ok(count)
        })
    }

    /// Closes every window that ends at `until_us` (µs since the epoch) or earlier and returns its rows, after
    /// HAVING, sorted by the key columns. No rows if there is no such window.
    ///
    /// # Errors
    /// Any [`ModelError`] means that nothing is closed; the state then is broken and refuses every call.
    pub fn close(&mut self, until_us: i64) -> Result<RecordBatch, ModelError> {
        self.attempt(|state| {
            if !state.has_closable(until_us) {
                state.closed_until_us = state.closed_until_us.max(until_us);
                return Ok(RecordBatch::new_empty(state.plan.output_schema()));
            }
            let length = state.plan.window_us();
            let closing = |start: i64| start.saturating_add(length) <= until_us;
            let mut parts = Vec::new();
            let mut staying = Vec::new();
            for pending in &state.pending {
                if !closing(pending.first_start_us) {
                    staying.push(pending.rows.clone());
                    continue;
                }
                let starts = micros(pending.rows.column(state.plan.window_column()));
                let mask: BooleanArray = starts.iter().map(|start| Some(closing(*start))).collect();
                let open = arrow::compute::not(&mask).map_err(|error| state.plan.defect(&error))?;
                for (to, mask) in [(&mut parts, mask), (&mut staying, open)] {
                    to.push(filter_record_batch(&pending.rows, &mask).map_err(|error| state.plan.defect(&error))?);
                }
            }
            let closed = state.windows.range(..).take_while(|(start, _)| closing(**start));
            parts.extend(closed.flat_map(|(_, window)| &window.runs).map(|run| run.rows.clone()));
            parts.retain(|part| part.num_rows() > 0);
            let rows = state.plan.finish(parts)?;

            // Nothing below fails: the windows are closed as a whole or not at all.
            state.windows.retain(|start, _| !closing(*start));
            state.run_bytes = state.windows.values().flat_map(|window| &window.runs).map(|run| run.bytes).sum();
            state.set_pending(staying);
            state.closed_until_us = state.closed_until_us.max(until_us);
            Ok(rows)
        })
    }

    /// Closes all open windows: the end of the input, or a decision recorded as such. They stay closed.
    ///
    /// # Errors
    /// As [`Self::close`].
    pub fn close_all(&mut self) -> Result<RecordBatch, ModelError> {
        let until_us = self.latest_end_us().unwrap_or(self.closed_until_us);
        self.close(until_us)
    }

    /// All partial aggregates, for a checkpoint.
    pub(super) fn parts(&self) -> Result<Vec<RecordBatch>, ModelError> {
        if self.broken {
            return Err(ModelError::Broken { model: self.plan.name().to_owned() });
        }
        let runs = self.windows.values().flat_map(|window| &window.runs).map(|run| &run.rows);
        Ok(runs.chain(self.pending.iter().map(|pending| &pending.rows)).cloned().collect())
    }

    /// Takes partial aggregates in, as a checkpoint gave them back.
    pub(super) fn restore(&mut self, parts: Vec<RecordBatch>) -> Result<(), ModelError> {
        self.attempt(|state| {
            state.add_pending(parts);
            if state.must_merge() { state.merge() } else { Ok(()) }
        })
    }

    fn attempt<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, ModelError>) -> Result<T, ModelError> {
        if self.broken {
            return Err(ModelError::Broken { model: self.plan.name().to_owned() });
        }
        // Broken until shown otherwise: a panic in our own code must not leave a state that looks whole.
        self.broken = true;
        let result = work(self);
        self.broken = result.is_err();
        result
    }

    fn take_in(&mut self, rows: RecordBatch) -> Result<(), ModelError> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let partial = self.plan.partial(rows)?;
        self.add_pending(partial);
        if self.must_merge() { self.merge() } else { Ok(()) }
    }

    fn must_merge(&self) -> bool {
        self.pending_rows > PENDING_ROWS_MAX
            || self.pending.len() > PENDING_BATCHES_MAX
            || self.pending_bytes > PENDING_BYTES_MAX.min(self.bytes_max)
    }

    fn add_pending(&mut self, batches: Vec<RecordBatch>) {
        for rows in batches {
            let starts = micros(rows.column(self.plan.window_column()));
            let mut last = None;
            for start in starts {
                if last != Some(*start) {
                    self.windows.entry(*start).or_default();
                    last = Some(*start);
                }
            }
            let Some(first_start_us) = starts.iter().copied().min() else { continue };
            self.pending_rows += rows.num_rows();
            self.pending_bytes += rows.get_array_memory_size();
            self.pending.push(Pending { rows, first_start_us });
        }
    }

    fn set_pending(&mut self, batches: Vec<RecordBatch>) {
        self.pending.clear();
        (self.pending_rows, self.pending_bytes) = (0, 0);
        self.add_pending(batches);
    }

    /// Merges what is pending into runs, and runs into longer ones where that is due.
    fn merge(&mut self) -> Result<(), ModelError> {
        let pending = self.pending.iter().map(|pending| pending.rows.clone()).collect();
        let reduced = self.plan.reduce(pending)?;
        for (start, rows) in self.by_window(&reduced)? {
            self.add_run(start, rows);
        }
        self.set_pending(Vec::new());

        let mut due = Vec::new();
        for (start, window) in &self.windows {
            let from = window.merge_from();
            if from + 1 < window.runs.len() {
                due.push((*start, from));
            }
        }
        if !due.is_empty() {
            let runs = due.iter().flat_map(|(start, from)| &self.windows[start].runs[*from..]);
            let merged = self.plan.reduce(runs.map(|run| run.rows.clone()).collect())?;
            let merged = self.by_window(&merged)?;
            for (start, from) in due {
                if let Some(window) = self.windows.get_mut(&start) {
                    self.run_bytes -= window.runs.drain(from..).map(|run| run.bytes).sum::<usize>();
                }
            }
            for (start, rows) in merged {
                self.add_run(start, rows);
            }
        }
        if self.run_bytes > self.bytes_max {
            return Err(ModelError::StateTooLarge {
                model: self.plan.name().to_owned(),
                bytes: self.run_bytes,
                bytes_max: self.bytes_max,
            });
        }
        Ok(())
    }

    fn add_run(&mut self, start: i64, rows: RecordBatch) {
        let bytes = rows.get_array_memory_size();
        self.run_bytes += bytes;
        self.windows.entry(start).or_default().runs.push(Run { rows, bytes });
    }

    /// Splits by window. Each part is a copy: a slice would keep all windows' memory until the last one closes.
    fn by_window(&self, batches: &[RecordBatch]) -> Result<Vec<(i64, RecordBatch)>, ModelError> {
        let mut parts = Vec::new();
        for rows in batches {
            let mut indices: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
            for (row, start) in micros(rows.column(self.plan.window_column())).iter().enumerate() {
                indices.entry(*start).or_default().push(row as u32);
            }
            for (start, indices) in indices {
                let part = take_record_batch(rows, &UInt32Array::from(indices));
                parts.push((start, part.map_err(|error| self.plan.defect(&error))?));
            }
        }
        Ok(parts)
    }
}

impl Window {
    /// The first of the runs at the end that are due to be merged into one.
    fn merge_from(&self) -> usize {
        let mut from = self.runs.len().saturating_sub(1);
        let mut bytes = self.runs.last().map_or(0, |run| run.bytes);
        while from > 0 && bytes.saturating_mul(2) >= self.runs[from - 1].bytes {
            from -= 1;
            bytes += self.runs[from].bytes;
        }
        from
    }
}
