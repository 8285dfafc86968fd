//! A state as bytes: an Arrow IPC stream of the partial aggregates.
//!
//! The stream's metadata names the format's version, everything the state's layout follows from (DataFusion's
//! version, the SQL, the window, silver's columns), how far windows are closed, and how many rows follow, so that
//! bytes of another model, or torn ones, are refused rather than misread. The caller adds a checksum. A saved state
//! is a cache: without it the state is rebuilt from silver.

use super::error::ModelError;
use super::plan::ModelPlan;
use super::window::difference;
use super::window_state::WindowState;
use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Version of the layout and meaning of saved states. In version 1 sums were those of a 64-bit integer, and wrapped.
const FORMAT: &str = "2";
const FORMAT_KEY: &str = "watertight.window_state";
const IDENTITY_KEY: &str = "watertight.model";
const CLOSED_KEY: &str = "watertight.closed_until_us";
const ROWS_KEY: &str = "watertight.rows";

impl WindowState {
    /// The state as bytes.
    ///
    /// # Errors
    /// [`ModelError::Broken`] after an earlier error; a type that Arrow IPC can't write.
    pub fn save(&self) -> Result<Vec<u8>, ModelError> {
        let parts = self.parts()?;
        let rows: usize = parts.iter().map(RecordBatch::num_rows).sum();
        let metadata = HashMap::from([
            (FORMAT_KEY.to_owned(), FORMAT.to_owned()),
            (IDENTITY_KEY.to_owned(), self.plan().identity().to_owned()),
            (CLOSED_KEY.to_owned(), self.closed_until_us().to_string()),
            (ROWS_KEY.to_owned(), rows.to_string()),
        ]);
        let schema = self.plan().state_schema();
        let described = Arc::new(Schema::new_with_metadata(schema.fields().clone(), metadata));
        let write = || -> Result<Vec<u8>, ArrowError> {
            let mut writer = StreamWriter::try_new(Vec::new(), &described)?;
            for part in &parts {
                writer.write(&RecordBatch::try_new(Arc::clone(&described), part.columns().to_vec())?)?;
            }
            writer.into_inner()
        };
        write().map_err(|error| self.plan().defect(&error))
    }

    /// The state that [`Self::save`] gave as `bytes`.
    ///
    /// # Errors
    /// [`ModelError::SavedState`] if the bytes are of another model, definition or version, or damaged.
    pub fn load(plan: &Arc<ModelPlan>, bytes: &[u8]) -> Result<Self, ModelError> {
        let refused = |why: &str| ModelError::SavedState { model: plan.name().to_owned(), why: why.to_owned() };
        // Arrow's reader asserts here and there on bytes that no writer made.
        let (metadata, parts) = catch_unwind(AssertUnwindSafe(|| read(plan, bytes)))
            .map_err(|_| refused("its bytes are damaged"))?
            .map_err(|why| refused(&why))?;
        let number = |key: &str| metadata.get(key).and_then(|text| text.parse::<i64>().ok());
        let closed_until_us = number(CLOSED_KEY).ok_or_else(|| refused("its bytes are damaged"))?;
        let rows: usize = parts.iter().map(RecordBatch::num_rows).sum();
        if number(ROWS_KEY) != i64::try_from(rows).ok() {
            return Err(refused("rows are missing at its end"));
        }
        let mut state = plan.open_after(closed_until_us);
        state.restore(parts)?;
        Ok(state)
    }
}

type Contents = (HashMap<String, String>, Vec<RecordBatch>);

fn read(plan: &ModelPlan, bytes: &[u8]) -> Result<Contents, String> {
    let damaged = |_: ArrowError| "its bytes are damaged".to_owned();
    let reader = StreamReader::try_new(bytes, None).map_err(damaged)?;
    let schema = reader.schema();
    let metadata = schema.metadata().clone();
    if metadata.get(FORMAT_KEY).map(String::as_str) != Some(FORMAT) {
        return Err("it has another format".to_owned());
    }
    if metadata.get(IDENTITY_KEY).map(String::as_str) != Some(plan.identity()) {
        return Err("it belongs to another definition of the model".to_owned());
    }
    if difference(plan.state_schema(), &schema).is_some() {
        return Err("its columns are not the model's".to_owned());
    }
    let mut parts = Vec::new();
    for batch in reader {
        let batch = batch.map_err(damaged)?;
        let batch = RecordBatch::try_new(Arc::clone(plan.state_schema()), batch.columns().to_vec());
        parts.push(batch.map_err(damaged)?);
    }
    Ok((metadata, parts))
}
