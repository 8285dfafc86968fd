//! Gold: windows by SQL, folded from silver rows that are on time, appended when they close.
//!
//! Invariants upheld: a window and group is written once; streamed gold equals the model's SQL in batch over
//! silver's rows that are not late. A model that fails stops alone.

mod checkpoint;
pub mod engine;
mod stage;
mod window_length;

pub use stage::{Covers, GoldStage, model_table_schema};
pub use window_length::keeps_its_window;
