//! Tests of the adapters against real servers.

#![allow(clippy::unwrap_used)] // As inside of the tests, in what they share.

mod kafka;
