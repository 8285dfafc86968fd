//! The lake in memory.
