//! The streaming fold: a model's SQL kept up to date over open windows, from partial aggregates.
//!
//! [`ModelPlan::new`] plans the SQL once and refuses what can't be streamed. [`WindowState::fold`] turns each batch
//! of silver into partial aggregates per window and group; [`WindowState::close`] turns those of closed windows into
//! rows. [`ModelPlan::batch`] runs the same SQL over all rows at once and gives the same rows.
//!
//! # What the SQL sees
//! A table named like the stream, with silver's columns and then `window_start` and `window_end` (µs, UTC). It
//! groups by `window_start`, selects it, and selects whatever else it groups by: `window_start` and the groups are
//! the key of gold.
//!
//! # What comes out the same however batches fell
//! Everything but the last digits of float sums (and what is computed from them: avg, variance, correlation) and
//! approximate aggregates, which depend on how rows were grouped into batches, as they do between two batch runs of
//! any engine. Exact ones: decimals, integers, min, max, count, count(distinct), median. Ordered aggregates need an
//! ORDER BY, best `_event_time, _kafka_partition, _kafka_offset`; partition and offset (and before them the topic,
//! where silver has it) are appended where they are left out, so that equal times are no tie.
//!
//! # Numbers that don't fit
//! A sum, product or difference that is larger than its type stops the model ([`ModelError::Overflow`]), where
//! DataFusion would wrap it around. Whether a sum fits is asked once, of the whole window: the order of rows, folds
//! and merges makes no difference, nor does batch (docs/adr/0011). A sum that may pass 2⁶³ is written
//! `sum(cast(x AS decimal(38, 0)))`.
//!
//! # Memory
//! Named in this module's constants: what is pending is bounded by rows, batches and bytes; all of a model's open
//! windows by bytes, and beyond that the model stops with advice.
//!
//! # What it never does
//! It reads no clock, no file and no table, and never decides which rows are late or when a window closes: the
//! caller does. It never lets a panic or a row's value out.

mod error;
mod origin;
mod output;
mod physical;
mod plan;
mod refuse;
mod rows;
mod saved;
mod total_order;
mod window;
mod window_state;

pub use error::{ModelError, Step};
pub use plan::ModelPlan;
pub use window_state::{PENDING_BATCHES_MAX, PENDING_BYTES_MAX, PENDING_ROWS_MAX, STATE_BYTES_MAX, WindowState};

#[cfg(test)]
mod tests;
