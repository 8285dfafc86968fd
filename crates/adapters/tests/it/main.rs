//! Tests of the adapters against real servers.

mod kafka;
