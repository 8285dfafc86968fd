//! The built-in event log: append-only segment files.
