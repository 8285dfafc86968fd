//! Both ports in memory, with scripted faults: for tests and simulation.

pub mod lake;
pub mod log;
