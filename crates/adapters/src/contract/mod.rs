//! The suites that every adapter of a port must pass.

pub(crate) mod lake;
mod log;
