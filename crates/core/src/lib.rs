//! The pure core: what a record, a position, a commit and a book entry are, and what is decided from them.
//!
//! Contract: nothing here opens a file, a socket or a thread, reads a clock, or draws a random number. The
//! ports ([`port`]) say what the outside must do; adapters implement them; everything else is data and
//! functions of it. `cargo xtask layers` keeps this crate free of runtimes and client libraries.

pub mod books;
pub mod commit;
pub mod kafka;
pub mod port;
pub mod position;
pub mod record;
pub mod schema;
pub mod steps;
