//! Real servers for tests and examples, on this machine, for as long as they are wanted.
//!
//! [`kafka`] is Apache Kafka: a cluster that a test owns and that never outlives it, with faults to plant (kill, stop,
//! pause, start again). [`standing`] is the lab of `cargo xtask lab up`: servers that outlive the command, and that
//! `lab down` ends.
//! Contract: every server has a folder, a port on 127.0.0.1 and a log of its own. A server is taken for ours only if it
//! is the process that we started, and says the name that we gave it. Only processes that we started are ended, each by
//! its number and the moment it began.
//! Never: shipped to users; used by anything but tests, benchmarks and xtask; a download while a test runs.

pub mod cache;
mod error;
mod files;
pub mod kafka;
mod ports;
pub mod process;
mod scratch;
mod spawn;
pub mod standing;

pub use error::LabError;
