//! The lake as Delta tables on local disk.
