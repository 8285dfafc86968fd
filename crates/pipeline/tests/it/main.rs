//! The whole pipeline over the log and the lake in memory: what a fault at any call, a clock, another writer or a
//! panic leaves in the tables.
//!
//! `scene` has the pipeline, its events and its outside; `bent` the ports that misbehave; `rows` reads the tables and
//! tells what differs; `lives` a process that is started three times. The other modules are tests; `clocks_on_disk` is
//! the only one over the log and the lake in folders.

mod bent;
mod books;
mod clocks;
mod clocks_on_disk;
mod definitions_change;
mod duplicates;
mod ending;
mod fences;
mod lake_faults;
mod lives;
mod log_faults;
mod loss;
mod models;
mod ops_commits;
mod panics;
mod rows;
mod scene;
mod several;
mod starts;
mod topics;
