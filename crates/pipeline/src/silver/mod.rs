//! Silver: valid, unique, timed rows; and the dead letters beside them.
//!
//! Invariants upheld: every bronze record is exactly one of silver row, duplicate, dead letter; `event_id` is
//! unique for as long as silver holds rows; late flags depend on offset order alone. Records flow
//! [`judge`] (decode and check, pure) → `fold` (time, duplicates) → `stage` (rows, commits; `gaps`: what is lost).

mod fold;
mod gaps;
mod judge;
mod known_ids;
mod rows;
mod stage;
mod time;

pub use fold::{Folded, SilverFold};
pub use gaps::GapsTable;
pub use judge::{Judge, Judged};
pub use known_ids::KnownIds;
pub use stage::{OnCommit, SilverCommit, SilverStage};
pub use time::{Judgement, StreamTime};

#[cfg(test)]
mod tests;
