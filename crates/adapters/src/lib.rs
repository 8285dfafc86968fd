//! Adapters: the outside behind the ports of `watertight-core`.
//!
//! `segment_log` is the built-in event log, `kafka` Apache Kafka in its place, `delta` the lake on local disk, `memory`
//! log and lake in memory with scripted faults, `system` the clock and identifiers, `ownership` who runs a lake,
//! `folders` folders that survive power loss. `contract` holds the suites that every adapter of a port must pass.

pub mod delta;
pub mod folders;
pub mod kafka;
pub mod memory;
pub mod ownership;
pub mod segment_log;
pub mod system;

#[cfg(test)]
mod contract;
