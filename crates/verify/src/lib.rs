//! `verify`: any lost, doubled or altered record is found and named, from the tables alone.
//!
//! expect → observe → compare → report. This crate depends on no other crate of ours, so that a bug in the pipeline
//! cannot hide in its check: it reads the Delta log and Parquet itself, decodes JSON with another parser, and computes
//! lateness, duplicates and gold anew. What it shares with the pipeline are the names of columns, and libraries.
//!
//! It never writes into the lake, and never follows a path out of it.

pub mod books;
pub mod compare;
pub mod expect;
pub mod finding;
pub mod follow;
pub mod guard;
pub mod lake;
pub mod report;
pub mod request;
pub mod rows;
pub mod spill;
