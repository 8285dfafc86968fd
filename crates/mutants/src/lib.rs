//! Who checks the checker: faults planted in finished lakes ("mutants"), which `watertight verify` must find and name.
//!
//! [`lake_edit`] opens a lake's Delta log and Parquet files for alteration, [`kinds`] holds every kind of fault, each
//! of which says what it did as [`expected::Planted`]: the codes and the place that a finding must have. [`story`]
//! makes random lakes by running the real program, [`campaign`] plants every kind in copies of them and holds what
//! `verify` says against what was planted. [`show`] does so once, before everyone's eyes (`make demo-fault`).
//!
//! This crate depends on no other crate of ours, `verify` least of all: it knows the names of columns, the form of the
//! books (docs/adr/0006) and the JSON that `verify` prints. It never alters a lake in place except where it is told to
//! plant in it.

pub mod campaign;
pub mod expected;
pub mod kinds;
pub mod lake_edit;
pub mod show;
pub mod story;

pub use campaign::{Campaign, Figures};
pub use kinds::{MUTANTS, Mutant, plant};
pub use show::Show;
