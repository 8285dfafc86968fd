//! Bronze: every record as it came, valid or not, unchanged byte for byte.
//!
//! Invariants upheld: offsets covered = bronze rows + offsets without a record + declared lost; `_ingested_at`
//! never decreases within a partition, so that each `_event_date` holds a contiguous range of offsets.

mod read;
mod rows;
mod stage;

pub use read::{chunks_between, commits_between};
pub use rows::bronze_batch;
pub use stage::BronzeStage;

#[cfg(test)]
mod tests;
