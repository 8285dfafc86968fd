//! The truth: what must come out of the pipeline for what was produced, and the comparison with what did.
//!
//! Contract: computed from the plan alone, by the semantics of DESIGN.md ("Time, lateness, duplicates"), with code that
//! shares nothing with the pipeline but the names of tables and columns. It holds for a topic into which only this
//! producer wrote, for the standard models (any name, any window), and for a run of the pipeline in which no partition was declared idle and none was lost.
//!
//! Files in the folder (JSON, one object per line in `.jsonl`):
//! - `truth.json`: the [`Truth`], from which everything can be computed again;
//! - `silver.jsonl`: `{"sequence","event_id","late","partitions"}`, one per row of silver; `partitions` are those in which a
//!   copy may win;
//! - `dead_letters.jsonl`: `{"sequence","partition","offset","reasons"}`;
//! - `gold_<model>.jsonl`: the rows of streamed gold: `window_start`, `window_start_us`, the group, the values (decimals as
//!   text), and `closed`: whether the window has closed by the last watermark;
//! - `counts.json`: the [`Counts`].

pub mod compare;
mod expect;
mod gold;
mod standard;
mod write;

pub use compare::{CompareOptions, Comparison, GoldScope, compare};
pub(crate) use expect::{Fate, simulate};
pub(crate) use standard::standard_sql;
pub(crate) use write::write;

use crate::error::ProduceError;
use crate::generate::Plan;
use crate::ledger::Header;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use watertight_core::schema::ModelDef;

/// Numbers of what must come out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Records produced, = rows of bronze.
    pub records: u64,
    /// Rows of silver.
    pub silver: u64,
    /// Rows of silver flagged late.
    pub late: u64,
    /// Valid records whose id came before.
    pub duplicates: u64,
    /// Duplicates that lie in another partition than their original.
    pub duplicates_elsewhere: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Dead letters by reason; one with two reasons counts twice.
    pub reasons: BTreeMap<String, u64>,
    /// Records per partition.
    pub per_partition: Vec<u64>,
    /// Rows of gold per model: all, and those of closed windows.
    pub gold: BTreeMap<String, (u64, u64)>,
}

/// Everything that the truth is computed from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// Version of the format: 1.
    pub format: u32,
    /// What the ledger's header is, or would be: the plan and where it began.
    pub header: Header,
    /// Items `0..count` were produced.
    pub count: u64,
    /// The models whose rows are in the folder.
    pub models: Vec<ModelDef>,
}

/// Version of the format that this build writes.
const FORMAT: u32 = 1;

/// Refuses a truth that cannot be known: with checks or models that are not understood, or on a topic that held records
/// (`start_offsets`) when producing began.
pub(crate) fn check_knowable(plan: &Plan, start_offsets: &[i64], models: &[ModelDef]) -> Result<(), ProduceError> {
    if !plan.unknown_checks.is_empty() {
        return Err(ProduceError::Usage(format!(
            "the truth cannot be known with the check {}: only checks of the form `column > number` (or >=, <, <=) that \
             generated values pass are understood; leave out --truth or the check",
            plan.unknown_checks.join(", ")
        )));
    }
    let kind = plan.spec.kind;
    if let Some(model) = models.iter().find(|model| !standard::is_standard(kind, model)) {
        return Err(ProduceError::Usage(format!(
            "the truth cannot be known with the model {}: for {} events only the rows of this SQL can be computed apart \
             from the pipeline: {}; leave out --truth or the model",
            model.name,
            kind.name(),
            standard_sql(kind, &model.from)
        )));
    }
    if start_offsets.iter().any(|offset| *offset > 0) {
        return Err(ProduceError::Usage(
            "the truth cannot be known on a topic that held records before: what they lead to is unknown here; leave out \
             --truth, or produce into a new log"
                .to_owned(),
        ));
    }
    Ok(())
}

pub(crate) fn silver_path(folder: &Path) -> std::path::PathBuf {
    folder.join("silver.jsonl")
}

pub(crate) fn dead_letters_path(folder: &Path) -> std::path::PathBuf {
    folder.join("dead_letters.jsonl")
}

pub(crate) fn gold_path(folder: &Path, model: &str) -> std::path::PathBuf {
    folder.join(format!("gold_{model}.jsonl"))
}
