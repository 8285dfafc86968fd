//! Bronze: every record as it came, valid or not, unchanged byte for byte.
//!
//! Invariants upheld: offsets covered = bronze rows + offsets without a record + declared lost; `_ingested_at`
//! never decreases within a partition, so that each `_event_date` holds a contiguous range of offsets.

mod read;
mod stage;
mod transform;

pub use read::{chunks_between, commits_between};
pub use stage::BronzeStage;
pub use transform::bronze_batch;

#[cfg(test)]
mod tests;
