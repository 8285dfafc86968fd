//! Tests of what only the Delta adapter does, beside the suite in `contract::lake`.

mod checkpoints;
mod entries;
mod faults;
mod files;
