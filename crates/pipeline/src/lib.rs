//! The pipeline: fetch → bronze → silver and dead letters → gold, each committed with its own position.
//!
//! Stages don't import one another: they meet in [`feed::Chunk`]s (records on their way) and in the tables. The
//! outside is reached through `watertight_core::port` only; nothing here opens a file, reads the wall clock or
//! draws a random number.

pub mod bronze;
pub mod checks;
pub mod feed;
pub mod gold;
pub mod ops;
pub mod runtime;
pub mod silver;
mod sql;
