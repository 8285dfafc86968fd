//! The comparison of the tables with the truth: every row, every offset, every byte.
//!
//! Contract: reads the tables through the lake port only and changes nothing. What is expected comes from the truth's
//! files; payloads and columns are made again from the plan. Every difference is counted and the first few are named;
//! payloads are never shown. Memory: about 200 bytes per event.

mod bronze;
mod cell;
mod dead_letters;
mod expected;
mod gold;
mod report;
mod silver;

pub use report::{Check, Comparison, Fault};

use crate::error::ProduceError;
use expected::Expected;
use std::path::{Path, PathBuf};
use watertight_core::port::{Lake, LakeTable};
use watertight_core::schema::{ModelDef, StreamDef};

use arrow::array::RecordBatch;

/// What is compared how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompareOptions {
    /// The producer's ledger: then offsets are taken from it, and every acknowledged id must be in bronze and vice versa.
    pub ledger: Option<PathBuf>,
    /// Which windows gold must hold.
    pub gold: GoldScope,
}

/// Which windows gold must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoldScope {
    /// Those that the last watermark has closed; others may be there if they are right (an idle decision closed them).
    Closed,
    /// All: the pipeline was told that the input ended.
    All,
}

/// Compares the tables of `stream` and `models` with the truth in `folder`.
///
/// # Errors
/// [`ProduceError::Truth`] where the truth's files cannot be read, [`ProduceError::Log`] where a table cannot;
/// differences are no errors, see [`Comparison::is_exact`].
pub fn compare(
    folder: &Path,
    lake: &dyn Lake,
    stream: &StreamDef,
    models: &[ModelDef],
    options: &CompareOptions,
) -> Result<Comparison, ProduceError> {
    let expected = Expected::load(folder, options.ledger.as_deref())?;
    let mut checks = Vec::new();
    if let Some(check) = expected.check_ledger() {
        checks.push(check);
    }
    checks.push(bronze::check(&expected, lake, &stream.name)?);
    checks.push(dead_letters::check(&expected, lake, &stream.name, folder)?);
    checks.push(silver::check(&expected, lake, stream, folder)?);
    for model in models.iter().filter(|model| model.from == stream.name) {
        checks.push(gold::check(lake, model, folder, options.gold)?);
    }
    Ok(Comparison { checks })
}

/// Shows all rows of a table, batch by batch; `false` where there is no such table.
fn each_batch(
    lake: &dyn Lake,
    schema_name: &str,
    table: &str,
    columns: &[&str],
    mut each: impl FnMut(&RecordBatch) -> Result<(), ProduceError>,
) -> Result<bool, ProduceError> {
    let Some(mut table) = lake.look(schema_name, table).map_err(ProduceError::Log)? else { return Ok(false) };
    table.refresh().map_err(ProduceError::Log)?;
    let table: &dyn LakeTable = table.as_ref();
    for file in table.live_files().map_err(ProduceError::Log)? {
        for batch in table.read(&file, columns).map_err(ProduceError::Log)? {
            each(&batch.map_err(ProduceError::Log)?)?;
        }
    }
    Ok(true)
}

#[cfg(test)]
mod naive;
#[cfg(test)]
mod tests;
